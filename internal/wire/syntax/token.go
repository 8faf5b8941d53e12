package syntax

var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// IsTokenByte tells whether a token may have this character (RFC 9110 §5.6.2).
func IsTokenByte(c byte) bool { return tokenBytes[c] }

// IsToken tells whether b is a token: not empty, and of token characters only.
func IsToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(b) > 0
}
