package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a server that keeps every byte that reaches it.
type recorder struct {
	*peer
	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

func startRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.peer = startPeer(t, func(c *peerConn) {
		c.r.Reset(io.TeeReader(c.Conn, r))
		for {
			req, err := http.ReadRequest(c.r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			c.say("%s", okReply)
		}
	})
	return r
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// take returns what has come since the last call.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.log.String()
	r.log.Reset()
	return s
}

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

// refusedRequests can be read in two ways, or in none.
func refusedRequests() map[string]string {
	const get, post = "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\n"
	cases := map[string]string{
		"CL.TE":                   post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"TE.CL":                   post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
		"CL 0 and TE":             post + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE, TE":                  post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE list":                 post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"TE in HTTP/1.0":          "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE and HTTP/1.0 and CL":  "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE folded":               post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"TE folded with tab":      post + "Transfer-Encoding: x\r\n\tchunked\r\n\r\n0\r\n\r\n",
		"TE behind CR":            post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE behind LF":            post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE behind NUL":           post + "X: y\x00Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE with NUL":             post + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
		"no colon":                get + "Transfer-Encoding chunked\r\n\r\n",
		"no name":                 get + ": chunked\r\n\r\n",
		"first line folded":       "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"folded":                  get + "X: y\r\n z\r\n\r\n",
		"empty folded line":       get + "X: y\r\n \r\n\r\n",
		"LF only":                 "GET / HTTP/1.1\nHost: a\n\n",
		"LF at the end":           "GET / HTTP/1.1\r\nHost: a\r\n\n",
		"CR LF CR":                "GET / HTTP/1.1\r\nHost: a\r\n\rX",
		"CR only":                 "GET / HTTP/1.1\rHost: a\r\r",
		"no version":              "GET /\r\nHost: a\r\n\r\n",
		"HTTP/0.9":                "GET /\r\n\r\n",
		"HTTP/2.0":                "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"HTTP/11":                 "GET / HTTP/11\r\nHost: a\r\n\r\n",
		"HTTP/1.":                 "GET / HTTP/1.\r\nHost: a\r\n\r\n",
		"HTTP/01.1":               "GET / HTTP/01.1\r\nHost: a\r\n\r\n",
		"HTTP/1.1 and more":       "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
		"version with space":      "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"hTTP":                    "GET / hTTP/1.1\r\nHost: a\r\n\r\n",
		"space in target":         "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"tab in target":           "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
		"space in front":          " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"method with colon":       "GET: / HTTP/1.1\r\nHost: a\r\n\r\n",
		"method in quotes":        "\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n",
		"no target":               "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
		"relative target":         "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"backslash target":        "GET \\a HTTP/1.1\r\nHost: a\r\n\r\n",
		"asterisk of GET":         "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"DEL in target":           "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
		"encoded NUL in path":     "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n",
		"bad escape in path":      "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"cut escape in path":      "GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n",
		"above the root":          "GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n",
		"above the root, encoded": "GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
		"dots beside %2f":         "GET /a%2f..%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
		"ftp target":              "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"user in target":          "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"target without host":     "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
		"no Host":                 "GET / HTTP/1.1\r\n\r\n",
		"two Hosts":               "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"the same Host twice":     "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"Host list":               "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"Host with path":          "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"Host with user":          "GET / HTTP/1.1\r\nHost: x@a\r\n\r\n",
		"Host with bad port":      "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
		"Host with word as port":  "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
		"Host and obs-fold":       "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
		"Host with space":         "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"CONNECT with a body":     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello",
		"CONNECT with a path":     "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	for _, v := range []string{"-1", "+5", "0x5", "5 5", "5, 5", "5,6", "5;", "5.0", "5e0", "1_0", "\"5\"", "", ",5", "5,", "18446744073709551621", "9223372036854775808", "٥", "5\x0b", "5\x00", "5 \t x"} {
		cases["CL "+v] = post + "Content-Length: " + v + "\r\n\r\nhello"
	}
	for _, v := range []string{"identity", "xchunked", "chunkedx", "chunked;q=1", "\"chunked\"", "gzip", "gzip, chunked", "chunked, gzip", "chunked, identity", ", chunked", "chunked,", "chu nked", "\x0bchunked", "chunked\x0b", "chunked \x0c", "cow", "", "x\tchunked"} {
		cases["TE "+v] = post + "Transfer-Encoding: " + v + "\r\n\r\n0\r\n\r\n"
	}
	for _, n := range []string{"Content-Length ", "Content-Length\t", " Content-Length", "Content Length", "Content-Length\x00", "Content-Length\x0b", "\x0bContent-Length", "Content-Length\xa0", "(Content-Length)", "Content-Length;", "Transfer-Encoding "} {
		cases["name "+n] = post + n + ": 5\r\n\r\nhello"
	}
	for _, c := range []string{
		"-1\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n", "0x1\r\nx\r\n0\r\n\r\n", "1_\r\nx\r\n0\r\n\r\n", "1h\r\nx\r\n0\r\n\r\n", " 1\r\nx\r\n0\r\n\r\n",
		"1.0\r\nx\r\n0\r\n\r\n", "\r\n1\r\nx\r\n0\r\n\r\n", ";a=b\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n", "1\rx\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n", "1\r\nx\r0\r\n\r\n",
		"1\r\nxX\r\n0\r\n\r\n", "1\r\nx0\r\n\r\n", "10000000000000000\r\nx\r\n0\r\n\r\n", "ffffffffffffffff\r\nx\r\n0\r\n\r\n", "8000000000000000\r\nx\r\n0\r\n\r\n",
		strings.Repeat("0", 100) + "1\r\nx\r\n0\r\n\r\n", "1;a\nb\r\nx\r\n0\r\n\r\n", "1;a\rb\r\nx\r\n0\r\n\r\n", "1;a\x00\r\nx\r\n0\r\n\r\n", "1;a=\"b\r\nx\r\n0\r\n\r\n",
		"1;" + strings.Repeat("a", 20000) + "\r\nx\r\n0\r\n\r\n", "1 x\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n0\n\n", "1\r\nx\r\n0\r\n\n", "1\r\nx\r\n0\r\nX : y\r\n\r\n",
		"1\r\nx\r\n0\r\nX: y\r\n z\r\n\r\n", "1\r\nx\r\n0\r\nno colon\r\n\r\n", "1\r\nx\r\n0\r\nX: y\x00\r\n\r\n", "1\r\nx\r\n0\r\nX: y\nY: z\r\n\r\n", "\xd9\xa1\r\nx\r\n0\r\n\r\n",
	} {
		cases[fmt.Sprintf("chunks %.40q", c)] = post + "Transfer-Encoding: chunked\r\n\r\n" + c
	}
	return cases
}

// Every ambiguous request is answered with an error and a close, and not a byte
// of it, nor of what comes behind it, reaches an endpoint.
func TestNothingIsSmuggled(t *testing.T) {
	t.Parallel()
	app := startRecorder(t)
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	for name, in := range refusedRequests() {
		c := dialPort(t, port)
		c.SetDeadline(time.Now().Add(2 * patience))
		io.WriteString(c, in+smuggled)
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		resp, body, err := c.response("POST")
		switch {
		case err != nil:
			t.Errorf("%s: no answer: %v", name, err)
		case resp.StatusCode != 400 && !(resp.StatusCode == 505 && strings.Contains(name, "HTTP/")) && !(resp.StatusCode == 501 && strings.HasPrefix(name, "TE ")) &&
			!(resp.StatusCode == 405 && strings.HasPrefix(name, "CONNECT")):
			t.Errorf("%s: answered %d %q", name, resp.StatusCode, body)
		case !resp.Close:
			t.Errorf("%s: %d, but the connection goes on", name, resp.StatusCode)
		}
		if rest := c.rest(); rest != "" {
			t.Errorf("%s: then %q", name, rest)
		}
		if got := app.take(); got != "" {
			t.Errorf("%s: reached the endpoint: %q", name, got)
		}
		c.Close()
	}
	// The gateway is well all the same.
	c := dialPort(t, port)
	c.send("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 || !strings.HasPrefix(app.take(), "GET /fine HTTP/1.1\r\n") {
		t.Errorf("%d", resp.StatusCode)
	}
}
