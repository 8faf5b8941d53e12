package accesslog

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// raw returns the bytes of s without a copy, for reading only.
func raw(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// text appends a member whose name comes with its punctuation, unless s is
// empty. It is small so that the compiler puts names in place as constants.
func text(b []byte, name string, s []byte, limit int) []byte {
	if len(s) == 0 {
		return b
	}
	return value(append(b, name...), s, limit)
}

// value appends s and the quotation mark after it.
func value(b, s []byte, limit int) []byte {
	if n := plainPrefix(s); n == len(s) && n <= limit {
		b = append(b, s...)
	} else {
		b, _ = escape(b, s, len(b)+limit)
	}
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// plain are the bytes that stand for themselves in a JSON string. DEL is not
// among them: it is legal in JSON, but terminals act on it.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainPrefix is how many bytes at the start of s are plain.
func plainPrefix(s []byte) int {
	i := 0
	if len(s) >= 8 {
		for ; i+8 <= len(s); i += 8 {
			if odd(binary.LittleEndian.Uint64(s[i:])) {
				return i + plainBytes(s[i:])
			}
		}
		// The last eight bytes overlap with what was seen.
		if !odd(binary.LittleEndian.Uint64(s[len(s)-8:])) {
			return len(s)
		}
	}
	return i + plainBytes(s[i:])
}

func plainBytes(s []byte) int {
	i := 0
	for i < len(s) && plain[s[i]] {
		i++
	}
	return i
}

// odd tells whether one of eight bytes may not be plain. A byte is below n if
// subtracting n borrows into its high bit; a borrow from a neighbour can only
// add a false alarm, which the table settles.
func odd(w uint64) bool {
	quote, slash, del := w^ones*'"', w^ones*'\\', w^ones*0x7f
	return (w|(w-ones*0x20)|(quote-ones)|(slash-ones)|(del-ones))&highs != 0
}

// escape appends s as the inside of a JSON string (RFC 8259 §7) until b is
// limit bytes long; then it appends "…" and answers false. Nothing a client
// sends can end the string or the line: control characters, C1 controls and
// line separators are escaped, and each byte of invalid UTF-8 becomes U+FFFD.
func escape(b, s []byte, limit int) ([]byte, bool) {
	for len(s) > 0 {
		n := plainPrefix(s)
		if room := limit - len(b); n > room {
			b = append(b, s[:max(room, 0)]...)
			return append(b, "…"...), false
		}
		b = append(b, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			break
		}
		if len(b) >= limit {
			return append(b, "…"...), false
		}
		if s[0] < utf8.RuneSelf {
			b = escapeASCII(b, s[0])
			s = s[1:]
			continue
		}
		r, size := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && size <= 1:
			b = append(b, `\ufffd`...)
		case r <= 0x9f, r == '\u2028', r == '\u2029':
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = append(b, s[:size]...)
		}
		s = s[size:]
	}
	return b, true
}

func escapeASCII(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
