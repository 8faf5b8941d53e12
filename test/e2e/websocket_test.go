package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gridway/gridway/internal/wire/h2"
)

// Each protocol of the client with each of the endpoint.
func TestWebSocketInAllCombinations(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				app := serveWSOver(t, up, nil)
				g := wsGateway(t, down, up, app.addr, "")
				s, err := g.openWS(down, "/chat?room=1")
				if err != nil {
					t.Fatal(err)
				}
				if p := s.resp.Header.Get("Sec-Websocket-Protocol"); p != "chat" {
					t.Errorf("subprotocol %q", p)
				}
				if err := conversation(s); err != nil {
					t.Fatal(err)
				}
				if n := g.metric("gridway_route_websocket_connections"); n != 1 {
					t.Errorf("%v connections are open", n)
				}
				if s := g.metrics.Snapshot(); len(s.Routes) != 1 || s.Routes[0].Open != 1 {
					t.Errorf("top has %+v", s.Routes)
				}
				if err := s.say(ws.OpClose, ws.NewCloseFrameBody(4001, "done")); err != nil {
					t.Fatal(err)
				}
				if op, p, err := s.hear(); op != ws.OpClose || err != nil {
					t.Errorf("answer to the Close frame: %v %q %v", op, p, err)
				}
				if code := saw(t, app.closes); code != 4001 {
					t.Errorf("the endpoint saw code %d", code)
				}
				s.closeWrite()
				if _, err := io.Copy(io.Discard, s); err != nil {
					t.Errorf("the end: %v", err)
				}
				status := map[string]string{"h1": `"status":101`, "h2": `"status":200`, "h3": `"status":200`}[down]
				line := g.logged(`"path":"/chat"`, status, `"method":"GET"`, fmt.Sprintf(`"request_messages":%d,"response_messages":%d,"close_code":4001,"closed_by":"client"`, conversationMessages, conversationMessages))
				if strings.Contains(line, `"flags"`) {
					t.Errorf("flags: %s", line)
				}
				for _, from := range []string{"client", "endpoint"} {
					if n := g.metric("gridway_route_websocket_messages_total", `from="`+from+`"`); n != conversationMessages {
						t.Errorf("%v messages from %s", n, from)
					}
					if n := g.metric("gridway_route_websocket_bytes_total", `from="`+from+`"`); n < 1<<20+65536+65535 || n > 1<<20+65536+65535+6000 {
						t.Errorf("%v bytes from %s", n, from)
					}
				}
				if n := g.metric("gridway_route_websocket_closes_total", `by="client"`, `code="4xxx"`); n != 1 {
					t.Errorf("%v closes", n)
				}
				if n := g.metric("gridway_route_websocket_connections"); n != 0 {
					t.Errorf("%v connections are still open", n)
				}
				if n := g.metric("gridway_route_streams"); n != 0 {
					t.Errorf("%v streams are still open", n)
				}
			})
		}
	}
}

func handshake(fields ...string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
}

const (
	goodKey     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	goodVersion = "Sec-WebSocket-Version: 13"
)

func TestWebSocketHandshakeIsChecked(t *testing.T) {
	t.Parallel()
	app := serveWS(t, nil)
	g := serveYAML(t, edge("", app.addr))
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"no version":     {handshake(goodKey), 426},
		"old version":    {handshake(goodKey, "Sec-WebSocket-Version: 8"), 426},
		"no key":         {handshake(goodVersion), 400},
		"short key":      {handshake(goodVersion, "Sec-WebSocket-Key: dGhl"), 400},
		"two keys":       {handshake(goodVersion, goodKey, goodKey), 400},
		"another method": {strings.Replace(handshake(goodKey, goodVersion), "GET", "POST", 1), 400},
		"a body":         {handshake(goodKey, goodVersion, "Content-Length: 2") + "hi", 400},
		"all is well":    {handshake(goodKey, goodVersion), 101},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := g.dial()
			c2.send(c.request)
			resp, err := http.ReadResponse(c2.r, nil)
			if err != nil || resp.StatusCode != c.status {
				t.Fatalf("%v %v, want %d", resp, err, c.status)
			}
			switch c.status {
			case 426:
				if resp.Header.Get("Sec-Websocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket" {
					t.Errorf("%v", resp.Header)
				}
				fallthrough
			case 400:
				want(t, resp, c.status, "BadRequest")
			case 101:
				if a := resp.Header.Get("Sec-Websocket-Accept"); a != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
					t.Errorf("accept %q", a)
				}
			}
		})
	}
}

// An endpoint that says 101 without knowing the key has not understood what it
// was asked: what a client says next is not for it.
func TestWebSocketAcceptIsVerified(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"} {
		app := startPeer(t, func(c *peerConn) {
			c.head()
			c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n%s\r\n", accept)
			c.untilClosed()
		})
		g := serveYAML(t, edge("", app.addr))
		for _, protocol := range []string{"h1", "h2"} {
			if s, err := g.openWS(protocol, "/"); err == nil || s.resp == nil || s.resp.StatusCode != 502 {
				t.Errorf("%s, %q: %v", protocol, accept, err)
			}
			g.logged(`"status":502`, `"reason":"UpstreamProtocolError"`)
		}
	}
}

// HTTP/1.0 knows no upgrades (RFC 9110 §7.8): what its clients ask for stays here,
// and what its servers switch to is refused.
func TestWebSocketOverHTTP10(t *testing.T) {
	t.Parallel()
	var seen heads
	app := startPeer(t, seen.answer(okReply))
	g := serveYAML(t, edge("", app.addr))
	c := g.dial()
	c.send(strings.Replace(handshake(goodKey, goodVersion), "HTTP/1.1", "HTTP/1.0", 1))
	if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	if head := strings.ToLower(seen.last()); strings.Contains(head, "upgrade") || !strings.HasPrefix(head, "get / http/1.1\r\n") {
		t.Errorf("the endpoint got\n%s", head)
	}
	const accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for name, x := range map[string]struct{ request, answer string }{
		"a client of HTTP/1.0":  {"HTTP/1.0", "HTTP/1.1"},
		"a server of HTTP/1.0":  {"HTTP/1.1", "HTTP/1.0"},
		"both are of HTTP/1.0":  {"HTTP/1.0", "HTTP/1.0"},
		"neither, and it opens": {"HTTP/1.1", "HTTP/1.1"},
	} {
		app := startPeer(t, func(c *peerConn) {
			c.head()
			c.say("%s 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n%s\r\n", x.answer, accept)
			c.untilClosed()
		})
		g := serveYAML(t, edge("", app.addr))
		c := g.dial()
		c.send(strings.Replace(handshake(goodKey, goodVersion), "HTTP/1.1", x.request, 1))
		status := 502
		if x.request == x.answer && x.answer == "HTTP/1.1" {
			status = 101
		}
		if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != status {
			t.Errorf("%s: %v %v, want %d", name, resp, err, status)
		}
		c.Close()
	}
}

// What Gridway ends, it ends with a Close frame to both sides.
func TestWebSocketTimeouts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ policy, reason, flag string }{
		{"timeouts: {idle: 300ms}", "idle timeout", "IdleTimeout"},
		{"timeouts: {idle: 1h, maxStream: 300ms}", "maximum duration", "StreamTimeout"},
	} {
		for _, down := range wsClients {
			for _, up := range wsEndpoints {
				t.Run(c.flag+" "+down+" to "+up, func(t *testing.T) {
					t.Parallel()
					app := serveWSOver(t, up, nil)
					g := wsGateway(t, down, up, app.addr, c.policy)
					begun := time.Now()
					s, err := g.openWS(down, "/")
					if err != nil {
						t.Fatal(err)
					}
					code, reason, err := s.farewell()
					if code != 1001 || reason != c.reason || err != nil {
						t.Errorf("the client saw %d %q %v", code, reason, err)
					}
					if took := time.Since(begun); took < 290*time.Millisecond {
						t.Errorf("ended after %v", took)
					}
					if code := saw(t, app.closes); code != 1001 {
						t.Errorf("the endpoint saw %d", code)
					}
					g.logged(`"flags":"`+c.flag+`"`, `"close_code":1001,"closed_by":"gridway"`)
				})
			}
		}
	}
}

// A client that does not answer keeps nobody: the endpoint is told too.
func TestWebSocketClientThatIgnoresTheEnd(t *testing.T) {
	t.Parallel()
	app := serveWS(t, nil)
	g := serveYAML(t, edge("timeouts: {idle: 100ms}", app.addr))
	s, err := g.openWS("h1", "/")
	if err != nil {
		t.Fatal(err)
	}
	if code := saw(t, app.closes); code != 1001 {
		t.Errorf("the endpoint saw %d", code)
	}
	if op, _, err := s.hear(); op != ws.OpClose || err != nil {
		t.Errorf("the client hears %v %v", op, err)
	}
	g.logged(`"flags":"IdleTimeout"`)
}

// A WebSocket that is used is not idle, whichever side speaks.
func TestWebSocketIsNotIdleWhileOneSideSpeaks(t *testing.T) {
	t.Parallel()
	app := serveWS(t, func(*socket, ws.OpCode, []byte) error { return nil })
	g := serveYAML(t, edge("timeouts: {idle: 2s}", app.addr))
	s, err := g.openWS("h1", "/")
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for range 6 {
		<-tick.C
		if err := s.say(ws.OpText, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		saw(t, app.heard)
	}
	s.closeWrite()
	saw(t, app.closes)
}

// A drain tells clients at the end of a frame. What they have said before their
// answer still reaches the endpoint, which hears the same code.
func TestWebSocketDrain(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				app := serveWSOver(t, up, nil)
				g := wsGateway(t, down, up, app.addr, "")
				s, err := g.openWS(down, "/")
				if err != nil {
					t.Fatal(err)
				}
				if err := conversation(s); err != nil {
					t.Fatal(err)
				}
				for range conversationMessages {
					saw(t, app.heard)
				}
				ended := make(chan error, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
					defer cancel()
					ended <- g.proxy.Shutdown(ctx)
				}()
				op, p, err := s.hear()
				code, reason := ws.ParseCloseFrameData(p)
				if op != ws.OpClose || code != 1001 || reason != "going away" || err != nil {
					t.Fatalf("%v %d %q %v", op, code, reason, err)
				}
				for i := range 10 { // of which the client knew before it heard of the end
					if err := s.say(ws.OpText, fmt.Appendf(nil, "last words %d", i)); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.say(ws.OpClose, p); err != nil {
					t.Fatal(err)
				}
				if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
					t.Errorf("after the Close frame: %q %v", rest, err)
				}
				s.closeWrite()
				for i := range 10 {
					if m, want := saw(t, app.heard), fmt.Sprintf("last words %d", i); m != want {
						t.Errorf("the endpoint heard %q, want %q", m, want)
					}
				}
				if code := saw(t, app.closes); code != 1001 {
					t.Errorf("the endpoint saw %d", code)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				g.logged(`"flags":"Draining"`, `"close_code":1001,"closed_by":"gridway"`)
			})
		}
	}
}

// Who is gone without a word is gone for the other side, at once.
func TestWebSocketCut(t *testing.T) {
	t.Parallel()
	for _, down := range wsClients {
		for _, up := range wsEndpoints {
			t.Run(down+" to "+up, func(t *testing.T) {
				t.Parallel()
				app := serveWSOver(t, up, func(s *socket, op ws.OpCode, p []byte) error {
					if s.reset != nil {
						s.reset()
					}
					panic(http.ErrAbortHandler)
				})
				g := wsGateway(t, down, up, app.addr, "")
				s, err := g.openWS(down, "/client")
				if err != nil {
					t.Fatal(err)
				}
				s.reset()
				if code := saw(t, app.closes); code != 1006 {
					t.Errorf("the endpoint saw %d", code)
				}
				g.logged(`"path":"/client"`, `"close_code":1006,"closed_by":"client"`)
				if s, err = g.openWS(down, "/endpoint"); err != nil {
					t.Fatal(err)
				}
				if err := s.say(ws.OpText, []byte("now")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, s); down != "h1" && err == nil && up != "http" {
					t.Error("a reset looks like an end")
				}
				s.closeWrite()
				g.logged(`"path":"/endpoint"`, `"close_code":1006,"closed_by":"endpoint"`)
			})
		}
	}
}

// An endpoint that does not know RFC 8441 cannot be asked, and that is nobody's
// failure that could eject it.
func TestWebSocketToHTTP2WithoutExtendedConnect(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		w := rawH2(t, c.Conn)
		if _, err := io.CopyN(io.Discard, w.r, int64(len(h2.Preface))); err != nil {
			return
		}
		w.write(h2.AppendSettings(nil))
		for {
			f, err := w.read()
			switch {
			case err != nil:
				return
			case f.Type == h2.FrameSettings && !f.Flags.Has(h2.FlagAck):
				w.write(h2.AppendSettingsAck(nil))
			case f.Type == h2.FrameHeaders && f.fields[":method"] == "CONNECT":
				t.Errorf("extended CONNECT although it was not announced: %v", f)
			case f.Type == h2.FrameHeaders:
				w.write(w.block(f.StreamID, true, ":status", "204"))
			}
		}
	})
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), policyDoc("app", "HTTPRoute", "app", "outlierDetection: {consecutive5xx: 1, baseEjection: 1h, maxPercent: 100}\nloadBalancer: {panicThreshold: 0}"),
		strings.Replace(backendDoc("app", app.addr), "spec:", "spec:\n  protocol: h2c", 1)))
	for _, down := range []string{"h1", "h2", "h1"} {
		if s, err := g.openWS(down, "/"); err == nil || s.resp == nil || s.resp.StatusCode != 502 {
			t.Errorf("%s: %v", down, err)
		}
		g.logged(`"status":502`, `"reason":"UpstreamProtocolError"`)
	}
	if resp, _ := g.get("/"); resp.StatusCode != 204 {
		t.Errorf("a request beside it: %d", resp.StatusCode)
	}
}

// Other protocols, and tunnels, are refused on streams.
func TestExtendedConnectForOtherProtocols(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edge("", named(t, "a").addr))
	w := dialH2(t, g.addr)
	f := w.until("SETTINGS", func(f frame) bool { return f.Type == h2.FrameSettings && !f.Flags.Has(h2.FlagAck) })
	announced := false
	for p := f.payload; len(p) >= 6; p = p[6:] {
		announced = announced || p[0] == 0 && p[1] == 8 && p[5] == 1
	}
	if !announced {
		t.Error("extended CONNECT is not announced")
	}
	for _, c := range []struct {
		fields []string
		status string
	}{
		{[]string{":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "http", ":path", "/", ":authority", "a"}, "501"},
		{[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"}, "426"},
		{[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a", "sec-websocket-version", "13"}, "502"},
		{[]string{":method", "CONNECT", ":authority", "a:80"}, "405"},
	} {
		id, b := w.headers(false, c.fields...)
		w.write(b)
		if fields, body := w.response(id); fields[":status"] != c.status {
			t.Errorf("%v: %v %q, want %s", c.fields, fields, body, c.status)
		}
	}
}
