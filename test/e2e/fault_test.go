package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

// share fails if got of n is not within five standard deviations of p: a test
// that is wrong once in a million runs.
func share(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	slack := 5 * math.Sqrt(float64(n)*p*(1-p))
	if d := math.Abs(float64(got) - float64(n)*p); d > slack+1 {
		t.Errorf("%s: %d of %d, want %.0f ± %.0f", what, got, n, float64(n)*p, slack)
	}
}

func TestFaultAbort(t *testing.T) {
	t.Parallel()
	for percent, p := range map[string]float64{"0": 0, "10": .1, "50": .5, "100": 1, `"2.5%"`: .025} {
		t.Run(percent, func(t *testing.T) {
			t.Parallel()
			app := named(t, "ok")
			g := serveYAML(t, edge(`fault: {abort: {status: 418, percent: `+percent+`}}`, app.addr))
			const n = 1000
			got := g.tally(n, 4, "/")
			share(t, "aborted", got["418 FaultInjected"], n, p)
			if got["ok"]+got["418 FaultInjected"] != n || app.requests.Load() != int64(got["ok"]) {
				t.Errorf("%v, %d reached the endpoint", got, app.requests.Load())
			}
			if p > 0 {
				g.logged(`"flags":"FaultInjected"`)
			}
		})
	}
}

func TestFaultDelay(t *testing.T) {
	t.Parallel()
	app := named(t, "ok")
	g := serveYAML(t, edge(`fault: {delay: {duration: 100ms, percent: 30}}`, app.addr))
	const n = 400
	var mu sync.Mutex
	took := map[string]time.Duration{}
	g.parallel(n, 64, func(i int) {
		path := fmt.Sprintf("/%d", i)
		begun := time.Now()
		if resp, _, err := g.do(g.request("GET", path, nil)); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v %v", resp, err)
		}
		mu.Lock()
		defer mu.Unlock()
		took[path] = time.Since(begun)
	})
	delayed := 0
	eventually(t, "all are in the access log", func() bool { return strings.Count(g.entries.String(), "\n") == n })
	for line := range strings.Lines(g.entries.String()) {
		var e struct{ Path, Flags string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Flags == "FaultInjected" {
			delayed++
			if d, ok := took[e.Path]; !ok || d < 100*time.Millisecond {
				t.Errorf("%s took %v", e.Path, d)
			}
		}
	}
	share(t, "delayed", delayed, n, .3)
	eventually(t, "a request is not delayed", func() bool {
		begun := time.Now()
		g.get("/")
		return time.Since(begun) < 100*time.Millisecond
	})
}

// The delay is part of the request's time.
func TestFaultDelayAndTimeout(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("timeouts: {request: 100ms}\nfault: {delay: {duration: 10s}}", named(t, "ok").addr))
	within(t, 90*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		if resp.StatusCode != 504 {
			t.Errorf("status %d %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
		}
	})
}
