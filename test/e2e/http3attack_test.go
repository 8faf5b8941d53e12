package e2e

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/h3"
)

// neighbour asks on a connection of its own until it is stopped, and fails the
// test if an answer is not what it was.
func neighbour(t *testing.T, g *gateway) (stop func() (asked int)) {
	t.Helper()
	client := overHTTP3(t, "a.example")
	quit, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-quit:
				done <- n
				return
			default:
			}
			r, _ := http.NewRequest("GET", "https://"+g.addr+"/", nil)
			r.Host = "a.example"
			resp, err := client.Do(r)
			if err != nil {
				t.Errorf("the neighbour: %v", err)
				<-quit
				done <- n
				return
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(b) != "fine" {
				t.Errorf("the neighbour got %q, %v", b, err)
			}
			n++
		}
	}()
	return func() int { close(quit); return <-done }
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// attackable is an edge in front of a server that says "fine", or, under /slow,
// nothing until the test ends.
func attackable(t *testing.T, client string) *gateway {
	t.Helper()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "fine")
	})
	return http3Edge(t, client, routeDoc("app", ""), backendDoc("app", app.addr))
}

// TestHTTP3HeaderBombs: heads that are, or stand for, far more than the limit are
// refused before they take memory.
func TestHTTP3HeaderBombs(t *testing.T) {
	g := attackable(t, "http3: {}, limits: {headerBytes: 16384}")
	stop := neighbour(t, g)
	w := dialH3(t, g.addr)
	before := heapInUse()
	for name, b := range map[string][]byte{
		"announced": append(h3.AppendFrameHeader(nil, h3.FrameHeaders, 1<<30), make([]byte, 1000)...),
		"real":      h3head("GET", "/", "x-large", strings.Repeat("x", 60_000)),
		"expanded":  h3frame(h3.FrameHeaders, append(h3section("GET", "/"), bytes.Repeat([]byte{0xf9}, 10_000)...)), // 60 bytes each
	} {
		s, err := w.open(b)
		if s == nil { // what it sends may be refused before it has been sent
			t.Fatalf("%s: %v", name, err)
		}
		if name != "announced" {
			s.Close()
		}
		if status, _, err := w.response(s); status != "431" {
			t.Errorf("%s: %q, %v", name, status, err)
		}
	}
	if grown := int64(heapInUse()) - int64(before); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if stop() == 0 {
		t.Error("the neighbour got no answer")
	}
}

// TestHTTP3RapidReset: a client that gives up all it asks is cut off.
func TestHTTP3RapidReset(t *testing.T) {
	g := attackable(t, "http3: {}")
	stop := neighbour(t, g)
	w := dialH3(t, g.addr)
	sent := 0
	for range 50_000 {
		s, err := w.open(h3head("GET", "/slow"))
		if err != nil {
			break
		}
		s.CancelWrite(quic.StreamErrorCode(h3.RequestCancelled))
		s.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
		sent++
	}
	if code := w.closedWith(); code != h3.ExcessiveLoad {
		t.Errorf("closed with %v after %d", code, sent)
	}
	if n := g.metric("gridway_listener_http3_goaways_total", `reason="RapidReset"`); n != 1 {
		t.Errorf("%v were cut off", n)
	}
	eventually(t, "no stream to be open", func() bool { return g.metric("gridway_listener_http3_streams") <= 1 })
	if stop() == 0 {
		t.Error("the neighbour got no answer")
	}
}

// TestHTTP3StreamFlood: a client has as many requests under way as it may have
// streams, and no more by resetting them.
func TestHTTP3StreamFlood(t *testing.T) {
	g := attackable(t, "http3: {}, limits: {concurrentStreams: 20}")
	stop := neighbour(t, g)
	w := dialH3(t, g.addr)
	opened := 0
	for range 1000 {
		s, err := w.conn.OpenStream()
		if err != nil {
			break
		}
		if _, err := s.Write(h3head("GET", "/slow")); err != nil {
			break
		}
		s.Close()
		opened++
	}
	if opened != 20 {
		t.Errorf("%d streams at once", opened)
	}
	eventually(t, "the streams to be open", func() bool { return g.metric("gridway_listener_http3_streams") >= 20 })
	if n := g.metric("gridway_listener_http3_streams"); n > 21 {
		t.Errorf("%v requests are under way", n)
	}
	w.conn.CloseWithError(0x100, "")
	eventually(t, "the requests to be over", func() bool { return g.metric("gridway_listener_http3_streams") <= 1 })
	if stop() == 0 {
		t.Error("the neighbour got no answer")
	}
}

// TestHTTP3SlowClients: a head that does not come, a body that stops, and a
// response that is not taken cost their time and no more; others on the same
// connection are not held up.
func TestHTTP3SlowClients(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			w.Write(make([]byte, 8<<20))
		default:
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "fine")
		}
	})
	g := http3Edge(t, "http3: {}, timeouts: {header: 400ms, bodyIdle: 400ms}", routeDoc("app", ""), backendDoc("app", app.addr))
	w := dialH3(t, g.addr)
	part := h3head("GET", "/")
	slow, err := w.open(part[:4])
	if err != nil {
		t.Fatal(err)
	}
	body, err := w.open(append(h3head("POST", "/"), h3.AppendFrameHeader(nil, h3.FrameData, 100)...))
	if err != nil {
		t.Fatal(err)
	}
	var taken []*quic.Stream
	for range 3 {
		taken = append(taken, w.send(h3head("GET", "/large")))
	}
	if status, content, err := w.response(w.send(h3head("GET", "/"))); status != "200" || content != "fine" {
		t.Errorf("beside slow ones: %s %q %v", status, content, err)
	}
	var reset *quic.StreamError
	if _, _, err := w.response(slow); !errors.As(err, &reset) || !reset.Remote {
		t.Errorf("a head that does not come: %v", err)
	}
	if status, _, err := w.response(body); status != "408" {
		t.Errorf("a body that stops: %s, %v", status, err)
	}
	eventually(t, "responses that nobody takes to be given up", func() bool { return g.metric("gridway_listener_http3_streams") == 0 })
	for _, s := range taken {
		if _, err := io.Copy(io.Discard, s); !errors.As(err, &reset) || !reset.Remote {
			t.Errorf("a response that was not taken: %v", err)
		}
	}
}

// TestHTTP3Misuse: what the protocol forbids ends the stream or the connection with
// the code of the RFC.
func TestHTTP3Misuse(t *testing.T) {
	t.Parallel()
	g := attackable(t, "http3: {}")
	for name, c := range map[string]struct {
		do   func(w *h3wire)
		code h3.Code
	}{
		"second control stream": {func(w *h3wire) { w.uni([]byte{0, 4, 0}) }, h3.StreamCreationError},
		"control stream closed": {func(w *h3wire) { w.uni([]byte{3}).Close() }, h3.ClosedCriticalStream},
		"push":                  {func(w *h3wire) { w.uni([]byte{1, 0}) }, h3.StreamCreationError},
		"dynamic table":         {func(w *h3wire) { w.uni([]byte{2, 0x3f, 0xe1, 0x1f}) }, h3.EncoderStreamError},
		"acknowledged section":  {func(w *h3wire) { w.uni([]byte{3, 0x80}) }, h3.DecoderStreamError},
		"content first":         {func(w *h3wire) { w.send(h3frame(h3.FrameData, []byte("x"))) }, h3.FrameUnexpected},
		"settings in a request": {func(w *h3wire) { w.send(append(h3head("GET", "/"), h3frame(h3.FrameSettings, nil)...)) }, h3.FrameUnexpected},
		"dynamic reference":     {func(w *h3wire) { w.send(h3frame(h3.FrameHeaders, []byte{1, 0, 0x80})) }, h3.DecompressionFailed},
		"cut off":               {func(w *h3wire) { w.send(h3.AppendFrameHeader(nil, h3.FrameHeaders, 50)) }, h3.FrameError},
		"empty frames": {func(w *h3wire) {
			w.open(append(h3head("POST", "/"), bytes.Repeat([]byte{0, 0}, 2000)...))
		}, h3.ExcessiveLoad},
	} {
		t.Run(name, func(t *testing.T) {
			w := dialH3(t, g.addr)
			c.do(w)
			if code := w.closedWith(); code != c.code {
				t.Errorf("closed with %v, not %v", code, c.code)
			}
		})
	}
	t.Run("malformed messages", func(t *testing.T) {
		w := dialH3(t, g.addr)
		for name, b := range map[string][]byte{
			"upper case":       h3head("GET", "/", "X-Upper", "1"),
			"connection field": h3head("GET", "/", "connection", "close"),
			"too short":        append(h3head("POST", "/", "content-length", "5"), h3frame(h3.FrameData, []byte("1234"))...),
			"too long":         append(h3head("POST", "/", "content-length", "3"), h3frame(h3.FrameData, []byte("1234"))...),
		} {
			status, _, err := w.response(w.send(b))
			var reset *quic.StreamError
			refused := errors.As(err, &reset) && reset.Remote && h3.Code(reset.ErrorCode) == h3.MessageError
			if !refused && status != "400" {
				t.Errorf("%s: %q, %v", name, status, err)
			}
		}
		// RFC 9114 §6.2: a stream of an unknown type is left alone, or its reading stopped.
		w.uni([]byte{0x21, 1, 2, 3})
		if status, _, err := w.response(w.send(h3head("GET", "/"))); status != "200" {
			t.Errorf("after all that: %q, %v", status, err)
		}
	})
}

// TestHTTP3Idle: a connection without requests is left after its time.
func TestHTTP3Idle(t *testing.T) {
	t.Parallel()
	g := attackable(t, "http3: {}, timeouts: {idle: 300ms}")
	w := dialH3(t, g.addr)
	if status, _, err := w.response(w.send(h3head("GET", "/"))); status != "200" {
		t.Fatal(status, err)
	}
	if code := w.closedWith(); code != h3.NoError {
		t.Errorf("closed with %v", code)
	}
	eventually(t, "the reason to be counted", func() bool {
		return g.metric("gridway_listener_http3_goaways_total", `reason="IdleTimeout"`) == 1
	})
}

// TestHTTP3ConnectionLimit counts connections of both transports.
func TestHTTP3ConnectionLimit(t *testing.T) {
	t.Parallel()
	g := attackable(t, "http3: {}, limits: {connections: 2}")
	first, second := dialH3(t, g.addr), dialH3(t, g.addr)
	if _, err := quic.DialAddr(t.Context(), g.addr, h3TLS(nil), nil); err == nil {
		t.Error("a third connection was taken")
	}
	first.conn.CloseWithError(0x100, "")
	eventually(t, "a place to be free", func() bool {
		c, err := quic.DialAddr(t.Context(), g.addr, h3TLS(nil), nil)
		if err == nil {
			c.CloseWithError(0x100, "")
		}
		return err == nil
	})
	if status, _, err := second.response(second.send(h3head("GET", "/"))); status != "200" {
		t.Error(status, err)
	}
}
