package netx_test

import (
	"context"
	"crypto/tls"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// eager answers what has come, and looks for more only once the socket's loop
// has heard of it.
type eager struct {
	c      *netx.Conn
	s      *loop.Sock
	config *tls.Config
	missed chan bool
}

func (e *eager) Resume(t *loop.Task) bool {
	e.c.Bind(t)
	e.missed <- !e.serve(t)
	e.c.Close()
	return false
}

func (e *eager) serve(t *loop.Task) bool {
	if e.c.HandshakeServer(e.config, netx.After(10*time.Second)) != nil {
		return false
	}
	t.Detach() // so that the loop goes on
	for range 10 {
		for by := time.Now().Add(10 * time.Second); e.s.Quiet(); runtime.Gosched() {
			if time.Now().After(by) {
				return false
			}
		}
		buf, n, wait, err := e.c.PollIdle(4096)
		if wait || err != nil {
			return false
		}
		if _, err := e.c.Write(buf.B[:n]); err != nil {
			return false
		}
		buf.Release()
	}
	return true
}

// TestTLSPollIdleAfterAnEvent: an event between two reads is not forgotten when
// the second one begins, in the record layer.
func TestTLSPollIdleAfterAnEvent(t *testing.T) {
	e := &eager{config: tlsConfig(t), missed: make(chan bool, 1)}
	address := loopListen(t, loopGroup(t), func(s *loop.Sock) {
		e.c, e.s = netx.FromSock(s, netip.AddrPort{}), s
		s.SetHandler(e)
		s.Idle()
	})
	c, err := netx.Dial(context.Background(), address, netx.DialOptions{By: netx.After(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.HandshakeClient(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, netx.After(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c.SetReadBy(netx.After(30 * time.Second))
			if _, err := c.Write([]byte("ping")); err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 4)); err != nil {
				return
			}
		}
	}()
	if <-e.missed {
		t.Error("what an event has told of was not read")
	}
}
