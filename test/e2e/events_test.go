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
						app, next, gone := serveEvents(t)
						policy := "timeouts: {idle: 1h}"
						if by == "StreamTimeout" {
							policy = "timeouts: {idle: 1h, maxStream: 3s}"
						}
						if compress {
							policy += "\ncompression: {}"
						}
						g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), backendDoc("app", app.addr)+"  protocol: "+up+"\n", policyDoc("app", "HTTPRoute", "app", policy)))
						req, _ := withCancel(t, "http://"+g.addr+"/events")
						if compress {
							req.Header.Set("Accept-Encoding", "gzip")
						}
						client := g.eventClient(down)
						resp, err := client.Do(req)
						if err != nil {
							t.Fatal(err)
						}
						defer resp.Body.Close()
						give(t, next, "data: 1\n\n")
						want := "data: 1\n\n"
						ended := make(chan error, 1)
						if by == "Draining" {
							give(t, next, "data: 2\n") // and the rest comes after the drain has begun
							go func() {
								ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
								defer cancel()
								ended <- g.proxy.Shutdown(ctx)
							}()
							time.AfterFunc(300*time.Millisecond, func() { give(t, next, "data: too\n\n") })
							want += "data: 2\ndata: too\n\n"
						} else {
							ended <- nil
						}
						var body io.Reader = resp.Body
						if compress {
							if body, err = gzip.NewReader(body); err != nil {
								t.Fatal(err)
							}
						}
						if got, err := io.ReadAll(body); err != nil || string(got) != want {
							t.Errorf("%q %v", got, err)
						}
						saw(t, gone)
						if err := <-ended; err != nil {
							t.Error(err)
						}
						g.logged(`"status":200`, `"flags":"`+by+`"`)
					})
				}
			}
		}
	}
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
