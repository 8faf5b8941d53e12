package pipeline

import (
	"bytes"
	"testing"
)

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

// An event has ended where two ends of lines follow each other, in whatever
// pieces they come.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: b\r\n\r\n"), uint8(3))
	f.Add([]byte("\r\r\n"), uint8(1))
	f.Add([]byte("data: a\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		in = in[:min(len(in), 256)] // each piece looks at all before it
		e := &events{}
		for at := 0; at < len(in); {
			n := min(len(in)-at, int(size)%7+1)
			e.follow(in[at : at+n])
			at += n
			lines := bytes.ReplaceAll(bytes.ReplaceAll(in[:at], []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
			if got, want := e.between(), bytes.HasSuffix(lines, []byte("\n\n")); got != want {
				t.Fatalf("after %q: %v, want %v", in[:at], got, want)
			}
		}
	})
}
