package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowded is a backend that does a few things at a time; what exceeds that
// queues in it. It notes how long each took, from its arrival on.
type crowded struct {
	*server
	inside atomic.Int64
	mu     sync.Mutex
	took   []time.Duration // guarded by mu
	most   int64           // guarded by mu; at a time
}

func startCrowded(t *testing.T, capacity int, work time.Duration) *crowded {
	t.Helper()
	c := &crowded{}
	slots := make(chan struct{}, capacity)
	c.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		began, inside := time.Now(), c.inside.Add(1)
		defer c.inside.Add(-1)
		select {
		case slots <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		hold(r, work)
		<-slots
		c.mu.Lock()
		c.took, c.most = append(c.took, time.Since(began)), max(c.most, inside)
		c.mu.Unlock()
		io.WriteString(w, "ok")
	})
	return c
}

// since forgets what was, and returns what has come by the time f returns.
func (c *crowded) since(f func()) (took []time.Duration, most int64) {
	c.mu.Lock()
	c.took, c.most = nil, 0
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	return c.took, c.most
}

// crowd is clients that send one request after the other until ctx ends.
type crowd struct {
	served, refused, other atomic.Int64
}

func (p *process) crowd(ctx context.Context, wg *sync.WaitGroup, port, clients int, priority string) *crowd {
	c := &crowd{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	p.t.Cleanup(client.CloseIdleConnections)
	for range clients {
		wg.Go(func() {
			pause := time.NewTicker(100 * time.Millisecond) // after a refusal
			defer pause.Stop()
			for ctx.Err() == nil {
				r, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
				r.Header.Set("X-Priority", priority)
				resp, err := client.Do(r)
				if err != nil {
					if ctx.Err() == nil {
						c.other.Add(1)
					}
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				switch {
				case resp.StatusCode == 200:
					c.served.Add(1)
				case resp.Header.Get("X-Gridway-Reason") == "AdmissionDenied":
					c.refused.Add(1)
					<-pause.C
				default:
					c.other.Add(1)
				}
			}
		})
	}
	return c
}

// A gateway that starts in the middle of an overload, and has never seen its
// backend otherwise, finds out all the same what that can do. From then on
// requests of high priority are served, soon, and those of low priority wait or
// are refused.
func TestAdmissionLearnsUnderOverload(t *testing.T) {
	const capacity, work = 4, 40 * time.Millisecond
	app := startCrowded(t, capacity, work)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr), policyDoc("app", "HTTPRoute", "app", `
admission: {initialConcurrency: 60, maxQueue: 8, queueTimeout: 500ms, priorityHeader: X-Priority}
`)))
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	low := p.crowd(ctx, &clients, port, 80, "1")
	limit := func() float64 { return p.metric("gridway_admission_limit") }
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	until := func(what string, cond func() bool) {
		t.Helper()
		for began := time.Now(); !cond(); <-tick.C {
			if time.Since(began) > 12*patience { // the machine may have other things to do
				t.Fatalf("%s: not within %v", what, 12*patience)
			}
		}
	}
	until("the limit is found", func() bool { return limit() <= 3*capacity })
	high := p.crowd(ctx, &clients, port, 2, "9")
	refused := low.refused.Load()
	took, most := app.since(func() {
		until("some of high priority are served", func() bool { return high.served.Load() >= 25 && low.refused.Load() > refused })
	})
	t.Logf("limit %v; %d at a time in the backend, p50 %v, p90 %v; high priority: %d served, %d refused; low: %d served, %d refused",
		limit(), most, took[len(took)/2], took[len(took)*9/10], high.served.Load(), high.refused.Load(), low.served.Load(), low.refused.Load())
	if most > 6*capacity {
		t.Errorf("%d were in a backend that does %d at a time", most, capacity)
	}
	if p50 := took[len(took)/2]; p50 > 8*work { // without a limit it is twenty times
		t.Errorf("half of the requests took more than %v in a backend that takes %v", p50, work)
	}
	if high.refused.Load()*5 > high.served.Load() {
		t.Errorf("%d of high priority were refused, %d served", high.refused.Load(), high.served.Load())
	}
	if low.refused.Load() == refused {
		t.Error("none of low priority was refused: there was no overload")
	}
	if n := low.other.Load() + high.other.Load(); n > 0 {
		t.Errorf("%d requests failed otherwise", n)
	}
	seen := float64(low.refused.Load())
	if n := p.metric("gridway_admission_decisions_total", `result="refused"`) + p.metric("gridway_admission_decisions_total", `result="displaced"`) +
		p.metric("gridway_admission_decisions_total", `result="expired"`); n < seen {
		t.Errorf("%v refusals in the metrics, %v seen", n, seen)
	}
}

// What never was the backend's work says nothing about it: clients that are
// slow to take their responses, streams, and answers of the gateway's own.
func TestAdmissionIsNotMisledBySlowClients(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/big":
			w.Write(make([]byte, 8<<20))
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			hold(r, 20*time.Millisecond)
			io.WriteString(w, "ok")
		}
	})
	g := serveYAML(t, edge(`
admission: {minConcurrency: 1, initialConcurrency: 10, maxConcurrency: 10, maxQueue: 0}
`, app.addr))
	state := func(family string) float64 {
		for _, s := range g.proxy.Admission() {
			switch family {
			case "held":
				return float64(s.InFlight)
			case "latency":
				return s.Recent.Seconds()
			}
		}
		return -1
	}
	for range 10 { // as many streams as there are places
		c := g.dial()
		c.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
	if n := state("held"); n != 0 {
		t.Errorf("%v streams hold places", n)
	}
	slow := g.dial()
	slow.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := slow.r.ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatal(line, err)
	}
	if n := state("held"); n != 1 {
		t.Errorf("%v places are held by a download", n)
	}
	for began := time.Now(); time.Since(began) < time.Second; {
		if resp, _ := g.get("/"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
	}
	slow.Close()
	eventually(t, "the download is over", func() bool { return state("held") == 0 })
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		g.get("/")
	}
	if s := state("latency"); s < 0.015 || s > 0.5 {
		t.Errorf("the backend's latency is taken for %v s", s)
	}
}
