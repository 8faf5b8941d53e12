package schema

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// answer is a ServerReflectionResponse with its prefix.
func answer(number protowire.Number, v []byte) []byte {
	message := protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), v)
	return append([]byte{0, 0, 0, 0, byte(len(message))}, message...)
}

func TestResponses(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		seen int
		want string
	}{
		"one":          {answer(4, []byte("x")), 1, ""},
		"two":          {append(answer(4, []byte("x")), answer(6, nil)...), 2, ""},
		"none":         {nil, 0, ""},
		"an error":     {answer(7, append([]byte{8, 5, 18, 2}, "no"...)), 0, "the endpoint says: no"},
		"cut":          {answer(4, []byte("x"))[:6], 0, errAnswer.Error()},
		"compressed":   {append([]byte{1}, answer(4, []byte("x"))[1:]...), 0, errAnswer.Error()},
		"no message":   {[]byte{0, 0, 0, 0, 1, 0xff}, 0, errAnswer.Error()},
		"other fields": {[]byte{0, 0, 0, 0, 2, 8, 1}, 0, ""},
	} {
		seen, got := 0, ""
		if err := responses(c.in, func(protowire.Number, []byte) error { seen++; return nil }); err != nil {
			got = err.Error()
		}
		if seen != c.seen || got != c.want {
			t.Errorf("%s: %d, %s, want %d, %s", name, seen, got, c.seen, c.want)
		}
	}
}

func TestRequest(t *testing.T) {
	got := request(request(nil, listServices, ""), fileContainingSymbol, "a.B")
	if want := []byte("\x00\x00\x00\x00\x02\x3a\x00\x00\x00\x00\x00\x05\x22\x03a.B"); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzResponses(f *testing.F) {
	f.Add(append(answer(4, []byte("x")), answer(7, []byte{18, 1, 'a'})...))
	f.Fuzz(func(t *testing.T, in []byte) {
		_ = responses(in, func(_ protowire.Number, v []byte) error {
			return fields(v, func(protowire.Number, []byte) error { return nil })
		})
	})
}
