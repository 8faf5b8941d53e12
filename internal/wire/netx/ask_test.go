package netx_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/netx"
)

type never struct{}

func (never) Gone() bool { return false }

// ask sends a request from a buffer, which is given back whatever comes of it.
func ask(c *netx.Conn, request []byte) (answer string, err error) {
	from := bufpool.Get(max(len(request), bufpool.Large+1)) // too large for a pool to hand it out again
	buf, n, err := c.Ask(from.B[:copy(from.B, request)], from, 64)
	if from.B != nil {
		return "", errors.New("the request's buffer was kept")
	}
	if err != nil {
		return "", err
	}
	defer buf.Release()
	return string(buf.B[:n]), nil
}

func TestAsk(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	go func() {
		buf := make([]byte, 64)
		for {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			theirs.Write(bytes.ToUpper(buf[:n]))
		}
	}()
	for range 200 {
		if got, err := ask(c, []byte("question")); err != nil || got != "QUESTION" {
			t.Fatalf("%q %v", got, err)
		}
	}
}

// What the peer said before it was asked is found all the same.
func TestAskFindsWhatWasThereBefore(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	if _, err := theirs.Write([]byte("unasked")); err != nil {
		t.Fatal(err)
	}
	c.SetReadBy(netx.After(5 * time.Second))
	if got, err := ask(c, []byte("question")); err != nil || got != "unasked" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestAskOfAPeerThatHasLeft(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	c.SetReadBy(netx.After(5 * time.Second))
	theirs.Close()
	_, err := ask(c, []byte("question"))
	if !netx.IsGone(err) && err != io.EOF {
		t.Fatalf("got %v", err)
	}
}

func TestAskKeepsItsDeadline(t *testing.T) {
	ours, _ := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	c.SetReadBy(netx.After(20 * time.Millisecond))
	if _, err := ask(c, []byte("question")); !netx.IsTimeout(err) {
		t.Fatalf("got %v", err)
	}
}

// A request that does not fit into the socket's buffer is finished the slow way.
func TestAskMoreThanFits(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	c.SetReadBy(netx.After(10 * time.Second))
	c.SetWriteBy(netx.After(10 * time.Second))
	request := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	go func() {
		n, err := io.CopyN(io.Discard, theirs, int64(len(request)))
		if err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
		theirs.Write([]byte("done"))
	}()
	if got, err := ask(c, request); err != nil || got != "done" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestAskWritesFailures(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := netx.New(ours)
	c.SetWatch(never{})
	c.SetReadBy(netx.After(5 * time.Second))
	if tc, ok := theirs.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	theirs.Close()
	for range 3 { // the first may still be taken by the socket
		_, err := ask(c, []byte("question"))
		if err == nil {
			t.Fatal("an answer from nobody")
		}
		var w *netx.WriteError
		if errors.As(err, &w) {
			return
		}
	}
	t.Fatal("the write never failed")
}

// tcpPair is a connection over loopback, by its two ends.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b = <-accepted
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
