package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// overHTTP3 is a client that speaks HTTP/3 and nothing else, to a server of that name.
func overHTTP3(t *testing.T, name string) *http.Client {
	t.Helper()
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4)},
		QUICConfig:      &quic.Config{MaxIdleTimeout: 4 * patience},
	}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 4 * patience}
}

// http3Edge is a gateway with HTTPS and HTTP/3 for a.example. The policy's client
// part is YAML in flow style.
func http3Edge(t *testing.T, client string, docs ...string) *gateway {
	t.Helper()
	return serveYAML(t, http3Config(t, newAuthority(t, "servers"), client, docs...))
}

func http3Config(_ *testing.T, ca *authority, client string, docs ...string) string {
	cert, key := ca.issue("a.example")
	return documents(append([]string{
		gatewayOn("", "{name: https, port: 8443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}"),
		secretDoc("a", cert, key),
		http3Policy(client),
	}, docs...)...)
}

func http3Policy(client string) string {
	return `apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: clients}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  client: {` + client + "}\n"
}

// TestHTTP3Clients sends what clients send to an HTTP/1 and an HTTP/2 server that
// say what they got.
func TestHTTP3Clients(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Got", fmt.Sprintf("%s %s %s %d end=%s", r.Method, r.Host, r.URL, len(body), r.Trailer.Get("X-End")))
		if r.URL.Query().Has("echo") {
			w.Write(body)
		} else {
			w.Write([]byte("ok"))
		}
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	}
	for version, app := range map[string]string{"h1": backendDoc("app", serve(t, handler).addr), "h2": h2cBackend(t, handler)} {
		t.Run(version, func(t *testing.T) {
			g := http3Edge(t, "http3: {}", routeDoc("app", ""), app)
			client := overHTTP3(t, "a.example")
			var all sync.WaitGroup
			for i := range 40 {
				all.Go(func() {
					size := []int{0, 1, 1000, 70_000, 700_000}[i%5]
					body := bytes.Repeat([]byte{byte(i)}, size)
					r, _ := http.NewRequest("POST", "https://"+g.addr+fmt.Sprintf("/p%d?echo&x=1", i), bytes.NewReader(body))
					r.Host = "a.example"
					if i%2 == 0 {
						r.ContentLength = -1
						r.Body = io.NopCloser(bytes.NewReader(body))
						r.Trailer = http.Header{"X-End": {"yes"}}
					}
					resp, err := client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					got, err := io.ReadAll(resp.Body)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
					}
					want := fmt.Sprintf("POST a.example /p%d?echo&x=1 %d end=", i, size)
					if i%2 == 0 {
						want += "yes"
					}
					if h := resp.Header.Get("X-Got"); h != want {
						t.Errorf("the server got %q, not %q", h, want)
					}
					if resp.ProtoMajor != 3 || resp.Trailer.Get("X-Sum") != fmt.Sprint(size) {
						t.Errorf("answered over %s with trailer %v", resp.Proto, resp.Trailer)
					}
				})
			}
			all.Wait()
			if n := g.metric("gridway_listener_http3_connections_accepted_total"); n != 1 {
				t.Errorf("%v connections for all requests", n)
			}
			eventually(t, "no stream to be open", func() bool { return g.metric("gridway_listener_http3_streams") == 0 })
			if e := g.logged(`"protocol":"HTTP/3"`, `"tls_version":"1.3"`); e == "" {
				t.Error("the access log does not say HTTP/3")
			}
		})
	}
}

// h2cBackend is a server that speaks HTTP/2 without TLS, as the Backend "app".
func h2cBackend(t *testing.T, h http.HandlerFunc) string {
	addr, _ := h2Server(t, 100, h)
	return strings.Replace(backendDoc("app", addr), "spec:\n", "spec:\n  protocol: h2c\n", 1)
}

// TestHTTP3Semantics: HEAD, interim responses, errors of Gridway's own, and how the
// forwarding headers look.
func TestHTTP3Semantics(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("X-Proto", r.Header.Get("X-Forwarded-Proto"))
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		w.Header().Set("Content-Length", "5")
		w.Header().Set("Alt-Svc", `h3=":1"`)
		io.WriteString(w, "hello")
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr))
	client := overHTTP3(t, "a.example")
	do := func(method, path, host string) (*http.Response, string) {
		t.Helper()
		r, _ := http.NewRequest(method, "https://"+g.addr+path, nil)
		r.Host = host
		var hints []string
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			},
		}))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		if path == "/hints" && !slices.Equal(hints, []string{"103</a.css>; rel=preload"}) {
			t.Errorf("interim responses: %q", hints)
		}
		return resp, string(b)
	}
	if resp, body := do("GET", "/", "a.example"); body != "hello" || resp.Header.Get("X-Proto") != "https" || resp.Header.Get("X-For") != "127.0.0.1" {
		t.Errorf("%q, %v", body, resp.Header)
	}
	if resp, body := do("HEAD", "/", "a.example"); body != "" || resp.ContentLength != 5 {
		t.Errorf("HEAD: %q, length %d", body, resp.ContentLength)
	}
	if resp, body := do("GET", "/none", "a.example"); resp.StatusCode != 204 || body != "" {
		t.Errorf("204: %d, %q", resp.StatusCode, body)
	}
	do("GET", "/hints", "a.example")
	resp, _ := do("GET", "/", "b.example")
	want(t, resp, 404, "RouteNotFound")
	resp, _ = do("CONNECT", "", "a.example:443")
	want(t, resp, 405, "BadRequest")
}

// TestHTTP3Announced: responses over TCP tell of HTTP/3 while it is served, and
// that it is no more.
func TestHTTP3Announced(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Alt-Svc", `h3=":1"`) })
	ca := newAuthority(t, "servers")
	route, backend := routeDoc("app", ""), backendDoc("app", app.addr)
	g := serveYAML(t, http3Config(t, ca, "http3: {}", route, backend))
	announced := func() string {
		t.Helper()
		resp, _, err := g.over(&tls.Config{ServerName: "a.example", InsecureSkipVerify: true}, "a.example")
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("Alt-Svc")
	}
	port := g.addr[strings.LastIndexByte(g.addr, ':'):]
	if got, want := announced(), fmt.Sprintf(`h3=%q; ma=86400`, port); got != want {
		t.Errorf("announced %q, not %q", got, want)
	}
	g.apply(http3Config(t, ca, "http3: {altSvc: {maxAge: 60s, port: 443}}", route, backend))
	if got := announced(); got != `h3=":443"; ma=60` {
		t.Errorf("announced %q", got)
	}
	client := overHTTP3(t, "a.example")
	get := func() error {
		r, _ := http.NewRequest("GET", "https://"+g.addr+"/", nil)
		r.Host = "a.example"
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	g.apply(http3Config(t, ca, "http3: {enabled: false}", route, backend))
	if got := announced(); got != "clear" {
		t.Errorf("announced %q once it was switched off", got)
	}
	g.apply(http3Config(t, ca, "http3: {altSvc: {maxAge: 0s}}", route, backend))
	if got := announced(); got != "clear" {
		t.Errorf("announced %q where it is not to be", got)
	}
	client = overHTTP3(t, "a.example")
	eventually(t, "HTTP/3 to be served again", func() bool { return g.proxy.Reopen(t.Context()) == nil && get() == nil })
}

// TestHTTP3Drain: what is under way when the gateway stops comes to its end, and
// the client is told to go.
func TestHTTP3Drain(t *testing.T) {
	t.Parallel()
	arrived, proceed := make(chan struct{}), make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-proceed
		io.WriteString(w, strings.Repeat("x", 300_000))
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr))
	client := overHTTP3(t, "a.example")
	type answer struct {
		n   int
		err error
	}
	got := make(chan answer, 1)
	go func() {
		r, _ := http.NewRequest("GET", "https://"+g.addr+"/", nil)
		r.Host = "a.example"
		resp, err := client.Do(r)
		if err != nil {
			got <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		got <- answer{len(b), err}
	}()
	<-arrived
	over := make(chan error, 1)
	go func() { over <- g.proxy.Shutdown(t.Context()) }()
	eventually(t, "the drain to begin", func() bool { return len(g.proxy.Listening()) == 0 })
	select {
	case err := <-over:
		t.Fatalf("the drain did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	if a := <-got; a.err != nil || a.n != 300_000 {
		t.Errorf("%d bytes, %v", a.n, a.err)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if n := g.metric("gridway_listener_http3_goaways_total", `reason="Drain"`); n != 1 {
		t.Errorf("%v connections were told to go", n)
	}
}
