package opening

import "bytes"

// Kind is what a connection begins with.
type Kind uint8

const (
	// More: the bytes so far fit several kinds.
	More Kind = iota
	TLS
	HTTP1
	HTTP2 // the preface of RFC 9113 §3.4
	Other
)

// String is for logs: "tls", "http/1", "http/2", "other".
func (k Kind) String() string {
	return [...]string{"more", "tls", "http/1", "http/2", "other"}[k]
}

// MaxDetectBytes is how many bytes Detect may need. With that many it does not
// answer More.
const MaxDetectBytes = 1024

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// methods are those that need no look at the end of the line. Words of other
// protocols ("USER", "CONNECT {…}") are told apart by what follows.
var methods = []string{"GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "OPTIONS "}

// Detect tells what a connection begins with from its first bytes. Whatever
// cannot be a TLS handshake or HTTP is Other.
func Detect(b []byte) Kind {
	switch {
	case len(b) == 0:
		return More
	case b[0] == recordHandshake:
		return detectTLS(b)
	case b[0] == 'P' && hasPrefix(b, preface):
		if len(b) < len(preface) {
			return detectShort(b)
		}
		return HTTP2
	}
	return detectHTTP1(b)
}

// detectShort is for a part of the preface, of which "P" may also begin others.
func detectShort(b []byte) Kind {
	if len(b) > len("PRI * HTTP/2.0\r\n") {
		return More
	}
	if k := detectHTTP1(b); k == HTTP1 {
		return HTTP1
	}
	return More
}

// hasPrefix tells whether one of the two begins with the other.
func hasPrefix(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

func detectTLS(b []byte) Kind {
	switch {
	case len(b) > 1 && b[1] != 3, len(b) > 2 && b[2] > 4, len(b) > 5 && b[5] != typeClientHello:
		return Other
	case len(b) < 6:
		return More
	}
	return TLS
}

func detectHTTP1(b []byte) Kind {
	for _, m := range methods {
		if !hasPrefix(b, m) {
			continue
		}
		switch {
		case len(b) <= len(m):
			return More
		case b[len(m)] == '/':
			return HTTP1
		}
	}
	return detectLine(b)
}

// detectLine looks for a whole request line (RFC 9112 §3) of any method.
func detectLine(b []byte) Kind {
	for i, c := range b {
		switch {
		case c == '\n':
			line := bytes.TrimSuffix(b[:i], []byte{'\r'})
			if at := bytes.IndexByte(line, ' '); at > 0 && beginsWithToken(line) && bytes.Contains(line[at:], []byte(" HTTP/1.")) {
				return HTTP1
			}
			return Other
		case c < ' ' && (c != '\r' || i+1 < len(b) && b[i+1] != '\n'), c > '~':
			return Other
		}
	}
	if len(b) >= MaxDetectBytes || !beginsWithToken(b) {
		return Other
	}
	return More
}

// Leans tells what the bytes for which Detect answers More are likely to become,
// though the rest is late: TLS, HTTP1 (which may turn out to be HTTP2), or Other
// where a client of another protocol may well have said all that it has to say.
func Leans(b []byte) Kind {
	if len(b) > 0 && b[0] == recordHandshake && detectTLS(b) != Other {
		return TLS
	}
	if len(b) < 2 { // one letter may be a command
		return Other
	}
	for _, m := range methods {
		if hasPrefix(b, m) {
			return HTTP1
		}
	}
	if hasPrefix(b, preface) {
		return HTTP1
	}
	return Other
}

// maxMethod bounds the first word of a request line.
const maxMethod = 32

func beginsWithToken(b []byte) bool {
	for i, c := range b {
		switch {
		case c == ' ':
			return i > 0
		case i >= maxMethod, c < 'A' || c > 'Z' && c < 'a' || c > 'z':
			if i < maxMethod && (c == '-' || c == '_' || c >= '0' && c <= '9' && i > 0) {
				continue
			}
			return false
		}
	}
	return true
}
