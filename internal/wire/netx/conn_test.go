package netx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

// pair returns both ends of a connection over loopback.
func pair(t testing.TB) (a, b *netx.Conn) {
	t.Helper()
	return pairOn(t, "127.0.0.1:0")
}

func pairOn(t testing.TB, address string) (client, server *netx.Conn) {
	t.Helper()
	if onLoops(t, address) {
		return loopPair(t)
	}
	ln, err := netx.Listen(context.Background(), address, netx.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- nc
	}()
	dial := ln.Addr().String()
	if ln.Addr().Network() == "unix" {
		dial = address
	}
	client, err = netx.Dial(context.Background(), dial, netx.DialOptions{By: netx.After(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	nc, ok := <-accepted
	if !ok {
		t.Fatal("nothing was accepted")
	}
	server = netx.New(nc)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func write(t testing.TB, c *netx.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, c *netx.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually polls a condition that the kernel brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(5 * time.Second); !ok(); <-tick.C {
		if time.Now().After(limit) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestReadWrite(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")} {
		a, b := pairOn(t, address)
		write(t, a, "ping")
		if got := read(t, b, 4); got != "ping" {
			t.Errorf("got %q", got)
		}
		if n, err := b.Writev([]byte("head "), []byte("body")); n != 9 || err != nil {
			t.Errorf("Writev = %d, %v", n, err)
		}
		if got := read(t, a, 9); got != "head body" {
			t.Errorf("got %q", got)
		}
		if err := a.CloseWrite(); err != nil {
			t.Error(err)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after CloseWrite: %v", err)
		}
	}
}

func TestWritevOfManySizes(t *testing.T) {
	a, b := pair(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var want bytes.Buffer
	var parts [][2][]byte
	for range 200 {
		p := [2][]byte{make([]byte, rnd.IntN(3)*rnd.IntN(90000)), make([]byte, rnd.IntN(3)*rnd.IntN(90000))}
		for _, s := range p {
			for i := range s {
				s[i] = byte(rnd.Uint32())
			}
			want.Write(s)
		}
		parts = append(parts, p)
	}
	go func() {
		for _, p := range parts {
			if n, err := a.Writev(p[0], p[1]); err != nil || n != len(p[0])+len(p[1]) {
				t.Errorf("Writev = %d, %v", n, err)
			}
		}
		a.CloseWrite()
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("received %d bytes, %v; want %d", len(got), err, want.Len())
	}
}

func TestReadDeadline(t *testing.T) {
	a, b := pair(t)
	begin := netx.Monotonic()
	b.SetReadBy(begin + int64(30*time.Millisecond))
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
		t.Fatalf("got %v", err)
	}
	if took := netx.Monotonic() - begin; took < int64(30*time.Millisecond) {
		t.Errorf("timed out after %v", time.Duration(took))
	}
	// A read after the time-out fails again, until the deadline moves.
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
	b.SetReadBy(netx.After(5 * time.Second))
	write(t, a, "x")
	if got := read(t, b, 1); got != "x" {
		t.Errorf("got %q", got)
	}
}

// The runtime's timer stays armed for the first deadline while later ones are
// set: it must neither end reads too early nor be forgotten.
func TestLazyDeadlineMovesLater(t *testing.T) {
	a, b := pair(t)
	b.SetReadBy(netx.After(20 * time.Millisecond))
	write(t, a, "x")
	read(t, b, 1)
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) { // arms
		t.Fatal(err)
	}
	b.SetReadBy(netx.After(20 * time.Millisecond))
	done := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 1))
		done <- err
	}()
	if err := <-done; !netx.IsTimeout(err) {
		t.Fatal(err)
	}
	begin := netx.Monotonic()
	b.SetReadBy(begin + int64(10*time.Millisecond))
	b.SetReadBy(begin + int64(80*time.Millisecond))
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
		t.Fatal(err)
	}
	if took := time.Duration(netx.Monotonic() - begin); took < 80*time.Millisecond {
		t.Errorf("timed out after %v", took)
	}
	// Earlier than what is armed.
	b.SetReadBy(netx.After(time.Hour))
	go func() { done <- func() error { _, err := b.Read(make([]byte, 1)); return err }() }()
	write(t, a, "y")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b.SetReadBy(netx.After(10 * time.Millisecond))
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
		t.Fatal(err)
	}
	// And none at all.
	b.SetReadBy(0)
	go func() { done <- func() error { _, err := b.Read(make([]byte, 1)); return err }() }()
	write(t, a, "z")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWriteDeadlineKeepsCount(t *testing.T) {
	a, b := pair(t)
	a.SetWriteBy(netx.After(50 * time.Millisecond))
	big := make([]byte, 64<<20)
	n, err := a.Write(big)
	if !netx.IsTimeout(err) || n <= 0 || n >= len(big) {
		t.Fatalf("Write = %d, %v", n, err)
	}
	// What was counted is what arrives.
	a.SetWriteBy(netx.After(10 * time.Second))
	go func() {
		_, _ = a.Write([]byte("end"))
		a.CloseWrite()
	}()
	got, err := io.Copy(io.Discard, b)
	if err != nil || got != int64(n+3) {
		t.Errorf("received %d, %v; want %d", got, err, n+3)
	}
}

type watcher struct {
	gone  atomic.Bool
	asked atomic.Int32
}

func (w *watcher) Gone() bool { w.asked.Add(1); return w.gone.Load() }

func TestWatch(t *testing.T) {
	a, b := pair(t)
	w := new(watcher)
	b.SetWatch(w)
	b.SetReadBy(netx.After(time.Minute))
	done := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 1))
		done <- err
	}()
	eventually(t, "the watcher is asked twice", func() bool { return w.asked.Load() >= 2 })
	select {
	case err := <-done:
		t.Fatalf("the read ended: %v", err)
	default:
	}
	w.gone.Store(true)
	if err := <-done; !errors.Is(err, netx.ErrWatchGone) || !netx.IsGone(err) {
		t.Fatal(err)
	}
	// Without the watcher, and with bytes, the connection goes on.
	b.SetWatch(nil)
	write(t, a, "x")
	if got := read(t, b, 1); got != "x" {
		t.Errorf("got %q", got)
	}
}

func TestGone(t *testing.T) {
	a, b := pair(t)
	if b.Gone() || b.Stale() {
		t.Fatal("an open connection is gone")
	}
	write(t, a, "x")
	eventually(t, "unasked bytes make it stale", b.Stale)
	if b.Gone() {
		t.Error("gone with bytes to read")
	}
	a.Close()
	if b.Gone() {
		t.Error("gone with bytes to read")
	}
	read(t, b, 1)
	eventually(t, "the end is seen", b.Gone)
	b.Close()
	if !b.Gone() {
		t.Error("a closed connection is not gone")
	}

	a, b = pair(t)
	a.Abort()
	eventually(t, "the reset is seen", b.Gone)
	if _, err := b.Read(make([]byte, 1)); !netx.IsGone(err) {
		t.Errorf("read after a reset: %v", err)
	}
}

func TestReset(t *testing.T) {
	a, b := pair(t)
	done := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 1))
		done <- err
	}()
	a.Abort()
	if err := <-done; !netx.IsReset(err) || !netx.IsGone(err) || netx.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
}

func TestReadIdle(t *testing.T) {
	a, b := pair(t)
	type result struct {
		got string
		err error
	}
	next := make(chan result)
	go func() {
		for {
			buf, n, err := b.ReadIdle(4096)
			r := result{err: err}
			if err == nil {
				r.got = string(buf.B[:n])
				buf.Release()
			}
			next <- r
			if err != nil {
				return
			}
		}
	}()
	for _, s := range []string{"one", "two", "three"} {
		write(t, a, s)
		if r := <-next; r.err != nil || r.got != s {
			t.Fatalf("got %q, %v", r.got, r.err)
		}
	}
	a.CloseWrite()
	if r := <-next; r.err != io.EOF {
		t.Errorf("got %v", r.err)
	}
}

func TestReadIdleDeadlineAndInterrupt(t *testing.T) {
	a, b := pair(t)
	b.SetReadBy(netx.After(10 * time.Millisecond))
	if _, _, err := b.ReadIdle(100); !netx.IsTimeout(err) {
		t.Fatal(err)
	}
	b.SetReadBy(netx.After(time.Minute))
	done := make(chan error, 1)
	go func() {
		_, _, err := b.ReadIdle(100)
		done <- err
	}()
	b.Interrupt()
	if err := <-done; err != netx.ErrInterrupted {
		t.Fatal(err)
	}
	// Bytes win over the interruption; other reads do not mind it.
	write(t, a, "x")
	eventually(t, "the byte arrives", b.Stale)
	buf, n, err := b.ReadIdle(100)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	buf.Release()
	go func() { done <- func() error { _, err := b.Read(make([]byte, 1)); return err }() }()
	b.Interrupt()
	write(t, a, "y")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.ReadIdle(100); err != netx.ErrInterrupted {
		t.Fatal(err)
	}
}

func TestInterruptRace(t *testing.T) {
	for range 200 {
		_, b := pair(t)
		b.SetReadBy(netx.After(time.Hour))
		var wg sync.WaitGroup
		wg.Go(b.Interrupt)
		if _, _, err := b.ReadIdle(100); err != netx.ErrInterrupted {
			t.Fatal(err)
		}
		wg.Wait()
		b.Close()
	}
}

func TestUnread(t *testing.T) {
	a, b := pair(t)
	write(t, a, "cd")
	b.Unread([]byte("ab"))
	buf, n, err := b.ReadIdle(100)
	if err != nil || string(buf.B[:n]) != "ab" {
		t.Fatal(n, err)
	}
	if got := read(t, b, 2); got != "cd" {
		t.Errorf("got %q", got)
	}
}

func TestConnWithoutDescriptor(t *testing.T) {
	x, y := net.Pipe()
	a, b := netx.New(x), netx.New(y)
	defer a.Close()
	defer b.Close()
	b.SetReadBy(netx.After(10 * time.Millisecond))
	if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
		t.Fatal(err)
	}
	b.SetReadBy(netx.After(time.Minute))
	go func() { _, _ = a.Writev([]byte("he"), []byte("llo")) }()
	if got := read(t, b, 5); got != "hello" {
		t.Errorf("got %q", got)
	}
	b.SetReadBy(0)
	b.Interrupt()
	if _, _, err := b.ReadIdle(100); err != netx.ErrInterrupted {
		t.Error(err)
	}
}

func TestAddrs(t *testing.T) {
	a, b := pair(t)
	if a.LocalAddrPort() != b.RemoteAddrPort() || a.RemoteAddrPort() != b.LocalAddrPort() {
		t.Errorf("%v %v", a.LocalAddrPort(), b.RemoteAddrPort())
	}
	if netx.New(b) != b {
		t.Error("New wrapped a Conn again")
	}
}
