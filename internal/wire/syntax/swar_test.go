package syntax

import "testing"

// TestWordsAgreeWithBytes puts each byte value into each place of a word, beside
// neighbours of every kind, and compares with the obvious loop.
func TestWordsAgreeWithBytes(t *testing.T) {
	text := func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }
	query := func(c byte) bool { return c > ' ' && c < 0x7f && c != '#' }
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '-' <= c && c <= ';' || c == '_'
	}
	first := func(b []byte, ok func(byte) bool) int {
		for i, c := range b {
			if !ok(c) {
				return i
			}
		}
		return len(b)
	}
	fills := []byte{'a', 0, '\t', 0x1f, ' ', '!', '"', '#', '$', ',', '-', ';', '_', '`', 'z', 0x7f, 0x80, 0xa3, 0xff}
	b := make([]byte, 13)
	for _, fill := range fills {
		for _, rest := range fills {
			for c := range 256 {
				for at := range 8 {
					for i := range b {
						b[i] = fill
						if i > at {
							b[i] = rest
						}
					}
					b[at] = byte(c)
					if got, want := EndOfText(b, 0), first(b, text); got != want {
						t.Fatalf("EndOfText(%q) = %d, want %d", b, got, want)
					}
					if got, want := endOfQuery(b, 0), first(b, query); got != want {
						t.Fatalf("endOfQuery(%q) = %d, want %d", b, got, want)
					}
					got, want := 8, first(b[:8], plain)
					if m := notPlain(load(b, 0)); m != 0 {
						got = firstMark(m)
					}
					if got != want {
						t.Fatalf("notPlain(%q) = %d, want %d", b[:8], got, want)
					}
				}
			}
		}
	}
}
