package hpack

import "github.com/gridway/gridway/internal/wire/httpmsg"

// What follows are the parts that QPACK has in common with HPACK (RFC 9204
// §4.1): integers, strings, and what makes a field malformed.

// ReadInt reads an integer whose first byte is b[0] with a prefix of that many
// bits. n is its length, 0 if it is cut off or too large. b is not empty.
func ReadInt(b []byte, prefix uint) (v uint32, n int) { return readInt(b, prefix) }

// AppendInt appends v with the first bits, which stand above the prefix.
func AppendInt(dst []byte, first byte, prefix uint, v uint32) []byte {
	return appendInt(dst, first, prefix, v)
}

// ReadString reads a string whose length has a prefix of that many bits, below
// the bit that says that it is in Huffman code. It is copied to the arena. n is
// its length in b, 0 if it is cut off or cannot be decoded. b is not empty.
func ReadString(b []byte, prefix uint, arena *httpmsg.Arena) (s []byte, n int) {
	length, n := readInt(b, prefix)
	if n == 0 || uint64(length) > uint64(len(b)-n) {
		return nil, 0
	}
	end := n + int(length)
	if b[0]&(1<<prefix) == 0 {
		return arena.Copy(b[n:end]), end
	}
	dst := arena.Alloc(huffRoom(int(length)))
	m, ok := huffDecode(dst, b[n:end])
	if !ok {
		return nil, 0
	}
	return dst[:m:m], end
}

// AppendString appends s, in Huffman code where that is shorter. Its length has a
// prefix of that many bits; the first bits stand above the bit that says so.
func AppendString(dst []byte, first byte, prefix uint, s []byte) []byte {
	if n := huffSize(s); n < len(s) {
		dst = appendInt(dst, first|1<<prefix, prefix, uint32(n))
		return appendHuffman(dst, s)
	}
	dst = appendInt(dst, first, prefix, uint32(len(s)))
	return append(dst, s...)
}

// Identify looks a literal name up and checks it.
func Identify(name []byte) (id httpmsg.Name, pseudo Pseudo, flaw Flaw) { return identify(name) }

// ValidValue tells whether a field's value has neither control characters nor
// white space at an end.
func ValidValue(v []byte) bool { return validValue(v) }
