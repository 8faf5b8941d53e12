package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
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

// overload offers a backend that does four things at once, 20 ms each, three
// times what it can do, for a second and a half, and returns how long those
// took that were served, sorted, and how many were refused. Times are those of
// the access log: a client on a busy machine is late for reasons of its own.
func overload(t *testing.T, policy string) (served []time.Duration, refused int) {
	t.Helper()
	const capacity, work, length = 4, 20 * time.Millisecond, 1500 * time.Millisecond
	slots := make(chan struct{}, capacity)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		defer func() { <-slots }()
		hold(r, work)
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, edge(policy, app.addr))
	const every = work / capacity / 3 // open loop: who comes does not ask how busy it is
	tick := time.NewTicker(3 * every)
	defer tick.Stop()
	var clients sync.WaitGroup
	offered := int(length / every)
	for range offered / 3 {
		<-tick.C
		for range 3 {
			clients.Go(func() {
				if _, _, err := g.do(g.request("GET", "/", nil)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	clients.Wait()
	eventually(t, "all are in the access log", func() bool { return strings.Count(g.entries.String(), "\n") == offered })
	for line := range strings.Lines(g.entries.String()) {
		var e struct {
			Status   int     `json:"status"`
			Duration float64 `json:"duration_ms"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Status == 200 {
			served = append(served, time.Duration(e.Duration*float64(time.Millisecond)))
		} else {
			refused++
		}
	}
	slices.Sort(served)
	return served, refused
}

// Under three times what a backend can do, requests that are let in stay about
// as fast as they can be, and the backend stays busy. Without the limit they
// wait in the backend, the longer the longer it lasts.
func TestAdmissionBoundsLatencyUnderOverload(t *testing.T) {
	p99 := func(d []time.Duration) time.Duration { return d[len(d)*99/100] }
	without, none := overload(t, "")
	with, refused := overload(t, "admission: {initialConcurrency: 16, maxQueue: 16, queueTimeout: 50ms}")
	for range 2 { // the machine may have had other things to do
		if len(with) < 180 || p99(with) > p99(without)/3 {
			with, refused = overload(t, "admission: {initialConcurrency: 16, maxQueue: 16, queueTimeout: 50ms}")
		}
	}
	t.Logf("with: %d served, %d refused, p50 %v, p99 %v", len(with), refused, with[len(with)/2], p99(with))
	t.Logf("without: %d served, %d refused, p50 %v, p99 %v", len(without), none, without[len(without)/2], p99(without))
	if none != 0 || p99(without) < time.Second {
		t.Errorf("there was no overload: p99 %v without admission control, %d refused", p99(without), none)
	}
	// Where the machine is quiet it is a twentieth.
	if p99(with) > p99(without)/3 {
		t.Errorf("p99 of admitted requests is %v, %v without admission control", p99(with), p99(without))
	}
	if len(with) < 180 {
		t.Errorf("%d were served, of 300 that could be", len(with))
	}
}
