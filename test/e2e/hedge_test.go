package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// latencies sends n GETs, a few at a time, and returns how long each took, sorted.
func (g *gateway) latencies(n, workers int) []time.Duration {
	g.t.Helper()
	var mu sync.Mutex
	var all []time.Duration
	g.parallel(n, workers, func(int) {
		begun := time.Now()
		resp, _, err := g.do(g.request("GET", "/", nil))
		d := time.Since(begun)
		if err != nil || resp.StatusCode != 200 {
			g.t.Errorf("%v %v", resp, err)
		}
		mu.Lock()
		all = append(all, d)
		mu.Unlock()
	})
	slices.Sort(all)
	return all
}

func TestHedgingCutsTheTail(t *testing.T) {
	t.Parallel()
	const requests, stalled = 300, 300 / 20
	var n, cancelled atomic.Int64
	var first sync.Map // the server of each request's first try
	handler := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			before, again := first.LoadOrStore(r.Header.Get("X-Request-Id"), name)
			switch {
			case again && before == name:
				t.Error("a hedge went to the endpoint of the first try")
			case !again && n.Add(1)%20 == 0: // one in twenty hangs, and only its hedge can answer
				<-r.Context().Done()
				cancelled.Add(1)
			}
			io.WriteString(w, "ok")
		}
	}
	a, b := serve(t, handler("a")), serve(t, handler("b"))
	g := serveYAML(t, edge("hedge: {delay: 40ms}\nretry: {attempts: 0, budget: {percent: 100}}\nloadBalancer: {algorithm: RoundRobin}", a.addr, b.addr))
	g.latencies(requests, 8)
	hedges, won := g.metric("gridway_cluster_hedges_total"), g.metric("gridway_cluster_hedges_won_total")
	if hedges < stalled || won < stalled || won > hedges { // a busy machine hedges more than hang
		t.Errorf("%v hedges, %v won", hedges, won)
	}
	eventually(t, "the tries that hang are cancelled, and no others", func() bool { return cancelled.Load() == stalled })
}

func TestWithoutHedgingTheTailStays(t *testing.T) {
	t.Parallel()
	app := slow(t, "slow", 100*time.Millisecond)
	g := serveYAML(t, edge("", app.addr))
	if all := g.latencies(3, 3); all[0] < 100*time.Millisecond {
		t.Errorf("fastest %v", all[0])
	}
}

// Hedges are retries of a kind: they spend the same budget.
func TestHedgesSpendTheRetryBudget(t *testing.T) {
	t.Parallel()
	app := slow(t, "slow", 40*time.Millisecond)
	g := serveYAML(t, edge(`
hedge: {delay: 5ms, maxExtra: 2}
retry: {attempts: 0, budget: {percent: 10, minPerSecond: 0}}
`, app.addr))
	const n = 300
	g.tally(n, 32, "/")
	if tries := app.requests.Load(); tries < n || float64(tries) > 1.2*n {
		t.Errorf("%d tries for %d requests, want at most a tenth more", tries, n)
	}
	if g.metric("gridway_cluster_retries_denied_total") == 0 {
		t.Error("no hedge was denied")
	}
}

func TestHedgingSendsBodiesOnlyWhereThatIsSafe(t *testing.T) {
	t.Parallel()
	for method, most := range map[string]int64{"PUT": 2, "POST": 1} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var bodies sync.Map
			var tries atomic.Int64
			second := make(chan struct{})
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				bodies.Store(string(b), true)
				if tries.Add(1) == 2 {
					close(second)
				}
				if most == 1 {
					hold(r, 150*time.Millisecond) // long enough for another try
				} else {
					select {
					case <-second:
					case <-time.After(onBusy):
					}
				}
				w.Write(b)
			})
			g := serveYAML(t, edge("hedge: {delay: 30ms}", app.addr))
			resp, body, err := g.do(g.request(method, "/", io.MultiReader(readerOf("the body, in chunks"))))
			if err != nil || resp.StatusCode != 200 || body != "the body, in chunks" {
				t.Fatalf("%v %q %v", resp, body, err)
			}
			if n := app.requests.Load(); n != most {
				t.Errorf("%d tries, want %d", n, most)
			}
			bodies.Range(func(k, _ any) bool {
				if k != "the body, in chunks" {
					t.Errorf("a try got the body %q", k)
				}
				return true
			})
		})
	}
}

func TestHedgingReplacesAFailedTryAtOnce(t *testing.T) {
	t.Parallel()
	good := named(t, "good")
	g := serveYAML(t, edge("hedge: {delay: 3s}\nloadBalancer: {algorithm: RoundRobin}", refused(t), good.addr))
	for range 4 {
		within(t, 0, time.Second, func() {
			resp, _ := g.get("/")
			want(t, resp, 200, "")
		})
	}
}

// A body that is too long to be sent twice at once is sent once, and streams.
func TestHedgingLetsLongBodiesThrough(t *testing.T) {
	t.Parallel()
	app := bodySum(t, 0)
	mirror := startMirror(t)
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), backendDoc("mirror", mirror.addr), ruleDoc(`
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
  filters:
  - {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: mirror}}}
`), policyDoc("app", "HTTPRoute", "app", "hedge: {delay: 1ms}")))
	for _, method := range []string{"PUT", "POST"} {
		for _, size := range []int{64 << 10, 65<<10 + 1, 300_000} {
			for _, chunked := range []bool{true, false} {
				content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				body := readerOf(content)
				if chunked {
					body = io.MultiReader(body)
				}
				resp, got, err := g.do(g.request(method, fmt.Sprintf("/%v", chunked), body))
				if sum := fmt.Sprintf("%d %x", size, sha256.Sum256([]byte(content))); err != nil || got != sum {
					t.Errorf("%s of %d, chunked %v: %v %q %v", method, size, chunked, resp, got, err)
				}
				copied := fmt.Sprintf("%s /%v %s", method, chunked, content)
				eventually(t, "the mirror has the whole body", func() bool { return mirror.got(copied) == 1 })
			}
		}
	}
}

// An endpoint whose tries always lose is known to be slow, though none of them
// was answered in time.
func TestLostTriesTellOfLatency(t *testing.T) {
	t.Parallel()
	hung, good := startPeer(t, hangs), named(t, "good")
	g := serveYAML(t, edge("hedge: {delay: 30ms}\nloadBalancer: {algorithm: PeakEWMA}", hung.addr, good.addr))
	eventually(t, "the hung endpoint's latency is known", func() bool {
		g.get("/")
		for _, e := range g.endpoints() {
			if e.Address == hung.addr {
				return e.Latency >= 30*time.Millisecond
			}
		}
		return false
	})
	for _, e := range g.endpoints() {
		if e.Failures != 0 {
			t.Errorf("%s: %d failures", e.Address, e.Failures)
		}
	}
}

// What a hedged exchange comes to may be retried like any other.
func TestHedgedRequestsAreRetried(t *testing.T) {
	t.Parallel()
	app := failing(t, 2, status(503))
	g := serveYAML(t, edge(`
hedge: {delay: 500ms}
retry: {attempts: 2, retryOn: [ServerError], backoff: {base: 1ms}}
`, app.addr))
	resp, body := g.get("/")
	want(t, resp, 200, "")
	if body != "good" || app.requests.Load() != 3 {
		t.Errorf("%q after %d tries", body, app.requests.Load())
	}
}

func TestHedgingWhenEverythingHangs(t *testing.T) {
	t.Parallel()
	hung := startPeer(t, hangs)
	g := serveYAML(t, edge("timeouts: {request: 300ms}\nhedge: {delay: 20ms, maxExtra: 3}", hung.addr))
	within(t, 290*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 504, "UpstreamTimeout")
	})
	if n := hung.conns.Load(); n != 4 {
		t.Errorf("%d tries, want 4", n)
	}
}

// A stream that follows a long wait has its own idle time.
func TestHedgedStreamKeepsItsIdleTime(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hold(r, 300*time.Millisecond)
		w.(http.Flusher).Flush()
		hold(r, 100*time.Millisecond)
		io.WriteString(w, "late")
	})
	g := serveYAML(t, edge("timeouts: {idle: 250ms}\nhedge: {delay: 1s}", app.addr))
	resp, body := g.get("/")
	want(t, resp, 200, "")
	if body != "late" {
		t.Errorf("%q", body)
	}
}
