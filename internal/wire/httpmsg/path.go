package httpmsg

import "bytes"

// NormalizePath brings a path into the one form that is matched and forwarded
// (RFC 3986 §6.2.2): escapes of unreserved characters are decoded, other escapes
// get upper-case digits, dot segments are removed, and with mergeSlashes runs of
// '/' become one. Escaped slashes stay escaped.
//
// ok is false for a path that does not start with '/', for bad escapes and
// escapes of NUL, for one that climbs above the root, and for ".." where another
// server may see it and this one does not: before a path parameter ("/..;x/")
// or beside an escaped slash or backslash ("/..%2F").
//
// out is src itself if nothing changes, else it is written to dst[:0]; it is
// never longer than src.
func NormalizePath(dst, src []byte, mergeSlashes bool) (out []byte, ok bool) {
	if len(src) == 0 || src[0] != '/' {
		return nil, false
	}
	if isNormal(src, mergeSlashes) {
		return src, true
	}
	n := pathNormalizer{out: append(dst[:0], '/'), segment: 1, merge: mergeSlashes}
	for i := 1; i < len(src); i++ {
		switch c := src[i]; c {
		case '/':
			if !n.endSegment(false) {
				return nil, false
			}
		case '%':
			if i+2 >= len(src) || !n.escape(src[i+1], src[i+2]) {
				return nil, false
			}
			i += 2
		default:
			n.out = append(n.out, c)
		}
	}
	if !n.endSegment(true) {
		return nil, false
	}
	return n.out, true
}

// isNormal tells whether a path has nothing that NormalizePath looks at. It may
// say no to one that is normal.
func isNormal(path []byte, mergeSlashes bool) bool {
	slash := false
	for _, c := range path {
		switch c {
		case '/':
			if slash && mergeSlashes {
				return false
			}
			slash = true
			continue
		case '.':
			if slash {
				return false
			}
		case '%':
			return false
		}
		slash = false
	}
	return true
}

type pathNormalizer struct {
	out     []byte // always starts with '/'
	segment int    // where the current segment starts in out
	merge   bool
}

func (n *pathNormalizer) escape(hi, lo byte) bool {
	h, l := hexValue[hi], hexValue[lo]
	if h > 15 || l > 15 {
		return false
	}
	c := h<<4 | l
	switch {
	case c == 0:
		return false
	case unreserved(c):
		n.out = append(n.out, c)
	default:
		n.out = append(n.out, '%', upperHex[h], upperHex[l])
	}
	return true
}

// endSegment does what RFC 3986 §5.2.4 says of the segment that is complete.
func (n *pathNormalizer) endSegment(last bool) bool {
	segment := n.out[n.segment:]
	switch {
	case len(segment) == 0 && n.merge:
		return true
	case string(segment) == ".":
		n.out = n.out[:n.segment]
		return true
	case string(segment) == "..":
		if n.segment == 1 {
			return false
		}
		parent := bytes.LastIndexByte(n.out[:n.segment-1], '/')
		n.out = n.out[:parent+1]
		n.segment = parent + 1
		return true
	case hidesDots(segment):
		return false
	}
	if !last {
		n.out = append(n.out, '/')
		n.segment = len(n.out)
	}
	return true
}

// hidesDots tells whether a segment is a dot segment to servers that cut path
// parameters off or take escaped slashes and backslashes for separators.
func hidesDots(segment []byte) bool {
	if bytes.IndexByte(segment, '.') < 0 {
		return false
	}
	if i := bytes.IndexByte(segment, ';'); i >= 0 && (string(segment[:i]) == ".." || string(segment[:i]) == ".") {
		return true
	}
	start, split := 0, false
	for i := 0; i+2 < len(segment); i++ {
		if segment[i] != '%' {
			continue
		}
		if e := string(segment[i+1 : i+3]); e != "2F" && e != "5C" {
			continue
		}
		if string(segment[start:i]) == ".." {
			return true
		}
		start, split = i+3, true
	}
	return split && string(segment[start:]) == ".."
}

const upperHex = "0123456789ABCDEF"

// Unhex is the value of a hexadecimal digit.
func Unhex(c byte) (v byte, ok bool) {
	v = hexValue[c]
	return v, v != 0xff
}

// hexValue is 0xff for what is no hexadecimal digit.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// unreserved as RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
