package handover

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// A socket of UDP is the same socket afterwards, and beside one of TCP.
func TestDatagramSockets(t *testing.T) {
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	var offer *Offer
	g := newGiver(t, 1, func(o *GiverOptions) {
		before := o.Offer
		o.Offer = func() (*Offer, error) {
			out, err := before()
			offer = &Offer{SessionKey: out.SessionKey, Done: out.Done, Sockets: append(out.Sockets, Socket{SocketID{RoleListener, ":53/udp"}, udp})}
			return offer, err
		}
	})
	k := g.reach(t)
	if err := k.Take("v2"); err != nil {
		t.Fatal(err)
	}
	if l := k.Listener(RoleListener, ":53/udp"); l != nil {
		t.Error("a socket of UDP as a listener")
	}
	if got := k.Datagrams(RoleAdmin); len(got) != 0 {
		t.Errorf("another role's: %v", got)
	}
	datagrams, listeners := k.Datagrams(RoleListener), k.Listeners(RoleListener)
	mine := datagrams[":53/udp"]
	if len(datagrams) != 1 || len(listeners) != 1 || mine == nil {
		t.Fatal(datagrams, listeners)
	}
	defer mine.Close()
	defer listeners["listener 0"].Close()
	if err := errors.Join(k.Ready(), k.Serving([]SocketID{{RoleListener, ":53/udp"}})); err != nil {
		t.Fatal(err)
	}
	if y := <-g.yields; len(y.Taken) != 1 {
		t.Errorf("%+v", y)
	}
	c, err := net.Dial("udp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	mine.SetReadDeadline(time.Now().Add(patience))
	n, from, err := mine.ReadFrom(b)
	if err != nil || string(b[:n]) != "hello" || from.String() != c.LocalAddr().String() {
		t.Errorf("%q from %v, %v", b[:n], from, err)
	}
}

// A connection between processes is a connection afterwards.
func TestPipes(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ends[i] = c.(*net.UnixConn)
	}
	g := newGiver(t, 1, func(o *GiverOptions) {
		before := o.Offer
		o.Offer = func() (*Offer, error) {
			out, err := before()
			return &Offer{SessionKey: out.SessionKey, Done: out.Done, Sockets: append(out.Sockets, Socket{SocketID{RoleListener, "pipe"}, ends[1]})}, err
		}
	})
	k := g.reach(t)
	if err := k.Take("v2"); err != nil {
		t.Fatal(err)
	}
	mine := k.Pipes(RoleListener)["pipe"]
	if mine == nil {
		t.Fatal("no pipe came")
	}
	defer mine.Close()
	for _, l := range k.Listeners(RoleListener) {
		defer l.Close()
	}
	if err := errors.Join(k.Ready(), k.Serving(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := ends[0].Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	mine.SetReadDeadline(time.Now().Add(patience))
	if n, err := mine.Read(b); err != nil || string(b[:n]) != "hello" {
		t.Errorf("%q, %v", b[:n], err)
	}
}
