package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/gridway/gridway/internal/wire/h2"
)

// heads keeps what an HTTP/1 upstream was sent, byte by byte.
type heads struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (h *heads) answer(reply string) script {
	return func(c *peerConn) {
		for {
			head := c.head()
			if head == "" {
				return
			}
			h.mu.Lock()
			h.all = append(h.all, head)
			h.mu.Unlock()
			c.say("%s", reply)
		}
	}
}

func (h *heads) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return ""
	}
	return h.all[len(h.all)-1]
}

// Nothing that HTTP/1 could read in two ways gets through: no byte of such a
// request reaches the upstream.
func TestHTTP2SmugglesNothing(t *testing.T) {
	t.Parallel()
	var seen heads
	up := startPeer(t, seen.answer(okReply))
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", up.addr)))
	pseudo := func(method, path, authority string) []string {
		return []string{":method", method, ":scheme", "http", ":path", path, ":authority", authority}
	}
	usual := pseudo("GET", "/", "a.example")
	with := func(more ...string) []string { return append(slices.Clone(usual), more...) }
	for name, fields := range map[string][]string{
		"CR LF in a value":         with("x", "1\r\nx-evil: 1"),
		"LF in a value":            with("x", "1\nx-evil: 1"),
		"NUL in a value":           with("x", "1\x002"),
		"space around a value":     with("x", " 1"),
		"CR LF in a name":          with("x: 1\r\ny", "2"),
		"colon in a name":          with("x:y", "2"),
		"space in a name":          with("x y", "2"),
		"upper case in a name":     with("X-Y", "2"),
		"no name":                  with("", "2"),
		"transfer-encoding":        with("transfer-encoding", "chunked"),
		"connection":               with("connection", "close"),
		"upgrade":                  with("upgrade", "websocket"),
		"te":                       with("te", "gzip"),
		"content-length of none":   with("content-length", "5"),
		"two content-lengths":      with("content-length", "0", "content-length", "0"),
		"content-length, signed":   with("content-length", "+0"),
		"content-length, list":     with("content-length", "0, 0"),
		"another host":             with("host", "b.example"),
		"two hosts":                with("host", "a.example", "host", "a.example"),
		"space in the path":        pseudo("GET", "/ HTTP/1.1", "a.example"),
		"CR LF in the path":        pseudo("GET", "/ HTTP/1.1\r\nx: 1\r\n\r\n", "a.example"),
		"path without slash":       pseudo("GET", "x", "a.example"),
		"no path":                  pseudo("GET", "", "a.example"),
		"path above the root":      pseudo("GET", "/../x", "a.example"),
		"fragment":                 pseudo("GET", "/#x", "a.example"),
		"space in the method":      pseudo("GET /x HTTP/1.1", "/", "a.example"),
		"CR LF in the method":      pseudo("GET\r\n", "/", "a.example"),
		"no method":                pseudo("", "/", "a.example"),
		"CR LF in the authority":   pseudo("GET", "/", "a.example\r\nx: 1"),
		"userinfo":                 pseudo("GET", "/", "u@a.example"),
		"slash in the authority":   pseudo("GET", "/", "a.example/x"),
		"pseudo field at the end":  append(pseudo("GET", "/", "a.example"), "x", "1", ":path", "/y"),
		"pseudo field twice":       append(pseudo("GET", "/", "a.example"), ":path", "/y"),
		"pseudo field of response": append([]string{":status", "200"}, usual...),
		"unknown pseudo field":     append([]string{":x", "200"}, usual...),
		"CONNECT":                  {":method", "CONNECT", ":authority", "a.example:80"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialH2(t, g.addr)
			id, b := c.headers(true, fields...)
			c.write(b)
			f := c.until("refusal", func(f frame) bool { return f.StreamID == id || f.Type == h2.FrameGoAway })
			switch f.Type {
			case h2.FrameRSTStream:
				if f.code() != h2.ProtocolError {
					t.Errorf("reset with %s", f.code())
				}
			case h2.FrameHeaders:
				if s := f.fields[":status"]; s != "400" && s != "405" {
					t.Errorf("answered with %s", s)
				}
			default:
				t.Errorf("answered with %v", f)
			}
		})
	}
	for name, send := range map[string]func(c *h2wire, id uint32) []byte{
		"less content than announced": func(_ *h2wire, id uint32) []byte { return h2.AppendData(nil, id, []byte("abc"), true) },
		"more content than announced": func(_ *h2wire, id uint32) []byte { return h2.AppendData(nil, id, []byte("abcdef"), true) },
		"less, with a trailer": func(c *h2wire, id uint32) []byte {
			return append(h2.AppendData(nil, id, []byte("abc"), false), c.block(id, true, "x", "1")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialH2(t, g.addr)
			id, b := c.request("POST", "/", false, "content-length", "5")
			c.write(append(b, send(c, id)...))
			c.isReset(id, h2.ProtocolError)
		})
	}
	if n := up.heads.Load(); n > 3 { // the heads of the last three may have been sent; their bodies stay incomplete
		t.Errorf("%d requests reached the upstream; the last:\n%s", n, seen.last())
	}

	// And what is allowed arrives as HTTP/1 wants it.
	c := dialH2(t, g.addr)
	id, b := c.headers(true, append(pseudo("GET", "/a/./b/../c%2f%41?q=1", "A.example:80"), "cookie", "a=1", "cookie", "b=2", "te", "trailers", "host", "a.example:80")...)
	c.write(b)
	c.response(id)
	head := seen.last()
	for _, part := range []string{"GET /a/c%2FA?q=1 HTTP/1.1\r\n", "\r\ncookie: a=1; b=2\r\n"} {
		if !strings.Contains(strings.ReplaceAll(head, "Cookie", "cookie"), part) {
			t.Errorf("%q is not in\n%s", part, head)
		}
	}
	if n := strings.Count(strings.ToLower(head), "\r\nhost:"); n != 1 || !strings.Contains(head, "\r\nConnection: TE\r\n") {
		t.Errorf("%d hosts, or a TE that is not this connection's, in\n%s", n, head)
	}
}

func TestHTTP2Responses(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/204":
			w.WriteHeader(204)
			return
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
			return
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/cut-chunked":
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/echo":
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
			return
		}
		io.WriteString(w, "ok")
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr),
		clientPolicyDoc("limits: {bodyBytes: 1000, headerBytes: 8192, headerCount: 50}")))
	c := dialH2(t, g.addr)

	id := c.ask("/hints")
	f := c.until("103", func(f frame) bool { return f.StreamID == id })
	if f.fields[":status"] != "103" || f.fields["link"] == "" || f.Flags.Has(h2.FlagEndStream) {
		t.Errorf("the interim response is %v", f)
	}
	if f, body := c.response(id); f[":status"] != "200" || body != "ok" {
		t.Errorf("after it: %v %q", f, body)
	}
	for path, status := range map[string]string{"/204": "204", "/304": "304"} {
		if f, body := c.response(c.ask(path)); f[":status"] != status || body != "" || f["content-length"] != "" {
			t.Errorf("%s: %v %q", path, f, body)
		}
	}
	id, b := c.request("HEAD", "/", true)
	c.write(b)
	if f, body := c.response(id); f["content-length"] != "2" || body != "" {
		t.Errorf("HEAD: %v %q", f, body)
	}
	id, b = c.request("POST", "/echo", false, "expect", "100-continue", "content-length", "4")
	c.write(b)
	if f := c.until("100", func(f frame) bool { return f.StreamID == id }); f.fields[":status"] != "100" {
		t.Errorf("expecting 100: %v", f)
	}
	c.write(h2.AppendData(nil, id, []byte("body"), true))
	if _, body := c.response(id); body != "body" {
		t.Errorf("after 100: %q", body)
	}
	for _, path := range []string{"/cut", "/cut-chunked"} {
		c.isReset(c.ask(path), h2.InternalError)
	}
	// Limits.
	id, b = c.request("POST", "/echo", false, "content-length", "1001")
	c.write(b)
	if f, _ := c.response(id); f[":status"] != "413" {
		t.Errorf("an announced body over the limit: %v", f)
	}
	c.isReset(id, h2.NoError)
	id, b = c.request("POST", "/echo", false)
	c.write(h2.AppendData(b, id, make([]byte, 1001), true))
	if f, _ := c.response(id); f[":status"] != "413" || f["x-gridway-reason"] != "BodyTooLarge" {
		t.Errorf("a body over the limit: %v", f)
	}
	if f, _ := c.response(c.ask("/", "x", strings.Repeat("y", 9000))); f[":status"] != "431" {
		t.Errorf("a head over the limit: %v", f)
	}
	many := []string{}
	for i := range 60 {
		many = append(many, fmt.Sprintf("x-%d", i), "1")
	}
	if f, _ := c.response(c.ask("/", many...)); f[":status"] != "431" {
		t.Errorf("more fields than the limit: %v", f)
	}
	if f, body := c.response(c.ask("/")); f[":status"] != "200" || body != "ok" {
		t.Errorf("at last: %v %q", f, body)
	}
	g.logged(`"protocol":"HTTP/2"`, `"status":413`)
}

// An answer may come before the end of the request, whose rest is not wanted
// then: the client is told so without an error.
func TestHTTP2EarlyResponse(t *testing.T) {
	t.Parallel()
	up := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		c.untilClosed()
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", up.addr)))
	c := dialH2(t, g.addr)
	for range 3 {
		id, b := c.request("POST", "/", false)
		c.write(h2.AppendData(b, id, []byte("some"), false))
		if f, body := c.response(id); f[":status"] != "403" || body != "no" {
			t.Errorf("%v %q", f, body)
		}
		c.isReset(id, h2.NoError)
	}
}

// A connection whose certificate is for one host may be used for another
// (coalesced); a host that is not served there is told so.
func TestHTTP2CoalescedConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example", "b.example")
	port := ownPort(t)
	app := named(t, "app")
	start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: a, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", port),
		fmt.Sprintf("{name: b, port: %d, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: a}]}}", port)),
		secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr)))
	c := dialH2TLS(t, fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	for host, status := range map[string]string{"a.example": "200", "b.example": "421"} {
		id, b := c.headers(true, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", host)
		c.write(b)
		if f, _ := c.response(id); f[":status"] != status {
			t.Errorf("%s: %v", host, f)
		}
	}
}

// HTTP/2 goes with the PROXY protocol, can be left out, and counts as one
// connection however many streams it has.
func TestHTTP2ListenerOptions(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("X-Forwarded-For")) })
	docs := func(policy string) string {
		return documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr), clientPolicyDoc(policy))
	}
	g := serveYAML(t, docs("proxyProtocol: Required, proxyProtocolFrom: [127.0.0.0/8]"))
	c := g.dial()
	c.send("PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n")
	w := &h2wire{wire: c, next: 1}
	w.reset()
	w.begin()
	if _, body := w.response(w.ask("/")); body != "192.0.2.7" {
		t.Errorf("the upstream was told %q", body)
	}

	g = serveYAML(t, docs("http2: false"))
	c = g.dial()
	c.send(h2.Preface)
	if got := c.rest(); !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 505 ") {
		t.Errorf("without HTTP/2 the preface is answered with %q", got)
	}

	g = serveYAML(t, docs("limits: {connections: 2, concurrentStreams: 3, requestsPerConnection: 4}"))
	w = dialH2(t, g.addr)
	for range 3 {
		w.response(w.ask("/"))
	}
	w.ask("/")
	f := w.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	if f.code() != h2.NoError {
		t.Errorf("after the last request: %s", f.code())
	}
	w.write(h2.AppendPing(nil, [8]byte(w.until("PING", func(f frame) bool { return f.Type == h2.FramePing }).payload), true))
	w.isCutOff(h2.NoError, "")
	eventually(t, "it is counted", func() bool {
		return g.metric("gridway_listener_http2_goaways_total", `reason="RequestLimit"`) == 1
	})
	first, second := dialH2(t, g.addr), dialH2(t, g.addr)
	first.response(first.ask("/"))
	second.response(second.ask("/"))
	third := g.dial()
	third.send(h2.Preface)
	if got := third.rest(); !strings.Contains(got, "ConnectionLimit") {
		t.Errorf("the third connection got %q", got)
	}
}

// reset readies the coder of header blocks.
func (w *h2wire) reset() {
	w.enc, w.dec = hpack.NewEncoder(&w.head), hpack.NewDecoder(4096, nil)
}

// GOAWAY of a drain loses no request: those under way end well, and the process
// ends when they have.
func TestHTTP2DrainOfOpenStreams(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}, 1), make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			begun <- struct{}{}
			<-release
		}
		io.WriteString(w, strings.Repeat("x", 200_000))
	})
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)))
	c := dialH2(t, fmt.Sprintf("127.0.0.1:%d", port), h2.Setting{ID: h2.SettingInitialWindowSize, Value: 1 << 20})
	c.write(h2.AppendWindowUpdate(nil, 0, 1<<20))
	id := c.ask("/wait")
	<-begun
	p.terminate()
	f := c.until("GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	if f.code() != h2.NoError {
		t.Errorf("GOAWAY %s", f.code())
	}
	// Sent before the client knew: it is served.
	late := c.ask("/late")
	ping := c.until("PING", func(f frame) bool { return f.Type == h2.FramePing })
	if _, body := c.response(late); len(body) != 200_000 {
		t.Errorf("a request that crossed GOAWAY: %d bytes", len(body))
	}
	c.write(h2.AppendPing(nil, [8]byte(ping.payload), true))
	last := c.until("last GOAWAY", func(f frame) bool { return f.Type == h2.FrameGoAway })
	if got := uint32(last.payload[2])<<8 | uint32(last.payload[3]); got != late {
		t.Errorf("the last stream is %d, not %d", got, late)
	}
	close(release)
	if _, body := c.response(id); len(body) != 200_000 {
		t.Errorf("the request under way: %d bytes", len(body))
	}
	begunAt := time.Now()
	if code := p.ended(patience); code != 0 || time.Since(begunAt) > 3*time.Second {
		t.Errorf("exit code %d after %v", code, time.Since(begunAt))
	}
}
