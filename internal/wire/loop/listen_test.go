package loop

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// A system that is out of memory may refuse to watch a socket again after a
// pause; the listener must try until it does.
func TestPauseThatCannotEnd(t *testing.T) {
	alive, err := NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	dead, err := NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		l      *Listener
		told   = make(chan error, 8)
		served = make(chan struct{}, 1)
		tries  int
	)
	taken := func(s *Sock) {
		_ = s.Close()
		served <- struct{}{}
	}
	failed := func(err error) time.Duration {
		if tries++; tries == 3 {
			l.group = alive
		}
		told <- err
		return time.Millisecond
	}
	if l, err = alive.Listen(ln.(*net.TCPListener), taken, failed); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.watch(syscall.EPOLL_CTL_DEL); err != nil {
		t.Fatal(err)
	}
	l.group = dead
	first := errors.New("no descriptors")
	l.pause(first)
	for i := range 3 {
		select {
		case err := <-told:
			if (err == first) != (i == 0) {
				t.Errorf("failure %d: %v", i, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("it gave up after %d tries", i)
		}
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case <-served:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is accepted any more")
	}
}
