package filter

// Alike tells whether two names of headers may be taken for each other: in any case
// of letters, and with underscores for hyphens, since programs that get headers as
// variables of their environment take them for the same (RFC 3875 §4.1.18).
func Alike(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_':
		return '-'
	}
	return c
}
