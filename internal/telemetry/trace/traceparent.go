// Package trace carries W3C Trace Context (https://www.w3.org/TR/trace-context/)
// through a proxy. It owns no goroutines, imports the standard library and
// httpmsg, and may be imported by any package.
package trace

import "encoding/binary"

// Context is a parsed traceparent.
type Context struct {
	// TraceID is 32 lower-case hexadecimal digits, a part of what was parsed.
	TraceID []byte
	ID      ID
	// Parent is the span of who has sent it. Neither is zero.
	Parent uint64
	Flags  byte
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
	c := Context{TraceID: v[3:35]}
	var ok1, ok2, ok3, ok4 bool
	c.ID.High, ok1 = parseHex(v[3:19])
	c.ID.Low, ok2 = parseHex(v[19:35])
	c.Parent, ok3 = parseHex(v[36:52])
	c.Flags, ok4 = hexByte(v[53], v[54])
	if !ok1 || !ok2 || !ok3 || !ok4 || !c.ID.Valid() || c.Parent == 0 {
		return Context{}, false
	}
	return c, true
}

func hexByte(a, b byte) (byte, bool) {
	x, y := digits[a], digits[b]
	return x<<4 | y, x|y < 16
}

// digits has the value of lower-case digits, "HEXDIGLC" of §3.2.2, and 0xff for others.
var digits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range hexDigits {
		t[hexDigits[i]] = byte(i)
	}
	return t
}()

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
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, eightDigits(uint32(n>>32))), eightDigits(uint32(n)))
}

// eightDigits are those of n, the first in the highest byte. All are made at once: each
// gets a byte of its own, and those from ten on what lies between '9' and 'a' more.
func eightDigits(n uint32) uint64 {
	x := uint64(n)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	letters := (x + 0x0606060606060606) >> 4 & 0x0101010101010101
	return x + 0x3030303030303030 + letters*('a'-'9'-1)
}
