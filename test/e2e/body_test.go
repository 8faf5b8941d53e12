package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// decoders by content coding.
var decoders = map[string]func(io.Reader) (io.Reader, error){
	"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
}

func TestCompression(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("all work and no play makes a dull text. ", 5000)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		}
		io.WriteString(w, text)
	})
	g := serveYAML(t, edge(`compression: {}`, app.addr))
	for _, path := range []string{"/length", "/chunked"} {
		for coding, decode := range decoders {
			resp, body := g.get(path, header("Accept-Encoding", coding))
			if got := resp.Header.Get("Content-Encoding"); got != coding || len(body) > len(text)/10 {
				t.Fatalf("%s: coding %q, %d bytes", coding, got, len(body))
			}
			r, err := decode(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := io.ReadAll(r); err != nil || string(plain) != text {
				t.Errorf("%s: %d bytes, %v", coding, len(plain), err)
			}
			if !strings.Contains(resp.Header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("%s: Vary is %q", coding, resp.Header.Get("Vary"))
			}
		}
	}
	if resp, body := g.get("/length", header("Accept-Encoding", "identity")); body != text || resp.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a client that does not want it")
	}
	if resp, _ := g.get("/length", header("Accept-Encoding", "gzip;q=0.5, br;q=0.9, zstd;q=0")); resp.Header.Get("Content-Encoding") != "br" {
		t.Errorf("preferred %q", resp.Header.Get("Content-Encoding"))
	}
}

// Each event must reach the client when it is sent, not when a block is full.
func TestCompressedEventStreamFlushes(t *testing.T) {
	t.Parallel()
	for coding, decode := range decoders {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			app := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 3 {
					fmt.Fprintf(w, "data: %d\n\n", i)
					w.(http.Flusher).Flush()
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			})
			g := serveYAML(t, edge(`compression: {}`, app.addr))
			resp, err := g.client.Do(g.request("GET", "/", nil, header("Accept-Encoding", coding)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Header.Get("Content-Encoding") != coding {
				t.Fatalf("coding %q", resp.Header.Get("Content-Encoding"))
			}
			plain, err := decode(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(plain)
			for i := range 3 {
				if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
					t.Fatalf("event %d: %q %v", i, lines.Text(), lines.Err())
				}
				lines.Scan()
				next <- struct{}{}
			}
		})
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func TestDecompression(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("some text that shrinks well. ", 1000)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%q %v %v", r.Header.Get("Content-Encoding"), string(body) == text, err)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, gzipped(text))
	})
	g := serveYAML(t, edge(`compression: {algorithms: [], decompress: {requests: true, responses: true, maxRatio: 200, maxBytes: 1000000}}`, app.addr))
	if resp, body := g.get("/", header("Accept-Encoding", "gzip")); body != text || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("response: %q, %d bytes", resp.Header.Get("Content-Encoding"), len(body))
	}
	if _, body := g.post("/", gzipped(text), header("Content-Encoding", "gzip")); body != `"" true <nil>` {
		t.Errorf("request: %s", body)
	}
	// A bomb is not passed on.
	resp, _ := g.post("/", gzipped(strings.Repeat("\x00", 20<<20)), header("Content-Encoding", "gzip"))
	want(t, resp, 413, "DecompressionLimit")
	resp, _ = g.post("/", "this is not gzip at all", header("Content-Encoding", "gzip"))
	want(t, resp, 400, "BadRequest")
}

// Both directions at once, in both codings, over one connection.
func TestFullDuplexThroughBodyFilters(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		io.Copy(flusher{w}, r.Body)
	})
	g := serveYAML(t, edge(`compression: {minBytes: 0, decompress: {requests: true}}`, app.addr))
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "line %d of a long text\n", i)
	}
	body := io.MultiReader(strings.NewReader(gzipped(text.String())))
	resp, got, err := g.do(g.request("POST", "/", body, header("Content-Encoding", "gzip"), header("Accept-Encoding", "gzip")))
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal(resp, err)
	}
	r, err := gzip.NewReader(strings.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != text.String() {
		t.Errorf("%d bytes of %d, %v", len(plain), text.Len(), err)
	}
}

type flusher struct{ http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

func TestDirectResponse(t *testing.T) {
	t.Parallel()
	app := named(t, "app")
	g := serveYAML(t, edge(`
directResponse:
  status: 503
  contentType: application/json
  headers: [{name: Retry-After, value: "120"}]
  body: '{"message": "back soon"}'
`, app.addr))
	resp, body := g.get("/")
	want(t, resp, 503, "")
	if body != `{"message": "back soon"}` || resp.Header.Get("Retry-After") != "120" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %q", resp.Header, body)
	}
	if resp, body, err := g.do(g.request("HEAD", "/", nil)); err != nil || body != "" || resp.ContentLength != 24 {
		t.Errorf("HEAD: %v %q %v", resp, body, err)
	}
	if app.requests.Load() != 0 {
		t.Error("the backend was asked")
	}
}

func TestRequestBuffering(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			if !strings.Contains(head, "Content-Length: 10\r\n") || strings.Contains(head, "chunked") {
				c.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
				continue
			}
			io.CopyN(io.Discard, c.r, 10)
			c.say(okReply)
		}
	})
	g := serveYAML(t, edge(`buffer: {requestBytes: 1000}`, app.addr))
	c := g.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	eventuallyNot(t, "the endpoint sees a request that has not arrived", func() bool { return app.conns.Load() > 0 })
	c.send("5\r\nworld\r\n0\r\n\r\n")
	if resp, body := c.mustRespond("POST"); resp.StatusCode != 200 {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	resp, _ := g.post("/", strings.Repeat("x", 1001))
	want(t, resp, 413, "BodyTooLarge")
	resp, _, err := g.do(g.request("POST", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001)))))
	if err != nil {
		t.Fatal(err)
	}
	want(t, resp, 413, "BodyTooLarge")
}

// eventuallyNot fails if f becomes true within a moment.
func eventuallyNot(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		if <-tick.C; f() {
			t.Fatal(what)
		}
	}
}

func TestResponseBuffering(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 8<<10)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-From", "the endpoint")
		w.Header().Set("Content-Type", "text/plain")
		switch r.URL.Path {
		case "/over", "/announced":
			if r.URL.Path == "/announced" {
				w.Header().Set("Content-Length", fmt.Sprint(3*len(long)))
			}
			for range 3 {
				io.WriteString(w, long)
			}
		case "/cut":
			io.WriteString(w, long)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, long)
			w.Header().Set("X-Sum", "42")
		default:
			io.WriteString(w, long[:100])
			w.(http.Flusher).Flush()
			io.WriteString(w, long[100:])
		}
	})
	for name, more := range map[string]string{"plain": "", "compressed": "\ncompression: {}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serveYAML(t, edge(fmt.Sprintf("buffer: {responseBytes: %d}%s", len(long), more), app.addr))
			for range 2 { // on a pooled connection too
				resp, body := g.get("/")
				want(t, resp, 200, "")
				if body != long || resp.ContentLength != int64(len(long)) || resp.Header.Get("X-From") != "the endpoint" {
					t.Fatalf("%d bytes, length %d, %v", len(body), resp.ContentLength, resp.Header)
				}
				for _, path := range []string{"/over", "/announced"} {
					resp, _ = g.get(path)
					want(t, resp, 502, "ResponseTooLarge")
				}
				resp, _ = g.get("/cut")
				want(t, resp, 502, "UpstreamReset") // and not a response that breaks off
				resp, body = g.get("/trailer")
				if body != long || resp.Trailer.Get("X-Sum") != "42" {
					t.Errorf("%d bytes, trailer %v", len(body), resp.Trailer)
				}
				if more != "" {
					resp, body := g.get("/", header("Accept-Encoding", "gzip"))
					r, err := gzip.NewReader(strings.NewReader(body))
					if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
						t.Fatal(resp.Header, err)
					}
					if plain, err := io.ReadAll(r); err != nil || string(plain) != long {
						t.Errorf("%d bytes, %v", len(plain), err)
					}
				}
			}
		})
	}
}

// A client that is slow to take a buffered response does not hold the endpoint.
func TestResponseBufferingFreesTheEndpoint(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, zeros{}, 16<<20) })
	g := serveYAML(t, edge("buffer: {responseBytes: 20000000}\ncircuitBreaker: {maxConnections: 1}", app.addr))
	c := g.dial() // does not read
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "the first has come", func() bool { return app.requests.Load() == 1 })
	within(t, 0, 3*patience, func() {
		resp, body := g.get("/")
		if resp.StatusCode != 200 || len(body) != 16<<20 {
			t.Errorf("%d, %d bytes", resp.StatusCode, len(body))
		}
	})
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(403)
			return
		}
		body, _ := io.ReadAll(r.Body) // sends 100 Continue
		w.Write(body)
	})
	for name, policy := range map[string]string{"streaming": "", "buffering": "buffer: {requestBytes: 1000}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := serveYAML(t, edge(policy, app.addr))
			c := g.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			if resp, _ := c.mustRespond("POST"); resp.StatusCode != 100 {
				t.Fatalf("status %d, want 100", resp.StatusCode)
			}
			c.send("hello")
			if resp, body := c.mustRespond("POST"); resp.StatusCode != 200 || body != "hello" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		g := serveYAML(t, edge("", app.addr))
		c := g.dial()
		c.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if resp, _ := c.mustRespond("POST"); resp.StatusCode != 403 {
			t.Errorf("status %d, want 403 without a 100", resp.StatusCode)
		}
	})
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	app := startPeer(t, func(c *peerConn) {
		if head := c.head(); !strings.Contains(strings.ToLower(head), "upgrade: echo") {
			c.say("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c.Conn, c.r)
	})
	g := serveYAML(t, edge("timeouts: {idle: 2s}", app.addr))
	c := g.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly ")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	c.send("late")
	got := make([]byte, 10)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "early late" {
		t.Fatalf("%q %v", got, err)
	}
	c.Close()
	g.logged(`"status":101`)
}

// problem checks that a reply of Gridway is RFC 9457 and carries its request ID.
func problem(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	var p struct {
		Status    int
		Reason    string
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if p.Status != resp.StatusCode || p.Reason != resp.Header.Get("X-Gridway-Reason") || p.RequestID != resp.Header.Get("X-Request-Id") || p.RequestID == "" {
		t.Errorf("%+v for %d %v", p, resp.StatusCode, resp.Header)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	g := serveYAML(t, edgeWith(`
client:
  limits: {connections: 3, headerBytes: 2048, headerCount: 10, bodyBytes: 1000, requestsPerConnection: 5}
  timeouts: {header: 200ms, idle: 300ms, bodyIdle: 200ms}
`, "", []string{app.addr}))
	t.Run("body", func(t *testing.T) {
		resp, body := g.post("/", strings.Repeat("x", 1001))
		want(t, resp, 413, "BodyTooLarge")
		problem(t, resp, body)
		resp, _, err := g.do(g.request("POST", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 2000)))))
		if err != nil {
			t.Fatal(err)
		}
		want(t, resp, 413, "BodyTooLarge")
	})
	t.Run("header bytes", func(t *testing.T) {
		resp, _ := g.get("/", header("X-Long", strings.Repeat("x", 3000)))
		want(t, resp, 431, "HeaderTooLarge")
	})
	t.Run("header count", func(t *testing.T) {
		var edits []edit
		for i := range 12 {
			edits = append(edits, header(fmt.Sprintf("X-H%d", i), "v"))
		}
		resp, _ := g.get("/", edits...)
		want(t, resp, 431, "HeaderTooLarge")
	})
	g.client.CloseIdleConnections()
	t.Run("requests per connection", func(t *testing.T) {
		c := g.dial()
		for i := range 5 {
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, _ := c.mustRespond("GET")
			if resp.Close != (i == 4) {
				t.Errorf("response %d: close %v", i, resp.Close)
			}
		}
		if rest := c.rest(); rest != "" {
			t.Errorf("then %q", rest)
		}
	})
	t.Run("slow header", func(t *testing.T) {
		within(t, 190*time.Millisecond, 2*time.Second, func() {
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost")
			resp, _ := c.mustRespond("GET")
			want(t, resp, 408, "RequestTimeout")
			c.rest()
		})
	})
	t.Run("slow body", func(t *testing.T) {
		within(t, 190*time.Millisecond, 2*time.Second, func() {
			c := g.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
			resp, _ := c.mustRespond("POST")
			want(t, resp, 408, "RequestTimeout")
			c.rest()
		})
	})
	t.Run("idle", func(t *testing.T) {
		within(t, 290*time.Millisecond, 2*time.Second, func() {
			c := g.dial()
			if rest := c.rest(); rest != "" {
				t.Errorf("%q", rest)
			}
		})
	})
	t.Run("connections", func(t *testing.T) {
		eventually(t, "no connection is open", func() bool { return g.metric("gridway_listener_connections") == 0 })
		var held []*wire
		for range 3 {
			c := g.dial()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.mustRespond("GET")
			held = append(held, c)
		}
		c := g.dial()
		resp, _ := c.mustRespond("GET")
		want(t, resp, 503, "ConnectionLimit")
		held[0].Close()
		eventually(t, "a place is free again", func() bool {
			c := g.dial()
			defer c.Close()
			c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, _, err := c.response("GET")
			return err == nil && resp.StatusCode == 200
		})
	})
}
