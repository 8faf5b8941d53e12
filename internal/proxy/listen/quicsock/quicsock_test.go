package quicsock

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader is what quic.Transport does with a Socket.
type reader struct {
	t    *testing.T
	s    *Socket
	got  chan string // who sent what
	over chan error
}

func read(t *testing.T, s *Socket) *reader {
	r := &reader{t: t, s: s, got: make(chan string, 64), over: make(chan error, 1)}
	go func() {
		ms := make([]ipv4.Message, 4)
		for i := range ms {
			ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128)}
		}
		for {
			n, err := s.ReadBatch(ms, 0)
			if err != nil {
				r.over <- err
				return
			}
			for _, m := range ms[:n] {
				r.got <- m.Addr.String() + " " + string(m.Buffers[0][:m.N])
			}
		}
	}()
	return r
}

func (r *reader) wants(client *net.UDPConn, packet string) {
	r.t.Helper()
	select {
	case got := <-r.got:
		if want := client.LocalAddr().String() + " " + packet; got != want {
			r.t.Fatalf("received %q, not %q", got, want)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatalf("%q did not come", packet)
	}
}

// end is what quic.Transport and its owner do at the end.
func (r *reader) end() {
	r.t.Helper()
	_ = r.s.SetReadDeadline(time.Now())
	if err := <-r.over; !os.IsTimeout(err) {
		r.t.Error(err)
	}
	if err := r.s.Close(); err != nil {
		r.t.Error(err)
	}
	if len(r.got) > 0 {
		r.t.Errorf("%q has come besides", <-r.got)
	}
}

func newSocket(t *testing.T) (*Socket, *net.UDPConn) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, c.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return New(c), client
}

// sent is a Socket's estate as another process gets it.
func sent(t *testing.T, s *Socket) *Estate {
	t.Helper()
	all, err := s.Estate("l")
	if err != nil {
		t.Fatal(err)
	}
	datagrams, pipes := map[string]*net.UDPConn{}, map[string]*net.UnixConn{}
	for name, c := range all {
		switch c := again(t, c).(type) {
		case *net.UDPConn:
			datagrams[name] = c
		case *net.UnixConn:
			pipes[name] = c
		}
	}
	e := Estates(datagrams, pipes)["l"]
	if e == nil || len(datagrams)+len(pipes) > 0 {
		t.Fatalf("%v makes no estate", slices.Collect(maps.Keys(all)))
	}
	return e
}

func again(t *testing.T, c syscall.Conn) net.Conn {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var nc net.Conn
	_ = rc.Control(func(fd uintptr) {
		var dup int
		if dup, err = syscall.Dup(int(fd)); err == nil {
			f := os.NewFile(uintptr(dup), "")
			nc, err = net.FileConn(f)
			f.Close()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func inherit(t *testing.T, from *Socket) *Socket {
	t.Helper()
	s, err := sent(t, from).Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is a packet of a connection of that process.
func of(s *Socket, text string) string {
	id, _ := s.GenerateConnectionID()
	return "\x40" + string(id.Bytes()) + text
}

func send(t *testing.T, c *net.UDPConn, packets ...string) {
	t.Helper()
	for _, p := range packets {
		if _, err := c.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
}

const initial = "\xc0\x00\x00\x00\x01\x08 any id the first packet of a client"

// Three processes: each gets what is its own's, and the youngest what is nobody's;
// what comes while they change waits. When the youngest has gone, the one before
// it receives again.
func TestSuccession(t *testing.T) {
	a, client := newSocket(t)
	ra := read(t, a)
	both := func(r *reader, s *Socket) {
		t.Helper()
		p := of(s, "hello")
		send(t, client, p)
		r.wants(client, p)
	}
	first := func(r *reader) {
		t.Helper()
		send(t, client, initial)
		r.wants(client, initial)
	}
	first(ra)
	b := inherit(t, a)
	rb := read(t, b)
	both(ra, a)
	first(ra) // b waits until a has stopped
	a.HandOver()
	<-b.granted
	first(rb)
	both(ra, a)
	both(rb, b)

	c := inherit(t, b)
	b.HandOver()
	<-c.granted
	send(t, client, initial) // before c reads
	rc := read(t, c)
	rc.wants(client, initial)
	for range 3 {
		both(ra, a)
		both(rb, b)
		both(rc, c)
		first(rc)
	}
	rc.end()
	first(rb)
	both(rb, b)
	both(ra, a)
	rb.end()
	first(ra)
	both(ra, a)
	ra.end()
}

// A process in the middle ends: those on both sides go on.
func TestSuccessionWithAGap(t *testing.T) {
	a, client := newSocket(t)
	ra := read(t, a)
	b := inherit(t, a)
	rb := read(t, b)
	a.HandOver()
	c := inherit(t, b)
	b.HandOver()
	rc := read(t, c)
	rb.end()
	for _, r := range []*reader{ra, rc} {
		p := of(r.s, "hello")
		send(t, client, p)
		r.wants(client, p)
	}
	ra.end()
	for c.elders.Load() != nil { // nothing of those that are gone is kept
		runtime.Gosched()
	}
	late := of(a, "late")
	send(t, client, late)
	rc.wants(client, late) // which the library drops
	rc.end()
}

// A successor that gives up, or never was one, changes nothing.
func TestSuccessorFails(t *testing.T) {
	a, client := newSocket(t)
	ra := read(t, a)
	if err := sent(t, a).Close(); err != nil {
		t.Error(err)
	}
	send(t, client, initial)
	ra.wants(client, initial)
	e := sent(t, a)
	a.HandOver()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	send(t, client, initial)
	ra.wants(client, initial)
	b := inherit(t, a)
	rb := read(t, b)
	rb.end() // while it waits for its turn
	a.HandOver()
	send(t, client, initial)
	ra.wants(client, initial)
	a.HandOver() // to nobody
	send(t, client, initial)
	ra.wants(client, initial)
	ra.end()
	if _, err := a.Estate("l"); err == nil {
		t.Error("a socket that is closed has an estate")
	}
}

// Datagrams look in the other process as they did in this one, in the same order,
// however many come at a time.
func TestDatagramsKeep(t *testing.T) {
	a, b := Tag{1, 2, 3, 4}, Tag{1, 2, 3, 5}
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	packet := func(tag Tag, text string) []byte {
		return append(append([]byte{0x40}, tag[:]...), bytes.Repeat([]byte(text), 8)...)
	}
	from := []string{"192.0.2.1:1", "[2001:db8::1]:2", "[fe80::1%lo]:3", "192.0.2.1:4"}
	var ms []ipv4.Message
	for i, tag := range []Tag{b, a, a, b, a, b} {
		addr, _ := net.ResolveUDPAddr("udp", from[i%len(from)])
		data := packet(tag, fmt.Sprint(i))
		ms = append(ms, ipv4.Message{Buffers: [][]byte{append(data, make([]byte, 100)...)}, N: len(data), OOB: []byte{byte(i), 7, 0, 0}, NN: 1 + i%2, Addr: addr})
	}
	kept := sortOut(ms, []elder{{a, ours}})
	check := func(ms []ipv4.Message, tag Tag, which ...int) {
		t.Helper()
		if len(ms) != len(which) {
			t.Fatalf("%d datagrams, not %v", len(ms), which)
		}
		for k, i := range which {
			m := &ms[k]
			if got := m.Buffers[0][:m.N]; !bytes.Equal(got, packet(tag, fmt.Sprint(i))) {
				t.Errorf("datagram %d: %q", i, got)
			}
			if !bytes.Equal(m.OOB[:m.NN], []byte{byte(i), 7}[:1+i%2]) || m.Addr.String() != from[i%len(from)] {
				t.Errorf("datagram %d: %v from %v", i, m.OOB[:m.NN], m.Addr)
			}
		}
	}
	check(ms[:kept], b, 0, 3, 5)
	var in inbox
	var got []ipv4.Message
	for len(got) < 3 {
		if in.empty() {
			if err := in.fill(theirs); err != nil {
				t.Fatal(err)
			}
		}
		one := []ipv4.Message{{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128)}}
		got = append(got, one[:in.take(one)]...)
	}
	check(got, a, 1, 2, 4)
}

// What is no estate is nobody's.
func TestEstates(t *testing.T) {
	pipes := map[string]*net.UnixConn{
		"l/quic/from/01020304": nil, "m/quic/from/01020304": nil, "l/quic/from/0102030": nil, "l/quic/past/0102030x": nil, "l/other": nil,
	}
	datagrams := map[string]*net.UDPConn{"l/quic": nil, "l/udp": nil}
	got := Estates(datagrams, pipes)
	if e := got["l"]; len(got) != 1 || e == nil || e.from.tag != (Tag{1, 2, 3, 4}) || len(e.elders) != 0 {
		t.Errorf("%+v", got)
	}
	if len(pipes) != 4 || len(datagrams) != 1 {
		t.Errorf("left are %v, %v", pipes, datagrams)
	}
}

func FuzzDatagram(f *testing.F) {
	addr := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}
	f.Add(appendDatagram(nil, &ipv4.Message{Buffers: [][]byte{[]byte("hello")}, N: 5, OOB: []byte{1, 2}, NN: 2, Addr: addr}))
	f.Add([]byte(initial))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = tagOf(b)
		m := ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128)}
		rest, err := readDatagram(b, &m)
		if err != nil {
			return
		}
		again := appendDatagram(nil, &m)
		back := ipv4.Message{Buffers: [][]byte{make([]byte, 1500)}, OOB: make([]byte, 128)}
		if left, err := readDatagram(again, &back); err != nil || len(left) > 0 || len(rest) > len(b) {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
		if back.Addr.String() != m.Addr.String() || back.N != m.N || back.NN != m.NN || !bytes.Equal(back.Buffers[0], m.Buffers[0]) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
