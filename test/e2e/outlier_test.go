package e2e

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream"
)

// burst is a server that fails while it is told to.
type burst struct {
	*server
	failing atomic.Bool
}

func startBurst(t *testing.T, name string, code int) *burst {
	b := &burst{}
	b.server = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if b.failing.Load() {
			w.WriteHeader(code)
			return
		}
		io.WriteString(w, name)
	})
	return b
}

func TestOutlierConsecutive5xx(t *testing.T) {
	t.Parallel()
	bad, good := startBurst(t, "bad", 500), named(t, "good")
	bad.failing.Store(true)
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
outlierDetection: {consecutive5xx: 3, interval: 50ms, baseEjection: 2s}
`, bad.addr, good.addr))
	eventually(t, "the failing endpoint is ejected", func() bool {
		g.get("/")
		return g.metric("gridway_cluster_outlier_ejections_total", `cause="consecutive_5xx"`) == 1
	})
	if got := g.tally(50, 4, "/"); got["good"] != 50 {
		t.Errorf("after the ejection: %v", got)
	}
	if n := bad.requests.Load(); n > 4 {
		t.Errorf("%d requests went to it before it was ejected", n)
	}
	bad.failing.Store(false)
	eventually(t, "it comes back", func() bool {
		_, body := g.get("/")
		return body == "bad"
	})
	eventually(t, "a metric tells of its return", func() bool { return g.metric("gridway_cluster_outlier_returns_total") == 1 })
}

// 500 is not a gateway error.
func TestOutlierGatewayErrors(t *testing.T) {
	t.Parallel()
	for code, ejected := range map[int]float64{500: 0, 502: 1, 504: 1} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			bad, good := startBurst(t, "bad", code), named(t, "good")
			bad.failing.Store(true)
			g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin}
outlierDetection: {consecutive5xx: 0, consecutiveGatewayErrors: 3, baseEjection: 1h}
`, bad.addr, good.addr))
			g.tally(30, 1, "/")
			if n := g.metric("gridway_cluster_outlier_ejections_total", `cause="consecutive_gateway_errors"`); n != ejected {
				t.Errorf("%v ejections, want %v", n, ejected)
			}
		})
	}
}

// Resets and refused connections eject as much as statuses do; with a retry
// the client notices nothing of it.
func TestOutlierConnectionFailures(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func(*testing.T) string{
		"refused": refused,
		"reset":   func(t *testing.T) string { return startPeer(t, resets).addr },
		"hung":    func(t *testing.T) string { return startPeer(t, hangs).addr },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := named(t, "good")
			g := serveYAML(t, edge(`
timeouts: {backendRequest: 400ms}
loadBalancer: {algorithm: RoundRobin}
retry: {attempts: 1, retryOn: [ConnectFailure, Reset, Timeout]}
outlierDetection: {consecutive5xx: 3, baseEjection: 1h}
`, bad(t), good.addr))
			if got := g.tally(40, 2, "/"); got["good"] != 40 {
				t.Errorf("clients saw %v", got)
			}
			if n := g.metric("gridway_cluster_outlier_ejections_total"); n != 1 {
				t.Errorf("%v ejections", n)
			}
		})
	}
}

// endpoints is the state of all endpoints of all clusters.
func (g *gateway) endpoints() (list []upstream.EndpointSnapshot) {
	for _, c := range g.proxy.Upstreams().Clusters() {
		list = append(list, c.Snapshot().Endpoints...)
	}
	return list
}

// Each ejection is longer than the one before by as much as the first, up to
// the longest; seen by an endpoint that fails whatever it is asked.
func TestOutlierEjectionGrows(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var arrived []time.Time
	bad := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		arrived = append(arrived, time.Now())
		mu.Unlock()
		w.WriteHeader(500)
	})
	good := named(t, "good")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin}
outlierDetection: {consecutive5xx: 1, interval: 1h, baseEjection: 100ms, maxEjection: 250ms}
`, bad.addr, good.addr))
	var longest time.Duration
	eventually(t, "five ejections", func() bool {
		g.get("/")
		for _, e := range g.endpoints() {
			longest = max(longest, e.EjectedFor)
			if e.EjectedFor > 0 && e.Cause != "consecutive 5xx" {
				t.Errorf("ejected for %v by %q", e.EjectedFor, e.Cause)
			}
		}
		return bad.requests.Load() == 5
	})
	mu.Lock()
	defer mu.Unlock()
	for i, least := range []time.Duration{100, 200, 250, 250} {
		if gap := arrived[i+1].Sub(arrived[i]); gap < least*time.Millisecond {
			t.Errorf("ejection %d ended after %v, want %v ms", i+1, gap, least)
		}
	}
	if longest > 250*time.Millisecond || longest <= 200*time.Millisecond {
		t.Errorf("the longest ejection was %v", longest)
	}
}

func TestOutlierMaxPercent(t *testing.T) {
	t.Parallel()
	var addrs []string
	for range 4 {
		b := startBurst(t, "", 500)
		b.failing.Store(true)
		addrs = append(addrs, b.addr)
	}
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin}
outlierDetection: {consecutive5xx: 2, maxPercent: 50, baseEjection: 1h}
`, addrs...))
	g.tally(100, 2, "/")
	if n := g.metric("gridway_cluster_outlier_ejections_total"); n != 2 {
		t.Errorf("%v of 4 ejected, want 2", n)
	}
}

// An endpoint that fails a third of its requests never fails three in a row
// for long, but does worse than its peers.
func TestOutlierSuccessRate(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	flaky := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 == 0 {
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, "flaky")
	})
	_, addrs := several(t, 5)
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin}
outlierDetection:
  consecutive5xx: 0
  interval: 50ms
  baseEjection: 1h
  successRate: {minHosts: 4, minRequests: 5, stdevFactor: 150}
`, append(addrs, flaky.addr)...))
	eventually(t, "the flaky endpoint is ejected", func() bool {
		g.tally(60, 4, "/")
		return g.metric("gridway_cluster_outlier_ejections_total", `cause="success_rate"`) == 1
	})
	if got := g.tally(60, 4, "/"); got["flaky"] != 0 || got["500 "] != 0 {
		t.Errorf("after the ejection: %v", got)
	}
}

// An endpoint that goes up and down costs some requests, never the others'.
func TestFlappingEndpoint(t *testing.T) {
	t.Parallel()
	flap := startFlapping(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "flap") })
	good := named(t, "good")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
retry: {attempts: 2}
outlierDetection: {consecutive5xx: 2, interval: 20ms, baseEjection: 30ms, maxEjection: 60ms}
`, flap.addr, good.addr))
	for range 5 {
		flap.off()
		if got := g.tally(30, 3, "/"); got["good"] != 30 {
			t.Errorf("while off: %v", got)
		}
		flap.on()
		eventually(t, "it is used again", func() bool {
			resp, body := g.get("/")
			want(t, resp, 200, "")
			return body == "flap"
		})
	}
}
