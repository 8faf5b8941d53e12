package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

func storeDoc(name, spec string) string {
	return fmt.Sprintf("apiVersion: gridway.dev/v1alpha1\nkind: RateLimitStore\nmetadata: {name: %s}\nspec:\n  %s\n", name, strings.ReplaceAll(spec, "\n", "\n  "))
}

func redisAt(addr string) string {
	return storeDoc("shared", fmt.Sprintf("redis: {addresses: [%q]}", addr))
}

// inStore makes limits global ones. A test that is short of time must not fall back.
func inStore(onError string) string {
	return "global: {storeRef: {name: shared}, timeout: 10s, onError: " + onError + "}"
}

// TestRateLimitOfThreeGateways has three gateways count exactly, over HTTP/1.1 and
// HTTP/2, while the configuration of one changes.
func TestRateLimitOfThreeGateways(t *testing.T) {
	t.Parallel()
	store, addr := redisAt(redistest.Start(t).Addr), saysOK(t)
	yaml := func(i int) string {
		return limited(addr, fmt.Sprintf(`
- {name: daily, key: [{type: Header, name: X-Tenant}], quota: {amount: 90, window: Month}, %s}
- {name: hourly, key: [{type: Header, name: X-Tenant}], rate: 60/h, %[1]s}
- {name: own, rate: %d/s}
`, inStore("Deny"), 100_000+i), store)
	}
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	gateways := make([]*gateway, 3)
	for i := range gateways {
		gateways[i] = serveYAML(t, yaml(0))
	}
	for i, g := range gateways {
		client := g.client
		if i == 1 {
			client = overHTTP2(t, nil)
		}
		wg.Go(func() {
			g.parallel(80, 8, func(int) {
				resp, err := client.Do(g.request("GET", "/", nil, header("X-Tenant", "a")))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				switch resp.StatusCode {
				case 200:
					passed.Add(1)
				case 429:
					refused.Add(1)
				default:
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		})
	}
	for i := range 10 {
		gateways[0].apply(yaml(i + 1))
	}
	wg.Wait()
	if passed.Load() != 60 || refused.Load() != 180 {
		t.Errorf("%d passed, %d were refused; want 60 and 180", passed.Load(), refused.Load())
	}
	// The quota was not charged by those whom the rate has refused.
	resp, _ := gateways[2].get("/", header("X-Tenant", "a"))
	want(t, resp, 429, "RateLimited")
	for _, g := range gateways {
		calls := g.metric("gridway_rate_limit_store_calls_total", `store="default/shared"`, `result="ok"`)
		if limited := g.metric("gridway_rate_limit_requests_total", `result="limited"`); calls == 0 || calls > 80-limited+16 {
			t.Errorf("%v round trips for 80 requests of which %v were refused", calls, limited)
		}
		if n := g.metric("gridway_rate_limit_fallbacks_total"); n != 0 {
			t.Errorf("%v fallbacks", n)
		}
	}
}

// TestRateLimitStoreHeaders: what clients see is of all gateways.
func TestRateLimitStoreHeaders(t *testing.T) {
	t.Parallel()
	yaml := limited(saysOK(t), fmt.Sprintf(`
- {name: tokens, rate: 100/h, cost: {request: 10, fromResponseHeader: X-Cost}, %s}
- {name: dry, rate: 1/h, dryRun: true, %[1]s}
- {name: own, rate: 50/h}
`, inStore("Deny")), redisAt(redistest.Start(t).Addr))
	a, b := serveYAML(t, yaml), serveYAML(t, yaml)
	left := func(g *gateway, want string, edits ...edit) *http.Response {
		t.Helper()
		resp, _ := g.get("/", edits...)
		if got := resp.Header.Get("RateLimit"); !strings.HasPrefix(got, `"tokens";r=`+want) || !strings.Contains(got, `"own";r=`) || strings.Contains(got, "dry") {
			t.Errorf("status %d, %s; want %s left", resp.StatusCode, got, want)
		}
		return resp
	}
	left(a, "90;t=36")
	left(b, "80;t=36")
	left(a, "40;t=", header("X-Cost", "40")) // charged 40, not 10
	eventually(t, "the correction arrives", func() bool {
		resp, _ := b.get("/", header("X-Cost", "0"))
		return strings.HasPrefix(resp.Header.Get("RateLimit"), `"tokens";r=40;`)
	})
	eventually(t, "what was given back arrives", func() bool {
		resp, _ := a.get("/", header("X-Cost", "0"))
		return strings.HasPrefix(resp.Header.Get("RateLimit"), `"tokens";r=40;`)
	})
	left(a, "0;t=", header("X-Cost", "60"))
	eventually(t, "the debt arrives", func() bool {
		resp, _ := b.get("/", header("X-Cost", "0"))
		return resp.StatusCode == 429 && strings.HasPrefix(resp.Header.Get("RateLimit"), `"tokens";r=0;`)
	})
	if n := b.metric("gridway_rate_limit_requests_total", `limit="dry"`, `result="would_limit"`); n == 0 {
		t.Error("the dry run refuses nothing")
	}
}

// TestQuotaOverRestarts: gateways that end, and a Redis that is killed and has its data
// still, count on where they were.
func TestQuotaOverRestarts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	yaml := limited(saysOK(t), fmt.Sprintf("- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 50, window: Month}, %s}", inStore("Deny")), redisAt(server.Addr))
	passed := 0
	for range 4 {
		g := serveYAML(t, yaml)
		passed += g.tally(15, 3, "/", header("X-Tenant", "a"))["ok"]
		if err := g.proxy.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Kill()
		server.Run()
	}
	if passed != 50 {
		t.Errorf("%d of 50 have passed", passed)
	}
}

// TestRateLimitStoreIsGone: Redis ends in the middle and comes back.
func TestRateLimitStoreIsGone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	short := func(onError string) string {
		return "global: {storeRef: {name: shared}, timeout: 10s, onError: " + onError + "}"
	}
	yaml := limited(saysOK(t), fmt.Sprintf(`
- {name: local, key: [{type: Header, name: X-Local}], onMissingKey: Skip, quota: {amount: 10, window: Month}, %s}
- {name: allow, key: [{type: Header, name: X-Allow}], onMissingKey: Skip, quota: {amount: 1, window: Month}, %s}
- {name: deny, key: [{type: Header, name: X-Deny}], onMissingKey: Skip, quota: {amount: 10, window: Month}, %s}
`, short("Local"), short("Allow"), short("Deny")), redisAt(server.Addr))
	g, other := serveYAML(t, yaml), serveYAML(t, yaml)
	if got := g.tally(6, 1, "/", header("X-Local", "a")); got["ok"] != 6 {
		t.Errorf("%v", got)
	}
	server.Kill()
	// It goes on from the six that Redis knew of.
	if got := g.tally(8, 1, "/", header("X-Local", "a")); got["ok"] != 4 || got["429 QuotaExceeded"] != 4 {
		t.Errorf("alone: %v, want 4 of the 10 that are left", got)
	}
	// The other one knows nothing of them.
	if got := other.tally(12, 1, "/", header("X-Local", "a")); got["ok"] != 10 {
		t.Errorf("another alone: %v", got)
	}
	if got := g.tally(5, 1, "/", header("X-Allow", "a")); got["ok"] != 5 {
		t.Errorf("everybody passes: %v", got)
	}
	if got := g.tally(5, 1, "/", header("X-Deny", "a")); got["503 RateLimitUnavailable"] != 5 {
		t.Errorf("nobody passes: %v", got)
	}
	g.logged(`"status":503`, `"reason":"RateLimitUnavailable"`, `"policy":"default/api"`, `"policy_rule":"deny"`)
	if n := g.metric("gridway_rate_limit_fallbacks_total", `policy="default/api"`, `limit="deny"`); n != 5 {
		t.Errorf("%v fallbacks", n)
	}
	server.Run()
	eventually(t, "it is asked again", func() bool {
		resp, _ := g.get("/", header("X-Deny", "b"))
		return resp.StatusCode == 200
	})
	if got := g.tally(3, 1, "/", header("X-Allow", "c")); got["ok"] != 1 || got["429 QuotaExceeded"] != 2 {
		t.Errorf("afterwards: %v", got)
	}
	// A store that is not there any more is one that does not answer.
	g.apply(limited(saysOK(t), "- {name: deny, rate: 10/h, "+short("Deny")+"}"))
	if got := g.tally(2, 1, "/"); got["503 RateLimitUnavailable"] != 2 {
		t.Errorf("without a store: %v", got)
	}
}
