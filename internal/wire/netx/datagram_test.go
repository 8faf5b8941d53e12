package netx

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// echoer sends back what it gets, and tells what that was.
type echoer struct {
	d    *Datagrams
	got  chan Packet
	over chan error
}

func (e *echoer) Resume(*loop.Task) bool {
	b := GetBatch()
	defer b.Release()
	for {
		n, err := e.d.Receive(b)
		if err != nil {
			e.over <- err
			if IsGone(err) {
				return false
			}
			continue
		}
		if n == 0 {
			return true
		}
		for _, p := range b.Packets[:n] {
			p.Data = append([]byte(nil), p.Data...)
			e.got <- p
		}
		for sent := 0; sent < n; {
			m, err := e.d.Send(b, b.Packets[sent:n])
			if err != nil {
				e.over <- err
				return true
			}
			sent += m
		}
	}
}

func newEchoer(t *testing.T, address string) *echoer {
	t.Helper()
	g, err := loop.NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ListenDatagrams(g, address, false)
	if err != nil {
		g.Close()
		t.Skip(err) // no IPv6 here
	}
	e := &echoer{d: d, got: make(chan Packet, 100), over: make(chan error, 100)}
	d.Start(e)
	t.Cleanup(func() {
		d.Close()
		for err := range e.over {
			if IsGone(err) {
				break
			}
		}
		g.Close()
	})
	return e
}

// Answers come from the address that was asked.
func TestDatagramsAnswerFromTheRightAddress(t *testing.T) {
	for _, c := range []struct{ listen, ask string }{
		{"127.0.0.1:0", "127.0.0.1"}, {":0", "127.0.0.1"}, {":0", "127.0.0.2"}, {"0.0.0.0:0", "127.0.0.3"}, {":0", "::1"}, {"[::]:0", "::1"}, {"[::1]:0", "::1"},
	} {
		t.Run(c.listen+" "+c.ask, func(t *testing.T) {
			e := newEchoer(t, c.listen)
			conn, err := net.Dial("udp", net.JoinHostPort(c.ask, fmt.Sprint(e.d.LocalAddrPort().Port())))
			if err != nil {
				t.Skip(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			for range 3 * BatchSize { // more than a batch at once
				conn.Write([]byte("x"))
			}
			for range 3 * BatchSize {
				if n, err := conn.Read(make([]byte, 2)); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				<-e.got
			}
			for i := range 40 {
				conn.Write(make([]byte, i*i*40)) // also none, and 60 KB
				n, err := conn.Read(make([]byte, maxDatagram))
				if err != nil || n != i*i*40 {
					t.Fatalf("datagram %d: %d bytes, %v", i, n, err)
				}
				p := <-e.got
				if p.Remote != conn.LocalAddr().(*net.UDPAddr).AddrPort() {
					t.Fatalf("from %v, want %v", p.Remote, conn.LocalAddr())
				}
				if p.Local.IsValid() && p.Local != netip.MustParseAddr(c.ask) {
					t.Fatalf("to %v", p.Local)
				}
			}
		})
	}
}

func TestDatagramsDeadline(t *testing.T) {
	e := newEchoer(t, "127.0.0.1:0")
	begun := time.Now()
	e.d.SetHandlerBy(After(50 * time.Millisecond))
	if err := <-e.over; err != nil && !IsTimeout(err) || time.Since(begun) < 45*time.Millisecond {
		t.Error(err, time.Since(begun))
	}
}

// A connected socket learns that nobody listens, and hears nobody else.
func TestDatagramsConnected(t *testing.T) {
	g, err := loop.NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d, err := DialDatagrams(g, nil, pc.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	e := &echoer{d: d, got: make(chan Packet, 10), over: make(chan error, 100)}
	d.Start(e)
	b := GetBatch()
	defer b.Release()
	if n, err := d.Send(b, []Packet{{Data: []byte("a")}, {Data: []byte("bc")}}); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 10)
	_, from, err := pc.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Dial("udp", from.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	stranger.Write([]byte("not for you"))
	pc.WriteTo([]byte("answer"), from)
	if p := <-e.got; string(p.Data) != "answer" {
		t.Errorf("got %q", p.Data)
	}
	pc.Close()
	for refused := false; !refused; {
		if _, err := d.Send(b, []Packet{{Data: []byte("x")}}); err != nil {
			refused = IsRefused(err)
		}
		select {
		case err := <-e.over:
			refused = refused || IsRefused(err)
		case <-time.After(5 * time.Second):
			t.Fatal("not told")
		}
	}
	d.Close()
	for err := range e.over {
		if err == os.ErrClosed || IsGone(err) {
			return
		}
	}
}
