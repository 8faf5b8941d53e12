package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serveEvents runs an endpoint whose streams send an event each time that
// something is written to next, and tells when a client has gone.
func serveEvents(t *testing.T) (app *server, next chan string, gone chan struct{}) {
	t.Helper()
	next, gone = make(chan string), make(chan struct{}, 16)
	app = serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(200)
		for {
			http.NewResponseController(w).Flush()
			select {
			case s := <-next:
				if s == "abort" {
					panic(http.ErrAbortHandler)
				}
				io.WriteString(w, s)
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			}
		}
	})
	return app, next, gone
}

// give lets an endpoint have what it waits for.
func give(t *testing.T, to chan string, s string) {
	t.Helper()
	select {
	case to <- s:
	case <-time.After(6 * patience):
		t.Errorf("the endpoint does not take %q", s)
	}
}

// eventClient is a client of either protocol.
func (g *gateway) eventClient(protocol string) *http.Client {
	if protocol == "h2" {
		return http2Client(g.t, nil)
	}
	return g.client
}

func withCancel(t *testing.T, url string) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req, cancel
}

// Each event is passed on before the next one is made, whatever the policies.
func TestEventsAreNotHeld(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{
		"plain":       "timeouts: {idle: 1h}",
		"compression": "compression: {}",
		"buffering":   "buffer: {responseBytes: 1048576}",
		"hedging":     "hedge: {delay: 1h}\nretry: {attempts: 2}",
	} {
		for _, down := range []string{"h1", "h2"} {
			for _, up := range []string{"http", "h2c"} {
				t.Run(name+" "+down+" to "+up, func(t *testing.T) {
					t.Parallel()
					app, next, gone := serveEvents(t)
					g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), backendDoc("app", app.addr)+"  protocol: "+up+"\n", policyDoc("app", "HTTPRoute", "app", policy)))
					req, cancel := withCancel(t, "http://"+g.addr+"/events")
					req.Header.Set("Accept-Encoding", "gzip")
					resp, err := g.eventClient(down).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					var body io.Reader = resp.Body
					var r *bufio.Reader
					for i := range 5 {
						give(t, next, fmt.Sprintf("data: %d\n\n", i))
						if r == nil {
							if resp.Header.Get("Content-Encoding") == "gzip" {
								if body, err = gzip.NewReader(body); err != nil {
									t.Fatal(err)
								}
							} else if name == "compression" {
								t.Error("not compressed")
							}
							r = bufio.NewReader(body)
						}
						for _, want := range []string{fmt.Sprintf("data: %d\n", i), "\n"} {
							if line, err := r.ReadString('\n'); err != nil || line != want {
								t.Fatalf("event %d: %q %v", i, line, err)
							}
						}
					}
					cancel() // the client is gone, and the endpoint hears of it
					saw(t, gone)
					g.logged(`"path":"/events"`, `"flags":"ClientGone"`)
				})
			}
		}
	}
}

// An endpoint that fails in the middle does not look as if it had ended.
func TestEventsOfAnEndpointThatFails(t *testing.T) {
	t.Parallel()
	for _, down := range []string{"h1", "h2"} {
		app, next, _ := serveEvents(t)
		g := serveYAML(t, edge("", app.addr))
		req, _ := withCancel(t, "http://"+g.addr+"/events")
		resp, err := g.eventClient(down).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		give(t, next, "data: 1\n\n")
		give(t, next, "abort")
		if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "data: 1\n\n" {
			t.Errorf("%s: %q %v", down, body, err)
		}
		resp.Body.Close()
		g.logged(`"flags":"UpstreamReset"`)
	}
}

// A drain, and the end of its time, end a stream between two events, as if the
// endpoint had: the client connects again and has missed nothing.
func TestEventsEndBetweenTwo(t *testing.T) {
	t.Parallel()
	for _, compress := range []bool{false, true} {
		for _, down := range []string{"h1", "h2"} {
			for _, up := range []string{"http", "h2c"} {
				for _, by := range []string{"Draining", "StreamTimeout"} {
					t.Run(fmt.Sprintf("%s %s to %s, compressed %v", by, down, up, compress), func(t *testing.T) {
						t.Parallel()
						end := endedEvents{t: t, compress: compress, down: down, up: up}
						if by == "Draining" {
							end.drain()
							return
						}
						// On a slow machine the time may be over before the first event.
						for life := 500 * time.Millisecond; !end.overdue(life); life *= 4 {
							if life > time.Minute {
								t.Fatal("the machine is too slow")
							}
						}
					})
				}
			}
		}
	}
}

// endedEvents is a stream that Gridway ends.
type endedEvents struct {
	t        *testing.T
	compress bool
	down, up string
}

// open asks for the stream; policy has its limits.
func (e *endedEvents) open(timeouts string, app *server) (*gateway, *http.Response) {
	e.t.Helper()
	policy := "timeouts: {" + timeouts + "}"
	if e.compress {
		policy += "\ncompression: {}"
	}
	g := serveYAML(e.t, documents(gatewayDoc, routeDoc("app", ""), backendDoc("app", app.addr)+"  protocol: "+e.up+"\n", policyDoc("app", "HTTPRoute", "app", policy)))
	req, _ := withCancel(e.t, "http://"+g.addr+"/events")
	if e.compress {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := g.eventClient(e.down).Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { resp.Body.Close() })
	return g, resp
}

// body is what the endpoint has sent.
func (e *endedEvents) body(resp *http.Response) io.Reader {
	e.t.Helper()
	if !e.compress {
		return resp.Body
	}
	body, err := gzip.NewReader(resp.Body)
	switch {
	case err == io.EOF:
		return strings.NewReader("")
	case err != nil:
		e.t.Fatal(err)
	}
	return body
}

// all reads the stream to its end, which has to be one.
func (e *endedEvents) all(body io.Reader) string {
	e.t.Helper()
	got, err := io.ReadAll(body)
	if err != nil {
		e.t.Errorf("after %q: %v", got, err)
	}
	return string(got)
}

func (e *endedEvents) drain() {
	app, next, gone := serveEvents(e.t)
	g, resp := e.open("idle: 1h", app)
	give(e.t, next, "data: 1\n\n")
	give(e.t, next, "data: 2\n") // and the rest comes after the drain has begun
	body, begun := e.body(resp), make([]byte, len("data: 1\n\ndata: 2\n"))
	if _, err := io.ReadFull(body, begun); err != nil {
		e.t.Fatal(err)
	}
	ended, given := make(chan error, 1), make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
		defer cancel()
		ended <- g.proxy.Shutdown(ctx)
	}()
	time.AfterFunc(300*time.Millisecond, func() {
		defer close(given)
		give(e.t, next, "data: too\n\n")
	})
	if got := e.all(body); got != "data: too\n\n" {
		e.t.Errorf("%q and %q", begun, got)
	}
	<-given
	saw(e.t, gone)
	if err := <-ended; err != nil {
		e.t.Error(err)
	}
	g.logged(`"status":200`, `"flags":"Draining"`)
}

// overdue tells whether the machine was quick enough for a stream of that life.
func (e *endedEvents) overdue(life time.Duration) bool {
	gone := make(chan struct{}, 1)
	app := serveProtocols(e.t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	begun := time.Now()
	g, resp := e.open(fmt.Sprintf("idle: 1h, maxStream: %v", life), app)
	if resp.StatusCode != 200 && time.Since(begun) > life {
		return false
	}
	got := e.all(e.body(resp))
	if got == "" && time.Since(begun) > life {
		return false
	}
	if got != "data: 1\n\n" {
		e.t.Errorf("%q", got)
	}
	saw(e.t, gone)
	g.logged(`"status":200`, `"flags":"StreamTimeout"`)
	return true
}

// Long polling is a slow answer: nothing is sent while it waits, and the client
// that gives up is gone for the endpoint.
func TestLongPolling(t *testing.T) {
	t.Parallel()
	gone, answer := make(chan struct{}, 1), make(chan string)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case s := <-answer:
			io.WriteString(w, s)
		case <-r.Context().Done():
			gone <- struct{}{}
		}
	})
	g := serveYAML(t, edge("timeouts: {idle: 100ms}", app.addr)) // which is for bodies
	for _, down := range []string{"h1", "h2"} {
		time.AfterFunc(400*time.Millisecond, func() { give(t, answer, "news") })
		req, _ := withCancel(t, "http://"+g.addr+"/poll")
		resp, err := g.eventClient(down).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "news" {
			t.Errorf("%s: %q %v", down, body, err)
		}
		resp.Body.Close()
		req, cancel := withCancel(t, "http://"+g.addr+"/poll?"+strings.Repeat("x", 3))
		asked := app.requests.Load()
		go func() {
			eventually(t, "the endpoint is asked", func() bool { return app.requests.Load() > asked })
			cancel()
		}()
		if _, err := g.eventClient(down).Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", down, err)
		}
		saw(t, gone)
	}
}
