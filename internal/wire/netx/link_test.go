package netx

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// linked is a link between a client and a server of the net package.
type linked struct {
	client, server *net.TCPConn
	done           chan *Link
	link           *Link
	loops          *loop.Group
}

// linkStart begins a link on a task of the client's connection.
type linkStart struct {
	*linked
	a, b *Conn
	o    LinkOptions
	made chan *Link
}

func (s *linkStart) Resume(t *loop.Task) bool {
	l := NewLink(s.a, s.b, s.o)
	s.made <- l
	return l.Start(t)
}

func newLinked(t *testing.T, o LinkOptions, early string) *linked {
	t.Helper()
	g, err := loop.NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	x := &linked{done: make(chan *Link, 1), loops: g}
	aClient, aServer := accepted(t, g)
	bServer := listening(t)
	up, err := Dial(context.Background(), bServer.Addr().String(), DialOptions{Group: g, By: After(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	server, err := bServer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	x.client, x.server = aClient, server.(*net.TCPConn)
	a := FromSock(aServer, netip.AddrPort{})
	a.Unread([]byte(early))
	o.Done = func(l *Link) { x.done <- l }
	start := &linkStart{linked: x, a: a, b: up, o: o, made: make(chan *Link, 1)}
	aServer.SetHandler(start)
	aServer.Start()
	x.link = <-start.made
	t.Cleanup(func() {
		x.client.Close()
		x.server.Close()
		x.link.Cut(net.ErrClosed)
		g.Close()
	})
	return x
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// accepted is a connection whose server's side belongs to the loops.
func accepted(t *testing.T, g *loop.Group) (*net.TCPConn, *loop.Sock) {
	t.Helper()
	socks := make(chan *loop.Sock, 1)
	ln, err := Listen(context.Background(), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ll, err := g.Listen(ln.(*net.TCPListener), func(s *loop.Sock) { socks <- s }, func(error) time.Duration { return time.Second })
	if err != nil {
		t.Fatal(err)
	}
	if err := ll.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", ll.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := <-socks
	ll.Close()
	return c.(*net.TCPConn), s
}

func (x *linked) wait(t *testing.T) *Link {
	t.Helper()
	select {
	case l := <-x.done:
		return l
	case <-time.After(10 * time.Second):
		t.Fatal("the link did not end")
	}
	return nil
}

func read(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, n)
	if m, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err, m)
	}
	return b
}

func TestLinkMovesBothWays(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "early ")
	x.client.Write([]byte("late"))
	if got := read(t, x.server, 10); string(got) != "early late" {
		t.Fatalf("got %q", got)
	}
	for range 100 { // one small piece at a time
		x.server.Write([]byte("ping"))
		read(t, x.client, 4)
		x.client.Write([]byte("pong"))
		read(t, x.server, 4)
	}
	x.server.CloseWrite()
	if n, err := x.client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatal("no end:", n, err)
	}
	x.client.Write([]byte("still open"))
	read(t, x.server, 10)
	x.client.Close()
	l := x.wait(t)
	if failed, err := l.Err(); failed != nil || err != nil {
		t.Error(err)
	}
	if up, down := l.Moved(); up != 420 || down != 400 {
		t.Error("moved", up, down)
	}
	if l.FirstEnded() != l.ba.src {
		t.Error("the wrong side ended first")
	}
}

// The server speaks first, and the client says nothing at all.
func TestLinkLetsTheServerSpeakFirst(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "")
	x.server.Write([]byte("220 ready"))
	if got := read(t, x.client, 9); string(got) != "220 ready" {
		t.Fatalf("got %q", got)
	}
}

func TestLinkMovesBulk(t *testing.T) {
	x := newLinked(t, LinkOptions{Idle: 10 * time.Second}, "")
	for _, way := range [][2]*net.TCPConn{{x.client, x.server}, {x.server, x.client}} {
		data := make([]byte, 6<<20)
		rand.Read(data)
		go func() {
			way[0].Write(data)
			way[0].CloseWrite()
		}()
		way[1].SetReadDeadline(time.Now().Add(20 * time.Second))
		got, err := io.ReadAll(way[1])
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d of %d bytes, %v", len(got), len(data), err)
		}
	}
	x.wait(t)
}

// Both sides write and read at once, more than sockets hold.
func TestLinkDoesNotLockUp(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "")
	const size = 4 << 20
	errs := make(chan error, 4)
	for _, c := range []*net.TCPConn{x.client, x.server} {
		go func() { _, err := c.Write(make([]byte, size)); errs <- errors.Join(err, c.CloseWrite()) }()
		go func() { _, err := io.CopyN(io.Discard, c, size); errs <- err }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if up, down := x.wait(t).Moved(); up != size || down != size {
		t.Error(up, down)
	}
}

func TestLinkIdle(t *testing.T) {
	const idle = 150 * time.Millisecond
	x := newLinked(t, LinkOptions{Idle: idle}, "")
	begun := time.Now()
	for time.Since(begun) < 2*idle { // only one direction is busy
		x.client.Write([]byte("x"))
		read(t, x.server, 1)
	}
	quiet := time.Now()
	_, err := x.wait(t).Err()
	if !IsTimeout(err) || time.Since(quiet) < idle*9/10 {
		t.Error(err, time.Since(quiet))
	}
	if _, err := x.client.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the client got", err)
	}
}

func TestLinkEndsInTime(t *testing.T) {
	x := newLinked(t, LinkOptions{By: After(200 * time.Millisecond)}, "")
	go io.Copy(io.Discard, x.server)
	go func() {
		for { // busy all the time
			if _, err := x.client.Write([]byte("x")); err != nil {
				return
			}
			runtime.Gosched()
		}
	}()
	if _, err := x.wait(t).Err(); !IsTimeout(err) {
		t.Error(err)
	}
}

// A reset of one side reaches the other as a reset.
func TestLinkPassesResetsOn(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "hello")
	read(t, x.server, 5)
	x.server.SetLinger(0)
	x.server.Close()
	if _, err := x.client.Read(make([]byte, 1)); !IsReset(err) {
		t.Error("the client got", err)
	}
	if failed, err := x.wait(t).Err(); err == nil || failed != x.link.ba.src {
		t.Error(failed, err)
	}
}

// A client that has ended its stream and then resets is noticed, though
// nobody writes to it.
func TestLinkNoticesAResetAfterTheEnd(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "")
	x.client.CloseWrite()
	if _, err := x.server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	x.client.SetLinger(0)
	x.client.Close()
	if _, err := x.wait(t).Err(); err == nil {
		t.Error("ended without an error")
	}
}

func TestLinkCut(t *testing.T) {
	x := newLinked(t, LinkOptions{}, "")
	x.link.Cut(os.ErrClosed)
	if _, err := x.wait(t).Err(); err != os.ErrClosed {
		t.Error(err)
	}
}
