package authorization_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
)

// TestIndex: with many rules, those that match are those that match one by one.
func TestIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	random := func() ir.AuthorizationRule {
		var c conditions
		for _, f := range []func(){
			func() { c.Consumers = []string{pick("n/acme", "n/x", "m/acme", "*"), "n/y"} },
			func() { c.Groups = []string{pick("partners", "eu", "us"), pick("x", "eu")} },
			func() {
				c.Identities = []string{pick("spiffe://shop.example/ns/shop/sa/cart", "spiffe://shop.example/*", "spiffe://x/y")}
			},
			func() {
				c.Claims = value(pick("sub", "/realm_access/roles", "exp", "admin"), ir.CompareExact, pick("ada", "ops", "1790000000", "true"), "z")
			},
			func() { c.Claims = value("sub", ir.ComparePrefix, pick("a", "b")) },
			func() { c.Paths = []ir.PathMatch{{Type: ir.Exact, Value: pick("/orders/7", "/orders", "/")}} },
			func() {
				c.Paths = []ir.PathMatch{{Type: ir.Prefix, Value: pick("/orders/7", "/orders", "/", "/order")}, {Type: ir.Exact, Value: "/z"}}
			},
			func() { c.Paths = []ir.PathMatch{{Type: ir.Regex, Value: pick("/orders/.*", "/x")}} },
			func() { c.Hosts = []string{pick("shop.example", "*.example", "other.example")} },
			func() { c.Methods = []string{pick("GET", "PUT")} },
		} {
			if rnd.IntN(6) == 0 {
				f()
			}
		}
		return when(c)
	}
	matched := 0
	for range 3000 {
		rules := make([]ir.AuthorizationRule, 1+rnd.IntN(3))
		for i := range rules {
			rules[i] = random()
		}
		x := request()
		if rnd.IntN(4) == 0 {
			x = anonymous()
		}
		one := authorization.New([]*authorization.Policy{compile(t, allow(rules...))}, authorization.Deps{})
		padded := append([]ir.AuthorizationRule{}, rules...)
		for i := range 20 {
			padded = append(padded, ir.AuthorizationRule{Name: fmt.Sprint("pad", i), AuthorizationConditions: conditions{Hosts: []string{fmt.Sprint("h", i)}}})
		}
		many := authorization.New([]*authorization.Policy{compile(t, allow(padded...))}, authorization.Deps{})
		want, got := one.OnRequest(x), many.OnRequest(x)
		if got != want {
			t.Fatalf("with an index %v, without %v: %+v", got, want, rules)
		}
		if want == filter.Continue {
			matched++
		}
	}
	if matched < 300 || matched > 2700 {
		t.Errorf("%d of 3000 match: the test tells little", matched)
	}
}

// everything asks for all that can be asked, with many rules beside it.
func everything(n int) *ir.Authorization {
	full := ir.AuthorizationRule{
		Name: "full", AuthorizationConditions: conditions{
			Groups: []string{"eu"}, Plans: []string{"gold"}, Labels: []ir.LabelCondition{{Name: "tier", Values: []string{"1"}}},
			AuthenticationMethods: []string{"jwt"}, Scopes: []string{"read", "write"},
			Claims:     append(value("exp", ir.CompareExact, "1790000000"), value("/realm_access/roles", ir.CompareRegex, "o.*")...),
			Identities: []string{"spiffe://shop.example/ns/*"}, ClientIPs: prefixes("192.0.2.0/24", "2001:db8::/32"),
			Methods: []string{"GET"}, Paths: []ir.PathMatch{{Type: ir.Prefix, Value: "/orders"}},
			Hosts: []string{"*.example"}, Headers: value("X-Tenant", ir.ComparePrefix, "gr"),
			Times: []ir.TimeWindow{{Days: 1 << 3, From: 60, Until: 1200, TimeZone: "Europe/Berlin"}},
		},
		Not: &conditions{Consumers: []string{"n/x"}, Claims: value("sub", ir.CompareExact, "eve"), Methods: []string{"PUT"}},
	}
	rules := make([]ir.AuthorizationRule, 0, n+1)
	for i := range n {
		rules = append(rules, ir.AuthorizationRule{Name: fmt.Sprint("c", i), AuthorizationConditions: conditions{Consumers: []string{fmt.Sprint("n/c", i)}}})
	}
	return allow(append(rules, full)...)
}

func TestMatchingAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1000} {
		p := compile(t, everything(n))
		deny := compile(t, policy("n/deny", ir.AuthorizationDeny, when(conditions{Groups: []string{"us"}}), unless(conditions{Claims: value("sub", ir.ComparePresent)})))
		audit := compile(t, policy("n/audit", ir.AuthorizationAudit, when(conditions{Methods: []string{"GET"}})))
		a := authorization.New([]*authorization.Policy{p, deny, audit}, authorization.Deps{})
		x := request()
		allocs := testing.AllocsPerRun(200, func() {
			x.Req.Arena.Reset()
			x.Notes = x.Notes[:0]
			if a.OnRequest(x) != filter.Continue {
				t.Fatal("refused")
			}
		})
		if allocs != 0 {
			t.Errorf("%d rules: %v allocations", n, allocs)
		}
	}
}

func BenchmarkRules(b *testing.B) {
	for _, n := range []int{0, 10, 1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := authorization.New([]*authorization.Policy{compile(b, everything(n))}, authorization.Deps{})
			x := request()
			for b.Loop() {
				x.Req.Arena.Reset()
				a.OnRequest(x)
			}
		})
	}
}
