package suggest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/suggest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func seen(source, protocol, method, path string, n uint64) evidence.Flow {
	return evidence.Flow{
		Source: source, Namespace: "shop", Service: "orders", Port: 80, Protocol: protocol, Method: method, Path: path,
		Verdict: evidence.Allowed, Count: n, First: now.Add(-72 * time.Hour), Last: now, Addresses: 2,
	}
}

func written(t *testing.T, o suggest.Options, flows ...evidence.Flow) string {
	t.Helper()
	var b strings.Builder
	if err := suggest.Write(&b, suggest.Policies(flows, o), 7*24*time.Hour, now); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSuggest(t *testing.T) {
	const cart, web = "spiffe://example.org/ns/shop/sa/cart", "spiffe://example.org/ns/web/sa/front"
	denied := seen(web, evidence.HTTP, "DELETE", "/orders", 3)
	denied.Verdict, denied.Policy = evidence.Denied, "shop/old"
	got := written(t, suggest.Options{},
		seen(cart, evidence.HTTP, "GET", "/orders/*", 100), seen(cart, evidence.HTTP, "GET", "/orders", 1), seen(cart, evidence.HTTP, "POST", "/orders", 5),
		seen(web, evidence.TCP, "", "", 2), seen(web, evidence.GRPC, "", "/shop.v1.Orders/Get", 40), denied, seen("", evidence.HTTP, "GET", "/", 7))
	for _, want := range []string{
		"# shop/orders: what its workloads' proxies have seen from 2026-11-15 12:00 UTC",
		"# - 3 requests of spiffe://example.org/ns/web/sa/front to port 80 were refused by shop/old",
		"# - 7 requests GET / to port 80 came without the mesh's TLS",
		"dryRun: true",
		"  # 100 requests from about 2 addresses in 3 days: the first at 2026-11-19 12:00 UTC, the last at 2026-11-22 12:00 UTC\n",
		"  # what looked like identifiers was folded to /orders/*\n  - name: cart\n    identities: [\"spiffe://example.org/ns/shop/sa/cart\"]\n    ports: [80]\n    methods: [\"GET\"]\n    paths:\n    - {type: RegularExpression, value: \"/orders/[^/]+\"}\n",
		"  - name: cart-2\n", "    methods: [\"GET\", \"POST\"]\n    paths:\n    - {type: Exact, value: \"/orders\"}\n",
		"  # 2 connections from", "  - name: web-front\n", "    - {service: \"shop.v1.Orders\", method: \"Get\"}\n", "little evidence",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "DELETE") || strings.Contains(written(t, suggest.Options{Enforce: true}, seen(cart, evidence.TCP, "", "", 1)), "dryRun") {
		t.Errorf("what was refused is allowed, or a policy to enforce is dry:\n%s", got)
	}
}

// Many paths that differ in one segment leave it open; what could not be kept leaves all
// open, and says so.
func TestSuggestFolds(t *testing.T) {
	var flows []evidence.Flow
	for i := range 20 {
		flows = append(flows, seen("spiffe://example.org/ns/shop/sa/cart", evidence.HTTP, "GET", "/products/"+strings.Repeat("x", i+1)+"/price", 1))
	}
	for i := range 20 {
		flows = append(flows, seen("spiffe://example.org/ns/shop/sa/cart", evidence.HTTP, "GET", fmt.Sprintf("/%s", strings.Repeat("y", i+1)), 1))
	}
	got := written(t, suggest.Options{}, flows...)
	if !strings.Contains(got, `"/products/[^/]+/price"`) || !strings.Contains(got, "20 paths were folded to /products/*/price") || strings.Contains(got, `"/[^/]+"`) {
		t.Error(got)
	}
	more := seen("spiffe://example.org/ns/shop/sa/cart", evidence.HTTP, "", "", 9)
	more.Overflow = true
	if got := written(t, suggest.Options{}, append(flows, more)...); strings.Contains(got, "paths:") || !strings.Contains(got, "left open") {
		t.Error(got)
	}
}
