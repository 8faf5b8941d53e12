package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// within fails if f takes less than least or more than most.
func within(t *testing.T, least, most time.Duration, f func()) {
	t.Helper()
	begun := time.Now()
	f()
	if d := time.Since(begun); d < least || d > most {
		t.Errorf("took %v, want %v to %v", d, least, most)
	}
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge(`timeouts: {connect: 150ms}`, blackhole(t)))
	within(t, 140*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 502, "UpstreamConnectFailure")
	})
	g.logged(`"flags":"UpstreamConnectFailure"`, `"status":502`)
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("", refused(t)))
	within(t, 0, time.Second, func() {
		resp, body := g.get("/")
		want(t, resp, 502, "UpstreamConnectFailure")
		if !strings.Contains(body, `"reason":"UpstreamConnectFailure"`) || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("not problem JSON: %s", body)
		}
	})
	if n := g.metric("gridway_cluster_connect_failures_total"); n == 0 {
		t.Error("no metric of the failed connection")
	}
}

func TestRequestTimeoutBeforeTheResponse(t *testing.T) {
	t.Parallel()
	cancelled := make(chan struct{})
	app := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(cancelled)
	})
	g := serveYAML(t, edge(`timeouts: {request: 150ms}`, app.addr))
	within(t, 140*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 504, "UpstreamTimeout")
	})
	select {
	case <-cancelled:
	case <-time.After(onBusy):
		t.Error("the request upstream was not cancelled")
	}
	g.logged(`"flags":"UpstreamTimeout"`, `"status":504`)
}

func TestRequestTimeoutInTheBodyCutsTheResponse(t *testing.T) {
	t.Parallel()
	for name, chunked := range map[string]bool{"chunked": true, "length": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !chunked {
					w.Header().Set("Content-Length", "1000")
				}
				for r.Context().Err() == nil {
					io.WriteString(w, "tick\n")
					w.(http.Flusher).Flush()
					hold(r, 20*time.Millisecond)
				}
			})
			g := serveYAML(t, edge(`timeouts: {request: 200ms}`, app.addr))
			within(t, 190*time.Millisecond, 2*time.Second, func() {
				resp, body, err := g.do(g.request("GET", "/", nil))
				if err == nil {
					t.Fatalf("a response that was cut looks complete: %v %q", resp.Status, body)
				}
				if !strings.HasPrefix(body, "tick\ntick\n") {
					t.Errorf("body %q", body)
				}
			})
			g.logged(`"flags":"UpstreamTimeout"`, `"status":200`)
		})
	}
}

// The route's own timeouts say the same as a policy, and win over it.
func TestRouteTimeoutsWin(t *testing.T) {
	t.Parallel()
	app := startPeer(t, hangs)
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", "timeouts: {request: 100ms}"), backendDoc("app", app.addr),
		policyDoc("app", "HTTPRoute", "app", "timeouts: {request: 1h}")))
	within(t, 90*time.Millisecond, 2*time.Second, func() {
		resp, _ := g.get("/")
		want(t, resp, 504, "UpstreamTimeout")
	})
}

func TestTimeoutPerTry(t *testing.T) {
	t.Parallel()
	hung, good := startPeer(t, hangs), named(t, "good")
	g := serveYAML(t, edge(`
timeouts: {backendRequest: 100ms, request: 3s}
retry: {attempts: 2, retryOn: [Timeout]}
loadBalancer: {algorithm: RoundRobin}
`, hung.addr, good.addr))
	for range 4 {
		within(t, 0, time.Second, func() {
			resp, body := g.get("/")
			want(t, resp, 200, "")
			if body != "good" {
				t.Errorf("body %q", body)
			}
		})
	}
	if hung.heads.Load() == 0 && hung.conns.Load() == 0 {
		t.Error("the hung endpoint was never tried")
	}
}

func TestIdleTimeoutOfAResponse(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
		c.untilClosed()
	})
	g := serveYAML(t, edge(`timeouts: {idle: 150ms}`, app.addr))
	within(t, 140*time.Millisecond, 2*time.Second, func() {
		_, body, err := g.do(g.request("GET", "/", nil))
		if err == nil || body != "only this" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// Silence counts, not length: a stream that goes on outlives the idle time.
func TestIdleTimeoutLetsStreamsLive(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 8 {
			io.WriteString(w, "tick\n")
			w.(http.Flusher).Flush()
			hold(r, 40*time.Millisecond)
		}
	})
	g := serveYAML(t, edge(`timeouts: {idle: 200ms}`, app.addr))
	_, body := g.get("/")
	if body != strings.Repeat("tick\n", 8) {
		t.Errorf("body %q", body)
	}
}

func TestMaxStream(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "tick\n")
			w.(http.Flusher).Flush()
			hold(r, 10*time.Millisecond)
		}
	})
	g := serveYAML(t, edge(`timeouts: {maxStream: 250ms}`, app.addr))
	within(t, 240*time.Millisecond, 2*time.Second, func() {
		if _, body, err := g.do(g.request("GET", "/", nil)); err == nil || len(body) < 25 {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
}

// A client that waits to be asked for its body is not late; once it was asked,
// it is its turn.
func TestTimeoutPerTryOfAnExpectation(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	hung := startPeer(t, hangs)
	g := serveYAML(t, edge("timeouts: {backendRequest: 300ms}", hung.addr))
	within(t, 290*time.Millisecond, 3*time.Second, func() {
		c := g.dial()
		c.send(head)
		resp, _ := c.mustRespond("POST")
		want(t, resp, 504, "UpstreamTimeout")
	})
	if e := g.endpoints()[0]; e.Failures != 1 {
		t.Errorf("%d failures of the endpoint", e.Failures)
	}

	asks := bodySum(t, 0)
	g = serveYAML(t, edge("timeouts: {backendRequest: 300ms}", asks.addr))
	c := g.dial()
	c.send(head)
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 100 {
		t.Fatal(resp, err)
	}
	for range 5 {
		<-time.NewTimer(100 * time.Millisecond).C
		c.send("x")
	}
	resp, _ := c.mustRespond("POST")
	want(t, resp, 200, "")
	if e := g.endpoints()[0]; e.Failures != 0 {
		t.Errorf("%+v", e)
	}
}

// A stream that lived as long as it may is cut, and nobody has failed: neither
// an endpoint that had more to say nor one whose client reads slowly.
func TestTimeThatIsOverIsNotTheEndpointsFailure(t *testing.T) {
	t.Parallel()
	long := func(t *testing.T) *server {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "67108864")
			for r.Context().Err() == nil {
				if r.URL.Path == "/fast" {
					io.CopyN(w, zeros{}, 64<<20)
				} else {
					io.WriteString(w, "tick\n")
					w.(http.Flusher).Flush()
				}
				hold(r, 5*time.Millisecond)
			}
		})
	}
	for _, timeouts := range []string{"{maxStream: 200ms}", "{request: 200ms}"} {
		for _, path := range []string{"/slow", "/fast"} {
			t.Run(timeouts+path, func(t *testing.T) {
				t.Parallel()
				g := serveYAML(t, edge("timeouts: "+timeouts+`
circuitBreaker: {failureRate: {minRequests: 1, percent: 1}}
outlierDetection: {consecutive5xx: 1, baseEjection: 1h}`, long(t).addr, long(t).addr))
				for range 3 {
					c := g.dial()
					c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
					resp, err := http.ReadResponse(c.r, nil)
					if err != nil {
						t.Fatal(err)
					}
					want(t, resp, 200, "")
					for tick := time.NewTicker(5 * time.Millisecond); err == nil; <-tick.C { // it is in no hurry
						_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
					}
					if !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("%v", err)
					}
				}
				eventually(t, "all are accounted for", func() bool { return strings.Count(g.entries.String(), `"UpstreamTimeout"`) == 3 })
				for _, e := range g.endpoints() {
					if e.State != "healthy" || e.Failures != 0 {
						t.Errorf("%+v", e)
					}
				}
			})
		}
	}
}

func TestIdleTimeoutOfAnUpgrade(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
		c.untilClosed()
	})
	g := serveYAML(t, edge(`timeouts: {idle: 200ms}`, app.addr))
	c := g.dial()
	within(t, 190*time.Millisecond, 3*time.Second, func() {
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		if rest := c.rest(); rest != "hello" {
			t.Errorf("read %q", rest)
		}
	})
}

// dripping is a body that comes in pieces of one byte.
type dripping struct {
	left  int
	every time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	d.left--
	<-time.NewTimer(d.every).C
	p[0] = 'x'
	return 1, nil
}

// The time that a client takes to send its body is not the endpoint's: it ends
// no try, ejects nobody, and is no latency.
func TestSlowUploadIsNotHeldAgainstTheEndpoint(t *testing.T) {
	t.Parallel()
	const judged = "\noutlierDetection: {consecutive5xx: 1, baseEjection: 1h, maxPercent: 100}\nloadBalancer: {algorithm: PeakEWMA, panicThreshold: 0}"
	for name, c := range map[string]struct {
		policy, reason string
		status         int
	}{
		"streamed":                 {"timeouts: {backendRequest: 500ms}", "", 200},
		"buffered":                 {"timeouts: {backendRequest: 500ms}\nbuffer: {requestBytes: 1000}", "", 200},
		"request streamed":         {"timeouts: {request: 500ms}", "RequestTimeout", 408},
		"request buffered":         {"timeouts: {request: 500ms}\nbuffer: {requestBytes: 1000}", "RequestTimeout", 408},
		"try and request streamed": {"timeouts: {backendRequest: 300ms, request: 500ms}", "RequestTimeout", 408},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, other := bodySum(t, 0), bodySum(t, 0)
			g := serveYAML(t, edge(c.policy+judged, app.addr, other.addr))
			for range 2 {
				resp, _, err := g.do(g.request("POST", "/", &dripping{left: 10, every: 80 * time.Millisecond}))
				if err != nil {
					t.Fatal(err)
				}
				want(t, resp, c.status, c.reason)
			}
			for _, e := range g.endpoints() {
				if e.State != "healthy" || e.Failures != 0 || e.Latency > 400*time.Millisecond {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// An endpoint that does not take the body, or takes it and is silent, is late
// itself.
func TestUploadsToHungEndpointsTimeOut(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]script{
		"does not read":    func(c *peerConn) { <-c.p.ended },
		"does not answer":  hangs,
		"reads only a bit": func(c *peerConn) { c.head(); <-c.p.ended },
	} {
		for _, timeouts := range []string{"{backendRequest: 300ms}", "{request: 300ms}"} {
			t.Run(name+timeouts, func(t *testing.T) {
				t.Parallel()
				hung := startPeer(t, deaf)
				g := serveYAML(t, edge("timeouts: "+timeouts, hung.addr))
				within(t, 290*time.Millisecond, 3*time.Second, func() {
					const size = 12 << 20 // more than sockets hold
					c := g.dial()
					c.send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
					go io.CopyN(c.Conn, zeros{}, size)
					resp, _ := c.mustRespond("POST")
					want(t, resp, 504, "UpstreamTimeout")
				})
				if e := g.endpoints()[0]; e.Failures != 1 {
					t.Errorf("%d failures of the endpoint", e.Failures)
				}
			})
		}
	}
}

// A client that does not read its response must not be held against the endpoint.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "67108864")
		io.CopyN(w, zeros{}, 64<<20)
	})
	g := serveYAML(t, edgeWith(`client: {timeouts: {bodyIdle: 200ms}}`,
		`outlierDetection: {consecutive5xx: 1, maxPercent: 100}`, []string{app.addr}))
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	line := g.logged(`"status":200`)
	if strings.Contains(line, "Upstream") {
		t.Errorf("the endpoint is blamed for a slow client: %s", line)
	}
	if n := g.metric("gridway_cluster_outlier_ejections_total"); n != 0 {
		t.Error("the endpoint was ejected for a slow client")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
