package e2e

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What could be read in two ways further on is made to have one meaning: the
// endpoint gets exactly one request, with the fields that the gateway stands for.
func TestRequestsArriveWithOneMeaning(t *testing.T) {
	t.Parallel()
	app := startRecorder(t)
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	for name, c := range map[string]struct {
		in   string
		has  []string // of what the endpoint gets, in lower case
		not  []string
		body string
	}{
		"absolute form beats Host":  {"GET http://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n", []string{"get /x http/1.1\r\n", "\r\nhost: b.example\r\n"}, []string{"host: a\r\n", "http://"}, ""},
		"Connection names Host":     {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", []string{"\r\nhost: a\r\n"}, nil, ""},
		"Connection names length":   {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", []string{"\r\ncontent-length: 5\r\n"}, nil, "hello"},
		"Connection names TE":       {chunked + "Connection: Transfer-Encoding\r\n\r\n5\r\nhello\r\n0\r\n\r\n", []string{"\r\ntransfer-encoding: chunked\r\n"}, []string{"connection: transfer", "content-length"}, "hello"},
		"Connection names ours":     {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For, X-Request-Id, Forwarded\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", []string{"\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-request-id: "}, []string{"6.6.6.6"}, ""},
		"Connection names a cookie": {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Cookie, X-Own\r\nCookie: a=b\r\nX-Own: 1\r\n\r\n", []string{"\r\ncookie: a=b\r\n"}, []string{"x-own"}, ""},
		"Keep-Alive and others":     {"GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, deflate\r\n\r\n", nil, []string{"keep-alive", "proxy-connection", "deflate"}, ""},
		"h2c":                       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", nil, []string{"upgrade", "h2c", "http2-settings"}, ""},
		"h2c among others":          {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", nil, []string{"upgrade", "h2c"}, ""},
		"HTTP2-Settings alone":      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", nil, []string{"http2-settings"}, ""},
		"upgrade not in Connection": {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", nil, []string{"upgrade"}, ""},
		"upgrade of HTTP/1.0":       {"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", nil, []string{"upgrade"}, ""},
		"chunk extensions":          {chunked + "\r\n5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n", nil, []string{";"}, "hello"},
		"zeros before a chunk size": {chunked + "\r\n0005\r\nhello\r\n000\r\n\r\n", nil, []string{"0005"}, "hello"},
		"trailers that are framing": {
			chunked + "Trailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nAuthorization: Basic eA==\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\nX-Sum: 1\r\n\r\n",
			nil,
			[]string{"length: 99", "evil", "6.6.6.6", "basic ea"},
			"hello",
		},
		"zeros before a length":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0005\r\n\r\nhello", nil, []string{"transfer-encoding"}, "hello"},
		"length of GET":          {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", []string{"\r\ncontent-length: 5\r\n"}, nil, "hello"},
		"chunks of GET":          {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil, nil, "hello"},
		"chunked in capitals":    {"POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil, nil, "hello"},
		"HTTP/1.0 without Host":  {"GET / HTTP/1.0\r\n\r\n", []string{"get / http/1.1\r\n", "\r\nhost:"}, nil, ""},
		"HTTP/1.9":               {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", []string{"get / http/1.1\r\n"}, nil, ""},
		"dot segments":           {"GET /a/./b/../c/%2e%2e/d HTTP/1.1\r\nHost: a\r\n\r\n", []string{"get /a/d http/1.1\r\n"}, nil, ""},
		"encoded slash":          {"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", []string{"get /a%2fb http/1.1\r\n"}, nil, ""},
		"space around the value": {"GET / HTTP/1.1\r\nHost: \t a \t\r\nX: \t y \t\r\n\r\n", []string{"\r\nhost: a\r\n", "\r\nx: y\r\n"}, nil, ""},
		"empty lines in front":   {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", []string{"get / http/1.1\r\n"}, nil, ""},
		"underscores":            {"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\n\r\n", nil, []string{"\r\ncontent-length", "\r\nx-forwarded-for: 6"}, ""},
		"forwarding headers":     {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\r\n", []string{"\r\nx-forwarded-for: 127.0.0.1\r\n", "\r\nx-forwarded-proto: http\r\n"}, []string{"6.6.6.6", "7.7.7.7", "evil"}, ""},
	} {
		w := dialPort(t, port)
		w.send(c.in)
		method, _, _ := strings.Cut(strings.TrimLeft(c.in, "\r\n"), " ")
		if resp, body := w.mustRespond(method); resp.StatusCode != 200 {
			t.Errorf("%s: %d %q", name, resp.StatusCode, body)
			continue
		}
		w.Close()
		got := app.take()
		r := bufio.NewReader(strings.NewReader(got))
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Errorf("%s: %v in %q", name, err, got)
			continue
		}
		body, err := io.ReadAll(req.Body)
		if rest, _ := io.ReadAll(r); err != nil || len(rest) > 0 || string(body) != c.body {
			t.Errorf("%s: body %q, %v, then %q, in %q", name, body, err, rest, got)
		}
		lower := strings.ToLower(got)
		for _, s := range c.has {
			if !strings.Contains(lower, s) {
				t.Errorf("%s: no %q in %q", name, s, got)
			}
		}
		for _, s := range c.not {
			if strings.Contains(lower, s) {
				t.Errorf("%s: %q in %q", name, s, got)
			}
		}
	}
}

// An upgrade that the endpoint does not agree to opens no tunnel: what the
// client says next is a request of its own, which the gateway reads.
func TestRefusedUpgradeIsNoTunnel(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"200":                 okReply,
		"426":                 "HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok",
		"404":                 "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok",
		"101 without Upgrade": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"101 to another":      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n",
		"101 in HTTP/1.0":     "HTTP/1.0 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startPeer(t, func(c *peerConn) {
				c.head()
				c.say("%s", reply)
				for c.head() != "" {
					c.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
				}
			}, answers("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"))
			g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), policyDoc("app", "HTTPRoute", "app", "retry: {attempts: 0}"), ruleDoc(`
- {matches: [{path: {value: /open}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}`)))
			c := g.dial()
			c.send("GET /open HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + goodKey + "\r\n" + goodVersion + "\r\n\r\nGET /closed HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, _ := c.mustRespond("GET")
			if resp.StatusCode == 101 {
				t.Fatal("a tunnel")
			}
			if strings.HasPrefix(name, "101") {
				want(t, resp, 502, "UpstreamProtocolError")
			}
			if resp.Close {
				return
			}
			if resp, body, err := c.response("GET"); err != nil || resp.StatusCode != 404 || resp.Header.Get("X-Gridway-Reason") != "RouteNotFound" {
				t.Errorf("the second request got %v %q %v", resp, body, err)
			}
			if n := app.heads.Load(); n != 1 {
				t.Errorf("%d requests reached the endpoint", n)
			}
		})
	}
}
