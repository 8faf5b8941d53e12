package file

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestFillEqualsFresh edits a file at random and compares what is made of it
// with the help of the state before with what is made of it alone.
func TestFillEqualsFresh(t *testing.T) {
	pieces := []string{
		"---\n", "---\n", "---", "--- # x\n", "...\n", "%YAML 1.2\n", "# comment\n", "\n", "a: b\n", "text: |\n  ---\n  x\n", "x",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n", "-",
	}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		some := func(n int) []byte {
			var b bytes.Buffer
			for range n {
				b.WriteString(pieces[rng.IntN(len(pieces))])
			}
			return b.Bytes()
		}
		text := some(5 + rng.IntN(40))
		var old *fileState
		for step := range 8 {
			s, fresh := &fileState{text: text}, &fileState{}
			for _, j := range s.fill("f.yaml", text, old) {
				j.decode()
			}
			for _, j := range fresh.fill("f.yaml", text, nil) {
				j.decode()
			}
			if got, want := describe(s), describe(fresh); got != want {
				t.Fatalf("seed %d, step %d: of\n%s\n--- with the state before:\n%s--- alone:\n%s", seed, step, text, got, want)
			}
			old = s
			at := rng.IntN(len(text) + 1)
			end := min(len(text), at+rng.IntN(20))
			text = append(append(bytes.Clone(text[:at]), some(rng.IntN(4))...), text[end:]...)
		}
	}
}

func describe(s *fileState) string {
	var b bytes.Buffer
	for i := range s.docs {
		d := &s.docs[i]
		fmt.Fprintf(&b, "%d+%d line %d: %x", d.start, d.length, d.line, d.hash)
		for _, o := range d.result.Objects {
			fmt.Fprintf(&b, " %s at %v", o.Key, o.Locate("metadata.name"))
		}
		fmt.Fprintf(&b, " %v\n", d.result.Problems)
	}
	return b.String()
}
