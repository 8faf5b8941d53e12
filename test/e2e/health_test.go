package e2e

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
)

// checked is a server with a health page of its own.
type checked struct {
	*server
	health  atomic.Int64 // status of /healthz
	checks  atomic.Int64
	hosts   atomic.Value
	traffic atomic.Int64
}

func startChecked(t *testing.T, name string) *checked {
	c := &checked{}
	c.health.Store(200)
	c.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			c.checks.Add(1)
			c.hosts.Store(r.Method + " " + r.Host + " " + r.Header.Get("X-Check"))
			w.WriteHeader(int(c.health.Load()))
			return
		}
		c.traffic.Add(1)
		io.WriteString(w, name)
	})
	return c
}

func TestHealthCheckHTTP(t *testing.T) {
	t.Parallel()
	a, b := startChecked(t, "a"), startChecked(t, "b")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
healthCheck:
  http: {path: /healthz, host: app.example, headers: [{name: X-Check, value: gridway}]}
  interval: 20ms
  timeout: 1s
  unhealthyThreshold: 2
  healthyThreshold: 2
`, a.addr, b.addr))
	eventually(t, "both are checked", func() bool { return a.checks.Load() > 1 && b.checks.Load() > 1 })
	if got := a.hosts.Load(); got != "GET app.example gridway" {
		t.Errorf("the check was %q", got)
	}
	if got := g.tally(20, 2, "/"); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("both healthy: %v", got)
	}
	a.health.Store(500)
	eventually(t, "a is unhealthy", func() bool { return g.tally(4, 1, "/")["b"] == 4 })
	before := a.traffic.Load()
	if got := g.tally(20, 2, "/"); got["b"] != 20 || a.traffic.Load() != before {
		t.Errorf("a unhealthy: %v", got)
	}
	b.health.Store(500)
	eventually(t, "none is healthy", func() bool {
		resp, _ := g.get("/")
		return resp.StatusCode == 503 && resp.Header.Get("X-Gridway-Reason") == "NoHealthyEndpoint"
	})
	a.health.Store(204)
	eventually(t, "a is back", func() bool { return g.tally(4, 1, "/")["a"] == 4 })
	g.logged(`"flags":"NoHealthyEndpoint"`)
	passed := g.metric("gridway_cluster_health_checks_total", `result="ok"`)
	failed := g.metric("gridway_cluster_health_checks_total", `result="failed"`)
	if made := float64(a.checks.Load() + b.checks.Load()); passed < 5 || failed < 4 || passed+failed > made {
		t.Errorf("%v checks passed and %v failed by the metrics; %v were made", passed, failed, made)
	}
}

func TestHealthCheckStatuses(t *testing.T) {
	t.Parallel()
	a := startChecked(t, "a")
	a.health.Store(404)
	g := serveYAML(t, edge(`
loadBalancer: {panicThreshold: 0}
healthCheck:
  http: {path: /healthz, method: HEAD, statuses: [200-204, 404]}
  interval: 20ms
  unhealthyThreshold: 1
`, a.addr))
	eventually(t, "it is checked", func() bool { return a.checks.Load() > 3 })
	resp, _ := g.get("/")
	want(t, resp, 200, "")
	a.health.Store(205)
	eventually(t, "205 is not healthy", func() bool { resp, _ := g.get("/"); return resp.StatusCode == 503 })
}

func TestHealthCheckOfAHungServer(t *testing.T) {
	t.Parallel()
	hung, good := startPeer(t, hangs), startChecked(t, "good")
	g := serveYAML(t, edge(`
timeouts: {backendRequest: 100ms}
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
healthCheck: {http: {path: /healthz}, interval: 20ms, timeout: 50ms, unhealthyThreshold: 2}
`, hung.addr, good.addr))
	eventually(t, "the hung one is left out", func() bool { return g.tally(6, 2, "/")["good"] == 6 })
}

func TestHealthCheckTCP(t *testing.T) {
	t.Parallel()
	flap := startFlapping(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "flap") })
	good := named(t, "good")
	g := serveYAML(t, edge(`
loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}
healthCheck: {tcp: {}, interval: 20ms, unhealthyThreshold: 1, healthyThreshold: 1}
`, flap.addr, good.addr))
	for range 2 {
		eventually(t, "both are used", func() bool { return g.tally(4, 1, "/")["flap"] == 2 })
		flap.off()
		eventually(t, "only the good one is used", func() bool { return g.tally(4, 1, "/")["good"] == 4 })
		flap.on()
	}
}
