package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/manage/leasing"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// keeping gives a gateway the state store at a place.
func keeping(t *testing.T, place string) option {
	return func(o *proxy.Options) { o.Leases = &leasing.Authority{DB: statetest.Open(t, place)} }
}

// leaseStore is a RateLimitStore of leases.
var leaseStore = storeDoc("shared", "stateStore: {}")

// spend sends requests of a tenant over several gateways at once until all are
// refused, and counts those that have passed.
func spend(t *testing.T, tenant string, gateways ...*gateway) int64 {
	t.Helper()
	var passed atomic.Int64
	var wg sync.WaitGroup
	for _, g := range gateways {
		for range 4 {
			wg.Go(func() {
				for refused := 0; refused < 3; {
					resp, _, err := g.do(g.request("GET", "/", nil, header("X-Tenant", tenant)))
					switch {
					case err != nil:
						t.Error(err)
						return
					case resp.StatusCode == 200:
						passed.Add(1)
					default:
						refused++
					}
				}
			})
		}
	}
	wg.Wait()
	return passed.Load()
}

// TestLeasesOfThreeGateways: three gateways together let pass exactly as much as there
// is, however it is spread, and hardly ever ask.
func TestLeasesOfThreeGateways(t *testing.T) {
	t.Parallel()
	statetest.Each(t, func(t *testing.T, place string) {
		addr := saysOK(t)
		yaml := limited(addr, fmt.Sprintf(`
- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 2000, window: Month}, %s}
`, inStore("Deny")), leaseStore)
		gateways := make([]*gateway, 3)
		for i := range gateways {
			gateways[i] = serveYAML(t, yaml, keeping(t, place))
		}
		first := spend(t, "a", gateways...)
		// What one has held and not used comes back, within seconds.
		deadline := time.Now().Add(20 * time.Second)
		for total := first; total < 2000; {
			if time.Now().After(deadline) {
				t.Fatalf("%d of 2000 have passed", total)
			}
			total += spend(t, "a", gateways[0])
			if total > 2000 {
				t.Fatalf("oversold: %d of 2000", total)
			}
		}
		calls := int64(0)
		for _, g := range gateways {
			calls += int64(g.metric("gridway_rate_limit_store_calls_total", `store="(state store)"`, `result="ok"`))
		}
		if calls > 500 {
			t.Errorf("%d calls for 2000 requests", calls)
		}
		resp, _ := gateways[1].get("/", header("X-Tenant", "a"))
		want(t, resp, 429, "QuotaExceeded")
	})
}

// TestLeasedRate: a rate is shared; in any time no more passes than burst and what
// comes back.
func TestLeasedRate(t *testing.T) {
	t.Parallel()
	statetest.Each(t, func(t *testing.T, place string) {
		addr := saysOK(t)
		yaml := limited(addr, fmt.Sprintf("- {name: tenant, key: [{type: Header, name: X-Tenant}], rate: 100/h, %s}", inStore("Deny")), leaseStore)
		one, two := serveYAML(t, yaml, keeping(t, place)), serveYAML(t, yaml, keeping(t, place))
		n := spend(t, "a", one, two)
		for range 8 { // what was held, and is given back
			n += spend(t, "a", one, two)
		}
		if n < 87 || n > 101 {
			t.Errorf("%d have passed of 100", n)
		}
	})
}

// TestQuotaSurvives: what was used of a quota is known to the next process, however
// the one before has ended.
func TestQuotaSurvives(t *testing.T) {
	t.Parallel()
	statetest.Each(t, func(t *testing.T, place string) {
		addr := saysOK(t)
		yaml := limited(addr, "- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 100, window: Month}}")
		total := int64(0)
		use := func(g *gateway, n int) {
			for range n {
				if resp, _ := g.get("/", header("X-Tenant", "a")); resp.StatusCode == 200 {
					total++
				}
			}
		}
		killed := serveYAML(t, yaml, keeping(t, place)) // it never gives anything back
		use(killed, 30)
		stopped := serveYAML(t, yaml, keeping(t, place))
		use(stopped, 30)
		if err := stopped.proxy.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := serveYAML(t, yaml, keeping(t, place))
		use(next, 100)
		if total > 100 || total < 100-100/8 {
			t.Errorf("%d have passed of 100", total)
		}
		if resp, _ := next.get("/", header("X-Tenant", "b")); resp.StatusCode != 200 {
			t.Errorf("another tenant: %d", resp.StatusCode)
		}
	})
}

// breakable is a source that can be cut off, before it is asked or after.
type breakable struct {
	leasing.Authority
	state atomic.Int32 // 1: cut off before, 2: after
}

var errCut = errors.New("cut off")

func (b *breakable) Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error) {
	if b.state.Load() == 1 {
		return nil, errCut
	}
	grants, err := b.Authority.Lease(ctx, holder, asks)
	if b.state.Load() == 2 {
		return nil, errCut
	}
	return grants, err
}

// TestLeasesWithoutStore: in the middle of it all connections are cut and one gateway
// is partitioned; nothing is oversold, and onError decides.
func TestLeasesWithoutStore(t *testing.T) {
	t.Parallel()
	statetest.Each(t, func(t *testing.T, place string) {
		addr := saysOK(t)
		yaml := limited(addr, strings.ReplaceAll(`
- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: 3000, window: Month}, GLOBAL}
`, "GLOBAL", "global: {storeRef: {name: shared}, timeout: 250ms, onError: Deny}"), leaseStore)
		sources := make([]*breakable, 3)
		gateways := make([]*gateway, 3)
		for i := range gateways {
			sources[i] = &breakable{Authority: leasing.Authority{DB: statetest.Open(t, place)}}
			gateways[i] = serveYAML(t, yaml, func(o *proxy.Options) { o.Leases = sources[i] })
		}
		var passed, denied atomic.Int64
		var sent [3]atomic.Int64
		var wg sync.WaitGroup
		for i, g := range gateways {
			for range 3 {
				wg.Go(func() {
					for sent[i].Load() < 1500 {
						n := sent[i].Add(1)
						switch {
						case i == 0 && n == 300:
							sources[0].state.Store(1)
						case i == 1 && n == 300:
							sources[1].state.Store(2)
						case i < 2 && n == 900:
							sources[i].state.Store(0)
						case i == 2 && n%200 == 0 && strings.HasPrefix(place, "postgres"):
							statetest.Kick(t, place)
						}
						resp, _, err := g.do(g.request("GET", "/", nil, header("X-Tenant", "a")))
						switch {
						case err != nil:
							t.Error(err)
							return
						case resp.StatusCode == http.StatusOK:
							passed.Add(1)
						case resp.StatusCode == http.StatusServiceUnavailable:
							denied.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		if n := passed.Load(); n > 3000 || n < 1000 {
			t.Errorf("%d have passed of 3000", n)
		}
		if denied.Load() == 0 {
			t.Error("nobody was told that the store is away")
		}
	})
}

// TestLeasesOverRestart: PostgreSQL is stopped in the middle and started again. What was
// leased is spent meanwhile, what goes beyond it is refused, and in the end as much has
// passed as there was, but for what was granted at the moment of the stop.
func TestLeasesOverRestart(t *testing.T) {
	t.Parallel()
	const amount, proxies = 1600, 3
	server, addr := statetest.OwnPostgres(t), saysOK(t)
	yaml := limited(addr, fmt.Sprintf(`
- {name: monthly, key: [{type: Header, name: X-Tenant}], quota: {amount: %d, window: Month}, global: {storeRef: {name: shared}, timeout: 500ms}}
`, amount), leaseStore)
	gateways := make([]*gateway, proxies)
	for i := range gateways {
		gateways[i] = serveYAML(t, yaml, keeping(t, server.Place))
	}
	var passed, refused atomic.Int64
	ask := func(g *gateway) (status int) {
		resp, _, err := g.do(g.request("GET", "/", nil, header("X-Tenant", "a")))
		switch {
		case err != nil:
			t.Error(err)
			return 0
		case resp.StatusCode == http.StatusOK:
			passed.Add(1)
		case resp.StatusCode == http.StatusServiceUnavailable:
			refused.Add(1)
		case resp.StatusCode != http.StatusTooManyRequests:
			t.Errorf("status %d", resp.StatusCode)
		}
		return resp.StatusCode
	}
	while := func(f func(status int) bool) {
		var wg sync.WaitGroup
		for _, g := range gateways {
			for range 3 {
				wg.Go(func() {
					for f(ask(g)) {
					}
				})
			}
		}
		wg.Wait()
	}
	while(func(int) bool { return passed.Load() < amount/2 })
	before := passed.Load()
	server.Stop()
	while(func(status int) bool { return status == http.StatusOK })
	if n := passed.Load() - before; n > proxies*amount/8 {
		t.Errorf("%d have passed without the store", n)
	}
	if refused.Load() < 9 {
		t.Errorf("only %d were refused", refused.Load())
	}
	for _, g := range gateways {
		resp, _ := g.get("/", header("X-Tenant", "a"))
		want(t, resp, 503, "RateLimitUnavailable")
	}
	server.Start()
	eventually(t, "leases are granted again", func() bool { return ask(gateways[0]) == http.StatusOK })
	eventually(t, "nearly all has passed", func() bool {
		spend := passed.Load()
		while(func(status int) bool { return status == http.StatusOK })
		return spend == passed.Load() && spend >= amount-proxies*amount/8
	})
	if n := passed.Load(); n > amount {
		t.Errorf("oversold: %d of %d", n, amount)
	}
}

// TestQuotaOverUpgrades: processes that take over from each other hand on what is left
// of a quota through the state store: nothing is had twice, and nothing is lost.
func TestQuotaOverUpgrades(t *testing.T) {
	t.Parallel()
	const amount = 240
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", saysOK(t)),
		rateLimitDoc("api", "HTTPRoute", "app", fmt.Sprintf("limits:\n- {name: monthly, quota: {amount: %d, window: Month}}", amount))), "--state", "sqlite", "--state-dir", t.TempDir())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	passed := 0
	ask := func(n int) {
		t.Helper()
		for range n {
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				passed++
			}
		}
	}
	for life := range 4 {
		if life > 0 {
			g.upgrade()
		}
		ask(50)
		if passed != 50*(life+1) {
			t.Errorf("process %d: %d of %d have passed", life, passed, 50*(life+1))
		}
	}
	g.upgrade()
	eventually(t, "the rest is there when the processes before are gone", func() bool { ask(10); return passed >= amount })
	if ask(50); passed != amount {
		t.Errorf("%d of %d have passed", passed, amount)
	}
	g.stop()
}

// TestLeasesOfPartition: a gateway that is cut off spends what it holds and not one
// unit more, for as long as it is cut off, unless onError says otherwise; afterwards
// exactly as much has passed as there is.
func TestLeasesOfPartition(t *testing.T) {
	t.Parallel()
	statetest.Each(t, func(t *testing.T, place string) {
		const amount = 400
		addr := saysOK(t)
		yaml := limited(addr, fmt.Sprintf(`
- name: monthly
  key: [{type: Header, name: X-Tenant}]
  quota: {amount: %d, window: Month}
  global: {storeRef: {name: shared}, timeout: 10s}
`, amount), leaseStore)
		cut := &breakable{Authority: leasing.Authority{DB: statetest.Open(t, place)}}
		alone := serveYAML(t, yaml, func(o *proxy.Options) { o.Leases = cut })
		others := []*gateway{serveYAML(t, yaml, keeping(t, place)), serveYAML(t, yaml, keeping(t, place))}
		passed := int64(alone.tally(60, 4, "/", header("X-Tenant", "a"))["ok"])
		if passed != 60 {
			t.Fatalf("%d of the first 60 have passed", passed)
		}
		cut.state.Store(1)
		got := alone.tally(amount, 4, "/", header("X-Tenant", "a"))
		if got["ok"] == 0 || got["ok"] > amount/8 || got["ok"]+got["503 RateLimitUnavailable"] != amount {
			t.Errorf("cut off: %v; want what it has leased, up to %d, and nothing else", got, amount/8)
		}
		passed += int64(got["ok"])
		if resp, _ := alone.get("/", header("X-Tenant", "a")); resp.Header.Get("Retry-After") != "1" {
			t.Errorf("status %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
		passed += spend(t, "a", others...)
		if passed > amount {
			t.Fatalf("oversold: %d of %d", passed, amount)
		}
		got = alone.tally(40, 4, "/", header("X-Tenant", "a"))
		if got["503 RateLimitUnavailable"] != 40 {
			t.Errorf("cut off with nothing left: %v", got)
		}
		cut.state.Store(0)
		eventually(t, "all of the quota has passed, and no more", func() bool {
			passed += spend(t, "a", alone, others[0], others[1])
			return passed >= amount
		})
		if passed += spend(t, "a", alone); passed != amount {
			t.Errorf("%d of %d have passed", passed, amount)
		}
	})
}

// A gateway without a state store does what onError says.
func TestNoStateStore(t *testing.T) {
	t.Parallel()
	limit := func(more string) string {
		return limited(saysOK(t), "- {name: monthly, quota: {amount: 2, window: Month}, global: {storeRef: {name: shared}"+more+"}}", leaseStore)
	}
	g := serveYAML(t, limit(""))
	resp, _ := g.get("/")
	want(t, resp, 503, "RateLimitUnavailable")
	g.apply(limit(", onError: Local"))
	if got := g.tally(3, 1, "/"); got["ok"] != 2 || got["429 QuotaExceeded"] != 1 {
		t.Errorf("by itself: %v", got)
	}
}

// TestQuotaSurvivesKill: the next process knows what one has let pass that was killed.
func TestQuotaSurvivesKill(t *testing.T) {
	t.Parallel()
	addr, dir := saysOK(t), t.TempDir()
	total := 0
	for life := range 4 {
		port := ownPort(t)
		p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", addr),
			rateLimitDoc("api", "HTTPRoute", "app", "limits:\n- {name: monthly, quota: {amount: 200, window: Month}}")),
			"--state", "sqlite", "--state-dir", dir)
		for range 60 {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				total++
			}
		}
		if life == 0 && total != 60 {
			t.Errorf("%d of the first 60 have passed", total)
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.done
	}
	if total > 200 || total < 200-3*200/8 {
		t.Errorf("%d have passed of 200 over four lives", total)
	}
}
