package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/gridway/gridway/internal/wire/h3"
)

// What the tests of WebSockets combine: the versions of HTTP that clients speak,
// and the protocols of endpoints.
var (
	wsClients   = []string{"h1", "h2", "h3"}
	wsEndpoints = []string{"http", "h2c", "h3"}
)

// serveWSOver is serveWS for an endpoint of that protocol.
func serveWSOver(t *testing.T, up string, each func(s *socket, op ws.OpCode, p []byte) error) *wsServer {
	t.Helper()
	if up != "h3" {
		return serveWS(t, each)
	}
	w := &wsServer{closes: make(chan ws.StatusCode, 64), heard: make(chan string, 4096)}
	addr, _ := h3ServerOf(t, 100, w.handler(each))
	w.server = &server{addr: addr}
	return w
}

// wsGateway is a gateway whose listener speaks with clients of that version of
// HTTP, and with the endpoint as told.
func wsGateway(t *testing.T, down, up, addr, policy string) *gateway {
	t.Helper()
	return serveYAML(t, wsConfig(t, down, up, addr, policy))
}

func wsConfig(t *testing.T, down, up, addr, policy string) string {
	docs := []string{routeDoc("app", "")}
	if up == "h3" {
		docs = append(docs, h3Backend("app", "", addr))
	} else {
		docs = append(docs, backendDoc("app", addr)+"  protocol: "+up+"\n")
	}
	if policy != "" {
		docs = append(docs, policyDoc("app", "HTTPRoute", "app", policy))
	}
	if down == "h3" {
		return http3Config(t, newAuthority(t, "servers"), "http3: {}", docs...)
	}
	return documents(append([]string{gatewayDoc}, docs...)...)
}

// wsOpener opens WebSockets, on one connection where the version of HTTP has
// connections that carry many.
func (g *gateway) wsOpener(version string) func(path string) (*socket, error) {
	g.t.Helper()
	switch version {
	case "h2":
		client := http2Client(g.t, nil)
		return func(path string) (*socket, error) { return openWS2(g.t, client, "http://"+g.addr+path) }
	case "h3":
		ctx, cancel := context.WithTimeout(g.t.Context(), 4*patience)
		defer cancel()
		conn, err := quic.DialAddr(ctx, g.addr, h3TLS(nil), &quic.Config{MaxIdleTimeout: 6 * patience})
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { conn.CloseWithError(0x100, "") })
		client := new(http3.Transport).NewClientConn(conn)
		return func(path string) (*socket, error) { return openWS3(g.t, client, path) }
	}
	return func(path string) (*socket, error) { return openWS(g.t, g.addr, path, nil) }
}

// openWS opens a WebSocket to the gateway.
func (g *gateway) openWS(version, path string) (*socket, error) {
	g.t.Helper()
	return g.wsOpener(version)(path)
}

// openWS3 opens one over HTTP/3 with quic-go.
func openWS3(t *testing.T, client *http3.ClientConn, path string) (*socket, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	select {
	case <-client.ReceivedSettings():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !client.Settings().EnableExtendedConnect {
		return nil, errors.New("extended CONNECT is not announced")
	}
	str, err := client.OpenRequestStream(ctx)
	if err != nil {
		return nil, err
	}
	str.SetDeadline(time.Now().Add(6 * patience))
	u, err := url.Parse("https://a.example" + path)
	if err != nil {
		return nil, err
	}
	err = str.SendRequestHeader(&http.Request{Method: "CONNECT", Proto: "websocket", URL: u, Host: u.Host, Header: http.Header{
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Protocol": {"chat"},
	}})
	if err != nil {
		return nil, err
	}
	resp, err := str.ReadResponse()
	if err != nil {
		return nil, err
	}
	s := &socket{resp: resp, Reader: bufio.NewReader(str), Writer: str, closeWrite: func() { str.Close() }}
	s.reset = func() {
		str.CancelWrite(quic.StreamErrorCode(h3.RequestCancelled))
		str.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
	}
	if resp.StatusCode != 200 {
		return s, fmt.Errorf("status %d", resp.StatusCode)
	}
	return s, nil
}

// acceptWS3 opens one for a request of HTTP/3.
func acceptWS3(rw http.ResponseWriter, r *http.Request) (*socket, error) {
	if r.Method != "CONNECT" || r.Proto != "websocket" || r.Header.Get("Sec-Websocket-Version") != "13" || r.Header.Get("Sec-Websocket-Key") != "" {
		return nil, fmt.Errorf("no extended CONNECT: %s %s %v", r.Method, r.Proto, r.Header)
	}
	rw.Header().Set("Sec-Websocket-Protocol", r.Header.Get("Sec-Websocket-Protocol"))
	rw.WriteHeader(200)
	str, err := rw.(http3.HTTPStreamer).HTTPStream()
	if err != nil {
		return nil, err
	}
	return &socket{Reader: str, Writer: str, closeWrite: func() { str.Close() }, reset: func() {
		str.CancelWrite(quic.StreamErrorCode(h3.InternalError))
		str.CancelRead(quic.StreamErrorCode(h3.InternalError))
	}}, nil
}

// An endpoint of HTTP/3 that does not announce extended CONNECT is not asked.
func TestWebSocketToHTTP3WithoutExtendedConnect(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cert := newAuthority(t, "endpoints").pair("endpoint.example")
	ln, err := quic.Listen(socket, http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := ln.Accept(t.Context())
			if err != nil {
				return
			}
			control, err := conn.OpenUniStream()
			if err != nil {
				return
			}
			control.Write(h3.AppendSettings(h3.AppendVarint(nil, uint64(h3.StreamControl)), h3.Settings{}))
			if _, err := conn.AcceptStream(t.Context()); err == nil {
				t.Error("a request has come all the same")
			}
		}
	}()
	t.Cleanup(func() { ln.Close(); socket.Close() })
	for _, down := range wsClients {
		g := wsGateway(t, down, "h3", socket.LocalAddr().String(), "")
		if s, err := g.openWS(down, "/"); err == nil || s == nil || s.resp == nil || s.resp.StatusCode != 502 {
			t.Errorf("%s: %v", down, err)
		}
		g.logged(`"status":502`, `"reason":"UpstreamProtocolError"`)
	}
}

// Other protocols are refused, and what is no content on a tunnel ends its
// connection (RFC 9114 §4.4).
func TestExtendedConnectOverHTTP3(t *testing.T) {
	t.Parallel()
	app := serveWS(t, nil)
	g := wsGateway(t, "h3", "http", app.addr, "")
	w := dialH3(t, g.addr)
	for status, fields := range map[string][]string{
		"501": {":protocol", "connect-udp"},
		"426": {":protocol", "websocket"},
		"417": {":protocol", "websocket", "sec-websocket-version", "13", "expect", "tea"},
	} {
		if got, body, err := w.response(w.send(h3head("CONNECT", "/", fields...))); got != status || err != nil {
			t.Errorf("%v: %s %q %v, want %s", fields, got, body, err, status)
		}
	}
	s, err := w.open(h3head("CONNECT", "/", ":protocol", "websocket", "sec-websocket-version", "13"))
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1)
	if _, err := s.Read(head); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(h3head("GET", "/")); err != nil {
		t.Fatal(err)
	}
	if code := w.closedWith(); code != h3.FrameUnexpected {
		t.Errorf("closed with %v", code)
	}
	if code := saw(t, app.closes); code != 1006 {
		t.Errorf("the endpoint saw %d", code)
	}
	if !strings.Contains(g.logged(`"protocol":"HTTP/3"`, `"close_code":1006`), `"closed_by":"client"`) {
		t.Error("who has ended it is not told")
	}
}
