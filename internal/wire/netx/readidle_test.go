package netx_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// relayer reads again after it has read all, when the peer has sent more of which its
// loop cannot have heard: others of the loop run first if it asks nobody but the loop.
type relayer struct {
	c     *netx.Conn
	sent  chan struct{}
	trust chan bool
	ran   bool // another task of the loop has run
}

func (r *relayer) Resume(t *loop.Task) bool {
	r.c.Wake(t)
	r.trust <- r.serve(t)
	r.c.Close()
	return false
}

func (r *relayer) serve(t *loop.Task) bool {
	r.c.SetReadBy(netx.After(30 * time.Second))
	for range 200 {
		buf, _, err := r.c.ReadIdle(4096)
		if err != nil {
			return false
		}
		buf.Release()
		if r.ran {
			return true
		}
		if _, err := r.c.Write([]byte("pong")); err != nil {
			return false
		}
		<-r.sent
		t.Go((*mark)(r))
	}
	return false
}

type mark relayer

func (m *mark) Resume(*loop.Task) bool {
	m.ran = true
	return false
}

// TestReadIdleTrustsTheLoop: who has read all waits for the loop without another
// system call, as each direction of a relay does after each piece.
func TestReadIdleTrustsTheLoop(t *testing.T) {
	r := &relayer{sent: make(chan struct{}), trust: make(chan bool, 1)}
	address := loopListen(t, loopGroup(t), func(s *loop.Sock) {
		r.c = netx.FromSock(s, netip.AddrPort{})
		s.SetHandler(r)
		s.Idle()
	})
	c, err := netx.Dial(context.Background(), address, netx.DialOptions{By: netx.After(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadBy(netx.After(30 * time.Second))
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := c.Read(make([]byte, 4)); err != nil {
			break
		}
		if _, err := c.Write([]byte("ping")); err != nil {
			break
		}
		select {
		case r.sent <- struct{}{}:
			continue
		case trust := <-r.trust:
			r.trust <- trust
		}
		break
	}
	if !<-r.trust {
		t.Error("a connection that was read empty is read again before it waits")
	}
}
