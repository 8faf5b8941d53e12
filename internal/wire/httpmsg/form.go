package httpmsg

import "bytes"

// NextPair splits the first parameter from a query in the form of
// application/x-www-form-urlencoded; empty ones are passed over.
func NextPair(query []byte) (pair, rest []byte) {
	for len(query) > 0 {
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			pair, query = query[:i], query[i+1:]
		} else {
			pair, query = query, nil
		}
		if len(pair) > 0 {
			return pair, query
		}
	}
	return nil, nil
}

// Parameter returns the undecoded value of a pair of that (decoded) name. A pair
// without '=' has an empty value.
func Parameter(pair []byte, name string) (value []byte, ok bool) {
	key := pair
	if i := bytes.IndexByte(pair, '='); i >= 0 {
		key, value = pair[:i], pair[i+1:]
	}
	if !DecodesTo(key, name) {
		return nil, false
	}
	return value, true
}

// DecodesTo compares the decoded form of raw with want, without storing it.
func DecodesTo(raw []byte, want string) bool {
	if len(raw) < len(want) {
		return false // decoding never makes a text longer
	}
	for i := range len(want) {
		if len(raw) == 0 {
			return false
		}
		c, n := decodeByte(raw)
		if c != want[i] {
			return false
		}
		raw = raw[n:]
	}
	return len(raw) == 0
}

// Escaped tells whether AppendDecoded would change a text.
func Escaped(raw []byte) bool {
	return bytes.IndexByte(raw, '%') >= 0 || bytes.IndexByte(raw, '+') >= 0
}

// AppendDecoded appends the decoded form of raw.
func AppendDecoded(dst, raw []byte) []byte {
	for len(raw) > 0 {
		c, n := decodeByte(raw)
		dst, raw = append(dst, c), raw[n:]
	}
	return dst
}

// decodeByte returns the next byte of the decoded text and how many bytes it took.
// A '%' that starts no escape stands for itself.
func decodeByte(raw []byte) (byte, int) {
	switch {
	case raw[0] == '+':
		return ' ', 1
	case raw[0] == '%' && len(raw) >= 3:
		hi, ok1 := Unhex(raw[1])
		lo, ok2 := Unhex(raw[2])
		if ok1 && ok2 {
			return hi<<4 | lo, 3
		}
	}
	return raw[0], 1
}
