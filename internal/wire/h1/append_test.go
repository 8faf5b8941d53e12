package h1_test

import (
	"testing"

	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

func TestForwardedRequests(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "GET /a?b HTTP/1.1\r\nX: y\r\nHOST: A\r\n\r\n", "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"},
		{"empty query", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
		{"absolute", "GET http://b:1/x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x HTTP/1.1\r\nHost: b:1\r\n\r\n"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"CONNECT", "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n"},
		{"length 0", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{
			"hop-by-hop", get + "Connection: keep-alive, X-Mine\r\nKeep-Alive: timeout=5\r\nx-mine: 1\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\nX-Yours: 2\r\n\r\n",
			get + "X-Yours: 2\r\n\r\n",
		},
		{
			"Connection names end-to-end fields", post + "Connection: Host, Content-Length, Transfer-Encoding, Cookie, Authorization, X-Forwarded-For, close\r\n" +
				"Content-Length: 3\r\nCookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\n\r\n",
			post + "Cookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\nContent-Length: 3\r\n\r\n",
		},
		{"Connection twice", get + "A: 1\r\nConnection: a\r\nB: 2\r\nC: 3\r\nConnection: b, a\r\n\r\n", get + "C: 3\r\n\r\n"},
		{"TE trailers", get + "TE: gzip;q=1, trailers\r\nConnection: TE\r\nTE: deflate\r\n\r\n", get + "TE: trailers\r\nConnection: TE\r\n\r\n"},
		{"TE without trailers", get + "TE: gzip\r\n\r\n", get + "\r\n"},
		{"upgrade", get + "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n", get + "Sec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"upgrade to h2c goes nowhere", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", get + "\r\n"},
		{"Trailer stays", post + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", post + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n"},
	} {
		var r httpmsg.Request
		if err := h1.ParseRequest([]byte(c.in), &r, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		h1.StripHopByHop(&r.Header)
		if got := string(h1.AppendRequest(nil, &r)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestAppendRequestClose(t *testing.T) {
	var r httpmsg.Request
	if err := h1.ParseRequest([]byte(get+end), &r, nil); err != nil {
		t.Fatal(err)
	}
	r.Header.AddID(httpmsg.NameConnection, []byte("close"))
	if got, want := string(h1.AppendRequest(nil, &r)), get+"Connection: close\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForwardedResponses(t *testing.T) {
	for _, c := range []struct {
		name, in  string
		method    httpmsg.Method
		keepAlive bool
		client    httpmsg.Version
		want      string
	}{
		{"length", "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 05\r\nConnection: close\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n"},
		{"length to HTTP/1.0", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", httpmsg.MethodGet, true, 10, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
		{"close", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", httpmsg.MethodGet, false, 11, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"chunked to HTTP/1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", httpmsg.MethodGet, false, 10, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"until close", "HTTP/1.0 200 Fine\r\n\r\n", httpmsg.MethodGet, false, 11, "HTTP/1.1 200 Fine\r\nConnection: close\r\n\r\n"},
		{"no reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
		{"unknown status without reason", "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", httpmsg.MethodHead, true, 11, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"HEAD without length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", httpmsg.MethodHead, true, 11, "HTTP/1.1 200 OK\r\n\r\n"},
		{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", httpmsg.MethodGet, true, 11, "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n\r\n"},
		{"103", "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n", httpmsg.MethodGet, false, 11, "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n"},
		{
			"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade, x\r\nX: y\r\nSec-WebSocket-Accept: k\r\n\r\n", httpmsg.MethodGet, false, 11,
			"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		},
	} {
		var r httpmsg.Response
		if err := h1.ParseResponse([]byte(c.in), &r, c.method, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		h1.StripHopByHop(&r.Header)
		if got := string(h1.AppendResponse(nil, &r, c.keepAlive, c.client)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
