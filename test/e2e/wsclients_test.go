package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// With TLS on both sides, in each combination of protocols.
func TestWebSocketOverTLS(t *testing.T) {
	t.Parallel()
	ca, backends := newAuthority(t, "servers"), newAuthority(t, "backends")
	cert, key := ca.issue("a.example")
	trust := func(protocol string) *tls.Config {
		return &tls.Config{ServerName: "a.example", RootCAs: ca.pool, NextProtos: []string{protocol}}
	}
	for _, up := range []string{"https", "h2"} {
		app := &wsServer{closes: make(chan ws.StatusCode, 64), heard: make(chan string, 4096)}
		config := &tls.Config{Certificates: []tls.Certificate{backends.pair("app.internal")}}
		if up == "h2" {
			config.NextProtos = []string{"h2"}
		}
		addr := overTLS(t, config, app.handler(nil))
		secure := ownPort(t)
		start(t, documents(gatewayOn("", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", secure)),
			secretDoc("a", cert, key), caDoc("backends", backends.pem), routeDoc("app", ""),
			strings.Replace(secureBackend("app", addr, ""), "protocol: https", "protocol: "+up, 1)))
		for _, down := range []string{"h1", "h2"} {
			t.Run(down+" to "+up, func(t *testing.T) {
				var s *socket
				var err error
				if down == "h2" {
					s, err = openWS2(t, http2Client(t, trust("h2")), fmt.Sprintf("https://127.0.0.1:%d/", secure))
				} else {
					s, err = openWS(t, fmt.Sprintf("127.0.0.1:%d", secure), "/", trust("http/1.1"))
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := conversation(s); err != nil {
					t.Fatal(err)
				}
				if err := s.say(ws.OpClose, ws.NewCloseFrameBody(1000, "")); err != nil {
					t.Fatal(err)
				}
				if code := saw(t, app.closes); code != 1000 {
					t.Errorf("the endpoint saw %d", code)
				}
				s.closeWrite()
			})
		}
	}
}

// An endpoint that refuses is heard as it is, and what it asked for as well.
func TestWebSocketRefusedByTheEndpoint(t *testing.T) {
	t.Parallel()
	asked := make(chan http.Header, 4)
	app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "not from there", http.StatusForbidden)
	})
	g := serveYAML(t, edge("", app.addr))
	c := g.dial()
	c.send(handshake(goodKey, goodVersion, "Origin: https://evil.example", "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 403 || string(body) != "not from there\n" || err != nil || resp.Header.Get("Sec-Websocket-Version") != "13" {
		t.Errorf("%d %v %q %v", resp.StatusCode, resp.Header, body, err)
	}
	h := saw(t, asked)
	for name, want := range map[string]string{
		"Origin": "https://evil.example", "Sec-Websocket-Protocol": "a, b", "Sec-Websocket-Extensions": "permessage-deflate; client_max_window_bits",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if s, err := g.openWS("h2", "/"); err == nil || s.resp.StatusCode != 403 {
		t.Errorf("over HTTP/2: %v", err)
	}
	if n := g.metric("gridway_route_websocket_connections_opened_total"); n != 0 {
		t.Errorf("%v were opened", n)
	}
}

// What the metrics count is what the clients have sent and heard.
func TestWebSocketCountsUnderLoad(t *testing.T) {
	t.Parallel()
	app := serveWS(t, nil)
	g := serveYAML(t, edge("", app.addr))
	var messages, bytesSent atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		s, err := g.openWS([]string{"h1", "h2"}[i%2], "/")
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			payload := make([]byte, 3000)
			for n := range 300 {
				size := rand.IntN(len(payload))
				head := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: int64(size)}
				if err := s.say(ws.OpBinary, payload[:size]); err != nil {
					t.Error(err)
					return
				}
				if n%10 == 0 { // which is no message
					if err := s.say(ws.OpPong, nil); err != nil {
						t.Error(err)
						return
					}
					bytesSent.Add(6)
				}
				if _, p, err := s.hear(); err != nil || len(p) != size {
					t.Errorf("%d bytes, %v", len(p), err)
					return
				}
				messages.Add(1)
				bytesSent.Add(int64(size) + int64(ws.HeaderSize(head)))
			}
			if err := s.say(ws.OpClose, ws.NewCloseFrameBody(1000, "")); err != nil {
				t.Error(err)
			}
			bytesSent.Add(8)
			if op, _, err := s.hear(); op != ws.OpClose || err != nil {
				t.Error(op, err)
			}
			s.closeWrite()
		})
	}
	all.Wait()
	eventually(t, "all are closed", func() bool {
		return g.metric("gridway_route_websocket_closes_total", `by="client"`, `code="1000"`) == 8
	})
	for _, from := range []string{"client", "endpoint"} {
		if n := g.metric("gridway_route_websocket_messages_total", `from="`+from+`"`); int64(n) != messages.Load() {
			t.Errorf("%v messages from %s are counted, %d were sent", n, from, messages.Load())
		}
	}
	if n := g.metric("gridway_route_websocket_bytes_total", `from="client"`); int64(n) != bytesSent.Load() {
		t.Errorf("%v bytes from clients are counted, %d were sent", n, bytesSent.Load())
	}
}

// A client and a server of another language, with compressed messages.
func TestWebSocketInPython(t *testing.T) {
	t.Parallel()
	const python = "/usr/bin/python3"
	if _, err := os.Stat("/usr/lib/python3/dist-packages/websockets"); err != nil {
		t.Skip("python3-websockets is not installed; scripts/setup test installs it")
	}
	out := launch(t, python, "testdata/wspeer.py", "serve")
	eventually(t, "the server tells its port", func() bool { return strings.Contains(out.String(), "\n") })
	g := serveYAML(t, edge("", "127.0.0.1:"+strings.TrimSpace(out.String())))
	if said := run(t, "", python, "testdata/wspeer.py", "say", "ws://"+g.addr+"/"); said != "ok\n" {
		t.Error(said)
	}
	g.logged(`"request_messages":7,"response_messages":7,"close_code":4000,"closed_by":"client"`)
}
