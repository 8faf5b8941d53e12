// Package trace carries W3C Trace Context (https://www.w3.org/TR/trace-context/)
// through a proxy. It owns no goroutines, imports the standard library and
// httpmsg, and may be imported by any package.
package trace

// Context is a parsed traceparent. Its slices point into what was parsed.
type Context struct {
	// TraceID is 32 and ParentID 16 lower-case hexadecimal digits, not all zero.
	TraceID, ParentID []byte
	Flags             byte
}

// Sampled tells whether the caller recorded the trace (§3.2.3.5.1).
func (c *Context) Sampled() bool { return c.Flags&1 != 0 }

// Valid tells whether there is a trace.
func (c *Context) Valid() bool { return len(c.TraceID) == 32 }

const (
	traceparentLen = 55 // of version 00
	// maxFutureLen bounds a traceparent of a version we do not know.
	maxFutureLen = 512
)

// Parse reads a traceparent (§3.2). It accepts versions after 00 as §3.2.2.1
// and §4.3 ask: what 00 defines is read, what follows it after a dash is left alone.
func Parse(v []byte) (Context, bool) {
	if len(v) < traceparentLen || len(v) > maxFutureLen {
		return Context{}, false
	}
	version, ok := hexByte(v[0], v[1])
	if !ok || version == 0xff || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Context{}, false
	}
	if len(v) > traceparentLen && (version == 0 || v[traceparentLen] != '-') {
		return Context{}, false
	}
	traceID, parentID := v[3:35], v[36:52]
	flags, ok := hexByte(v[53], v[54])
	if !ok || !isID(traceID) || !isID(parentID) {
		return Context{}, false
	}
	return Context{TraceID: traceID, ParentID: parentID, Flags: flags}, true
}

// isID tells whether v is lower-case hexadecimal with a digit other than zero.
func isID(v []byte) bool {
	nonzero := false
	for _, c := range v {
		if _, ok := hexDigit(c); !ok {
			return false
		}
		nonzero = nonzero || c != '0'
	}
	return nonzero
}

func hexByte(a, b byte) (byte, bool) {
	x, ok := hexDigit(a)
	y, ok2 := hexDigit(b)
	return x<<4 | y, ok && ok2
}

// hexDigit knows lower case only: "HEXDIGLC" of §3.2.2.
func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

const hexDigits = "0123456789abcdef"

// Append appends a traceparent of version 00 with the two halves of a trace ID
// and a parent ID. Neither ID may be zero.
func Append(dst []byte, high, low, parent uint64, flags byte) []byte {
	dst = append(dst, "00-"...)
	dst = appendHex(dst, high)
	dst = appendHex(dst, low)
	dst = append(dst, '-')
	dst = appendHex(dst, parent)
	return append(dst, '-', hexDigits[flags>>4], hexDigits[flags&15])
}

func appendHex(dst []byte, n uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[n>>shift&15])
	}
	return dst
}
