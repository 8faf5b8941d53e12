package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestHTTP3EarlyData holds the handshake of a client that comes back. Its GET is
// served from early data, marked as such, and once more when the server wants it
// so; its POST waits for the handshake. One that a proxy before this one has marked
// is not sent again: that proxy is told.
func TestHTTP3EarlyData(t *testing.T) {
	t.Parallel()
	type seen struct{ method, path, early string }
	came := make(chan seen, 16)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		early := r.Header.Get("Early-Data")
		came <- seen{r.Method, r.URL.Path, early}
		if strings.HasPrefix(r.URL.Path, "/later") && early != "" {
			w.WriteHeader(http.StatusTooEarly)
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "fine")
	})
	g := http3Edge(t, "http3: {earlyData: true}", routeDoc("app", ""), backendDoc("app", app.addr))
	relay := newUDPRelay(t, g.addr)
	cache := &ticketCache{tls.NewLRUClientSessionCache(1), make(chan struct{}, 8)}
	conf := &quic.Config{MaxIdleTimeout: 4 * patience, HandshakeIdleTimeout: 4 * patience}
	dial := func() *quic.Conn {
		t.Helper()
		conn, err := quic.DialAddrEarly(t.Context(), relay.addr, h3TLS(cache), conf)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	w := newH3wire(t, dial())
	if status, _, err := w.response(w.send(h3head("GET", "/first"))); status != "200" {
		t.Fatal(status, err)
	}
	if got := <-came; got != (seen{"GET", "/first", ""}) {
		t.Errorf("the first time: %+v", got)
	}
	<-cache.put // the ticket
	w.conn.CloseWithError(0x100, "")

	relay.holding.Store(true)
	conn := dial()
	w = newH3wire(t, conn)
	post := w.send(append(h3head("POST", "/post", "content-length", "2"), h3frame(0, []byte("hi"))...))
	later := w.send(h3head("GET", "/later"))
	passed := w.send(h3head("GET", "/later/passed", "early-data", "1"))
	get := w.send(h3head("GET", "/get"))
	early := map[seen]bool{}
	for len(early) < 3 {
		got := <-came
		if got.method == "POST" {
			t.Fatalf("a POST was served from early data: %+v", got)
		}
		early[got] = true
	}
	if !early[seen{"GET", "/get", "1"}] || !early[seen{"GET", "/later", "1"}] || !early[seen{"GET", "/later/passed", "1"}] {
		t.Fatalf("served from early data: %v", early)
	}
	close(relay.release)
	for _, s := range []*quic.Stream{get, later, post} {
		if status, content, err := w.response(s); status != "200" || content != "fine" {
			t.Errorf("%s %q %v", status, content, err)
		}
	}
	if status, _, err := w.response(passed); status != "425" || err != nil {
		t.Errorf("what another proxy has marked: %s %v", status, err)
	}
	rest := map[seen]bool{<-came: true, <-came: true}
	if !rest[seen{"POST", "/post", ""}] || !rest[seen{"GET", "/later", ""}] {
		t.Errorf("after the handshake: %v", rest)
	}
	if !conn.ConnectionState().Used0RTT {
		t.Error("no early data was used")
	}
	if n := g.metric("gridway_listener_http3_early_requests_total"); n != 3 {
		t.Errorf("%v requests from early data", n)
	}
}

// ticketCache tells when a ticket has come.
type ticketCache struct {
	tls.ClientSessionCache
	put chan struct{}
}

func (c *ticketCache) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		select {
		case c.put <- struct{}{}:
		default:
		}
	}
}

// TestHTTP3EarlyDataRefused: without the setting, and where clients have to show
// certificates, tickets allow no early data.
func TestHTTP3EarlyDataRefused(t *testing.T) {
	t.Parallel()
	app := named(t, "app")
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr))
	cache := &ticketCache{tls.NewLRUClientSessionCache(1), make(chan struct{}, 8)}
	for i := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), g.addr, h3TLS(cache), nil)
		if err != nil {
			t.Fatal(err)
		}
		w := newH3wire(t, conn)
		if status, _, err := w.response(w.send(h3head("GET", "/"))); status != "200" {
			t.Fatal(status, err)
		}
		if i == 0 {
			<-cache.put
		} else if s := conn.ConnectionState(); s.Used0RTT || !s.TLS.DidResume {
			t.Errorf("early data: %v, resumed: %v", s.Used0RTT, s.TLS.DidResume)
		}
		conn.CloseWithError(0x100, "")
	}
}

// TestHTTP3Migration: a client that goes on from another socket keeps its
// connection, and a response that is under way.
func TestHTTP3Migration(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
		w.Write(make([]byte, 100_000))
		w.(http.Flusher).Flush()
		if r.URL.Path == "/long" {
			<-proceed
			w.Write(make([]byte, 100_000))
		}
	})
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr))
	socket := func() *quic.Transport {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: c}
		t.Cleanup(func() { tr.Close(); c.Close() })
		return tr
	}
	server, err := net.ResolveUDPAddr("udp4", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := socket().Dial(t.Context(), server, h3TLS(nil), &quic.Config{MaxIdleTimeout: 4 * patience})
	if err != nil {
		t.Fatal(err)
	}
	client := (&http3.Transport{}).NewClientConn(conn)
	get := func(path string) *http.Response {
		t.Helper()
		r, _ := http.NewRequest("GET", "https://a.example"+path, nil)
		resp, err := client.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	long := get("/long")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	path, err := conn.AddPath(socket())
	if err != nil {
		t.Fatal(err)
	}
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	before := conn.LocalAddr().String()
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	if n, err := io.Copy(io.Discard, long.Body); n != 200_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	resp := get("/")
	if n, err := io.Copy(io.Discard, resp.Body); n != 100_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if after := conn.LocalAddr().String(); after == before {
		t.Error("the client did not move")
	}
	if n := g.metric("gridway_listener_http3_connections_accepted_total"); n != 1 {
		t.Errorf("%v connections", n)
	}
}
