package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// harness is a proxy with one listener on a free port and routes to real servers.
type harness struct {
	t     *testing.T
	proxy *proxy.Proxy
	cfg   *ir.Config
	addr  string
	// signals are what it counts by edge of the service graph.
	signals *signal.Observer
	taps    *tap.Set
}

// start runs a proxy with a rule that sends everything to backend; change may
// edit the configuration first.
func start(t *testing.T, backends []string, change ...func(*ir.Config)) *harness {
	t.Helper()
	signals, taps := &signal.Observer{Recorder: signal.New(nil)}, tap.New(tap.Options{})
	h := &harness{t: t, proxy: proxy.New(proxy.Options{IdleGrace: 20 * time.Millisecond, Signals: signals, Taps: taps}), cfg: config(backends...), signals: signals, taps: taps}
	for _, f := range change {
		f(h.cfg)
	}
	h.apply()
	for _, ap := range h.proxy.Listening() {
		h.addr = net.JoinHostPort("127.0.0.1", portOf(ap.Port()))
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.proxy.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return h
}

func (h *harness) apply() {
	h.t.Helper()
	h.cfg.Revision++
	if err := h.proxy.Apply(context.Background(), h.cfg); err != nil {
		h.t.Fatalf("apply: %v", err)
	}
}

func portOf(p uint16) string {
	return strings.TrimPrefix(net.JoinHostPort("", itoa(int(p))), ":")
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func config(backends ...string) *ir.Config {
	cluster := &ir.Cluster{
		Name: "Backend/default/app", Protocol: ir.HTTP, ConnectTimeout: 2 * time.Second, Hash: 1,
		Balance: ir.Balance{Algorithm: ir.RoundRobin},
		Pool:    ir.Pool{MaxIdle: 64, IdleTimeout: time.Minute},
	}
	for _, b := range backends {
		cluster.Endpoints = append(cluster.Endpoints, ir.Endpoint{Address: b, Weight: 1})
	}
	rule := &ir.Rule{
		ID:       "HTTPRoute/default/app/rules/0",
		Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}},
		Backends: []ir.BackendRef{{Cluster: cluster.Name, Weight: 1, Ref: ir.Ref{Kind: "Backend", Namespace: "default", Name: "app"}}},
	}
	return &ir.Config{
		Listeners: []*ir.Listener{{
			Name: "127.0.0.1:0", Address: "127.0.0.1", Protocol: ir.HTTP,
			Client: ir.ClientPolicy{
				XForwarded: true, RequestIDHeader: "X-Request-Id",
				MaxHeaderBytes: 32 << 10, MaxHeaderCount: 100,
				HeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, HandshakeTimeout: 5 * time.Second,
				BodyIdleTimeout: 10 * time.Second,
			},
			Sections: []*ir.Section{{
				Name:   "Gateway/default/edge/http",
				Routes: []ir.Attachment{{Route: "HTTPRoute/default/app", Hostnames: []string{""}}},
			}},
		}},
		Routes:   []*ir.Route{{Name: "HTTPRoute/default/app", Rules: []*ir.Rule{rule}}},
		Clusters: []*ir.Cluster{cluster},
	}
}

// serve runs an HTTP server and returns its address.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func (h *harness) get(path string) (*http.Response, string) {
	h.t.Helper()
	resp, err := http.Get("http://" + h.addr + path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp, string(body)
}

func TestPlainExchange(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen-Host", r.Host)
		w.Header().Set("X-Seen-For", r.Header.Get("X-Forwarded-For"))
		body, _ := io.ReadAll(r.Body)
		w.Write([]byte(r.Method + " " + r.URL.String() + " " + string(body)))
	})
	h := start(t, []string{app})
	for range 3 {
		resp, body := h.get("/a/b?c=d")
		if resp.StatusCode != 200 || body != "GET /a/b?c=d " {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
		if resp.Header.Get("X-Seen-For") != "127.0.0.1" || resp.Header.Get("X-Seen-Host") != h.addr {
			t.Errorf("upstream saw %v", resp.Header)
		}
	}
	resp, err := http.Post("http://"+h.addr+"/post", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "POST /post hello" {
		t.Errorf("got %q", body)
	}
}

func TestLargeBodiesBothWays(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		n, err := io.Copy(w, r.Body)
		if err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
	})
	h := start(t, []string{app})
	for _, size := range []int{1, 4 << 10, 64 << 10, 1<<20 + 7, 10 << 20} {
		want := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(want)
			if chunked {
				body = io.MultiReader(body) // hides the length
			}
			resp, err := http.Post("http://"+h.addr+"/echo", "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != want {
				t.Fatalf("size %d chunked %v: got %d bytes, %v", size, chunked, len(got), err)
			}
		}
	}
}
