package distrib_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// MadeOf says of a configuration what its resources say.
func TestMadeOf(t *testing.T) {
	ref := func(kind, name string) ir.Ref { return ir.Ref{Kind: kind, Namespace: "shop", Name: name} }
	c := &ir.Config{
		AddressLists:    []*ir.AddressList{{Name: "shop/a/0", Policy: "shop/a"}},
		Authorizations:  []*ir.Authorization{{Policy: "shop/b"}},
		Clusters:        []*ir.Cluster{{Name: "c", Ref: ref("Service", "c")}},
		Consumers:       []*ir.Consumer{{Namespace: "shop", Name: "d"}},
		KeySets:         []*ir.KeySet{{Name: "shop/e/0/x"}},
		Listeners:       []*ir.Listener{{Name: "l", Sections: []*ir.Section{{Ref: ref("Gateway", "f")}}}},
		Logins:          []*ir.Login{{Name: "shop/g/0"}},
		RateLimits:      []*ir.RateLimit{{Policy: "shop/h"}},
		RateLimitStores: []*ir.RateLimitStore{{Name: "shop/i"}},
		RevocationLists: []*ir.RevocationLists{{Name: "shop/j/0", Policy: "shop/j"}},
		Routes:          []*ir.Route{{Name: "k", Ref: ref("HTTPRoute", "k"), Rules: []*ir.Rule{{Policies: []ir.Ref{ref("TrafficPolicy", "l")}}}}},
		Schemas:         []*ir.Schema{{Name: "m"}},
		Streams:         []*ir.StreamRoute{{Name: "n", Ref: ref("TCPRoute", "n"), Policies: []ir.Ref{ref("TrafficPolicy", "o")}}},
		TelemetrySinks:  []*ir.TelemetrySink{{Name: "shop/r", Ref: ref("TelemetrySink", "r")}},
		TokenIssuers:    []*ir.TokenIssuer{{Name: "shop/p"}},
		UserAgentLists:  []*ir.UserAgentList{{Name: "shop/q/0", Policy: "shop/q"}},
	}
	list, err := distrib.Split(c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, r := range list {
		for _, o := range r.Objects {
			want[o] = true
		}
	}
	if got := distrib.MadeOf(c); !maps.Equal(got, want) || len(want) != 17 {
		t.Errorf("got %v\nwant %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
