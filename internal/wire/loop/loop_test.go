package loop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// read and write are what a user of a Sock does with it.
func read(s *loop.Sock, p []byte) (n int, err error) {
	werr := s.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), p)
		return err != syscall.EAGAIN
	})
	if werr != nil {
		return 0, werr
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func write(s *loop.Sock, p []byte) (total int, err error) {
	werr := s.Write(func(fd uintptr) bool {
		for len(p) > 0 {
			n, e := syscall.Write(int(fd), p)
			if e == syscall.EAGAIN {
				return false
			}
			if err = e; e != nil {
				return true
			}
			total += n
			p = p[n:]
		}
		return true
	})
	if werr != nil {
		err = werr
	}
	return total, err
}

// handler serves a connection: f is called for each thing to handle, and its
// answer is Resume's.
type handler struct {
	s *loop.Sock
	f func(t *loop.Task, s *loop.Sock) bool
}

func (h *handler) Resume(t *loop.Task) bool {
	h.s.Bind(t)
	return h.f(t, h.s)
}

type server struct {
	*loop.Group
	addr  string
	ln    *loop.Listener
	conns atomic.Int64
	mu    sync.Mutex
	socks []*loop.Sock
}

func serve(t testing.TB, loops int, f func(t *loop.Task, s *loop.Sock) bool) *server {
	t.Helper()
	g, err := loop.NewGroup(loops)
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{Group: g}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.addr = ln.Addr().String()
	srv.ln, err = g.Listen(ln.(*net.TCPListener), func(s *loop.Sock) {
		srv.conns.Add(1)
		srv.mu.Lock()
		srv.socks = append(srv.socks, s)
		srv.mu.Unlock()
		s.SetHandler(&handler{s, func(t *loop.Task, s *loop.Sock) bool {
			idle := f(t, s)
			if !idle {
				s.Close()
				srv.conns.Add(-1)
			}
			return idle
		}})
		s.Idle()
	}, func(error) time.Duration { return time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.ln.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.ln.Close()
		srv.mu.Lock()
		for _, s := range srv.socks {
			s.Close()
		}
		srv.mu.Unlock()
		eventually(t, "all connections end", func() bool { return srv.conns.Load() == 0 })
		g.Close()
		if n := g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
	return srv
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func dial(t testing.TB, srv *server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// echo answers once and goes idle.
func echo(_ *loop.Task, s *loop.Sock) bool {
	p := make([]byte, 4096)
	n, err := read(s, p)
	if err != nil {
		return false
	}
	_, err = write(s, p[:n])
	return err == nil
}

func ask(c net.Conn, question string) (string, error) {
	if _, err := io.WriteString(c, question); err != nil {
		return "", err
	}
	p := make([]byte, len(question))
	_, err := io.ReadFull(c, p)
	return string(p), err
}

// askSideBySide has clients that each ask so many questions.
func askSideBySide(t *testing.T, srv *server, clients, questions int) {
	t.Helper()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := dial(t, srv)
			for range questions {
				if got, err := ask(c, "hello"); err != nil || got != "hello" {
					t.Errorf("%q %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEcho(t *testing.T) {
	for _, loops := range []int{1, 3} {
		srv := serve(t, loops, echo)
		askSideBySide(t, srv, 20, 50)
	}
}

// A task that blocks between idle states keeps its place in the stream.
func TestBlockingWithinATask(t *testing.T) {
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		var got []byte
		for len(got) < 6 {
			p := make([]byte, 2)
			n, err := read(s, p)
			if err != nil {
				return false
			}
			got = append(got, p[:n]...)
		}
		_, err := write(s, got)
		return err == nil
	})
	a, b := dial(t, srv), dial(t, srv)
	for range 10 {
		for _, piece := range []string{"ab", "cd"} {
			io.WriteString(a, piece)
			io.WriteString(b, piece)
		}
		if got, err := ask(a, "ef"); err != nil || got != "ab" {
			t.Fatal(got, err)
		}
		rest := make([]byte, 4)
		io.ReadFull(a, rest)
		io.WriteString(b, "ef")
		all := make([]byte, 6)
		if _, err := io.ReadFull(b, all); err != nil || string(all) != "abcdef" {
			t.Fatal(string(all), err)
		}
	}
}

func TestLargeTransferBothWays(t *testing.T) {
	srv := serve(t, 2, func(_ *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 64<<10)
		for {
			n, err := read(s, p)
			if err != nil {
				return false
			}
			if _, err := write(s, p[:n]); err != nil {
				return false
			}
		}
	})
	c := dial(t, srv)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	go func() {
		c.Write(want)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func TestDeadlines(t *testing.T) {
	results := make(chan error, 10)
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 10)
		if _, err := read(s, p); err != nil {
			return false
		}
		begin := loop.Now()
		s.SetReadBy(begin + int64(20*time.Millisecond))
		_, err := read(s, p)
		if loop.Now()-begin < int64(20*time.Millisecond) {
			err = errors.New("too early")
		}
		results <- err
		// It can be used again.
		s.SetReadBy(loop.Now() + int64(time.Minute))
		_, err = read(s, p)
		results <- err
		return false
	})
	c := dial(t, srv)
	io.WriteString(c, "x")
	if err := <-results; err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
	io.WriteString(c, "y")
	if err := <-results; err != nil {
		t.Fatal(err)
	}
}

// An idle connection's deadline calls its handler.
func TestIdleDeadline(t *testing.T) {
	var calls atomic.Int32
	result := make(chan error, 1)
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		if calls.Add(1) == 1 {
			read(s, make([]byte, 10))
			s.SetReadBy(loop.Now() + int64(20*time.Millisecond))
			return true
		}
		_, err := read(s, make([]byte, 10))
		result <- err
		return false
	})
	c := dial(t, srv)
	io.WriteString(c, "x")
	if err := <-result; err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
}

func TestCloseFromOutside(t *testing.T) {
	entered := make(chan *loop.Sock, 1)
	result := make(chan error, 1)
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		entered <- s
		_, err := read(s, make([]byte, 10))
		if err == nil {
			_, err = read(s, make([]byte, 10))
		}
		result <- err
		return false
	})
	c := dial(t, srv)
	io.WriteString(c, "x")
	s := <-entered
	s.Close()
	if err := <-result; err != net.ErrClosed {
		t.Fatal(err)
	}
	if err := s.Close(); err != net.ErrClosed {
		t.Error(err)
	}
}

// While one task blocks without a word, the others of its loop go on.
func TestTaskThatBlocksUnannounced(t *testing.T) {
	hold := make(chan struct{})
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 10)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		if string(p[:n]) == "block" {
			<-hold
		}
		_, err = write(s, p[:n])
		return err == nil
	})
	blocked, free := dial(t, srv), dial(t, srv)
	for range 3 {
		io.WriteString(blocked, "block")
		for range 5 {
			if got, err := ask(free, "free"); err != nil || got != "free" {
				t.Fatal(got, err)
			}
		}
		hold <- struct{}{}
		p := make([]byte, 5)
		if _, err := io.ReadFull(blocked, p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDetach(t *testing.T) {
	hold := make(chan struct{})
	srv := serve(t, 1, func(task *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 10)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		if string(p[:n]) == "block" {
			task.Detach()
			task.Detach()
			<-hold
		}
		_, err = write(s, p[:n])
		return err == nil
	})
	blocked, free := dial(t, srv), dial(t, srv)
	io.WriteString(blocked, "block")
	if got, err := ask(free, "free"); err != nil || got != "free" {
		t.Fatal(got, err)
	}
	close(hold)
	p := make([]byte, 5)
	if _, err := io.ReadFull(blocked, p); err != nil {
		t.Fatal(err)
	}
	// The connection works on.
	if got, err := ask(blocked, "more"); err != nil || got != "more" {
		t.Fatal(got, err)
	}
}

// A task that always has something to do leaves room for others.
func TestBusyTaskIsFair(t *testing.T) {
	srv := serve(t, 1, func(_ *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 10)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		if string(p[:n]) != "flood" {
			_, err = write(s, p[:n])
			return err == nil
		}
		zero := make([]byte, 1024)
		for {
			if _, err := write(s, zero); err != nil {
				return false
			}
		}
	})
	flood, other := dial(t, srv), dial(t, srv)
	io.WriteString(flood, "flood")
	done := make(chan struct{})
	go func() {
		io.Copy(io.Discard, flood)
		close(done)
	}()
	for range 20 {
		if got, err := ask(other, "hi"); err != nil || got != "hi" {
			t.Fatal(got, err)
		}
	}
	flood.Close()
	<-done
}

// A crowd of connections is let in, whatever else the loop has to do.
func TestManyConnectionsAtOnce(t *testing.T) {
	srv := serve(t, 1, echo)
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			c, err := net.Dial("tcp", srv.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			if got, err := ask(c, "hello"); err != nil || got != "hello" {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	wg.Wait()
}

// A task that has lost its loop while it was blocked may still ask for company.
func TestTaskThatLostItsLoop(t *testing.T) {
	ran, hold := make(chan struct{}, 100), make(chan struct{})
	srv := serve(t, 1, func(task *loop.Task, s *loop.Sock) bool {
		p := make([]byte, 10)
		n, err := read(s, p)
		if err != nil {
			return false
		}
		if string(p[:n]) == "block" {
			<-hold // unannounced: the loop goes on without it
			task.Share()
			task.Go(once(func() { ran <- struct{}{} }))
		}
		_, err = write(s, p[:n])
		return err == nil
	})
	blocked, free := dial(t, srv), dial(t, srv)
	for range 5 {
		io.WriteString(blocked, "block")
		for range 50 {
			if got, err := ask(free, "free"); err != nil || got != "free" {
				t.Fatal(got, err)
			}
		}
		hold <- struct{}{}
		p := make([]byte, 5)
		if _, err := io.ReadFull(blocked, p); err != nil {
			t.Fatal(err)
		}
		<-ran
	}
}

type once func()

func (f once) Resume(*loop.Task) bool { f(); return false }
