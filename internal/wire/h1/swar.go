package h1

import (
	"encoding/binary"
	"math/bits"
)

// endOfName looks at eight bytes at a time. A "mark" is the top bit of a byte of
// a word; the lowest marked byte is the first in the buffer.

const (
	eachByte = 0x0101010101010101
	topBits  = 0x8080808080808080
)

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

func firstMark(m uint64) int { return bits.TrailingZeros64(m) >> 3 }
