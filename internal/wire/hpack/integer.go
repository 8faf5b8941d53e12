package hpack

// maxInt bounds integers (RFC 7541 §5.1: a limit is the implementation's to
// set). No index, size or length that this package accepts comes near.
const maxInt = 1<<31 - 1

// readInt reads an integer whose first byte is b[0] with a prefix of that many
// bits. n is its length, 0 if it is cut off or too large.
func readInt(b []byte, prefix uint) (v uint32, n int) {
	mask := uint32(1)<<prefix - 1
	v = uint32(b[0]) & mask
	if v < mask {
		return v, 1
	}
	sum := uint64(v)
	for i, shift := 1, 0; i < len(b) && shift <= 28; i, shift = i+1, shift+7 {
		sum += uint64(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			if sum > maxInt {
				return 0, 0
			}
			return uint32(sum), i + 1
		}
	}
	return 0, 0
}

// appendInt appends v with the first bits, which stand above the prefix.
func appendInt(dst []byte, first byte, prefix uint, v uint32) []byte {
	mask := uint32(1)<<prefix - 1
	if v < mask {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(mask))
	v -= mask
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}
