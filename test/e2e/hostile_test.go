package e2e

import (
	"io"
	"strings"
	"testing"
	"time"
)

// hostile answers the first request with bytes of its choice and stays open;
// on further connections it behaves.
func hostile(t *testing.T, reply string) *peer {
	return startPeer(t, func(c *peerConn) {
		c.head()
		c.say("%s", reply)
		c.untilClosed()
	}, answers(okReply))
}

// Answers whose framing can be read in two ways must not reach the client, and
// what follows them must not be taken for the answer to somebody else's request.
func TestAmbiguousResponses(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"two lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokX",
		"list of lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nokX",
		"length and chunked":     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"negative length":        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"signed length":          "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
		"hex length":             "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
		"huge length":            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
		"coded and chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"chunked, then coded":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"chunked twice":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"chunked in HTTP/1.0":    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"empty length":           "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
		"length with a comma":    "HTTP/1.1 200 OK\r\nContent-Length: 2,\r\n\r\nok",
		"two status lines":       "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"split in the reason":    "HTTP/1.1 200 OK\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
		"status with a sign":     "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nok",
		"status of four digits":  "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/2.0":               "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"two spaces":             "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
		"no colon":               "HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\nok",
		"no name":                "HTTP/1.1 200 OK\r\n: evil\r\nContent-Length: 2\r\n\r\nok",
		"bad interim":            "HTTP/1.1 103 Early Hints\r\nX : y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"too many fields":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 5000) + "Content-Length: 2\r\n\r\nok",
		"unknown coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"space before the colon": "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
		"folded line":            "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
		"bare LF":                "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"NUL in a value":         "HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		"CR in a value":          "HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n\r\nok",
		"not HTTP":               "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/0.9":               "<html>ok</html>\r\n\r\n",
		"status of two digits":   "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 099":             "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
		"switch unasked":         "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		"endless header":         "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 200_000) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := hostile(t, reply)
			g := serveYAML(t, edge("retry: {attempts: 0}", app.addr))
			c := g.dial()
			c.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, body := c.mustRespond("GET")
			want(t, resp, 502, "UpstreamProtocolError")
			if strings.Contains(body, "ok") && !strings.Contains(body, "detail") || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("something came through: %v %q", resp.Header, body)
			}
			c.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp, body := c.mustRespond("GET"); resp.StatusCode != 200 || body != "ok" || app.conns.Load() != 2 {
				t.Errorf("the next request got %d %q over %d connections", resp.StatusCode, body, app.conns.Load())
			}
		})
	}
}

// What an endpoint says beyond its answer belongs to nobody.
func TestBytesAfterAResponse(t *testing.T) {
	t.Parallel()
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Evil: 1\r\n\r\npoison"
	for name, c := range map[string]struct{ method, reply string }{
		"after a length":        {"GET", okReply + poison},
		"after chunks":          {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + poison},
		"after a 204":           {"GET", "HTTP/1.1 204 No Content\r\n\r\n" + poison},
		"after a 204 in chunks": {"GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + poison},
		"after a 204, length":   {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n" + poison},
		"after a 304, chunked":  {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + poison},
		"after a HEAD, chunked": {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + poison},
		"after a 304":           {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n" + poison},
		"after a HEAD":          {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n" + poison},
		"after no length":       {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + poison},
		"after an interim":      {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + okReply + poison},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := hostile(t, c.reply)
			g := serveYAML(t, edge("", app.addr))
			w := g.dial()
			w.send(c.method + " /1 HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, _ := w.mustRespond(c.method)
			if resp.StatusCode == 103 {
				w.mustRespond(c.method)
			}
			for range 3 {
				w.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
				resp, body := w.mustRespond("GET")
				if resp.StatusCode != 200 || body != "ok" || resp.Header.Get("X-Evil") != "" {
					t.Fatalf("got %d %q %v", resp.StatusCode, body, resp.Header)
				}
			}
		})
	}
}

// The same when the poison comes late, while the connection is in the pool.
func TestBytesOnAnIdleConnection(t *testing.T) {
	t.Parallel()
	said := make(chan struct{})
	app := startPeer(t, func(c *peerConn) {
		c.head()
		c.say(okReply)
		<-said
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		said <- struct{}{}
		c.untilClosed()
	}, answers(okReply))
	g := serveYAML(t, edge("", app.addr))
	g.get("/")
	said <- struct{}{}
	<-said
	for _, method := range []string{"POST", "GET", "GET"} {
		resp, body, err := g.do(g.request(method, "/", nil))
		if err != nil || resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("%s got %v %q %v", method, resp, body, err)
		}
	}
}

// Bad framing in the middle of a response: the client can tell that it is not whole.
func TestBadChunksInAResponse(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"bad size":         "xyz\r\n",
		"negative size":    "-1\r\n",
		"overflow":         "fffffffffffffffff\r\n",
		"no CRLF":          "2\r\nokXX",
		"bare LF":          "2\nok\n0\n\n",
		"space in size":    "2 2\r\nok\r\n",
		"bad extension":    "2;\x00\r\nok\r\n",
		"endless trailer":  "0\r\nX-A: " + strings.Repeat("a", 200_000) + "\r\n\r\n",
		"framing trailer":  "0\r\nContent-Length 5\r\n\r\n",
		"cut in the chunk": "5\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startPeer(t, func(c *peerConn) {
				c.head()
				c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n%s", rest)
			})
			g := serveYAML(t, edge("retry: {attempts: 0}", app.addr))
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			got := c.rest()
			if strings.Contains(got, "0\r\n\r\n") && strings.Contains(got, " 200 ") {
				t.Errorf("looks complete: %.300q", got)
			}
			if strings.Contains(got, "XX") {
				t.Errorf("came through: %.300q", got)
			}
		})
	}
}

// Bad framing in the middle of a request: 400 or a cut, nothing of it upstream,
// and the endpoint never believes that the request is whole.
func TestBadChunksInARequest(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"bad size":           "xyz\r\nSMUGGLED",
		"negative size":      "-1\r\nSMUGGLED",
		"overflow":           "fffffffffffffffff\r\nSMUGGLED",
		"no CRLF after data": "2\r\nokSMUGGLED",
		"bare LF":            "2\nok\n0\n\nSMUGGLED",
		"bare CR":            "2\rok\r0\r\rSMUGGLED",
		"0x":                 "0x2\r\nok\r\nSMUGGLED",
		"extension with NUL": "2;\x00\r\nok\r\nSMUGGLED",
		"extension with LF":  "2;a\nb\r\nok\r\nSMUGGLED",
		"trailer with space": "0\r\nX-A : SMUGGLED\r\n\r\n",
		"trailer folded":     "0\r\nX-A: b\r\n SMUGGLED\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 4)
			app := startPeer(t, func(c *peerConn) {
				c.head()
				b, _ := io.ReadAll(c.r)
				seen <- string(b)
			})
			g := serveYAML(t, edge("retry: {attempts: 0}", app.addr))
			c := g.dial()
			c.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n")
			eventually(t, "the first chunk is on its way", func() bool { return app.heads.Load() == 1 })
			c.send(rest)
			c.SetReadDeadline(time.Now().Add(patience))
			answer := c.rest()
			if answer != "" && !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
				t.Errorf("answered %q", answer)
			}
			select {
			case got := <-seen:
				if strings.Contains(got, "SMUGGLED") || strings.HasSuffix(got, "0\r\n\r\n") {
					t.Errorf("the endpoint saw %q", got)
				}
			case <-time.After(onBusy):
				t.Error("the connection to the endpoint stayed open")
			}
			if n := app.heads.Load(); n != 1 {
				t.Errorf("%d requests upstream", n)
			}
		})
	}
}

// A request that ends too soon never becomes a whole one.
func TestRequestCutInTheBody(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"length":  "Content-Length: 100\r\n\r\nhalf",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 1)
			app := startPeer(t, func(c *peerConn) {
				c.head()
				b, _ := io.ReadAll(c.r)
				seen <- string(b)
			})
			g := serveYAML(t, edge("", app.addr))
			c := g.dial()
			c.send("PUT / HTTP/1.1\r\nHost: a\r\n" + head)
			eventually(t, "the request is on its way", func() bool { return app.heads.Load() == 1 })
			c.Close()
			if got := <-seen; strings.HasSuffix(got, "0\r\n\r\n") {
				t.Errorf("the endpoint saw %q", got)
			}
		})
	}
}
