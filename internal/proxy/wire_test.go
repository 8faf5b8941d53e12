package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const patience = 20 * time.Second

// peer is a scripted TCP server: each connection gets the next script, the
// last one again and again.
type peer struct {
	addr  string
	conns atomic.Int32
}

type script func(c *peerConn)

type peerConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func startPeer(t *testing.T, scripts ...script) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(p.conns.Add(1))
			s := scripts[min(n, len(scripts))-1]
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(2 * patience))
				s(&peerConn{t: t, Conn: c, r: bufio.NewReader(c)})
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return p
}

// head reads a request's head and returns it, "" at the end of the stream.
func (c *peerConn) head() string {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return ""
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

func (c *peerConn) say(format string, args ...any) { fmt.Fprintf(c.Conn, format, args...) }

func (c *peerConn) take(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return ""
	}
	return string(b)
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answerAll answers each request with the same bytes.
func answerAll(reply string) script {
	return func(c *peerConn) {
		for c.head() != "" {
			c.say("%s", reply)
		}
	}
}

// client is a raw connection to the proxy.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (h *harness) dial() *client {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{t: h.t, Conn: c, r: bufio.NewReader(c)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// response reads one response to a request of that method, with its body.
func (c *client) response(method string) (*http.Response, string, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func (c *client) want(method string, status int, body string) *http.Response {
	c.t.Helper()
	resp, got, err := c.response(method)
	if err != nil {
		c.t.Fatalf("no whole response: %v (body %q)", err, got)
	}
	if resp.StatusCode != status || body != "*" && got != body {
		c.t.Fatalf("got %d %q, want %d %q", resp.StatusCode, got, status, body)
	}
	return resp
}

// ended asserts that the proxy has closed the connection and said nothing more.
func (c *client) ended() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection is still open")
	}
	if len(rest) > 0 {
		c.t.Fatalf("more than was expected: %q", rest)
	}
}

func clientPolicy(cfg *ir.Config) *ir.ClientPolicy { return &cfg.Listeners[0].Client }

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	c := start(t, []string{app}).dial()
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
	}
	c.send(all.String())
	for i := range 20 {
		c.want("GET", 200, fmt.Sprintf("/%d", i))
	}
}

func TestPipelinedBodies(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	c := start(t, []string{app}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nonePOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree")
	for _, want := range []string{"one", "two", "three"} {
		c.want("POST", 200, want)
	}
}

func TestRequestArrivesByteByByte(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	c := start(t, []string{app}).dial()
	for _, b := range []byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n") {
		c.send(string(b))
	}
	c.want("POST", 200, "two")
}

func TestHeadAndBodylessResponses(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		for _, reply := range []string{
			"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
			"HTTP/1.1 204 No Content\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n",
			okReply,
		} {
			c.head()
			c.say("%s", reply)
		}
	})
	c := start(t, []string{p.addr}).dial()
	c.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp := c.want("HEAD", 200, ""); resp.ContentLength != 1000 {
		t.Errorf("Content-Length of HEAD is %d", resp.ContentLength)
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 204, "")
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 304, "")
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, "ok")
	if n := p.conns.Load(); n != 1 {
		t.Errorf("%d upstream connections, want 1", n)
	}
}

func TestContinueEndToEnd(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		if head := c.head(); !strings.Contains(strings.ToLower(head), "expect: 100-continue") {
			c.t.Errorf("the upstream was not asked to continue: %q", head)
		}
		c.say("HTTP/1.1 100 Continue\r\n\r\n")
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%s", c.take(4))
	})
	c := start(t, []string{p.addr}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("%v %v", resp, err)
	}
	c.send("body")
	c.want("POST", 200, "body")
}

func TestExpectationRefusedByUpstream(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c.r)
	})
	c := start(t, []string{p.addr}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	c.want("POST", 417, "")
}

func TestEarlyHintsArePassedOn(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + okReply)
	})
	h := start(t, []string{p.addr})
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != 103 || resp.Header.Get("Link") == "" {
		t.Fatalf("%v %v", resp, err)
	}
	c.want("GET", 200, "ok")
}

func TestInterimResponsesAreNotForHTTP10(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	})
	c := start(t, []string{p.addr}).dial()
	c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	resp := c.want("GET", 200, "abc")
	if len(resp.TransferEncoding) > 0 || !resp.Close {
		t.Errorf("chunks or keep-alive for HTTP/1.0: %v %v", resp.TransferEncoding, resp.Close)
	}
}

func TestHTTP10KeepAlive(t *testing.T) {
	p := startPeer(t, answerAll(okReply))
	c := start(t, []string{p.addr}).dial()
	for range 2 {
		c.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		if resp := c.want("GET", 200, "ok"); !strings.EqualFold(resp.Header.Get("Connection"), "keep-alive") {
			t.Error("an HTTP/1.0 client must be told that the connection stays")
		}
	}
	c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	c.want("GET", 200, "ok")
	c.ended()
}

func TestTrailersBothWays(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		req := c.take(len("5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"))
		if !strings.Contains(strings.ToLower(req), "x-sum: 5") {
			c.t.Errorf("the upstream got %q", req)
		}
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n2\r\nok\r\n0\r\nX-Check: fine\r\n\r\n")
	})
	c := start(t, []string{p.addr}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
	resp := c.want("POST", 200, "ok")
	if resp.Trailer.Get("X-Check") != "fine" {
		t.Errorf("trailer %v", resp.Trailer)
	}
}

func TestAbsoluteFormAndHost(t *testing.T) {
	seen := make(chan string, 1)
	p := startPeer(t, func(c *peerConn) {
		seen <- c.head()
		c.say(okReply)
	})
	c := start(t, []string{p.addr}).dial()
	c.send("GET http://Example.COM/x?y HTTP/1.1\r\nHost: other\r\n\r\n")
	c.want("GET", 200, "ok")
	head := <-seen
	if !strings.HasPrefix(head, "GET /x?y HTTP/1.1\r\n") || !strings.Contains(head, "example.com") || strings.Contains(head, "other") {
		t.Errorf("the upstream got %q", head)
	}
}

func TestHopByHopFieldsAreRemoved(t *testing.T) {
	seen := make(chan string, 1)
	p := startPeer(t, func(c *peerConn) {
		seen <- c.head()
		c.say("HTTP/1.1 200 OK\r\nConnection: close, X-Private\r\nKeep-Alive: timeout=5\r\nX-Private: 1\r\nX-Public: 1\r\nContent-Length: 2\r\n\r\nok")
	})
	c := start(t, []string{p.addr}).dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 3\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Kept: 1\r\n\r\n")
	resp := c.want("GET", 200, "ok")
	head := strings.ToLower(<-seen)
	for _, name := range []string{"x-secret", "keep-alive:", "proxy-connection", "te: gzip"} {
		if strings.Contains(head, name) {
			t.Errorf("the upstream got %s in %q", name, head)
		}
	}
	if !strings.Contains(head, "x-kept: 1") {
		t.Errorf("x-kept was lost: %q", head)
	}
	if resp.Header.Get("X-Private") != "" || resp.Header.Get("Keep-Alive") != "" || resp.Header.Get("X-Public") != "1" {
		t.Errorf("the client got %v", resp.Header)
	}
}

func TestClientGoneCancelsTheUpstream(t *testing.T) {
	arrived, gone := make(chan struct{}), make(chan error, 1)
	p := startPeer(t, func(c *peerConn) {
		c.head()
		close(arrived)
		_, err := c.r.ReadByte()
		gone <- err
	})
	c := start(t, []string{p.addr}).dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	c.Close()
	select {
	case err := <-gone:
		if err == nil {
			t.Error("the upstream got a byte instead of a close")
		}
	case <-time.After(patience):
		t.Fatal("the upstream connection stayed open")
	}
}

func TestUpstreamGoneInTheMiddle(t *testing.T) {
	for name, reply := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, func(c *peerConn) { c.head(); c.say("%s", reply) })
			c := start(t, []string{p.addr}).dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, body, err := c.response("GET")
			if err == nil || resp == nil || body != "half" {
				t.Fatalf("the client cannot tell: %v %q %v", resp, body, err)
			}
		})
	}
}

func TestUpstreamUntilCloseBecomesChunks(t *testing.T) {
	p := startPeer(t, func(c *peerConn) { c.head(); c.say("HTTP/1.1 200 OK\r\n\r\nuntil the end") })
	c := start(t, []string{p.addr}).dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want("GET", 200, "until the end")
	}
}

func TestStalePooledConnectionIsReplaced(t *testing.T) {
	p := startPeer(t,
		func(c *peerConn) { c.head(); c.say(okReply); c.head() }, // closes on the second request
		answerAll(okReply))
	h := start(t, []string{p.addr})
	for range 3 {
		if resp, body := h.get("/"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
	if n := p.conns.Load(); n != 2 {
		t.Errorf("%d upstream connections, want 2", n)
	}
}

func TestPostIsNotSentTwice(t *testing.T) {
	var posts atomic.Int32
	p := startPeer(t, func(c *peerConn) {
		for head := c.head(); head != ""; head = c.head() {
			if strings.HasPrefix(head, "POST") {
				posts.Add(1)
				return
			}
			c.say(okReply)
		}
	})
	h := start(t, []string{p.addr})
	h.get("/")
	c := h.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	c.want("POST", 502, "*")
	if posts.Load() != 1 {
		t.Errorf("the upstream got %d POSTs", posts.Load())
	}
}

func TestUpgradeTunnels(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		if head := strings.ToLower(c.head()); !strings.Contains(head, "upgrade: echo") || !strings.Contains(head, "connection: upgrade") {
			c.t.Errorf("the upstream got %q", head)
		}
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi")
		io.Copy(c.Conn, c.r)
	})
	c := start(t, []string{p.addr}).dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" {
		t.Fatalf("%v %v", resp, err)
	}
	got := make([]byte, len("hiearly"))
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "hiearly" {
		t.Fatalf("%q %v", got, err)
	}
	c.send("more")
	c.Conn.(*net.TCPConn).CloseWrite()
	rest, err := io.ReadAll(c.r)
	if err != nil || string(rest) != "more" {
		t.Fatalf("%q %v", rest, err)
	}
}

func TestLimits(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	h := start(t, []string{app}, func(cfg *ir.Config) {
		p := clientPolicy(cfg)
		p.MaxHeaderBytes, p.MaxHeaderCount, p.MaxBodyBytes = 2000, 10, 100
		p.HeaderTimeout, p.RequestTimeout = 200*time.Millisecond, 300*time.Millisecond
	})
	for _, tc := range []struct {
		name, in string
		status   int
	}{
		{"header bytes", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", 431},
		{"header count", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: 1\r\n", 20) + "\r\n", 431},
		{"announced body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
		{"chunked body", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + strings.Repeat("a", 101) + "\r\n0\r\n\r\n", 413},
		{"slow header", "GET / HTTP/1.1\r\nHost:", 408},
		{"slow body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12", 408},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := h.dial()
			c.send(tc.in)
			resp := c.want("POST", tc.status, "*")
			if resp.Header.Get("Server") != "gridway" || resp.Header.Get("X-Gridway-Reason") == "" {
				t.Errorf("our own replies say so: %v", resp.Header)
			}
			if tc.name != "chunked body" { // that one was read to its end
				c.ended()
			}
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	p := startPeer(t, answerAll(okReply))
	c := start(t, []string{p.addr}, func(cfg *ir.Config) { clientPolicy(cfg).IdleTimeout = 50 * time.Millisecond }).dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, "ok")
	c.ended()
}

// Every ambiguous framing is refused, the connection is closed, and nothing
// reaches the upstream.
func TestSmugglingNeverReachesTheUpstream(t *testing.T) {
	var reached atomic.Int32
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { reached.Add(1) })
	h := start(t, []string{app})
	const next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, in := range map[string]string{
		"CL.TE":                 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"TE.CL":                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
		"two lengths":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
		"equal lengths":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"length list":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
		"signed length":         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
		"hex length":            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
		"empty length":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
		"huge length":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"space before colon":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx",
		"TE space before colon": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"TE xchunked":           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"TE vertical tab":       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
		"TE twice":              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE identity":           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
		"TE chunked, identity":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"TE in HTTP/1.0":        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"folded TE":             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"folded line":           "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"bare LF line":          "GET / HTTP/1.1\nHost: a\n\n",
		"bare LF in header":     "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",
		"bare CR":               "GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n",
		"NUL in value":          "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
		"NUL in name":           "GET / HTTP/1.1\r\nHost: a\r\nX\x00: a\r\n\r\n",
		"two hosts":             "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no host":               "GET / HTTP/1.1\r\n\r\n",
		"bad host":              "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"bad chunk size":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
		"chunk size overflow":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n",
		"chunk without CRLF":    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
		"chunk LF":              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n",
		"chunk ext LF":          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n",
		"no name":               "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
		"leading space":         "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"version 1.2 text":      "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
		"lower-case http":       "GET / http/1.1\r\nHost: a\r\n\r\n",
		"two spaces":            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"control in target":     "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"fragment":              "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
		"escape above root":     "GET /../../etc HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := reached.Load()
			c := h.dial()
			c.send(in + next)
			resp, _, err := c.response("POST")
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode < 400 || resp.StatusCode == 404 || resp.StatusCode >= 502 {
				t.Errorf("status %d", resp.StatusCode)
			}
			if !resp.Close {
				t.Error("the connection must end: what follows cannot be trusted")
			}
			if rest, _ := io.ReadAll(c.r); bytes.Contains(rest, []byte("HTTP/1.1")) {
				t.Errorf("a second response: %q", rest)
			}
			if n := reached.Load() - before; n != 0 {
				t.Errorf("%d requests reached the upstream", n)
			}
		})
	}
}
