package join_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// cutConn ends after so many bytes were read.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Close()
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// gate closes connections before anything was said.
func gate(t *testing.T) (l net.Listener, seen *atomic.Int32) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen = &atomic.Int32{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			seen.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l, seen
}

// A connection that is broken off in the handshake, or later, is made again; a control
// plane that goes on breaking them is given up.
func TestJoinBrokenOff(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	broken, seen := gate(t)
	enter := func(dial func(ctx context.Context, n int32) (net.Conn, error)) (tries int32, err error) {
		var n atomic.Int32
		k := identity.NewKeyring(identity.Options{})
		c, err := join.NewClient(join.ClientOptions{
			Addresses: []string{p.address}, Keyring: k, Token: p.token(1).Text(), As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "reviews"},
			Dial: func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, n.Add(1)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Join(t.Context())
		return n.Load(), err
	}
	to := func(ctx context.Context, address string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	if n, err := enter(func(ctx context.Context, n int32) (net.Conn, error) {
		if n <= 2 {
			return to(ctx, broken.Addr().String())
		}
		return to(ctx, p.address)
	}); err != nil || n != 3 {
		t.Errorf("closed twice: %d tries, %v", n, err)
	}
	if n, err := enter(func(ctx context.Context, n int32) (net.Conn, error) {
		c, err := to(ctx, p.address)
		if n == 1 && err == nil {
			c = &cutConn{c, 100} // within the ServerHello
		}
		return c, err
	}); err != nil || n != 2 {
		t.Errorf("cut in the handshake: %d tries, %v", n, err)
	}
	before := seen.Load()
	if _, err := enter(func(ctx context.Context, _ int32) (net.Conn, error) { return to(ctx, broken.Addr().String()) }); err == nil || join.Refused(err) || seen.Load()-before < 5 {
		t.Errorf("always closed: %d tries, %v", seen.Load()-before, err)
	}
	if n, err := enter(func(context.Context, int32) (net.Conn, error) { return nil, errors.New("no way there") }); err == nil || n != 1 {
		t.Errorf("not reached: %d tries, %v", n, err)
	}
	if n, err := enter(func(ctx context.Context, _ int32) (net.Conn, error) { return to(ctx, p.address) }); err != nil || n != 1 {
		t.Errorf("at once: %d tries, %v", n, err)
	}
}
