package syntax

import (
	"encoding/binary"
	"math/bits"
)

// This file looks at eight bytes at a time. A "mark" is the top bit of a byte of
// a word; the lowest marked byte is the first in the buffer.

const (
	eachByte = 0x0101010101010101
	topBits  = 0x8080808080808080
)

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

func firstMark(m uint64) int { return bits.TrailingZeros64(m) >> 3 }

// The following are exact if no byte of x has its top bit set; such bytes are
// marked wrongly, and callers exclude them.

// atLeast marks the bytes that are c or more.
func atLeast(x uint64, c byte) uint64 { return x + (0x80-uint64(c))*eachByte }

// equal marks the bytes that are c.
func equal(x uint64, c byte) uint64 { return ^((x ^ uint64(c)*eachByte) + 0x7f*eachByte) }

// notPlain marks what is no letter, digit, '-', '.', '/', ':', ';' or '_'.
func notPlain(x uint64) uint64 {
	folded := x | 0x20*eachByte
	letter := atLeast(folded, 'a') &^ atLeast(folded, 'z'+1)
	digit := atLeast(x, '-') &^ atLeast(x, ';'+1)
	return (^(letter | digit | equal(x, '_')) | x) & topBits
}

// EndOfText returns the index of the first byte at or after i that cannot be
// part of a field value (RFC 9110 §5.5: controls but for HTAB, and DEL), or
// len(b). Bytes from 0x80 (obs-text) are allowed.
func EndOfText(b []byte, i int) int {
	p := b[i:]
	for len(p) >= 8 {
		m := notText(binary.LittleEndian.Uint64(p))
		if m == 0 {
			p = p[8:]
			continue
		}
		p = p[firstMark(m):]
		if p[0] != '\t' {
			return len(b) - len(p)
		}
		p = p[1:]
	}
	for len(p) > 0 {
		if c := p[0]; c < ' ' && c != '\t' || c == 0x7f {
			break
		}
		p = p[1:]
	}
	return len(b) - len(p)
}

// notText marks bytes below 0x20 and 0x7f. Borrows make false marks only above a
// true one, and the lowest is what counts.
func notText(x uint64) uint64 {
	return ((x - 0x20*eachByte) | ((x ^ 0x7f*eachByte) - eachByte)) &^ x & topBits
}

// endOfQuery returns the index of the first byte at or after i that cannot be
// part of a query (see targetClass), or len(b).
func endOfQuery(b []byte, i int) int {
	for i+8 <= len(b) {
		x := load(b, i)
		m := (((x - 0x21*eachByte) | ((x ^ 0x7f*eachByte) - eachByte) | ((x ^ '#'*eachByte) - eachByte)) | x) & topBits
		if m == 0 {
			i += 8
			continue
		}
		// A borrow may have marked a byte above the first true one only, so the
		// first is true, unless its top bit is its own, and then it is refused too.
		return i + firstMark(m)
	}
	for i < len(b) && targetClass[b[i]] < classStop {
		i++
	}
	return i
}
