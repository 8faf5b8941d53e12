package signals_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/signals"
)

func TestParseSubject(t *testing.T) {
	for text, want := range map[string]signals.Subject{
		"mesh":                              {},
		"edge:internet>shop/cart":           {Source: "internet", Destination: "shop/cart"},
		"edge:a/b>external:api.example:443": {Source: "a/b", Destination: "external:api.example:443"},
		"service:shop/cart":                 {Destination: "shop/cart"},
		"service:prod.example/shop/cart":    {Destination: "prod.example/shop/cart"},
		"node:external:api.example:443":     {Destination: "external:api.example:443"},
		"from:internet":                     {Source: "internet"},
		"route:HTTPRoute/shop/cart":         {Route: "HTTPRoute/shop/cart"},
	} {
		got, err := signals.ParseSubject(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if again, err := signals.ParseSubject(got.String()); err != nil || again != got {
			t.Errorf("%s: %s is read as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "mesh:", "edge", "edge:", "edge:a>", "edge:>b", "edge:a", "service:shop", "service:/cart", "service:a/b/c/d", "route:HTTPRoute/cart", "node:", "from:", "all", "node:" + strings.Repeat("x", 2000)} {
		if got, err := signals.ParseSubject(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add("edge:internet>shop/cart")
	f.Add("route:HTTPRoute/shop/cart")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := signals.ParseSubject(text)
		if err != nil {
			return
		}
		if again, err := signals.ParseSubject(s.String()); err != nil && len(s.String()) <= 1024 || err == nil && again != s {
			t.Fatalf("%q: %+v, then %+v, %v", text, s, again, err)
		}
	})
}
