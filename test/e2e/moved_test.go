package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// movers are clients of listeners that go to other ports, and away. They know
// where those will be before they are there.
type movers struct {
	*load
	plain, secure atomic.Int64 // ports
	removed       atomic.Bool
	answered      atomic.Int64 // requests that have no other sense than to be counted
}

// group has several workers do something again and again with one client, as long
// as a listener has its port. A connection that is refused is nothing that was lost,
// if the listener has another port then.
func (m *movers) group(name string, workers int, port *atomic.Int64, client func() *http.Client, do func(*http.Client, int64) error) {
	m.wg.Go(func() {
		for m.going() && !m.removed.Load() {
			var all sync.WaitGroup
			at, c := port.Load(), client()
			for range workers {
				all.Go(func() {
					for m.going() {
						err := do(c, at)
						away := port.Load() != at || m.removed.Load()
						if away && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errNotOpened)) {
							return
						}
						if err != nil {
							m.failed.Add(1)
							m.t.Errorf("%s: %v", name, err)
							return
						}
						m.done.Add(1)
					}
				})
			}
			all.Wait()
			c.CloseIdleConnections()
			if m.failed.Load() > 0 {
				return
			}
		}
	})
}

// count asks for what is counted at both ends.
func (m *movers) count(c *http.Client, url string) error {
	resp, err := c.Post(url, "text/plain", strings.NewReader("hi"))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != "counted" {
		return fmt.Errorf("%d %q, %w", resp.StatusCode, body, err)
	}
	m.answered.Add(1)
	return nil
}

// echoCall is a stream of gRPC in both directions, which ends well.
func echoCall(c *http.Client, url string) error {
	body, out := io.Pipe()
	defer out.Close()
	req, err := http.NewRequest("POST", url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		message := fmt.Appendf([]byte{0, 0, 0, 0, 10}, "message %02d", i)
		if _, err := out.Write(message); err != nil {
			return fmt.Errorf("sending %d: %w", i, err)
		}
		got := make([]byte, len(message))
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, message) {
			return fmt.Errorf("message %d came back as %q, %w", i, got, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil || resp.Trailer.Get("Grpc-Status") != "0" {
		return fmt.Errorf("the end: %q, %w, trailers %v", rest, err, resp.Trailer)
	}
	return nil
}

// errNotOpened: a connection was closed before a request came on it, as those of
// HTTP/1 may be.
var errNotOpened = errors.New("it was not opened")

// untilTold talks on a WebSocket until it is closed because of where it is.
func untilTold(s *socket, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", errNotOpened, err)
	case err != nil:
		return err
	}
	defer s.closeWrite()
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		text := fmt.Sprint("message ", i)
		said := s.say(ws.OpText, []byte(text))
		op, p, err := s.hear()
		switch {
		case err != nil || said != nil && op != ws.OpClose:
			return fmt.Errorf("%s: %w, %w", text, said, err)
		case op == ws.OpClose:
			if code, _ := ws.ParseCloseFrameData(p); code != ws.StatusGoingAway {
				return fmt.Errorf("closed with %d", code)
			}
			if err := s.say(ws.OpClose, p); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, s)
			return err
		case string(p) != text:
			return fmt.Errorf("%s came back as %q", text, p)
		}
	}
	return nil
}

// Listeners go to other ports, and are removed at last, while clients of all
// versions use them. Nothing is lost of what was taken: requests, calls of gRPC
// that last, WebSockets. A listener beside them does not notice.
func TestListenersMoveUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	var taken, loaded atomic.Int64
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/h2load" {
			loaded.Add(1)
		} else {
			taken.Add(1)
		}
		io.WriteString(w, "counted")
	})
	calls, _ := h2Server(t, 250, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.(http.Flusher).Flush()
		_, _ = io.Copy(flushing{w}, r.Body)
		w.Header().Set("Grpc-Status", "0")
	})
	m := &movers{load: newLoad(t)}
	kept := ownPort(t)
	doc := func() string {
		listeners := []string{on("kept", "HTTP", kept)}
		if !m.removed.Load() {
			listeners = append(listeners, on("plain", "HTTP", int(m.plain.Load())),
				fmt.Sprintf("{name: secure, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", m.secure.Load()))
		}
		return documents(gatewayOn("", listeners...), secretDoc("a", cert, key), http3Policy("http3: {}"), ruleDoc(`
- {matches: [{path: {value: /call}}], backendRefs: [{group: gridway.dev, kind: Backend, name: calls}]}
- {matches: [{path: {value: /chat}}], backendRefs: [{group: gridway.dev, kind: Backend, name: chat}]}
- {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`), backendDoc("app", app.addr), h2Backend("calls", calls), backendDoc("chat", serveWS(t, nil).addr))
	}
	move := func() {
		m.plain.Store(int64(ownPort(t)))
		m.secure.Store(int64(ownPort(t)))
	}
	move()
	p := start(t, doc(), "--drain-timeout", "12s")

	m.add(true, kept, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(resp *http.Response, body string) bool {
		m.answered.Add(1)
		return saying("counted")(resp, body)
	})
	config := &tls.Config{ServerName: "a.example", RootCAs: ca.pool}
	http2 := func(config *tls.Config) func() *http.Client {
		return func() *http.Client { return overHTTP2(t, config.Clone()) }
	}
	tunnels := func(config *tls.Config) func() *http.Client {
		return func() *http.Client { return http2Client(t, config.Clone()) }
	}
	url := func(scheme string, port int64, path string) string {
		return fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, port, path)
	}
	for scheme, side := range map[string]struct {
		port   *atomic.Int64
		config *tls.Config
	}{"http": {&m.plain, nil}, "https": {&m.secure, config}} {
		m.group("HTTP/2, "+scheme, 3, side.port, http2(side.config), func(c *http.Client, port int64) error { return m.count(c, url(scheme, port, "/")) })
		m.group("gRPC, "+scheme, 2, side.port, http2(side.config), func(c *http.Client, port int64) error { return echoCall(c, url(scheme, port, "/call")) })
		m.group("WebSocket over HTTP/2, "+scheme, 2, side.port, tunnels(side.config), func(c *http.Client, port int64) error { return untilTold(openWS2(t, c, url(scheme, port, "/chat"))) })
		m.group("WebSocket, "+scheme, 2, side.port, http2(nil), func(_ *http.Client, port int64) error {
			return untilTold(openWS(t, fmt.Sprintf("127.0.0.1:%d", port), "/chat", side.config.Clone()))
		})
	}
	m.http3()

	round := func(change func()) {
		f := newForeign(t, int(m.secure.Load()), ca.pem, &loaded)
		m.passed(50)
		f.h2load(100, func() {
			change()
			p.reload(doc())
		})
		m.passed(50)
	}
	for range 2 {
		round(move)
	}
	round(func() { m.removed.Store(true) })
	t.Logf("%d done, %d failed", m.end(), m.failed.Load())
	if a, b := m.answered.Load(), taken.Load(); a != b {
		t.Errorf("%d requests were taken and %d answered", b, a)
	}
	if text := p.log.String(); strings.Contains(text, "cut off") || strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		t.Error("something went wrong")
	}
}

// http3 is clients of HTTP/3, each with a connection that it leaves when it is told.
func (m *movers) http3() {
	for range 2 {
		m.wg.Go(func() {
			for m.going() && !m.removed.Load() {
				c, client, err := dialHTTP3(m.t.Context(), int(m.secure.Load()))
				for err == nil && m.going() {
					r, _ := http.NewRequest("POST", "https://a.example/", strings.NewReader("hi"))
					var resp *http.Response
					if resp, err = client.RoundTrip(r); err != nil {
						break
					}
					var body []byte
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil && (resp.StatusCode != 200 || string(body) != "counted") {
						err = fmt.Errorf("%d %q", resp.StatusCode, body)
					}
					if err == nil {
						m.answered.Add(1)
						m.done.Add(1)
					}
				}
				if c != nil {
					c.CloseWithError(0, "")
				}
				if err != nil && !told(err) {
					m.failed.Add(1)
					m.t.Errorf("HTTP/3: %v", err)
					return
				}
			}
		})
	}
}
