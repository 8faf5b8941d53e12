package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a real HTTP server that counts its requests.
type server struct {
	addr     string
	requests atomic.Int64
	http     *httptest.Server
}

// serve runs an HTTP server. Its handlers end when the test does.
func serve(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	return serveProtocols(t, nil, h)
}

// serveProtocols is serve for more than HTTP/1.
func serveProtocols(t *testing.T, protocols *http.Protocols, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	s.http.Config.Protocols = protocols
	s.http.Start()
	s.addr = s.http.Listener.Addr().String()
	t.Cleanup(func() {
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// plainProtocols are HTTP/1 and HTTP/2 without TLS.
func plainProtocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return p
}

// named answers each request with its name.
func named(t *testing.T, name string) *server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

// several runs servers named a, b, c…
func several(t *testing.T, n int) ([]*server, []string) {
	t.Helper()
	var servers []*server
	var addrs []string
	for i := range n {
		s := named(t, string(rune('a'+i)))
		servers, addrs = append(servers, s), append(addrs, s.addr)
	}
	return servers, addrs
}

// status answers with a status, and its name as the body.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, code)
	}
}

// hold waits before it answers; it is done early when the client is.
func hold(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

// slow answers after d.
func slow(t *testing.T, name string, d time.Duration) *server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		hold(r, d)
		io.WriteString(w, name)
	})
}

// refused is an address that refuses connections: its port is bound by a
// socket that does not listen, so nobody else can take it.
func refused(t *testing.T) string {
	t.Helper()
	addr, closer, err := boundOnly()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closer)
	return addr
}

// blackhole is an address whose connections are never completed: nothing
// accepts, and the queue is full.
func blackhole(t *testing.T) string {
	t.Helper()
	addr, closer, err := fullBacklog()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closer)
	return addr
}

// script is what a peer does with a connection.
type script func(c *peerConn)

// peer is a scripted TCP server: each connection gets the next script, the
// last one again and again.
type peer struct {
	addr  string
	conns atomic.Int64
	heads atomic.Int64
	ended chan struct{} // closed with the test
}

type peerConn struct {
	net.Conn
	p *peer
	r *bufio.Reader
}

func startPeer(t *testing.T, scripts ...script) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: l.Addr().String(), ended: make(chan struct{})}
	var open sync.Map
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(p.conns.Add(1))
			s := scripts[min(n, len(scripts))-1]
			open.Store(c, true)
			wg.Go(func() {
				defer open.Delete(c)
				defer c.Close()
				s(&peerConn{Conn: c, p: p, r: bufio.NewReader(c)})
			})
		}
	})
	t.Cleanup(func() {
		close(p.ended)
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
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
			c.p.heads.Add(1)
			return b.String()
		}
	}
}

func (c *peerConn) say(format string, args ...any) { fmt.Fprintf(c.Conn, format, args...) }

// reset closes the connection with a RST.
func (c *peerConn) reset() {
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// untilClosed waits for the other side to close.
func (c *peerConn) untilClosed() { io.Copy(io.Discard, c.r) }

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answers answers each request with the same bytes.
func answers(reply string) script {
	return func(c *peerConn) {
		for c.head() != "" {
			c.say("%s", reply)
		}
	}
}

// hangs reads requests and never answers.
func hangs(c *peerConn) { c.untilClosed() }

// resets reads one request and resets the connection.
func resets(c *peerConn) {
	c.head()
	c.reset()
}

// flapping is a server that can be switched off and on, on the same port.
type flapping struct {
	t    *testing.T
	addr string
	h    http.HandlerFunc

	mu  sync.Mutex
	srv *http.Server // guarded by mu; nil while off
}

func startFlapping(t *testing.T, h http.HandlerFunc) *flapping {
	t.Helper()
	f := &flapping{t: t, addr: "127.0.0.1:0", h: h}
	f.on()
	t.Cleanup(f.off)
	return f
}

func (f *flapping) on() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var l net.Listener
	eventually(f.t, "port "+f.addr+" is free again", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", f.addr)
		return err == nil
	})
	f.addr = l.Addr().String()
	srv := &http.Server{Handler: f.h}
	f.srv = srv
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.t.Errorf("serve: %v", err)
		}
	}()
}

// off closes the socket and every connection.
func (f *flapping) off() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.srv != nil {
		f.srv.Close()
		f.srv = nil
	}
}

func readerOf(s string) io.Reader { return strings.NewReader(s) }
