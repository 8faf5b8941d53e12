package loop_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// Ordinary goroutines use the same sockets.
func TestOrdinaryGoroutines(t *testing.T) {
	srv := serve(t, 2, echo)
	addr := netip.MustParseAddrPort(srv.addr)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			s, err := srv.Dial(addr, loop.DialOptions{By: loop.Now() + int64(5*time.Second)})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 20 {
				p := make([]byte, 5)
				write(s, []byte("hello"))
				if n, err := read(s, p); err != nil || string(p[:n]) != "hello" {
					t.Errorf("%q %v", p[:n], err)
				}
			}
			if s.RemoteAddrPort() != addr || !s.LocalAddrPort().IsValid() {
				t.Error(s.RemoteAddrPort(), s.LocalAddrPort())
			}
		})
	}
	wg.Wait()
}

// A task asks another server of the same group, as a proxy does.
func TestTaskDials(t *testing.T) {
	back := serve(t, 2, echo)
	addr := netip.MustParseAddrPort(back.addr)
	var group atomic.Pointer[loop.Group]
	front := serve(t, 2, func(task *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 100)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		up, err := group.Load().Dial(addr, loop.DialOptions{Task: task, By: loop.Now() + int64(5*time.Second)})
		if err != nil {
			t.Error(err)
			return false
		}
		defer up.Close()
		if _, err = write(up, p[:n]); err == nil {
			if n, err = read(up, p); err == nil {
				_, err = write(s, p[:n])
			}
		}
		return err == nil
	})
	group.Store(front.Group)
	askSideBySide(t, front, 8, 20)
}

func TestDialRefused(t *testing.T) {
	g, err := loop.NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(ln.Addr().String())
	ln.Close()
	if _, err := g.Dial(addr, loop.DialOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	if _, err := g.Dial(addr, loop.DialOptions{Prepare: func(int) error { return io.ErrNoProgress }}); err != io.ErrNoProgress {
		t.Fatal(err)
	}
}

// A full backlog answers no SYN: the dial must end by its own time, or because
// nobody waits.
func TestDialTimesOut(t *testing.T) {
	g, err := loop.NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	addr := deaf(t)
	_, err = g.Dial(addr, loop.DialOptions{By: loop.Now() + int64(50*time.Millisecond)})
	if err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
	_, err = g.Dial(addr, loop.DialOptions{Gone: func() bool { return true }})
	if err != loop.ErrGone {
		t.Fatal(err)
	}
}

// deaf is an address that takes no connection.
func deaf(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*syscall.SockaddrInet4).Port))
	for { // until the backlog is full
		c, err := net.DialTimeout("tcp", addr.String(), 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
}

// Bind moves a socket that another loop has watched so far, with its deadlines.
func TestSocketsMoveBetweenLoops(t *testing.T) {
	var shared atomic.Pointer[loop.Sock]
	var turn sync.Mutex
	back := serve(t, 1, echo)
	front := serve(t, 3, func(task *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 100)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		task.Detach()
		turn.Lock()
		defer turn.Unlock()
		up := shared.Load()
		up.Bind(task)
		defer up.Bind(nil)
		up.SetReadBy(loop.Now() + int64(5*time.Second))
		if _, err = write(up, p[:n]); err == nil {
			if n, err = read(up, p); err == nil {
				_, err = write(s, p[:n])
			}
		}
		return err == nil
	})
	up, err := front.Dial(netip.MustParseAddrPort(back.addr), loop.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	shared.Store(up)
	askSideBySide(t, front, 6, 20)
}
