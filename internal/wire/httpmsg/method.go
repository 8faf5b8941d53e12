package httpmsg

// Method is a well-known request method as a small integer.
type Method uint8

const (
	MethodOther Method = iota
	MethodGet
	MethodHead
	MethodPost
	MethodPut
	MethodDelete
	MethodConnect
	MethodOptions
	MethodTrace
	MethodPatch
	methodCount
)

var methodNames = [methodCount]string{
	"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
}

// LookupMethod returns the number of a method. Methods are case-sensitive (RFC 9110 §9.1).
func LookupMethod(b []byte) Method {
	m := MethodOther
	switch len(b) {
	case 3:
		switch b[0] {
		case 'G':
			m = MethodGet
		case 'P':
			m = MethodPut
		}
	case 4:
		switch b[0] {
		case 'P':
			m = MethodPost
		case 'H':
			m = MethodHead
		}
	case 5:
		switch b[0] {
		case 'P':
			m = MethodPatch
		case 'T':
			m = MethodTrace
		}
	case 6:
		m = MethodDelete
	case 7:
		switch b[0] {
		case 'O':
			m = MethodOptions
		case 'C':
			m = MethodConnect
		}
	}
	if m != MethodOther && string(b) == methodNames[m] {
		return m
	}
	return MethodOther
}

// String returns the method's name, and "" for MethodOther.
func (m Method) String() string {
	if m < methodCount {
		return methodNames[m]
	}
	return ""
}

// Safe tells whether the method asks for no change of state (RFC 9110 §9.2.1).
func (m Method) Safe() bool {
	switch m {
	case MethodGet, MethodHead, MethodOptions, MethodTrace:
		return true
	}
	return false
}

// Idempotent tells whether to repeat the request has the same effect as to send
// it once (RFC 9110 §9.2.2).
func (m Method) Idempotent() bool {
	return m.Safe() || m == MethodPut || m == MethodDelete
}
