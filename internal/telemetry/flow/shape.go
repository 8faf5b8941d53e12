package flow

import (
	"bytes"
)

const (
	// maxSegments of a path are kept; Rest stands for what follows.
	maxSegments = 8
	// maxSegment is the longest segment that is kept, in bytes.
	maxSegment = 40
	// MaxMethod is the longest method that is kept, in bytes; what is longer is cut.
	MaxMethod = 24
	// maxCall is the longest path of a call of gRPC, in bytes.
	maxCall = 200
)

// Any stands for one segment of a path that looks like an identifier, Rest, at the end,
// for one or more of them.
const (
	Any  = "*"
	Rest = "**"
)

// AppendShape appends the shape of a path: segments that look like identifiers (numbers,
// hexadecimal, long, with letters and digits mixed, encoded) are Any, and what is
// deeper than eight segments is Rest. It is at most 400 bytes long.
func AppendShape(out, path []byte) []byte {
	path = bytes.TrimPrefix(path, []byte("/"))
	for n := 0; ; n++ {
		out = append(out, '/')
		if n == maxSegments {
			return append(out, Rest...)
		}
		segment, rest, more := bytes.Cut(path, []byte("/"))
		if looksLikeID(segment) {
			out = append(out, Any...)
		} else {
			out = append(out, segment...)
		}
		if !more {
			return out
		}
		path = rest
	}
}

// looksLikeID tells a segment that is most likely one of many of its kind.
func looksLikeID(s []byte) bool {
	if len(s) > maxSegment {
		return true
	}
	var digits, letters, hex, odd int
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
			hex++
			letters++
		case 'g' <= c && c <= 'z', 'G' <= c && c <= 'Z':
			letters++
		case c == '-' || c == '_' || c == '.':
		default:
			odd++
		}
	}
	switch {
	case odd > 0: // encoded, an address, or what would be taken for Any
		return true
	case digits > 0 && letters == 0:
		return true
	case digits > 0 && digits+hex >= 8 && letters == hex:
		return true
	}
	return digits >= 4 && len(s) >= 12
}
