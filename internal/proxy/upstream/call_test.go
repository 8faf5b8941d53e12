package upstream_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
)

// question is a call with what a passing test never meets as its bounds.
func question(path string, body string) *callout.Call {
	q := &callout.Call{Timeout: 30 * time.Second, MaxAnswer: 1 << 10, Body: []byte(body)}
	q.Request.Method, q.Request.MethodID, q.Request.Path = []byte("POST"), httpmsg.MethodPost, []byte(path)
	q.Request.Header.Add([]byte("X-Asked"), []byte("yes"))
	return q
}

// answering serves both HTTP/1.1 and, without TLS, HTTP/2.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// loopedSet has event loops, without which there is no HTTP/2.
func loopedSet(t *testing.T, clusters ...*ir.Cluster) *upstream.Set {
	t.Helper()
	loops, err := loop.NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	s := upstream.New(upstream.Options{Loops: loops})
	t.Cleanup(func() { s.Close(); loops.Close() })
	if err := s.Apply(clusters); err != nil {
		t.Fatal(err)
	}
	return s
}

func kind(err error) string {
	var e *callout.Error
	if errors.As(err, &e) {
		return e.Kind.String()
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func TestCall(t *testing.T) {
	address := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.Host, r.URL.Path, " ", r.Header.Get("X-Asked"), " ", string(body), " ", r.ContentLength))
		switch r.URL.Path {
		case "/long":
			_, _ = w.Write(make([]byte, 1<<10+1))
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "no, "+strings.Repeat("no", 100))
		}
	})
	for _, http2 := range []bool{false, true} {
		cfg := cluster(address)
		cfg.HTTP2, cfg.Host = http2, "auth.example"
		c := loopedSet(t, cfg).Cluster(cfg.Name)
		for range 3 { // the later ones on the connection of the first
			q := question("/check", "body")
			if err := c.Call(q, upstream.CallOn{}); err != nil {
				t.Fatalf("HTTP/2 %v: %v", http2, err)
			}
			seen := string(q.Response.Header.GetString("X-Seen"))
			if q.Response.Status != 403 || seen != "POST auth.example/check yes body 4" || string(q.Answer) != "no, "+strings.Repeat("no", 100) {
				t.Errorf("HTTP/2 %v: %d %q %q", http2, q.Response.Status, seen, q.Answer)
			}
		}
		if got := kind(c.Call(question("/long", ""), upstream.CallOn{})); got != "too-large" {
			t.Errorf("HTTP/2 %v, a long answer: %s", http2, got)
		}
		q := question("/none", "")
		if err := c.Call(q, upstream.CallOn{}); err != nil || q.Response.Status != 204 || len(q.Answer) != 0 {
			t.Errorf("HTTP/2 %v, nothing: %v %d", http2, err, q.Response.Status)
		}
		if s := c.Snapshot(); s.Requests != 0 || s.Endpoints[0].Active != 0 || !http2 && s.Connections > 2 {
			t.Errorf("HTTP/2 %v: something is left: %+v", http2, s)
		}
	}
}

func TestCallHostOfEndpoint(t *testing.T) {
	var host atomic.Value
	cfg := cluster(answering(t, func(_ http.ResponseWriter, r *http.Request) { host.Store(r.Host) }))
	c := loopedSet(t, cfg).Cluster(cfg.Name)
	if err := c.Call(question("/", ""), upstream.CallOn{}); err != nil || host.Load() != cfg.Endpoints[0].Address {
		t.Errorf("%v, host %v", err, host.Load())
	}
}

// A call of gRPC has its status in the trailer, or alone in the head.
func TestUnaryCall(t *testing.T) {
	cfg := cluster(answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc+proto")
		if r.Header.Get("Te") != "trailers" || r.Header.Get("Grpc-Timeout") == "" || r.Header.Get("Content-Type") != "application/grpc" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch r.URL.Path {
		case "/a.B/Echo":
			_, _ = w.Write(body)
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		case "/a.B/Two":
			_, _ = w.Write(append(body, body...))
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		case "/a.B/Zip":
			body[0] = 1
			_, _ = w.Write(body)
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		case "/a.B/Refuse":
			w.Header().Set("Grpc-Status", "7")
			w.Header().Set("Grpc-Message", "not%20you")
		case "/a.B/Web":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/a.B/None":
		}
	}))
	cfg.HTTP2 = true
	c := loopedSet(t, cfg).Cluster(cfg.Name)
	for method, want := range map[string]string{
		"Echo":   "hello",
		"Two":    "protocol: there is not exactly one message",
		"Zip":    "protocol: the message is compressed, which was not asked for",
		"Refuse": "the server says PERMISSION_DENIED: not you",
		"Web":    "the server says UNAVAILABLE: status 503 of HTTP",
		"None":   "protocol: there is no grpc-status",
	} {
		q := &callout.Call{Timeout: 30 * time.Second, MaxAnswer: 100}
		q.Unary("/a.B/"+method, []byte("hello"))
		err := c.Call(q, upstream.CallOn{})
		var got []byte
		if err == nil {
			got, err = q.Message()
		}
		if text := string(got); err != nil && err.Error() != want || err == nil && text != want {
			t.Errorf("%s: %q %v, want %q", method, text, err, want)
		}
	}
	if code := grpc.PermissionDenied.HTTPStatus(); code != 403 {
		t.Error(code)
	}
}

func TestCallFailures(t *testing.T) {
	short := func(path string) *callout.Call {
		q := question(path, "")
		q.Timeout = 50 * time.Millisecond
		return q
	}
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nowhere.Close()
	dead := nowhere.Addr().String()
	alive := answering(t, func(http.ResponseWriter, *http.Request) {})

	for name, one := range map[string]struct {
		cfg  *ir.Cluster
		q    *callout.Call
		want string
	}{
		"no endpoint":        {cluster(), question("/", ""), "no-server"},
		"nobody there":       {cluster(dead), question("/", ""), "connect-failure"},
		"another is there":   {cluster(dead, alive), question("/", ""), "ok"},
		"says nothing":       {cluster(hung(t)), short("/"), "timeout"},
		"is not HTTP":        {cluster(newEcho(t).address), question("/", ""), "protocol"},
		"is not TLS":         {withTLS(cluster(newEcho(t).address)), question("/", ""), "connect-failure"},
		"no place":           {withBreaker(cluster(alive)), question("/", ""), "overload"},
		"no HTTP/2 without ": {withHTTP2(cluster(newEcho(t).address)), short("/"), "timeout|reset|protocol|connect-failure"},
	} {
		c := loopedSet(t, one.cfg).Cluster(one.cfg.Name)
		if one.cfg.Breaker != nil {
			if err := c.Begin(0); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 { // whichever endpoint is picked first
			if got := kind(c.Call(one.q, upstream.CallOn{})); !strings.Contains("|"+one.want+"|", "|"+got+"|") {
				t.Errorf("%s: %s, want %s", name, got, one.want)
			}
		}
	}
}

func withTLS(c *ir.Cluster) *ir.Cluster {
	c.Protocol, c.TLS = ir.HTTPS, &ir.UpstreamTLS{}
	return c
}

func withHTTP2(c *ir.Cluster) *ir.Cluster {
	c.HTTP2 = true
	return c
}

func withBreaker(c *ir.Cluster) *ir.Cluster {
	c.Breaker = &ir.Breaker{MaxRequests: 1}
	return c
}

// A connection that the endpoint closes while a question is on its way is no
// failure of the endpoint's.
func TestCallOnStaleConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			// One answer that promises another, and a close when that is asked for.
			buf := make([]byte, 4<<10)
			if _, err := conn.Read(buf); err == nil {
				served.Add(1)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = conn.Read(buf)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	cfg := cluster(ln.Addr().String())
	set := loopedSet(t, cfg)
	c := set.Cluster(cfg.Name)
	for i := range 2 {
		if err := c.Call(question("/", ""), upstream.CallOn{}); err != nil {
			t.Errorf("question %d: %v", i, err)
		}
	}
	if served.Load() != 2 || c.Snapshot().Endpoints[0].Failures != 0 {
		t.Errorf("%d connections, %+v", served.Load(), c.Snapshot().Endpoints[0])
	}
	set.Close() // the server reads until its connection ends
}

type gone chan struct{}

func (g gone) Gone() bool {
	select {
	case <-g:
		return true
	default:
		return false
	}
}

func TestCallEndsWithItsClient(t *testing.T) {
	client := make(gone)
	entered := make(chan struct{})
	release := make(chan struct{})
	cfg := cluster(answering(t, func(http.ResponseWriter, *http.Request) { close(entered); <-release }))
	c := loopedSet(t, cfg).Cluster(cfg.Name)
	ended := make(chan error)
	go func() { ended <- c.Call(question("/", ""), upstream.CallOn{Watch: client, Gone: client.Gone}) }()
	<-entered
	close(client)
	if got := kind(<-ended); got != "gone" {
		t.Error(got)
	}
	close(release)
}
