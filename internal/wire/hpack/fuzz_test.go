package hpack_test

import (
	"slices"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzRemember: a decoder that remembers what was said decodes it as one that does not.
func FuzzRemember(f *testing.F) {
	f.Add([]byte("\x0f\x10\x03abc\x00\x04date\x81\x07"), []byte("\x0f\x10\x03abc\x0f\x10\x03abd"))
	f.Add([]byte("\x08\x82\x10\x02\x10\x01a\x01b"), []byte("\x40\x04date\x01x\x0f\x2f\x01y"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		plain, d := hpack.NewDecoder(), hpack.NewDecoder()
		d.Remember()
		for _, block := range [][]byte{first, second, second, first} {
			for _, most := range []int{1 << 20, 64} {
				want, werr := decodeAll(plain, block, most)
				got, err := decodeAll(d, block, most)
				if err != werr || !slices.Equal(got, want) || d.TooLarge() != plain.TooLarge() {
					t.Fatalf("%x: %q %v, want %q %v", block, got, err, want, werr)
				}
				if err != nil {
					return
				}
			}
		}
	})
}

// FuzzDecode: two blocks on one connection. What is accepted x/net reads the
// same; it is encoded again and comes back.
func FuzzDecode(f *testing.F) {
	for _, x := range examples {
		for i, step := range x.steps {
			f.Add(dehex(step[0]), dehex(x.steps[max(i, 1)-1][0]))
		}
	}
	f.Add([]byte("\x20\x3f\xe1\x1f\x40\x01a\x01b\xbe"), []byte("\x7e\x01c\xbe\xbf"))
	f.Add([]byte("\x40\x02!!\x01b\x10\x02!!\x01b"), []byte("\x10\x01!\x01b"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, back := hpack.NewDecoder(), hpack.NewDecoder()
		e := hpack.NewEncoder()
		var want []string
		var sensitive []bool
		oracle := xhpack.NewDecoder(4096, func(f xhpack.HeaderField) {
			line := f.Name + ": " + f.Value
			if f.Sensitive {
				line = "!" + line
			}
			want, sensitive = append(want, line), append(sensitive, f.Sensitive)
		})
		for _, block := range [][]byte{first, second} {
			got, err := decodeAll(d, block, 1<<20)
			want, sensitive = want[:0], sensitive[:0]
			_, werr := oracle.Write(block)
			if cerr := oracle.Close(); werr == nil {
				werr = cerr
			}
			if err != nil {
				// x/net tolerates more updates, and updates anywhere while its table is empty.
				if werr == nil && err != hpack.ErrSizeUpdate && err != hpack.ErrBomb {
					t.Fatalf("%x: %v, and the oracle accepts", block, err)
				}
				return
			}
			if d.TooLarge() {
				return
			}
			if werr != nil {
				t.Fatalf("%x: accepted, and the oracle says %v", block, werr)
			}
			out := e.Begin(nil)
			for i, line := range got {
				if line != want[i] {
					t.Fatalf("%x: %q, want %q", block, line, want[i])
				}
				if sensitive[i] {
					line = line[1:]
				}
				name, value, _ := strings.Cut(line, ": ")
				out = e.Field(out, &httpmsg.Field{Name: []byte(name), Value: []byte(value), Sensitive: sensitive[i]})
			}
			again, err := decodeAll(back, out, 1<<20)
			if err != nil || !strings.EqualFold(strings.Join(again, "\n"), strings.Join(got, "\n")) {
				t.Fatalf("%x → %x: %v\n%q\n%q", block, out, err, got, again)
			}
		}
	})
}
