package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// workshop is a Go server with a path for each thing that HTTP can do.
func workshop(t *testing.T) *server {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sum": // the digest of the body, also as a trailer; tells the request's own trailer
			h := sha256.New()
			if _, err := io.Copy(h, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprintf(w, "%x %s", h.Sum(nil), r.Trailer.Get("X-Mine"))
			w.Header().Set("X-Sum", fmt.Sprintf("%x", h.Sum(nil)))
		case "/hints":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(103)
			w.Header().Del("Link")
			io.WriteString(w, "done")
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("ETag", `"a"`)
			w.WriteHeader(304)
		case "/echo":
			http.NewResponseController(w).EnableFullDuplex()
			if r.ContentLength >= 0 {
				w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
			}
			w.WriteHeader(200)
			if _, err := io.Copy(flushing{w}, r.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
		case "/refuse":
			w.Header().Set("Connection", "close")
			w.WriteHeader(413)
		default:
			fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
		}
	})
}

type flushing struct{ http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// Go's client and Go's server through the binary, on few connections.
func TestGoClient(t *testing.T) {
	t.Parallel()
	app := workshop(t)
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	var dials atomic.Int64
	tr := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1, ExpectContinueTimeout: patience, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 4 * patience}
	do := func(method, path string, body io.Reader, shape func(*http.Request)) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, body)
		if err != nil {
			t.Fatal(err)
		}
		if shape != nil {
			shape(req)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return resp, string(b)
	}
	for range 2 {
		if _, body := do("GET", "/a", nil, nil); body != "GET /a" {
			t.Errorf("%q", body)
		}
		if resp, body := do("HEAD", "/a", nil, nil); body != "" || resp.ContentLength != int64(len("HEAD /a")) {
			t.Errorf("HEAD: %q %d", body, resp.ContentLength)
		}
		for path, status := range map[string]int{"/204": 204, "/304": 304} {
			if resp, body := do("GET", path, nil, nil); resp.StatusCode != status || body != "" {
				t.Errorf("%s: %d %q", path, resp.StatusCode, body)
			}
		}
		// Trailers both ways; only a chunked request has them.
		resp, body := do("POST", "/sum", struct{ io.Reader }{strings.NewReader("hello")}, func(r *http.Request) { r.Trailer = http.Header{"X-Mine": {"me"}} })
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte("hello")))
		if body != sum+" me" || resp.Trailer.Get("X-Sum") != sum {
			t.Errorf("trailers: %q %v", body, resp.Trailer)
		}
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		}}
		if _, body := do("GET", "/hints", nil, func(r *http.Request) { *r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace)) }); body != "done" || fmt.Sprint(hints) != "[103</style.css>; rel=preload]" {
			t.Errorf("hints: %q %q", body, hints)
		}
		big := make([]byte, 8<<20)
		r := rand.NewChaCha8([32]byte{1})
		r.Read(big)
		for name, in := range map[string]io.Reader{"length": bytes.NewReader(big), "chunked": struct{ io.Reader }{bytes.NewReader(big)}} {
			if _, body := do("PUT", "/echo", in, nil); body != string(big) {
				t.Errorf("%s: %d bytes came back", name, len(body))
			}
		}
		continued := false
		trace = &httptrace.ClientTrace{Got100Continue: func() { continued = true }}
		if _, body := do("POST", "/sum", bytes.NewReader(big[:100_000]), func(r *http.Request) {
			r.Header.Set("Expect", "100-continue")
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		}); body != fmt.Sprintf("%x ", sha256.Sum256(big[:100_000])) || !continued {
			t.Errorf("100 (Continue): %q, %v", body, continued)
		}
	}
	// An answer that overtakes its request's body ends the connection; there
	// were four of them.
	if n := dials.Load(); n > 5 {
		t.Errorf("%d connections", n)
	}
	// A server that refuses early: the client gets the answer, not a reset.
	resp, _ := do("POST", "/refuse", bytes.NewReader(make([]byte, 1000)), func(r *http.Request) { r.Header.Set("Expect", "100-continue") })
	if resp.StatusCode != 413 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// HAProxy as the server: it speaks to a real application behind it.
func TestHAProxyAsServer(t *testing.T) {
	t.Parallel()
	app := workshop(t)
	behind, port := ownPort(t), ownPort(t)
	addr := haproxy(t, behind, fmt.Sprintf("frontend f\n  bind 127.0.0.1:%d\n  default_backend b\nbackend b\n  server a %s", behind, app.addr))
	start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", addr)))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	long := strings.Repeat("0123456789abcdef", 60_000)
	sum := fmt.Sprintf("%x ", sha256.Sum256([]byte(long)))
	for name, c := range map[string]struct {
		args        []string
		stdin, want string
	}{
		"get":             {[]string{url + "/a", url + "/b"}, "", "GET /aGET /b"},
		"post":            {[]string{"--data-binary", "@-", url + "/sum"}, long, sum},
		"chunked":         {[]string{"-T", "-", url + "/sum"}, long, sum},
		"expect":          {[]string{"-H", "Expect: 100-continue", "--data-binary", "@-", url + "/sum"}, long, sum},
		"chunked answer":  {[]string{"-T", "-", url + "/echo"}, long, long},
		"HTTP/1.0 client": {[]string{"-0", "--data-binary", "@-", url + "/echo"}, long, long},
		"HEAD":            {[]string{"-I", "-o", "/dev/null", "-w", "%{http_code} %{header_json}", url + "/a"}, "", `200 {"`},
		"no content":      {[]string{"-w", "%{http_code}", url + "/204"}, "", "204"},
	} {
		got := run(t, c.stdin, "curl", append([]string{"-sS", "--max-time", "10"}, c.args...)...)
		if got != c.want && !(name == "HEAD" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %.200q, want %.200q", name, got, c.want)
		}
	}
	out := run(t, "", "wrk", "-t1", "-c16", "-d1s", url+"/a")
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Error(out)
	}
}

// Servers of HTTP/1.0 and ones that end their answers by closing.
func TestOldServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply, want string
		conns       int64 // for three requests
	}{
		"HTTP/1.0, until close":     {"HTTP/1.0 200 OK\r\n\r\nbody", "body", 3},
		"HTTP/1.0 with a length":    {"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", "body", 3},
		"HTTP/1.0 keep-alive":       {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody", "body", 1},
		"HTTP/1.1, until close":     {"HTTP/1.1 200 OK\r\n\r\nbody", "body", 3},
		"HTTP/1.1, close":           {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", "body", 3},
		"HTTP/1.1, chunks to close": {"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body", 3},
		"no reason phrase":          {"HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\nbody", "body", 1},
		"unknown status":            {"HTTP/1.1 299 Odd\r\nContent-Length: 4\r\n\r\nbody", "body", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := c.conns > 1
			app := startPeer(t, func(p *peerConn) {
				for p.head() != "" {
					p.say("%s", c.reply)
					if ends {
						return
					}
				}
			})
			g := serveYAML(t, edge("", app.addr))
			w := g.dial()
			for range 3 { // the client's connection stays
				w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if resp, body := w.mustRespond("GET"); body != c.want || resp.Close || resp.ProtoMinor != 1 {
					t.Errorf("%q, close %v, %s", body, resp.Close, resp.Proto)
				}
			}
			if n := app.conns.Load(); n != c.conns {
				t.Errorf("%d connections", n)
			}
			old := g.dial()
			old.send("GET / HTTP/1.0\r\n\r\n")
			if text := old.rest(); !strings.HasSuffix(text, "\r\n\r\nbody") || strings.Contains(strings.ToLower(text), "transfer-encoding") {
				t.Errorf("a client of HTTP/1.0 got %q", text)
			}
		})
	}
}

// An answer that stops in the middle must not look whole, to any client.
func TestCutAnswersLookCut(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunked":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"in a chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
		"no last one": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
		"old, length": "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"large":       "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("half", 500_000),
	} {
		for how, end := range map[string]func(*peerConn){"close": func(*peerConn) {}, "reset": (*peerConn).reset} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				g := serveYAML(t, edge("", startPeer(t, func(c *peerConn) {
					c.head()
					c.say("%s", reply)
					end(c)
				}).addr))
				if resp, body, err := g.do(g.request("GET", "/", nil)); err == nil && resp.StatusCode == 200 {
					t.Errorf("Go's client is content with %d bytes", len(body))
				}
				if out, code := output(t, "", "curl", "-sS", "-f", "-o", "/dev/null", "--max-time", "5", "http://"+g.addr+"/"); code == 0 {
					t.Errorf("curl is content: %s", out)
				}
				w := g.dial()
				w.send("GET / HTTP/1.0\r\n\r\n")
				if _, err := io.Copy(io.Discard, w.r); err == nil && name != "length" && name != "old, length" && name != "large" {
					t.Error("a client of HTTP/1.0 sees an orderly end of chunks that it does not see")
				}
			})
		}
	}
}

// A client that goes away cancels what it asked for, in bounded time, in every
// phase of an exchange.
func TestClientGoneCancelsTheEndpoint(t *testing.T) {
	t.Parallel()
	gone := make(chan string, 8)
	begun := make(chan struct{}, 8)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/upload":
			begun <- struct{}{}
			_, err := io.Copy(io.Discard, r.Body)
			if err == nil {
				err = errors.New("the body ended well")
			}
			gone <- r.URL.Path + ": " + err.Error()
			return
		case "/stream":
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
		}
		io.Copy(io.Discard, r.Body) // only then net/http looks for the end of the connection
		begun <- struct{}{}
		<-r.Context().Done()
		gone <- r.URL.Path
	})
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	for path, request := range map[string]string{
		"/silent": "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
		"/posted": "POST /posted HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
		"/stream": "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
		"/upload": "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
	} {
		for how, leave := range map[string]func(*wire){
			"close": func(w *wire) { w.Close() },
			"reset": func(w *wire) { w.Conn.(*net.TCPConn).SetLinger(0); w.Close() },
		} {
			w := dialPort(t, port)
			w.send(request)
			select {
			case <-begun:
			case <-time.After(onBusy):
				t.Fatalf("%s did not begin", path)
			}
			left := time.Now()
			leave(w)
			select {
			case got := <-gone:
				if took := time.Since(left); took > 2*time.Second || !strings.HasPrefix(got, path) || strings.Contains(got, "well") {
					t.Errorf("%s, %s: %q after %v", path, how, got, took)
				}
			case <-time.After(onBusy):
				t.Errorf("%s, %s: the endpoint still works", path, how)
			}
		}
		p.accessed(`"path":"`+path+`"`, "ClientGone")
	}
}

// Endpoints that close pooled connections at the worst moments: requests that
// may be sent again are, and no others.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		c.head()
		c.say(okReply)
		if c.head() != "" { // the second request on a connection is never answered
			c.reset()
		}
	})
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr), policyDoc("app", "HTTPRoute", "app", "retry: {attempts: 0}")))
	w := dialPort(t, port)
	for i := range 20 {
		w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := w.mustRespond("GET"); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("request %d: %d %s", i, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
		}
	}
	before := app.heads.Load()
	w.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	resp, _ := w.mustRespond("POST")
	if sent := app.heads.Load() - before; sent != 1 || resp.StatusCode != 502 {
		t.Errorf("POST: sent %d times, answered %d", sent, resp.StatusCode)
	}
}
