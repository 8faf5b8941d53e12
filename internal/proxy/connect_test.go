package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// tunnelled is a tunnel that a client of HTTP/2 has asked for.
type tunnelled struct {
	*bufio.Reader
	up   *io.PipeWriter
	resp *http.Response
}

// cancel resets the stream.
func (c *tunnelled) cancel() { _ = c.resp.Body.Close() }

// multiplexed is a client that has the harness as its HTTP proxy, over one connection of
// HTTP/2 without TLS (RFC 9113 §3.3).
func (h *harness) multiplexed() *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	t := &http.Transport{Protocols: &p}
	h.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// tunnel asks for one.
func (h *harness) tunnel(c *http.Client, authority string) *tunnelled {
	h.t.Helper()
	body, up := io.Pipe()
	h.t.Cleanup(func() { _ = up.Close() })
	req := &http.Request{Method: "CONNECT", URL: &url.URL{Scheme: "http", Host: h.addr}, Host: authority, Header: http.Header{}, Body: body, ContentLength: -1}
	resp, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	tun := &tunnelled{Reader: bufio.NewReader(resp.Body), up: up, resp: resp}
	h.t.Cleanup(tun.cancel)
	return tun
}

func (c *tunnelled) line() string {
	line, err := c.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(line, "\n")
}

// ask asks over HTTP/1.1 inside of the tunnel.
func (c *tunnelled) ask(path string) string {
	go fmt.Fprintf(c.up, "GET %s HTTP/1.1\r\nHost: whatever\r\n\r\n", path)
	resp, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(resp.StatusCode, " ", string(b))
}

func TestConnectOverHTTP2(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, named(t, "db"), "db:5432"))
	c := h.multiplexed()
	t.Run("server speaks first", func(t *testing.T) {
		tun := h.tunnel(c, "db:5432")
		if line := tun.line(); tun.resp.StatusCode != 200 || line != "db" {
			t.Errorf("%s %q", tun.resp.Status, line)
		}
		_, _ = io.WriteString(tun.up, "echo\n")
		if line := tun.line(); line != "echo" {
			t.Errorf("%q", line)
		}
		_ = tun.up.Close() // one direction ends, and then the other
		if b, err := io.ReadAll(tun); len(b) > 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("HTTP inside", func(t *testing.T) {
		tun := h.tunnel(c, "reviews:9080")
		for _, path := range []string{"/1", "/2"} {
			if got := tun.ask(path); got != "200 mesh whatever"+path {
				t.Errorf("%q", got)
			}
		}
	})
	t.Run("many of one connection", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				tun := h.tunnel(c, []string{"reviews:9080", "db:5432"}[i%2])
				if i%2 == 1 {
					if line := tun.line(); line != "db" {
						t.Errorf("%d: %q", i, line)
					}
					return
				}
				if path := fmt.Sprint("/", i); tun.ask(path) != "200 mesh whatever"+path {
					t.Error(i)
				}
			})
		}
		all.Wait()
	})
	t.Run("a request beside tunnels", func(t *testing.T) {
		req, err := http.NewRequest("GET", "http://"+h.addr+"/beside", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "reviews"
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "mesh reviews/beside" {
			t.Errorf("%s %q", resp.Status, b)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		tun := h.tunnel(c, "other:443")
		if b, _ := io.ReadAll(tun); tun.resp.StatusCode != 502 || tun.resp.Header.Get("X-Gridway-Reason") != "EgressDenied" || !strings.Contains(string(b), "no service of the mesh") {
			t.Errorf("%s %v %q", tun.resp.Status, tun.resp.Header, b)
		}
	})
}

// Nobody is told that the way is open before it is, where the port is known to be none of
// HTTP, and what breaks is seen to break (RFC 9113 §8.5).
func TestConnectOverHTTP2Fails(t *testing.T) {
	cut, over := make(chan *net.TCPConn, 1), make(chan error, 2)
	at := server(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "hello\n")
		cut <- c.(*net.TCPConn)
		_, err := io.Copy(io.Discard, c)
		over <- err
	})
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, at, "db:5432"))
	c := h.multiplexed()
	kept := h.tunnel(c, "db:5432")
	<-cut
	if line := kept.line(); line != "hello" {
		t.Fatal(line)
	}
	tun := h.tunnel(c, "db:5432")
	other := <-cut
	_ = other.SetLinger(0)
	_ = other.Close()
	_ = tun.line()
	if _, err := tun.ReadByte(); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "CONNECT_ERROR") {
		t.Errorf("after a reset of the endpoint: %v", err)
	}
	<-over
	kept.cancel()
	if err := <-over; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a reset of the client the endpoint gets %v", err)
	}
	gone := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, closed(t), "db:5432"))
	if tun := gone.tunnel(gone.multiplexed(), "db:5432"); tun.resp.StatusCode != 502 || tun.resp.Header.Get("X-Gridway-Reason") != "UpstreamConnectFailure" {
		t.Errorf("%s %v", tun.resp.Status, tun.resp.Header)
	}
}

func TestConnectOverHTTP2Outside(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressAllow, []string{"reviews"}, ""))
	c := h.multiplexed()
	if tun := h.tunnel(c, named(t, "first")); tun.line() != "first" {
		t.Error(tun.resp.Status)
	}
	for authority, want := range map[string]string{closed(t): "UpstreamConnectFailure", h.addr: "LoopDetected", "no-such-host.invalid:80": "UpstreamConnectFailure"} {
		if tun := h.tunnel(c, authority); tun.resp.StatusCode != 502 || tun.resp.Header.Get("X-Gridway-Reason") != want {
			t.Errorf("%s: %s %v", authority, tun.resp.Status, tun.resp.Header)
		}
	}
}

// What nobody has said is found out inside of a tunnel, too.
func TestConnectOverHTTP2Detects(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, named(t, "db"), "db:5432"), func(cfg *ir.Config) {
		l := cfg.Listeners[0]
		l.Client.DetectTimeout = 50 * time.Millisecond
		for _, s := range l.Sections {
			s.Protocol = ir.Detect
		}
		l.Sections[0].Streams = l.Sections[1].Streams
	})
	c := h.multiplexed()
	if got := h.tunnel(c, "reviews:80").ask("/x"); got != "200 mesh whatever/x" {
		t.Errorf("requests: %q", got)
	}
	if line := h.tunnel(c, "reviews:80").line(); line != "db" {
		t.Errorf("who waits for the server: %q", line)
	}
	tun := h.tunnel(c, "db:5432")
	go io.WriteString(tun.up, "\x00binary\n")
	if line := tun.line(); line != "db" {
		t.Errorf("%q", line)
	}
	if line := tun.line(); line != "\x00binary" {
		t.Errorf("what was looked at: %q", line)
	}
}

// Tunnels count as connections, and the end of the listener is theirs.
func TestConnectOverHTTP2Bounds(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, named(t, "db"), "db:5432"), func(cfg *ir.Config) {
		cfg.Listeners[0].Client.MaxConnections = 3
	})
	c := h.multiplexed()
	web, db := h.tunnel(c, "reviews:80"), h.tunnel(c, "db:5432")
	if got := web.ask("/"); got != "200 mesh whatever/" {
		t.Error(got)
	}
	if tun := h.tunnel(c, "db:5432"); tun.resp.StatusCode != 503 || tun.resp.Header.Get("X-Gridway-Reason") != "ConnectionLimit" {
		t.Errorf("%s %v", tun.resp.Status, tun.resp.Header)
	}
	db.cancel()
	waitFor(t, "its place is free", func() bool {
		tun := h.tunnel(c, "db:5432")
		defer tun.cancel()
		return tun.resp.StatusCode == 200
	})
	web.cancel()
	waitFor(t, "there is a place for requests", func() bool { return h.tunnel(c, "reviews:80").ask("/") == "200 mesh whatever/" })
}

// A listener that ends lets tunnels end, and does not wait for clients that have nothing
// to say.
func TestConnectOverHTTP2Drain(t *testing.T) {
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressDeny, []string{"reviews"}, named(t, "db"), "db:5432"))
	c := h.multiplexed()
	web := h.tunnel(c, "reviews:80")
	if got := web.ask("/"); got != "200 mesh whatever/" {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := h.proxy.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(web); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
