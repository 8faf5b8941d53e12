package e2e

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestAdmissionBoundsConcurrency(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge(`
admission: {minConcurrency: 2, maxConcurrency: 4, initialConcurrency: 4, maxQueue: 3, queueTimeout: 10s}
`, app.addr))
	wait := g.background(20)
	eventually(t, "four run, three wait, the rest is refused", func() bool {
		return app.arrived.Load() == 4 && g.metric("gridway_route_reasons_total", `AdmissionDenied`) == 13
	})
	app.open()
	if got := wait(); got["ok"] != 7 || got["503 AdmissionDenied"] != 13 {
		t.Errorf("%v", got)
	}
	if n := app.most.Load(); n > 4 {
		t.Errorf("%d at once", n)
	}
}

func TestAdmissionQueueTimeout(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge(`
admission: {minConcurrency: 1, maxConcurrency: 1, initialConcurrency: 1, maxQueue: 10, queueTimeout: 100ms}
`, app.addr))
	wait := g.background(1)
	eventually(t, "one runs", func() bool { return app.arrived.Load() == 1 })
	within(t, 95*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 503, "AdmissionDenied")
	})
	app.open()
	wait()
}

// When there is too much of everything, what matters more gets through.
func TestAdmissionPriorities(t *testing.T) {
	t.Parallel()
	app := startGate(t)
	g := serveYAML(t, edge(`
admission:
  minConcurrency: 1
  maxConcurrency: 1
  initialConcurrency: 1
  maxQueue: 2
  queueTimeout: 10s
  priorityHeader: X-Priority
`, app.addr))
	denied := func() float64 { return g.metric("gridway_route_reasons_total", `AdmissionDenied`) }
	first := g.background(1)
	eventually(t, "one runs", func() bool { return app.arrived.Load() == 1 })
	low := g.background(4, header("X-Priority", "1"))
	eventually(t, "two of low priority wait, two are refused", func() bool { return denied() == 2 })
	high := g.background(2, header("X-Priority", "9"))
	eventually(t, "they make room for those of high priority", func() bool { return denied() == 4 })
	app.open()
	if got := high(); got["ok"] != 2 {
		t.Errorf("high priority: %v", got)
	}
	if got := low(); got["503 AdmissionDenied"] != 4 {
		t.Errorf("low priority: %v", got)
	}
	if got := first(); got["ok"] != 1 {
		t.Errorf("first: %v", got)
	}
}

// A backend that does at most eight things at once gets slower with more. The
// limit finds that out: requests wait here rather than there, and latency
// stays near its best.
func TestAdmissionAdapts(t *testing.T) {
	t.Parallel()
	const workers, work = 8, 4 * time.Millisecond
	slots := make(chan struct{}, workers)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		slots <- struct{}{}
		defer func() { <-slots }()
		hold(r, work)
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, edge(`
admission: {minConcurrency: 2, maxConcurrency: 500, initialConcurrency: 8, maxQueue: 4, queueTimeout: 20ms}
`, app.addr))
	var mu sync.Mutex
	var ok, refused int
	var slowest time.Duration
	g.parallel(3000, 64, func(i int) {
		begun := time.Now()
		resp, _, err := g.do(g.request("GET", "/", nil))
		d := time.Since(begun)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case resp.StatusCode == 200:
			ok++
			slowest = max(slowest, d)
		default:
			refused++
		}
	})
	if ok < 100 || refused == 0 {
		t.Errorf("%d served, %d refused", ok, refused)
	}
	t.Logf("%d served, %d refused, slowest %v", ok, refused, slowest)
}
