package e2e

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gate is a server whose requests wait until it is opened.
type gate struct {
	*server
	arrived, most atomic.Int64
	opened        chan struct{}
	once          sync.Once
}

func startGate(t *testing.T) *gate {
	g := &gate{opened: make(chan struct{})}
	var active atomic.Int64
	g.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := active.Add(1)
		defer active.Add(-1)
		for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
		}
		g.arrived.Add(1)
		select {
		case <-g.opened:
		case <-r.Context().Done():
		}
		io.WriteString(w, "ok")
	})
	t.Cleanup(g.open)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

// background runs n GETs at once; the function returned waits and counts the bodies.
func (g *gateway) background(n int, edits ...edit) func() map[string]int {
	done := make(chan map[string]int, 1)
	go func() { done <- g.tally(n, n, "/", edits...) }()
	return func() map[string]int { return <-done }
}

func TestBreakerMaxRequests(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge(`circuitBreaker: {maxRequests: 3}`, app.addr))
	wait := g.background(10)
	eventually(t, "three are let through and seven refused", func() bool {
		return app.arrived.Load() == 3 && g.metric("gridway_cluster_breaker_rejections_total") == 7
	})
	app.open()
	if got := wait(); got["ok"] != 3 || got["503 Overload"] != 7 {
		t.Errorf("%v", got)
	}
	if resp, _ := g.get("/"); resp.StatusCode != 200 {
		t.Error("the breaker stays closed for later requests")
	}
	g.logged(`"flags":"Overload"`)
}

func TestBreakerMaxConnectionsAndPending(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge(`circuitBreaker: {maxConnections: 2, maxPending: 3}`, app.addr))
	wait := g.background(10)
	eventually(t, "two connected, three wait, five refused", func() bool {
		return app.arrived.Load() == 2 && g.metric("gridway_cluster_breaker_rejections_total", `limit="pending"`) == 5
	})
	app.open()
	if got := wait(); got["ok"] != 5 || got["503 Overload"] != 5 {
		t.Errorf("%v", got)
	}
	if n := app.most.Load(); n > 2 {
		t.Errorf("%d at once over two connections", n)
	}
}

// Who waits for a connection does not wait for ever.
func TestPendingRequestsTimeOut(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge("timeouts: {request: 200ms}\ncircuitBreaker: {maxConnections: 1}", app.addr))
	within(t, 190*time.Millisecond, 2*time.Second, func() {
		got := g.tally(3, 3, "/")
		if got["504 UpstreamTimeout"]+got["503 Overload"] != 3 || got["504 UpstreamTimeout"] < 1 {
			t.Errorf("%v", got)
		}
	})
}

// The metrics tell who waited in vain from who was not let into the line.
func TestWaitingInVainIsCounted(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, documents(gatewayDoc, ruleDoc(`
- matches: [{path: {value: /impatient}}]
  timeouts: {request: 100ms}
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), backendDoc("app", app.addr), policyDoc("app", "Backend", "app", "circuitBreaker: {maxConnections: 1}")))
	wait := g.background(1)
	eventually(t, "the only connection is in use", func() bool { return app.arrived.Load() == 1 })
	if got := g.tally(3, 3, "/impatient"); got["503 Overload"] != 3 {
		t.Errorf("%v", got)
	}
	if n := g.metric("gridway_cluster_breaker_rejections_total", `limit="connections"`); n != 3 {
		t.Errorf("%v who waited in vain were counted", n)
	}
	app.open()
	wait()
}

func TestBreakerByFailureRate(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	app := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, edge(`
circuitBreaker:
  failureRate: {percent: 50, minRequests: 10, window: 10s, openFor: 300ms, halfOpenRequests: 2}
`, app.addr))
	g.tally(10, 1, "/")
	g.untilOpen()
	before := app.requests.Load()

	// A probe that fails opens it again.
	probed := func() bool { g.get("/"); return app.requests.Load() > before }
	eventually(t, "half-open lets a request through", probed)
	g.untilOpen()

	broken.Store(false)
	eventually(t, "the breaker closes", func() bool {
		resp, _ := g.get("/")
		return resp.StatusCode == 200
	})
	eventually(t, "and stays closed", func() bool { return g.tally(20, 2, "/")["ok"] == 20 })
	g.logged(`"flags":"BreakerOpen"`)
	for to, least := range map[string]float64{"open": 2, "half_open": 2, "closed": 1} {
		if n := g.metric("gridway_cluster_breaker_changes_total", fmt.Sprintf("to=%q", to)); n < least {
			t.Errorf("%v changes to %s were counted", n, to)
		}
	}
}

// Nothing reaches the endpoint while the breaker is open.
func TestBreakerStaysOpen(t *testing.T) {
	t.Parallel()
	app := serve(t, status(500))
	g := serveYAML(t, edge(`circuitBreaker: {failureRate: {minRequests: 10, openFor: 1h}}`, app.addr))
	g.untilOpen()
	before := app.requests.Load()
	if got := g.tally(50, 4, "/"); got["503 BreakerOpen"] != 50 {
		t.Errorf("%v", got)
	}
	if n := app.requests.Load(); n != before {
		t.Errorf("%d requests reached the endpoint", n-before)
	}
}

// Half-open means so many and no more, whoever asks at the same time, and as
// many are enough to close it.
func TestHalfOpenLetsItsNumberThrough(t *testing.T) {
	t.Parallel()
	const openFor = 4 * time.Second
	for _, n := range []int64{1, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var healed atomic.Bool
			release := make(chan struct{})
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !healed.Load() {
					w.WriteHeader(500)
					return
				}
				select {
				case <-release:
				case <-r.Context().Done():
				}
				io.WriteString(w, "ok")
			})
			g := serveYAML(t, edge(fmt.Sprintf(`
circuitBreaker: {failureRate: {percent: 60, minRequests: 3, openFor: %s, halfOpenRequests: %d}}`, openFor, n), app.addr))
			g.untilOpen()
			// The burst begins when the breaker's time is certainly over, and ends long
			// before it would give those up that it has let through.
			over := time.NewTimer(openFor)
			healed.Store(true)
			rejections := func() int64 { return int64(g.metric("gridway_cluster_breaker_rejections_total")) }
			before := rejections()
			<-over.C
			answers := make(chan map[string]int, 1)
			go func() { answers <- g.tally(20, 20, "/") }()
			eventually(t, "the rest is refused", func() bool { return rejections()-before == 20-n })
			close(release)
			if got := <-answers; got["ok"] != int(n) || got["503 BreakerOpen"] != 20-int(n) {
				t.Errorf("%v, want %d to pass", got, n)
			}
			eventually(t, "it closes", func() bool { return g.metric("gridway_cluster_breaker_changes_total", `to="closed"`) == 1 })
			if got := g.tally(20, 4, "/"); got["ok"] != 20 {
				t.Errorf("once closed: %v", got)
			}
		})
	}
}

// untilOpen sends requests until the breaker refuses them.
func (g *gateway) untilOpen() {
	g.t.Helper()
	eventually(g.t, "the breaker opens", func() bool {
		resp, _ := g.get("/")
		return resp.Header.Get("X-Gridway-Reason") == "BreakerOpen"
	})
}

// A retry is one more request to a backend that may have just so many.
func TestHalfOpenIsNotWidenedByRetries(t *testing.T) {
	t.Parallel()
	app := serve(t, status(503))
	g := serveYAML(t, edge(`
retry: {attempts: 3, retryOn: [ServerError], backoff: {base: 1ms, max: 1ms}}
circuitBreaker: {failureRate: {minRequests: 3, openFor: 400ms, halfOpenRequests: 2}}`, app.addr))
	g.untilOpen()
	for range 3 {
		before := app.requests.Load()
		eventually(t, "half-open lets some through", func() bool {
			g.tally(10, 10, "/")
			return app.requests.Load() > before
		})
		if n := app.requests.Load() - before; n > 2 {
			t.Errorf("%d tries, want at most 2", n)
		}
	}
}

// Below the share the breaker stays closed, whatever the number.
func TestBreakerToleratesItsShare(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	app := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 == 0 {
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, edge(`circuitBreaker: {failureRate: {percent: 50, minRequests: 10}}`, app.addr))
	if got := g.tally(300, 4, "/"); got["500 "] != 100 || got["ok"] != 200 {
		t.Errorf("%v", got)
	}
}

func TestBreakerCountsHungEndpoints(t *testing.T) {
	t.Parallel()
	hung := startPeer(t, hangs)
	g := serveYAML(t, edge(`
timeouts: {backendRequest: 30ms}
circuitBreaker: {failureRate: {minRequests: 5, openFor: 1h}}
`, hung.addr))
	got := g.tally(8, 1, "/")
	if got["504 UpstreamTimeout"] != 5 || got["503 BreakerOpen"] != 3 {
		t.Errorf("%v", got)
	}
}

// The limit of requests holds across the routes that share a Backend's policy.
func TestBreakerOnABackendHoldsForAllRoutes(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr),
		policyDoc("limit", "Backend", "app", "circuitBreaker: {maxRequests: 2}"),
		ruleDoc(`
- matches: [{path: {value: /a}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- matches: [{path: {value: /b}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`)))
	statuses := make(chan int, 4)
	for _, path := range []string{"/a", "/b", "/a", "/b"} {
		go func() {
			resp, _, err := g.do(g.request(http.MethodGet, path, nil))
			if err != nil {
				statuses <- 0
				return
			}
			statuses <- resp.StatusCode
		}()
	}
	for range 2 {
		if s := <-statuses; s != 503 {
			t.Errorf("status %d, want two refused first", s)
		}
	}
	app.open()
	for range 2 {
		if s := <-statuses; s != 200 {
			t.Errorf("status %d", s)
		}
	}
}
