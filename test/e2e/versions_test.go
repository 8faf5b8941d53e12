package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// passage is one way through the gateway: a client's version, and an endpoint's.
type passage struct {
	name   string
	client *http.Client
	url    string
	toH2   bool
}

// passages are the four ways to a handler.
func passages(t *testing.T, h http.HandlerFunc) []passage {
	app := serveProtocols(t, plainProtocols(), h)
	var all []passage
	for _, to := range []string{"h1", "h2"} {
		backend := backendDoc("app", app.addr)
		if to == "h2" {
			backend = h2Backend("app", app.addr)
		}
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backend))
		tr := &http.Transport{DisableCompression: true, ExpectContinueTimeout: 4 * patience}
		t.Cleanup(tr.CloseIdleConnections)
		over2 := overHTTP2(t, nil)
		over2.Transport.(*http.Transport).ExpectContinueTimeout = 4 * patience
		over2.Transport.(*http.Transport).DisableCompression = true
		all = append(all,
			passage{"h1 to " + to, &http.Client{Transport: tr, Timeout: 4 * patience}, "http://" + g.addr, to == "h2"},
			passage{"h2 to " + to, over2, "http://" + g.addr, to == "h2"})
	}
	return all
}

// What HTTP means stays the same, whichever version either side speaks.
func TestVersionsMeanTheSame(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("h", 12_000)
	for _, p := range passages(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if (r.ProtoMajor == 2) != (r.URL.Query().Get("to") == "h2") {
			h.Set("X-Wrong", r.Proto)
		}
		switch r.URL.Path {
		case "/trailers":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			h.Set("Trailer", "X-Sum, X-Status")
			fmt.Fprintf(w, "%d %v", len(body), r.Trailer)
			w.(http.Flusher).Flush()
			h.Set("X-Sum", fmt.Sprint(len(body)))
			h.Set("X-Status", "0")
		case "/trailersonly": // a trailer and no content
			h.Set("Trailer", "X-Sum")
			w.(http.Flusher).Flush()
			h.Set("X-Sum", "none")
		case "/hints":
			for _, name := range []string{"a", "b", "c"} {
				h.Set("Link", "</"+name+".css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
			}
			h.Del("Link")
			io.WriteString(w, "done")
		case "/processing":
			w.WriteHeader(http.StatusProcessing)
			io.WriteString(w, "done")
		case "/204":
			w.WriteHeader(204)
		case "/205":
			w.WriteHeader(205)
		case "/304":
			h.Set("Etag", `"x"`)
			w.WriteHeader(304)
		case "/refuse":
			w.WriteHeader(413)
			io.WriteString(w, "no")
		case "/cookies":
			for _, c := range r.Cookies() {
				h.Add("Set-Cookie", c.Name+"="+c.Value+"; Path=/")
			}
			fmt.Fprint(w, len(r.Header["Cookie"]) == 1 || r.ProtoMajor == 2)
		case "/long":
			h.Set("X-Long", r.Header.Get("X-Long"))
		case "/te":
			fmt.Fprint(w, r.Header["Te"], r.Header["Connection"])
		case "/empty":
			fmt.Fprint(w, r.ContentLength, r.TransferEncoding)
		case "/cut":
			w.Write(make([]byte, 100_000))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/cutlength":
			h.Set("Content-Length", "200000")
			w.Write(make([]byte, 100_000))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/range":
			http.ServeContent(w, r, "a.txt", time.Unix(1, 0), strings.NewReader("0123456789"))
		default:
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Host, body)
		}
	}) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var informed []string
			var continued atomic.Int64
			trace := &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					informed = append(informed, fmt.Sprint(code, h.Get("Link")))
					return nil
				},
				Got100Continue: func() { continued.Add(1) },
			}
			do := func(method, path string, body io.Reader, edits ...edit) (*http.Response, string, error) {
				t.Helper()
				informed = nil
				if p.toH2 {
					path += "?to=h2"
				}
				r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), method, p.url+path, body)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = "a.example"
				for _, f := range edits {
					f(r)
				}
				resp, err := p.client.Do(r)
				if err != nil {
					t.Fatalf("%s %s: %v", method, path, err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if v := resp.Header.Get("X-Wrong"); v != "" {
					t.Errorf("the endpoint was asked over %s", v)
				}
				return resp, string(b), err
			}
			chunked := func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
			announcing := func(r *http.Request) { r.Trailer = http.Header{"X-End": {"yes"}} }

			for _, size := range []int{0, 10, 100_000} {
				resp, body, err := do("POST", "/trailers", chunked(strings.Repeat("x", size)), announcing)
				if want := fmt.Sprintf("%d map[X-End:[yes]]", size); body != want || err != nil || resp.Trailer.Get("X-Sum") != fmt.Sprint(size) || resp.Trailer.Get("X-Status") != "0" {
					t.Errorf("trailers: %q, trailer %v, %v; want %q", body, resp.Trailer, err, want)
				}
			}
			if resp, body, err := do("GET", "/trailersonly", nil); body != "" || err != nil || resp.Trailer.Get("X-Sum") != "none" {
				t.Errorf("a trailer alone: %q %v %v", body, resp.Trailer, err)
			}
			if _, body, err := do("GET", "/hints", nil); body != "done" || err != nil || !slices.Equal(informed, []string{"103</a.css>; rel=preload", "103</b.css>; rel=preload", "103</c.css>; rel=preload"}) {
				t.Errorf("hints: %q %v, informed of %q", body, err, informed)
			}
			if _, body, err := do("GET", "/processing", nil); body != "done" || err != nil || len(informed) != 1 {
				t.Errorf("processing: %q %v, informed of %q", body, err, informed)
			}
			for _, status := range []int{204, 205, 304} {
				if resp, body, err := do("GET", fmt.Sprintf("/%d", status), nil); resp.StatusCode != status || body != "" || err != nil || status == 204 && resp.Header.Get("Content-Length") != "" {
					t.Errorf("%d: %d %q %v %v", status, resp.StatusCode, body, resp.Header, err)
				}
			}
			for _, path := range []string{"/", "/range", "/204", "/304"} {
				resp, body, err := do("HEAD", path, nil)
				if body != "" || err != nil {
					t.Errorf("HEAD %s: %q %v", path, body, err)
				}
				if length := resp.Header.Get("Content-Length"); path == "/range" && length != "10" {
					t.Errorf("HEAD %s: length %q", path, length)
				}
			}
			if resp, body, _ := do("GET", "/range", nil, header("Range", "bytes=2-4")); resp.StatusCode != 206 || body != "234" {
				t.Errorf("a range: %d %q", resp.StatusCode, body)
			}
			before := continued.Load()
			if _, body, err := do("PUT", "/", strings.NewReader("expected"), header("Expect", "100-continue")); body != "PUT a.example expected" || err != nil || continued.Load() != before+1 {
				t.Errorf("expecting 100: %q %v, continued %d times", body, err, continued.Load()-before)
			}
			unread := strings.NewReader(strings.Repeat("x", 50_000))
			if resp, body, err := do("PUT", "/refuse", unread, header("Expect", "100-continue")); resp.StatusCode != 413 || body != "no" || err != nil || unread.Len() != 50_000 {
				t.Errorf("expecting, and refused: %d %q %v, %d bytes unread", resp.StatusCode, body, err, unread.Len())
			}
			if resp, body, err := do("GET", "/cookies", nil, header("Cookie", "a=1; b=2; c=3")); body != "true" || err != nil ||
				!slices.Equal(resp.Header["Set-Cookie"], []string{"a=1; Path=/", "b=2; Path=/", "c=3; Path=/"}) {
				t.Errorf("cookies: %q %v %v", body, resp.Header["Set-Cookie"], err)
			}
			if resp, _, err := do("GET", "/long", nil, header("X-Long", long)); resp.Header.Get("X-Long") != long || err != nil {
				t.Errorf("a long field: %d, %d bytes, %v", resp.StatusCode, len(resp.Header.Get("X-Long")), err)
			}
			for _, method := range []string{"POST", "PUT", "PATCH"} {
				if _, body, _ := do(method, "/empty", http.NoBody); body != "0 []" {
					t.Errorf("%s without content: %q", method, body)
				}
			}
			if _, body, _ := do("GET", "/", strings.NewReader("body")); body != "GET a.example body" {
				t.Errorf("GET with content: %q", body)
			}
			if _, body, _ := do("DELETE", "/", chunked("body")); body != "DELETE a.example body" {
				t.Errorf("DELETE with content: %q", body)
			}
			for _, path := range []string{"/cut", "/cutlength"} {
				if resp, body, err := do("GET", path, nil); err == nil {
					t.Errorf("%s: %d with %d bytes looks whole", path, resp.StatusCode, len(body))
				}
			}
			if _, body, err := do("POST", "/", bytes.NewReader([]byte("at last"))); body != "POST a.example at last" || err != nil {
				t.Errorf("%q %v", body, err)
			}
		})
	}
}

// Interim responses that come together with what follows are passed on, each.
func TestInterimResponsesInABurst(t *testing.T) {
	t.Parallel()
	p := scripted(t, func(c *h2.Conn, s *h2.Stream, _ *httpmsg.Request, _ int64) []byte {
		for _, status := range []int{100, 103, 102} {
			c.SendResponse(s, &httpmsg.Response{Status: status}, false)
		}
		answer(c, s, 200, "done", true)
		return nil
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", p.addr)))
	w := g.dial()
	w.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
	var got []int
	for {
		resp, err := http.ReadResponse(w.r, nil)
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		if got = append(got, resp.StatusCode); resp.StatusCode >= 200 {
			break
		}
	}
	if !slices.Equal(got, []int{100, 103, 102, 200}) {
		t.Errorf("answered with %v", got)
	}
	c := dialH2(t, g.addr)
	id, b := c.request("POST", "/", false, "expect", "100-continue", "content-length", "1")
	c.write(b)
	var over2 []string
	c.until("the answer", func(f frame) bool {
		if f.StreamID == id && f.Type == h2.FrameHeaders {
			over2 = append(over2, f.fields[":status"])
			return f.fields[":status"] == "200"
		}
		return false
	})
	if !slices.Equal(over2, []string{"100", "103", "102", "200"}) {
		t.Errorf("over HTTP/2: %v", over2)
	}
}

// An offer to go on with HTTP/2 without TLS is not followed, here or behind: a
// tunnel would pass by routes and policies.
func TestUpgradeToHTTP2GoesNowhere(t *testing.T) {
	t.Parallel()
	up := startPeer(t, func(c *peerConn) {
		head := c.head()
		if strings.Contains(strings.ToLower(head), "upgrade") || strings.Contains(strings.ToLower(head), "http2-settings") {
			t.Errorf("the endpoint was offered\n%s", head)
			c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		}
		c.say("%s", okReply)
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", up.addr)))
	for _, offer := range []string{"h2c", "H2C", "foo, h2c"} {
		c, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(2 * patience))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", offer)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v %v", offer, resp, err)
		}
		c.Close()
	}
}
