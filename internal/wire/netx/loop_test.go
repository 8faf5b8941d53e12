package netx_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Connections of event loops keep the same promises as those of the net package.
func TestOnLoops(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"ReadWrite": TestReadWrite, "Writev": TestWritevOfManySizes, "ReadDeadline": TestReadDeadline,
		"LazyDeadline": TestLazyDeadlineMovesLater, "WriteDeadline": TestWriteDeadlineKeepsCount,
		"Watch": TestWatch, "Gone": TestGone, "Reset": TestReset, "ReadIdle": TestReadIdle,
		"Interrupt": TestReadIdleDeadlineAndInterrupt, "InterruptRace": TestInterruptRace, "Unread": TestUnread,
	} {
		t.Run(name, test)
	}
}

// onLoops tells whether pairOn is to make connections of loops.
func onLoops(t testing.TB, address string) bool {
	return strings.HasPrefix(t.Name(), "TestOnLoops/") && !strings.HasPrefix(address, "unix:")
}

func loopGroup(t testing.TB) *loop.Group {
	t.Helper()
	g, err := loop.NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func loopListen(t testing.TB, g *loop.Group, taken func(*loop.Sock)) string {
	t.Helper()
	ln, err := netx.Listen(context.Background(), "127.0.0.1:0", netx.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	l, err := g.Listen(ln.(*net.TCPListener), taken, func(error) time.Duration { return time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	return address
}

func loopPair(t testing.TB) (client, server *netx.Conn) {
	t.Helper()
	g := loopGroup(t)
	accepted := make(chan *netx.Conn, 1)
	address := loopListen(t, g, func(s *loop.Sock) { accepted <- netx.FromSock(s, netip.AddrPort{}) })
	client, err := netx.Dial(context.Background(), address, netx.DialOptions{By: netx.After(5 * time.Second), Group: g})
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// polled serves a connection as a driver does: one answer for each time that
// something has come.
type polled struct {
	c       *netx.Conn
	mu      sync.Mutex
	resumed int   // guarded by mu
	idles   int   // guarded by mu
	err     error // guarded by mu
	done    chan struct{}
}

func (p *polled) Resume(t *loop.Task) bool {
	p.mu.Lock()
	p.resumed++
	p.mu.Unlock()
	p.c.Bind(t)
	for {
		buf, n, wait, err := p.c.PollIdle(4096)
		if wait {
			p.mu.Lock()
			p.idles++
			p.mu.Unlock()
			return true
		}
		if err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
			p.c.Close()
			close(p.done)
			return false
		}
		_, _ = p.c.Write(buf.B[:n])
		buf.Release()
	}
}

func servePolled(t *testing.T, by time.Duration) (*polled, *netx.Conn) {
	t.Helper()
	g := loopGroup(t)
	accepted := make(chan *polled, 1)
	address := loopListen(t, g, func(s *loop.Sock) {
		p := &polled{c: netx.FromSock(s, netip.AddrPort{}), done: make(chan struct{})}
		p.c.SetReadBy(netx.After(by))
		s.SetHandler(p)
		accepted <- p
		s.Idle()
	})
	c, err := netx.Dial(context.Background(), address, netx.DialOptions{By: netx.After(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	p := <-accepted
	t.Cleanup(func() {
		c.Close()
		<-p.done
	})
	return p, c
}

func TestPollIdle(t *testing.T) {
	p, c := servePolled(t, time.Minute)
	for range 50 {
		write(t, c, "ping")
		if got := read(t, c, 4); got != "ping" {
			t.Fatalf("got %q", got)
		}
	}
	p.c.Interrupt()
	<-p.done
	if p.err != netx.ErrInterrupted {
		t.Error(p.err)
	}
	if p.idles < 40 { // it may have come in time for the next round
		t.Errorf("was idle %d times", p.idles)
	}
}

func TestPollIdleDeadline(t *testing.T) {
	p, c := servePolled(t, 30*time.Millisecond)
	write(t, c, "x")
	read(t, c, 1)
	<-p.done
	if !netx.IsTimeout(p.err) {
		t.Error(p.err)
	}
}

func TestPollIdleEnd(t *testing.T) {
	p, c := servePolled(t, time.Minute)
	write(t, c, "x")
	read(t, c, 1)
	c.CloseWrite()
	<-p.done
	if p.err == nil || !netx.IsGone(p.err) {
		t.Error(p.err)
	}
}

func TestDialOfLoopsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := netx.Dial(ctx, "127.0.0.1:1", netx.DialOptions{Group: loopGroup(t)})
	if err != context.Canceled {
		t.Error(err)
	}
	if _, err := netx.Dial(context.Background(), "unix:/does/not/exist", netx.DialOptions{Group: loopGroup(t)}); !netx.IsRefused(err) {
		t.Error(err)
	}
	if _, err := netx.Dial(context.Background(), "name:80", netx.DialOptions{Group: loopGroup(t)}); err == nil || os.IsTimeout(err) {
		t.Error(err)
	}
}

// The timer of a Watcher outlives the waits that it is armed for. When it fires,
// only a wait that has lasted asks; the others go on, and miss nothing.
func TestShortWaitsAskNobody(t *testing.T) {
	a, b := loopPair(t)
	w := &watcher{}
	b.SetWatch(w)
	b.SetReadBy(netx.After(20 * time.Second))
	const pieces = 150
	var writer sync.WaitGroup
	writer.Go(func() {
		gap := time.NewTicker(3 * time.Millisecond)
		defer gap.Stop()
		for i := range pieces {
			<-gap.C
			if _, err := a.Write([]byte{byte(i)}); err != nil {
				t.Error(err)
			}
		}
	})
	p := make([]byte, 1)
	for i := range pieces {
		if n, err := b.Read(p); err != nil || n != 1 || p[0] != byte(i) {
			t.Fatalf("%d: %d bytes, %v", i, n, err)
		}
	}
	writer.Wait()
	if n := w.asked.Load(); n > 1 { // one gap may be long on a busy machine
		t.Errorf("asked %d times although no wait was long", n)
	}
	b.SetReadBy(netx.After(120 * time.Millisecond)) // after the timer has fired once
	if _, err := b.Read(p); !netx.IsTimeout(err) {
		t.Errorf("past the deadline: %v", err)
	}
	b.SetReadBy(netx.After(20 * time.Second))
	w.gone.Store(true)
	if _, err := b.Read(p); err != netx.ErrWatchGone {
		t.Errorf("a long wait: %v", err)
	}
}
