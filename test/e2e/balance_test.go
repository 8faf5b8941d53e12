package e2e

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRoundRobinIsExact(t *testing.T) {
	t.Parallel()
	_, addrs := several(t, 4)
	g := serveYAML(t, edge(`loadBalancer: {algorithm: RoundRobin}`, addrs...))
	for name, n := range g.tally(400, 1, "/") {
		if n != 100 {
			t.Errorf("%s got %d of 400", name, n)
		}
	}
}

func TestWeightsOfEndpoints(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RoundRobin", "Random", "LeastRequest", "PeakEWMA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			_, addrs := several(t, 4)
			weights := []int{1, 2, 5, 0}
			for i := range addrs {
				addrs[i] = fmt.Sprintf("{address: %q, weight: %d}", addrs[i], weights[i])
			}
			g := serveYAML(t, edge(`loadBalancer: {algorithm: `+algorithm+`}`, addrs...))
			const n = 1600
			got := g.tally(n, 1, "/")
			if got["d"] != 0 || got["a"]+got["b"]+got["c"] != n {
				t.Errorf("%v", got)
			}
			if algorithm == "PeakEWMA" { // latency counts as much as weight, and is chance here
				if got["a"] == 0 || got["b"] == 0 || got["c"] == 0 {
					t.Errorf("%v", got)
				}
				return
			}
			for i, name := range []string{"a", "b", "c"} {
				if want := float64(n*weights[i]) / 8; math.Abs(float64(got[name])-want) > 0.05*n {
					t.Errorf("%s got %d, want about %.0f", name, got[name], want)
				}
			}
		})
	}
}

// The algorithms that look at load send less to an endpoint that is slow;
// those that do not, send it its share.
func TestSlowEndpoint(t *testing.T) {
	t.Parallel()
	for algorithm, bound := range map[string]struct{ least, most float64 }{
		"RoundRobin":   {.30, .37},
		"Random":       {.20, .45},
		"LeastRequest": {0, .25},
		"PeakEWMA":     {0, .25},
	} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			fast, fast2, slow := slow(t, "fast", time.Millisecond), slow(t, "fast", time.Millisecond), slow(t, "slow", 40*time.Millisecond)
			g := serveYAML(t, edge(`loadBalancer: {algorithm: `+algorithm+`}`, fast.addr, fast2.addr, slow.addr))
			const n = 600
			got := g.tally(n, 12, "/")
			if share := float64(got["slow"]) / n; share < bound.least || share > bound.most {
				t.Errorf("the slow one of three got %.1f %%, want %.0f to %.0f %%", 100*share, 100*bound.least, 100*bound.most)
			}
		})
	}
}

func TestHashKeepsAKeyOnItsEndpoint(t *testing.T) {
	t.Parallel()
	keyed := map[string]func(key string) (path string, e edit){
		"{header: X-User}": func(k string) (string, edit) { return "/", header("X-User", k) },
		"{cookie: user}":   func(k string) (string, edit) { return "/", header("Cookie", "other=1; user="+k+"; z=2") },
		"{query: user}":    func(k string) (string, edit) { return "/?a=b&user=" + k, header("A", "b") },
		"{sourceIP: true}": func(k string) (string, edit) { return "/", header("X-Forwarded-For", "10.1.2."+k) },
	}
	for _, algorithm := range []string{"RingHash", "Maglev"} {
		for on, make := range keyed {
			t.Run(algorithm+on, func(t *testing.T) {
				t.Parallel()
				servers, addrs := several(t, 4)
				doc := func(addrs []string) string {
					return edgeWith(`client: {forwarded: {trustedHops: 1}}`,
						`loadBalancer: {algorithm: `+algorithm+`, hashOn: [`+on+`]}`, addrs)
				}
				g := serveYAML(t, doc(addrs))
				const keys = 200
				at := map[string]string{}
				used := map[string]int{}
				for i := range keys {
					k := fmt.Sprint(i)
					path, e := make(k)
					for range 3 {
						_, body := g.get(path, e)
						if at[k] == "" {
							at[k] = body
							used[body]++
						} else if at[k] != body {
							t.Fatalf("key %s went to %s and to %s", k, at[k], body)
						}
					}
				}
				for name, n := range used {
					if len(used) != 4 || n < keys/4/3 || n > keys/4*3 {
						t.Errorf("%s has %d of %d keys", name, n, keys)
					}
				}
				// One endpoint goes: only its keys move.
				servers[2].http.Close()
				g.apply(doc(append(addrs[:2:2], addrs[3:]...)))
				moved := 0
				for k, before := range at {
					path, e := make(k)
					_, body := g.get(path, e)
					switch {
					case before == "c" && body == "c":
						t.Fatalf("key %s is still on c", k)
					case before != "c" && body != before:
						moved++
					}
				}
				if algorithm == "RingHash" && moved > 0 || moved > keys/20 {
					t.Errorf("%d of %d keys of other endpoints moved", moved, keys)
				}
			})
		}
	}
}

// A request without the key goes anywhere, and the first key that is there counts.
func TestHashFallsBack(t *testing.T) {
	t.Parallel()
	_, addrs := several(t, 4)
	g := serveYAML(t, edge(`loadBalancer: {algorithm: Maglev, hashOn: [{header: X-A}, {header: X-B}]}`, addrs...))
	if got := g.tally(200, 4, "/"); len(got) != 4 {
		t.Errorf("without a key: %v", got)
	}
	if got := g.tally(30, 4, "/", header("X-B", "some")); len(got) != 1 {
		t.Errorf("with the second key: %v", got)
	}
	_, a := g.get("/", header("X-A", "some"), header("X-B", "1"))
	if got := g.tally(30, 4, "/", header("X-A", "some"), header("X-B", "2")); got[a] != 30 {
		t.Errorf("with the first key: %v, want %s", got, a)
	}
}

// One hot key must not bury its endpoint.
func TestBoundedLoad(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RingHash", "Maglev"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			var gates []*gate
			var addrs []string
			for range 4 {
				s := startGate(t)
				gates, addrs = append(gates, s), append(addrs, s.addr)
			}
			g := serveYAML(t, edge(`loadBalancer: {algorithm: `+algorithm+`, hashOn: [{header: X-User}], boundedLoad: 125}`, addrs...))
			wait := g.background(40, header("X-User", "hot"))
			eventually(t, "all have arrived", func() bool {
				n := int64(0)
				for _, s := range gates {
					n += s.arrived.Load()
				}
				return n == 40
			})
			for i, s := range gates {
				if n := s.most.Load(); n > 14 { // 1.25 × 10, and what raced
					t.Errorf("endpoint %d had %d of 40 at once", i, n)
				}
				s.open()
			}
			wait()
		})
	}
}

func TestZonePreference(t *testing.T) {
	t.Parallel()
	near, far := startChecked(t, "near"), startChecked(t, "far")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, zoneAware: true, panicThreshold: 0}
healthCheck: {http: {path: /healthz}, interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1}
`,
		fmt.Sprintf("{address: %q, zone: a}", near.addr), fmt.Sprintf("{address: %q, zone: b}", far.addr)), inZone("a"))
	if got := g.tally(50, 2, "/"); got["near"] != 50 {
		t.Errorf("with capacity in the zone: %v", got)
	}
	near.health.Store(500)
	eventually(t, "traffic spills over", func() bool { return g.tally(10, 2, "/")["far"] == 10 })
	near.health.Store(200)
	eventually(t, "and comes home", func() bool { return g.tally(10, 2, "/")["near"] == 10 })
}

// A zone is whole while overprovisioning makes up for what has failed in it;
// then it keeps what it can take, and gets all back.
func TestZoneSpillsOverAtItsThreshold(t *testing.T) {
	t.Parallel()
	var near []*checked
	var endpoints []string
	for i := range 8 {
		zone := "far"
		if i < 4 {
			zone = "near"
		}
		c := startChecked(t, zone)
		endpoints = append(endpoints, fmt.Sprintf("{address: %q, zone: %s}", c.addr, zone))
		if zone == "near" {
			near = append(near, c)
		}
	}
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, zoneAware: true, panicThreshold: 0}
healthCheck: {http: {path: /healthz}, interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1}
`, endpoints...), inZone("near"))
	for _, step := range []struct {
		down int
		near float64 // of all: 1.4 × what is left, of the capacity of both zones, twice because each is due half
	}{
		{1, 1}, {2, 2 * 2.8 / 6.8}, {3, 2 * 1.4 / 5.4}, {4, 0}, {2, 2 * 2.8 / 6.8}, {0, 1},
	} {
		for i, c := range near {
			if c.health.Store(200); i < step.down {
				c.health.Store(500)
			}
		}
		const n = 200
		eventually(t, fmt.Sprintf("%.0f %% stay with %d of 4 down", 100*step.near, step.down), func() bool {
			got := g.tally(n, 2, "/")
			return got["near"]+got["far"] == n && math.Abs(float64(got["near"])/n-step.near) < 0.03
		})
	}
}

func TestPriorityFailover(t *testing.T) {
	t.Parallel()
	first, second := startChecked(t, "first"), startChecked(t, "second")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
healthCheck: {http: {path: /healthz}, interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1}
`, first.addr, fmt.Sprintf("{address: %q, priority: 1}", second.addr)))
	if got := g.tally(50, 2, "/"); got["first"] != 50 {
		t.Errorf("%v", got)
	}
	first.health.Store(500)
	eventually(t, "the second takes over", func() bool { return g.tally(10, 2, "/")["second"] == 10 })
	first.health.Store(200)
	eventually(t, "and hands back", func() bool { return g.tally(10, 2, "/")["first"] == 10 })
}

// Failover within one request: the retry goes to the next priority at once.
func TestRetryFailsOver(t *testing.T) {
	t.Parallel()
	second := named(t, "second")
	g := serveYAML(t, edge(`retry: {attempts: 1}`, refused(t), fmt.Sprintf("{address: %q, priority: 1}", second.addr)))
	if got := g.tally(10, 1, "/"); got["second"] != 10 {
		t.Errorf("%v", got)
	}
}

// When most are unhealthy, the checks are probably wrong, or what is left
// would be buried: all are used.
func TestPanicThreshold(t *testing.T) {
	t.Parallel()
	var all []*checked
	var addrs []string
	for i := range 4 {
		c := startChecked(t, string(rune('a'+i)))
		all, addrs = append(all, c), append(addrs, c.addr)
	}
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 40}
healthCheck: {http: {path: /healthz}, interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1}
`, addrs...))
	all[0].health.Store(500)
	all[1].health.Store(500)
	eventually(t, "half are healthy: only these are used", func() bool {
		got := g.tally(20, 1, "/")
		return got["c"] == 10 && got["d"] == 10
	})
	all[2].health.Store(500)
	eventually(t, "a quarter is healthy: all are used", func() bool { return len(g.tally(20, 1, "/")) == 4 })
}

func TestSlowStart(t *testing.T) {
	t.Parallel()
	_, addrs := several(t, 3)
	policy := `loadBalancer: {algorithm: RoundRobin, slowStart: 2s}`
	g := serveYAML(t, edge(policy, addrs[:2]...))
	g.tally(100, 2, "/")
	g.apply(edge(policy, addrs...))
	if got := g.tally(150, 2, "/"); got["c"] > 40 || got["c"] == 0 && got["a"] == 0 {
		t.Errorf("the new one of three got %d of 150 at once", got["c"])
	}
	eventually(t, "it gets its full share in the end", func() bool {
		return g.tally(90, 2, "/")["c"] >= 28
	})
}

func TestWeightsOfBackends(t *testing.T) {
	t.Parallel()
	stable, canary, none := named(t, "stable"), named(t, "canary"), named(t, "none")
	doc := func(s, c int) string {
		return documents(gatewayDoc, backendDoc("stable", stable.addr), backendDoc("canary", canary.addr), backendDoc("none", none.addr),
			ruleDoc(fmt.Sprintf(`
- backendRefs:
  - {group: gridway.dev, kind: Backend, name: stable, weight: %d}
  - {group: gridway.dev, kind: Backend, name: canary, weight: %d}
  - {group: gridway.dev, kind: Backend, name: none, weight: 0}
`, s, c)))
	}
	g := serveYAML(t, doc(90, 10))
	const n = 2000
	got := g.tally(n, 4, "/")
	share(t, "canary", got["canary"], n, .1)
	if got["none"] != 0 || got["stable"]+got["canary"] != n {
		t.Errorf("%v", got)
	}
	g.apply(doc(0, 1))
	if got := g.tally(100, 4, "/"); got["canary"] != 100 {
		t.Errorf("after the switch: %v", got)
	}
}

// A share that goes to a backend that does not exist fails; the rest does not.
func TestWeightOfAMissingBackend(t *testing.T) {
	t.Parallel()
	app := named(t, "ok")
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), ruleDoc(`
- backendRefs:
  - {group: gridway.dev, kind: Backend, name: app, weight: 1}
  - {group: gridway.dev, kind: Backend, name: missing, weight: 1}
`)))
	const n = 400
	got := g.tally(n, 4, "/")
	share(t, "failed", got["500 BackendInvalid"], n, .5)
	if got["ok"]+got["500 BackendInvalid"] != n {
		t.Errorf("%v", got)
	}
}

// Endpoints come and go while requests are under way: none fails.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	_, addrs := several(t, 4)
	policy := `loadBalancer: {algorithm: LeastRequest}`
	g := serveYAML(t, edge(policy, addrs...))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, body, err := g.do(g.request("POST", "/", strings.NewReader("hello")))
				if err != nil || resp.StatusCode != 200 || len(body) != 1 {
					t.Errorf("%v %q %v", resp, body, err)
					return
				}
			}
		})
	}
	for i := range 60 {
		g.apply(edge(policy, append(addrs[i%4:i%4+1:i%4+1], addrs[(i+1)%4])...))
	}
	close(stop)
	wg.Wait()
}
