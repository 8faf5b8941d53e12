package cli

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/surface/adminapi"
)

func TestUnknownNamesOfATap(t *testing.T) {
	list := []adminapi.Object{
		{Kind: "HTTPRoute", Namespace: "default", Name: "catalog"},
		{Kind: "GRPCRoute", Namespace: "shop", Name: "stock"},
		{Kind: "AuthorizationPolicy", Namespace: "default", Name: "closed"},
		{Kind: "Consumer", Namespace: "default", Name: "acme"},
	}
	for _, c := range []struct{ what, end, name, want string }{
		{"route", "Route", "catalog", ""},
		{"route", "Route", "shop/stock", ""},
		{"route", "Route", "GRPCRoute/shop/stock", ""},
		{"route", "Route", "HTTPRoute/shop/stock", "no route HTTPRoute/shop/stock"},
		{"route", "Route", "default/catalgo", `did you mean "catalog"?`},
		{"route", "Route", "closed", "no route closed"},
		{"policy", "Policy", "closed", ""},
		{"consumer", "Consumer", "default/acme", ""},
		{"consumer", "Consumer", "catalog\x1b[2J", "no consumer catalog\ufffd[2J"},
	} {
		if got := unknownName(list, c.what, c.end, c.name); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
