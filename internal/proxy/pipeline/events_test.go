package pipeline

import "testing"

// Cut into pieces of any size, a stream is between two events at the same places.
func TestBetweenEvents(t *testing.T) {
	for text, want := range map[string]bool{
		"":                              true,
		"data: a":                       false,
		"data: a\n":                     false,
		"data: a\r\n":                   false,
		"data: a\r":                     false,
		"data: a\n\n":                   true,
		"data: a\r\n\r\n":               true,
		"data: a\r\r":                   true,
		"data: a\n\r\n":                 true,
		"data: a\n\ndata: b":            false,
		"data: a\n\ndata: b\n":          false,
		"data: a\n\ndata: b\n\n":        true,
		": ping\n\n":                    true,
		"id: 1\ndata: a\n\n\n":          true,
		"event: x\r\ndata: b\r\n":       false,
		"event: x\r\ndata: b\r\n\r\nda": false,
	} {
		for size := 1; size <= max(1, len(text)); size++ {
			e := &events{}
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				e.follow([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got := e.between(); got != want {
				t.Errorf("%q in pieces of %d: %v, want %v", text, size, got, want)
			}
		}
	}
}
