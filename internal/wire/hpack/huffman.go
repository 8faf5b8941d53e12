package hpack

import "encoding/binary"

// huffBits is how many bits the decoder looks up at once. The shortest codes
// have five, so that one look often finds two symbols.
const huffBits = 11

// huffEntry is what a row of huffBits bits starts with: symbols of together
// length bits, or none if the code is longer than the row.
type huffEntry struct {
	first, second uint8
	symbols       uint8
	length        uint8
}

// huffTable is indexed by the next huffBits bits. For longer codes huffLong
// tells by length which rows of 32 bits they end below.
var huffTable, huffLong = buildHuffTables()

// longCodes are the codes of one length: left-aligned in 32 bits they lie
// between first and end; symbols are in their order.
type longCodes struct {
	first, end uint64
	symbols    []uint16
}

func buildHuffTables() (table [1 << huffBits]huffEntry, long [huffMax + 1]longCodes) {
	for row := range table {
		bits, left := uint32(row), huffBits
		e := &table[row]
		for e.symbols < 2 {
			symbol, n := huffStart(bits, left)
			if n == 0 {
				break
			}
			if e.symbols == 0 {
				e.first = symbol
			} else {
				e.second = symbol
			}
			e.symbols++
			e.length += uint8(n)
			left -= n
			bits &= 1<<left - 1
		}
	}
	for n := huffBits + 1; n <= huffMax; n++ {
		l := &long[n]
		for symbol, length := range huffLen {
			if int(length) != n {
				continue
			}
			code := uint64(huffCodes[symbol]) << (32 - n)
			if len(l.symbols) == 0 {
				l.first = code
			}
			l.end = code + 1<<(32-n)
			l.symbols = append(l.symbols, uint16(symbol))
		}
	}
	return table, long
}

// huffStart returns the symbol that n bits start with, and its length; 0 if none
// is complete.
func huffStart(bits uint32, n int) (symbol uint8, length int) {
	for symbol := range 256 {
		l := int(huffLen[symbol])
		if l <= n && bits>>(n-l) == huffCodes[symbol] {
			return uint8(symbol), l
		}
	}
	return 0, 0
}

// huffRoom is how long dst must be to decode n bytes: five bits are the shortest
// code, and symbols are stored in twos.
func huffRoom(n int) int { return n*8/5 + 2 }

// huffDecode decodes src to dst, which has huffRoom, and returns the length. It
// fails for EOS, and for padding that is longer than seven bits or not all ones
// (RFC 7541 §5.2).
func huffDecode(dst, src []byte) (n int, ok bool) {
	var acc uint64 // the next bits, from the top
	bits := uint(0)
	for len(src) >= 8 {
		acc |= binary.BigEndian.Uint64(src) >> bits
		src = src[(63-bits)>>3:]
		bits |= 56
		for bits >= huffMax+2 {
			e := &huffTable[acc>>(64-huffBits)]
			if e.symbols == 0 {
				symbol, length := huffLongest(acc)
				if length == 0 {
					return 0, false
				}
				dst[n] = symbol
				n++
				acc <<= length
				bits -= length
				continue
			}
			dst[n+1] = e.second
			dst[n] = e.first
			n += int(e.symbols)
			acc <<= e.length & 63
			bits -= uint(e.length)
		}
	}
	return huffTail(dst, n, src, acc, bits)
}

// huffTail decodes the last bytes.
func huffTail(dst []byte, n int, src []byte, acc uint64, bits uint) (int, bool) {
	if bits < 64 {
		acc &^= 1<<(64-bits) - 1
	}
	for {
		for bits <= 56 && len(src) > 0 {
			acc |= uint64(src[0]) << (56 - bits)
			bits += 8
			src = src[1:]
		}
		if bits == 0 {
			return n, true
		}
		filled := acc | (1<<(64-bits) - 1) // with ones, as padding is
		e := &huffTable[filled>>(64-huffBits)]
		if e.symbols == 2 && uint(e.length) <= bits {
			dst[n+1] = e.second
			dst[n] = e.first
			n += 2
			acc <<= e.length & 63
			bits -= uint(e.length)
			continue
		}
		symbol, length := e.first, uint(huffLen[e.first])
		if e.symbols == 0 {
			symbol, length = huffLongest(filled)
		}
		if length == 0 || length > bits {
			return n, bits < 8 && filled == 1<<64-1
		}
		dst[n] = symbol
		n++
		acc <<= length
		bits -= length
	}
}

// huffLongest decodes a code that is longer than huffBits; length is 0 for EOS.
func huffLongest(acc uint64) (symbol byte, length uint) {
	row := acc >> 32
	for n := huffBits + 1; n <= huffMax; n++ {
		l := &huffLong[n]
		if row >= l.end {
			continue
		}
		s := l.symbols[(row-l.first)>>(32-n)]
		if s == huffEOS {
			return 0, 0
		}
		return byte(s), uint(n)
	}
	return 0, 0
}

// huffSize is the length of b in Huffman code, in bytes.
func huffSize(b []byte) int {
	n := 0
	for _, c := range b {
		n += int(huffLen[c])
	}
	return (n + 7) / 8
}

// appendHuffman appends b in Huffman code.
func appendHuffman(dst, b []byte) []byte {
	var acc uint64
	bits := uint(0)
	for _, c := range b {
		length := uint(huffLen[c])
		acc = acc<<(length&63) | uint64(huffCodes[c])
		bits += length
		if bits >= 32 {
			bits -= 32
			dst = binary.BigEndian.AppendUint32(dst, uint32(acc>>bits))
		}
	}
	for bits >= 8 {
		bits -= 8
		dst = append(dst, byte(acc>>bits))
	}
	if bits > 0 {
		dst = append(dst, byte(acc<<(8-bits))|0xff>>bits)
	}
	return dst
}
