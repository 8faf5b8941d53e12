package seal_test

import (
	"testing"

	"github.com/gridway/gridway/internal/seal"
)

func TestSeal(t *testing.T) {
	old, now := []byte("an old secret of some length ...."), []byte("the secret of today, which seals")
	both := seal.New([][]byte{now, old}, "use")
	for name, c := range map[string]struct {
		by, with seal.Keys
		purpose  string
		opens    bool
	}{
		"the same":          {both, both, "p", true},
		"by the old one":    {seal.New([][]byte{old}, "use"), both, "p", true},
		"with the old one":  {both, seal.New([][]byte{old}, "use"), "p", false},
		"another use":       {both, seal.New([][]byte{now, old}, "other"), "p", false},
		"another purpose":   {both, both, "q", false},
		"of this process":   {seal.New(nil, "use"), seal.New(nil, "use"), "p", false},
		"nobody's":          {seal.Keys{}, both, "p", false},
		"opened by nothing": {both, seal.Keys{}, "p", false},
	} {
		text, ok := c.with.Open(c.purpose, c.by.Seal(nil, "p", []byte("text")))
		if ok != c.opens || ok && string(text) != "text" {
			t.Errorf("%s: %q %t", name, text, ok)
		}
	}
	sealed := both.Seal(nil, "p", []byte("text"))
	for i := range sealed {
		changed := append([]byte(nil), sealed...)
		changed[i] ^= 1
		if text, ok := both.Open("p", changed); ok {
			t.Errorf("changed at %d: %q", i, text)
		}
	}
	if string(both.Seal(nil, "p", []byte("text"))) == string(sealed) {
		t.Error("a text is sealed twice alike")
	}
}

func FuzzOpen(f *testing.F) {
	keys := seal.New([][]byte{[]byte("secret")}, "use")
	f.Add(keys.Seal(nil, "p", []byte("text")))
	f.Add([]byte("AQ"))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if text, ok := keys.Open("p", sealed); ok && string(text) != "text" {
			t.Errorf("%q opens as %q", sealed, text)
		}
	})
}
