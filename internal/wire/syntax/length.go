package syntax

import "math"

// ParseLength reads a Content-Length: 1*DIGIT (RFC 9110 §8.6). Leading zeros are
// digits; what is sent on is written anew. n is -1 for a number too large.
func ParseLength(v []byte) (n int64, ok bool) {
	for _, c := range v {
		d := int64(c - '0')
		if c < '0' || d > 9 {
			return 0, false
		}
		if n < 0 || n > (math.MaxInt64-d)/10 {
			n = -1
			continue
		}
		n = n*10 + d
	}
	return n, len(v) > 0
}
