package h1

import "github.com/gridway/gridway/internal/wire/syntax"

// extState is where in chunk-ext (RFC 9112 §7.1.1) a reader is:
// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
type extState uint8

const (
	extSpace     extState = iota // after the size or a value: BWS, then ";"
	extNameStart                 // after ";"
	extName
	extNameSpace  // after a name and BWS: "=" or ";"
	extValueStart // after "="
	extValue
	extQuoted
	extEscaped
	extQuotedEnd
)

// skipExtension checks extensions up to the CR at their end. A CR after BWS is
// refused: there the line should have gone on.
func (c *ChunkReader) skipExtension(in []byte, n int) (int, *Error) {
	for ; n < len(in); n++ {
		b := in[n]
		if b == '\r' {
			if c.extState != extName && c.extState != extValue && c.extState != extQuotedEnd {
				return 0, errChunkExtension
			}
			c.state = chunkSizeLF
			return n + 1, nil
		}
		if b == '\n' {
			return 0, errBareLF
		}
		if c.ext++; c.ext > maxExtension {
			return 0, errExtensionTooLong
		}
		if c.excess++; c.excess > maxExcess {
			return 0, errExtensionTooLong
		}
		next, ok := c.extState.step(b)
		if !ok {
			return 0, errChunkExtension
		}
		c.extState = next
	}
	return n, nil
}

func (s extState) step(b byte) (next extState, ok bool) {
	blank := b == ' ' || b == '\t'
	switch s {
	case extQuoted:
		switch b {
		case '"':
			return extQuotedEnd, true
		case '\\':
			return extEscaped, true
		}
		return extQuoted, blank || b > ' ' && b != 0x7f
	case extEscaped:
		return extQuoted, blank || b > ' ' && b != 0x7f
	case extNameStart:
		if blank {
			return extNameStart, true
		}
		return extName, syntax.IsTokenByte(b)
	case extValueStart:
		switch {
		case blank:
			return extValueStart, true
		case b == '"':
			return extQuoted, true
		}
		return extValue, syntax.IsTokenByte(b)
	}
	switch {
	case b == ';':
		return extNameStart, true
	case b == '=' && (s == extName || s == extNameSpace):
		return extValueStart, true
	case blank && (s == extName || s == extNameSpace):
		return extNameSpace, true
	case blank:
		return extSpace, true
	}
	return s, (s == extName || s == extValue) && syntax.IsTokenByte(b)
}
