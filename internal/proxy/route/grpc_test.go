package route_test

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func call(t ir.MatchType, service, method, path string) ir.Match {
	return ir.Match{Path: ir.PathMatch{Type: t, Value: path}, GRPC: &ir.GRPCMatch{Type: ir.Exact, Service: service, Method: method}}
}

// The Gateway API orders calls by the characters of the service, then of the
// method, whichever of the two a match leaves out.
func TestCallPrecedence(t *testing.T) {
	table := build(t, section("", attach("calls", nil,
		rule("any", prefix("/")),
		rule("longmethod", call(ir.Regex, "", "GetEverythingThereIs", `/[^/]+/GetEverythingThereIs`)),
		rule("get", call(ir.Regex, "", "Get", `/[^/]+/Get`)),
		rule("expressions", call(ir.Regex, "s.*", "G.*", `/(?:s.*)/(?:G.*)`)),
		rule("service", call(ir.Regex, "shop.v1.Catalog", "", `/shop\.v1\.Catalog/.*`)),
		rule("both", call(ir.Exact, "shop.v1.Catalog", "Get", "/shop.v1.Catalog/Get")),
	)))
	for path, want := range map[string]string{
		"/shop.v1.Catalog/Get":                  "both",
		"/shop.v1.Catalog/List":                 "service",
		"/shop.v1.Catalog/GetEverythingThereIs": "service",
		"/shop.v1.Carts/GetEverythingThereIs":   "expressions",
		"/shop.v1.Carts/Get":                    "expressions",
		"/other.Carts/GetEverythingThereIs":     "longmethod",
		"/other.Carts/Get":                      "get",
		"/other.Carts/Put":                      "any",
		"/shop.v1.CatalogX/Put":                 "any",
	} {
		r := request("POST", "grpc.example.com", path, "")
		m, ok := table.Match(r, "")
		if !ok || m.Rule.ID != want {
			t.Errorf("%s: rule %v, want %s", path, m.Rule, want)
		}
	}
}
