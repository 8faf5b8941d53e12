package proxy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// meshStreams makes both proxies carry TCP: the client's to the server's, and that to
// an application.
func meshStreams(app string) func(client, server *ir.Config) {
	return func(client, server *ir.Config) {
		streams([]string{""})(client)
		l := server.Listeners[0]
		streams([]string{app})(server)
		l.Protocol = ir.HTTPS
		l.Sections[0].Protocol = ir.TCP
	}
}

func startMeshStreams(t *testing.T, app string, change ...func(client, server *ir.Config)) *meshPair {
	t.Helper()
	return startMesh(t, "", append([]func(client, server *ir.Config){meshStreams(app)}, change...)...)
}

func TestMeshStream(t *testing.T) {
	m := startMeshStreams(t, named(t, "one"))
	for range 3 {
		c := m.client.connect()
		if got := greeting(c); got != "one" {
			t.Fatalf("got %q", got)
		}
		io.WriteString(c, "hello")
		c.CloseWrite() // and still hears the answer
		if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	var open sync.WaitGroup
	for range 50 {
		open.Go(func() {
			c := m.client.connect()
			if got := greeting(c); got != "one" {
				t.Errorf("got %q", got)
			}
		})
	}
	open.Wait()
	if n := m.server.proxy.Left(); n > 4 {
		t.Errorf("%d connections carry the tunnels", n)
	}
}

// What comes in bulk comes whole, in both directions at once, and a side that does not
// read holds up nobody else.
func TestMeshStreamBulk(t *testing.T) {
	const size = 8 << 20
	m := startMeshStreams(t, server(t, func(c net.Conn) {
		buf := make([]byte, 1)
		io.ReadFull(c, buf)
		if buf[0] == 's' { // stalls
			io.Copy(io.Discard, io.LimitReader(c, 1))
			select {}
		}
		io.Copy(c, c)
	}))
	stalled := m.client.connect()
	stalled.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	stalled.Write(make([]byte, 64<<20)) // until all buffers are full
	want := make([]byte, size)
	rand.Read(want)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c := m.client.connect()
			go func() {
				io.WriteString(c, "e")
				c.Write(want)
				c.CloseWrite()
			}()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

// How one side ends is how the other one sees it.
func TestMeshStreamEnds(t *testing.T) {
	t.Run("the server resets", func(t *testing.T) {
		m := startMeshStreams(t, server(t, func(c net.Conn) {
			io.ReadFull(c, make([]byte, 1))
			c.(*net.TCPConn).SetLinger(0)
		}))
		c := m.client.connect()
		io.WriteString(c, "x")
		if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
			t.Error(err)
		}
	})
	t.Run("the client resets", func(t *testing.T) {
		ended := make(chan error, 1)
		m := startMeshStreams(t, server(t, func(c net.Conn) {
			io.WriteString(c, "hello\n")
			_, err := io.ReadFull(c, make([]byte, 1))
			ended <- err
		}))
		c := m.client.connect()
		greeting(c)
		c.SetLinger(0)
		c.Close()
		if err := <-ended; !netx.IsReset(err) {
			t.Error(err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		m := startLoggedMesh(t, "", nil, nil, meshStreams(closed(t)))
		if !m.client.refused() {
			t.Error("not refused")
		}
	})
	t.Run("another endpoint", func(t *testing.T) {
		well := named(t, "well")
		m := startMeshStreams(t, closed(t), func(client, _ *ir.Config) { client.Streams[0].Attempts = 3 })
		cfg := m.client.edit().Clusters[0]
		cfg.Endpoints = append(cfg.Endpoints, ir.Endpoint{Address: well, Weight: 1})
		m.client.apply()
		for range 6 {
			if got := greeting(m.client.connect()); got != "well" {
				t.Fatalf("got %q", got)
			}
		}
	})
	t.Run("idle", func(t *testing.T) {
		m := startMeshStreams(t, named(t, "one"), func(client, _ *ir.Config) { client.Streams[0].Idle = 100 * time.Millisecond })
		c := m.client.connect()
		greeting(c)
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	})
	t.Run("denied", func(t *testing.T) {
		m := startMeshStreams(t, named(t, "one"))
		c := m.client.connect()
		greeting(c)
		m.svcID.Deny(shopID)
		if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
			t.Error(err)
		}
		if !m.client.refused() {
			t.Error("let in again")
		}
	})
	t.Run("drained", func(t *testing.T) {
		m := startMeshStreams(t, named(t, "one"))
		c := m.client.connect()
		greeting(c)
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- m.server.proxy.Shutdown(ctx) }()
		io.WriteString(c, "still")
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Error("while it drains:", err)
		}
		if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
			t.Error(err)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Error(err)
		}
	})
}

// A service of HTTP takes no tunnels, past its policies.
func TestMeshTunnelToHTTP(t *testing.T) {
	m := startMesh(t, serve(t, sayHello), func(client, _ *ir.Config) { streams([]string{""})(client) })
	if !m.client.refused() {
		t.Error("a tunnel has led past the routes")
	}
}
