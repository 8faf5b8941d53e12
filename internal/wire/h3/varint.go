package h3

import "encoding/binary"

// maxVarint is the largest integer that QUIC can write (RFC 9000 §16).
const maxVarint = 1<<62 - 1

// AppendVarint appends v, which is at most 2^62-1.
func AppendVarint(dst []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(dst, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(dst, uint16(v)|0x4000)
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(dst, uint32(v)|0x8000_0000)
	}
	return binary.BigEndian.AppendUint64(dst, v|0xc000_0000_0000_0000)
}

// ReadVarint reads an integer; n is its length, 0 if it is cut off.
func ReadVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0
	}
	switch n {
	case 1:
		return uint64(b[0]), 1
	case 2:
		return uint64(binary.BigEndian.Uint16(b)) & 0x3fff, 2
	case 4:
		return uint64(binary.BigEndian.Uint32(b)) & 0x3fff_ffff, 4
	}
	return binary.BigEndian.Uint64(b) & maxVarint, 8
}

// varintLen is the length of v as AppendVarint writes it.
func varintLen(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	}
	return 8
}
