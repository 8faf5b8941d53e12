package netx_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// idler answers, waits until the peer has sent more, and asks for it before its
// loop can have heard of that.
type idler struct {
	c     *netx.Conn
	sent  chan struct{}
	trust chan bool
}

func (i *idler) Resume(t *loop.Task) bool {
	i.c.Wake(t)
	i.trust <- i.serve(t)
	i.c.Close()
	return false
}

func (i *idler) serve(t *loop.Task) bool {
	for range 200 {
		i.c.SetReadBy(netx.After(30 * time.Second))
		var b [4096]byte
		if _, err := i.c.Read(b[:]); err != nil {
			return false
		}
		i.c.BindRead(t) // as after each exchange
		if _, err := i.c.Write([]byte("pong")); err != nil {
			return false
		}
		<-i.sent
		buf, n, wait, err := i.c.PollIdle(4096)
		if wait {
			return true
		}
		if err != nil || n == 0 {
			return false
		}
		buf.Release()
		if _, err := i.c.Write([]byte("pong")); err != nil {
			return false
		}
		<-i.sent
	}
	return false
}

// TestPollIdleTrustsTheLoop: a connection that was read empty is left idle without
// another system call as long as no event has told of more. On a busy machine the
// loop may hear of it in time, but not always.
func TestPollIdleTrustsTheLoop(t *testing.T) {
	i := &idler{sent: make(chan struct{}), trust: make(chan bool, 1)}
	address := loopListen(t, loopGroup(t), func(s *loop.Sock) {
		i.c = netx.FromSock(s, netip.AddrPort{})
		s.SetHandler(i)
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
		case i.sent <- struct{}{}:
			continue
		case trust := <-i.trust:
			i.trust <- trust
		}
		break
	}
	if !<-i.trust {
		t.Error("a connection that was read empty is read again before it is left idle")
	}
}
