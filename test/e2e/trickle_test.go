package e2e

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serveOver runs an endpoint of that protocol and returns its address.
func serveOver(t *testing.T, up string, h http.HandlerFunc) string {
	t.Helper()
	if up == "h3" {
		addr, _ := h3ServerOf(t, 100, h)
		return addr
	}
	return serveProtocols(t, plainProtocols(), h).addr
}

// asker is a client of that version of HTTP, which sends GETs and returns when the
// head of the response has come.
func (g *gateway) asker(version string) func(path string, edits ...edit) *http.Response {
	g.t.Helper()
	scheme, client := "http://", g.eventClient(version)
	if version == "h3" {
		scheme, client = "https://", overHTTP3(g.t, "a.example")
		client.Timeout = 6 * patience
	}
	return func(path string, edits ...edit) *http.Response {
		g.t.Helper()
		req, _ := withCancel(g.t, scheme+g.addr+path)
		req.Host = "a.example"
		for _, f := range edits {
			f(req)
		}
		resp, err := client.Do(req)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
}

// Each byte of a response is passed on before the next one is made, whatever its
// kind, with policies that need not hold it.
func TestResponsesTrickle(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			for _, policy := range []string{"", "compression: {}"} {
				if policy != "" && up != "http" {
					continue // it comes after what the endpoint speaks
				}
				t.Run(fmt.Sprintf("%s to %s %.11s", down, up, policy), func(t *testing.T) {
					t.Parallel()
					next := make(chan string)
					app := serveOver(t, up, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", r.URL.Query().Get("type"))
						if n := r.URL.Query().Get("length"); n != "" {
							w.Header().Set("Content-Length", n)
						}
						w.WriteHeader(200)
						for {
							http.NewResponseController(w).Flush()
							select {
							case s := <-next:
								if s == "" {
									return
								}
								io.WriteString(w, s)
							case <-r.Context().Done():
								return
							}
						}
					})
					g := wsGateway(t, down, up, app, policy)
					ask := g.asker(down)
					for _, kind := range []string{"type=text/plain", "type=text/event-stream", "type=application/octet-stream&length=5", "type=application/octet-stream&length=100000"} {
						resp := ask("/?"+kind, header("Accept-Encoding", "gzip"))
						var body io.Reader = resp.Body
						length, _ := strconv.Atoi(kind[strings.LastIndexByte(kind, '=')+1:])
						if packed := resp.Header.Get("Content-Encoding") == "gzip"; packed != (policy != "" && length == 0) {
							t.Errorf("%s: compressed is %v", kind, packed)
						} else if packed {
							give(t, next, "0") // for the head of the format
							unpacked, err := gzip.NewReader(body)
							if err != nil {
								t.Fatal(err)
							}
							if body = unpacked; !reads(t, body, "0") {
								return
							}
						}
						for i := range 5 {
							b := string(rune('a' + i))
							give(t, next, b)
							if !reads(t, body, b) {
								return
							}
						}
						open := 0.0 // a download is no stream
						if length == 0 {
							open = 1
						}
						if n := g.metric("gridway_route_streams"); n != open {
							t.Errorf("%s: %v streams are open", kind, n)
						}
						if length != 100000 {
							give(t, next, "")
							if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
								t.Errorf("%s: after the end %q, %v", kind, rest, err)
							}
						}
						resp.Body.Close()
						eventually(t, "no stream to be open", func() bool { return g.metric("gridway_route_streams") == 0 })
					}
				})
			}
		}
	}
}

// reads reads exactly that.
func reads(t *testing.T, r io.Reader, want string) bool {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Errorf("%q of %q, %v", got[:n], want, err)
		return false
	}
	return true
}

// A client that connects again where its last stream has ended misses nothing:
// Last-Event-ID reaches the endpoint.
func TestEventsGoOnAfterTheLastOne(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				app := serveOver(t, up, func(w http.ResponseWriter, r *http.Request) {
					last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
					w.Header().Set("Content-Type", "text/event-stream")
					for i := last + 1; i <= last+3; i++ {
						fmt.Fprintf(w, "id: %d\ndata: x\n\n", i)
						http.NewResponseController(w).Flush()
					}
				})
				ask := wsGateway(t, down, up, app, "").asker(down)
				last := 0
				for range 3 {
					resp := ask("/", header("Last-Event-ID", strconv.Itoa(last)), header("Accept", "text/event-stream"))
					for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
						if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
							if last++; id != strconv.Itoa(last) {
								t.Fatalf("event %s instead of %d", id, last)
							}
						}
					}
					resp.Body.Close()
				}
				if last != 9 {
					t.Errorf("%d events", last)
				}
			})
		}
	}
}

// Each route has its own limits for streams: what one cuts goes on with the other.
func TestStreamLimitsByRoute(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				next := make(chan string)
				app := serveOver(t, up, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", r.URL.Query().Get("type"))
					io.WriteString(w, "data: 1\n\n")
					http.NewResponseController(w).Flush()
					if !strings.HasPrefix(r.URL.Path, "/long") {
						<-r.Context().Done()
						return
					}
					select {
					case s := <-next:
						io.WriteString(w, s)
					case <-r.Context().Done():
					}
				})
				config := wsConfig(t, down, up, app, "timeouts: {idle: 1h, maxStream: 1h}")
				for name, limit := range map[string]string{"idle": "idle: 300ms", "old": "idle: 1h, maxStream: 1s"} {
					config = documents(config, strings.Replace(strings.Replace(routeDoc("app", ""), "metadata: {name: app}", "metadata: {name: "+name+"}", 1),
						"  rules:\n  - ", "  rules:\n  - matches: [{path: {value: /"+name+"}}]\n    ", 1),
						policyDoc(name, "HTTPRoute", name, "timeouts: {"+limit+"}"))
				}
				g := serveYAML(t, config)
				ask := g.asker(down)
				long := ask("/long?type=text/plain")
				for _, c := range []struct {
					path, flag string
					whole      bool
				}{
					{"/idle?type=text/plain", "UpstreamTimeout", false},
					{"/idle?type=text/event-stream", "UpstreamTimeout", false},
					{"/old?type=text/plain", "UpstreamTimeout", false},
					{"/old?type=text/event-stream", "StreamTimeout", true},
				} {
					begun := time.Now()
					resp := ask(c.path)
					if slow := time.Since(begun) > 250*time.Millisecond; slow && resp.StatusCode != 200 {
						continue // the time was over before the first byte
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if len(body) > 0 && string(body) != "data: 1\n\n" || (err == nil) != c.whole {
						t.Errorf("%s: %q, %v", c.path, body, err)
					}
					path, _, _ := strings.Cut(c.path, "?")
					g.logged(`"path":"`+path+`"`, `"flags":"`+c.flag+`"`)
				}
				give(t, next, "data: 2\n\n")
				if body, err := io.ReadAll(long.Body); err != nil || string(body) != "data: 1\n\ndata: 2\n\n" {
					t.Errorf("the other route: %q, %v", body, err)
				}
			})
		}
	}
}
