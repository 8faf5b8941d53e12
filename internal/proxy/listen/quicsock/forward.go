package quicsock

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// The kinds of messages between processes: the first byte.
const (
	kindGranted   byte = 'g' // from the older process: receive
	kindDatagrams byte = 'd' // to the older process
)

// maxMessage bounds a message in bytes, of which there is room for twice as many as
// the library reads at a time; maxInfo the control messages of a datagram.
const (
	maxMessage = 32 << 10
	maxInfo    = 255
)

// tagOf is the tag of a packet's destination (RFC 8999 §5). It is false for one
// that cannot be any process's.
func tagOf(packet []byte) (t Tag, ok bool) {
	switch {
	case len(packet) < 1+connectionIDLen:
		return t, false
	case packet[0]&0x80 == 0:
		return Tag(packet[1:]), true
	case len(packet) < 6+connectionIDLen || packet[5] != byte(connectionIDLen):
		return t, false
	}
	return Tag(packet[6:]), true
}

// messages keeps memory for one message of datagrams.
var messages = sync.Pool{New: func() any { return &message{b: make([]byte, 0, maxMessage)} }}

type message struct{ b []byte }

// sortOut passes datagrams on to older processes, and moves the others to the front.
func sortOut(ms []ipv4.Message, elders []elder) (kept int) {
	for i := 0; i < len(ms); i++ {
		m := &ms[i]
		if to := elderOf(m, elders); to != nil {
			first := i
			for i+1 < len(ms) && elderOf(&ms[i+1], elders) == to {
				i++
			}
			to.forward(ms[first : i+1])
			continue
		}
		if kept != i { // the buffers stay where they are, for they are the library's
			k := &ms[kept]
			k.N, k.NN, k.Flags, k.Addr = copy(k.Buffers[0], m.Buffers[0][:m.N]), copy(k.OOB, m.OOB[:m.NN]), m.Flags, m.Addr
		}
		kept++
	}
	return kept
}

func elderOf(m *ipv4.Message, elders []elder) *elder {
	tag, ok := tagOf(m.Buffers[0][:m.N])
	if !ok {
		return nil
	}
	for i := range elders {
		if elders[i].tag == tag {
			return &elders[i]
		}
	}
	return nil
}

// forward sends datagrams to the older process. What it has no room for is lost,
// as it would be in a socket's queue that is full.
func (e *elder) forward(ms []ipv4.Message) {
	out := messages.Get().(*message)
	defer messages.Put(out)
	b := append(out.b[:0], kindDatagrams)
	for i := range ms {
		b = appendDatagram(b, &ms[i])
	}
	rc, err := e.pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Write(func(fd uintptr) bool {
		_ = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		return true
	})
}

// appendDatagram appends a datagram's address, control messages and bytes, each
// behind its length.
func appendDatagram(b []byte, m *ipv4.Message) []byte {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok || m.NN > maxInfo || len(b)+m.N+2*maxInfo > maxMessage {
		return b
	}
	start := len(b)
	b = append(b, 0)
	b, _ = from.AddrPort().AppendBinary(b)
	b[start] = byte(len(b) - start - 1)
	b = append(b, byte(m.NN))
	b = append(b, m.OOB[:m.NN]...)
	b = binary.BigEndian.AppendUint16(b, uint16(m.N))
	return append(b, m.Buffers[0][:m.N]...)
}

// inbox takes datagrams out of a message.
type inbox struct {
	buf  []byte
	rest []byte // of buf
}

func (in *inbox) empty() bool { return len(in.rest) == 0 }

// fill waits for a message.
func (in *inbox) fill(pipe *net.UnixConn) error {
	if in.buf == nil {
		in.buf = make([]byte, maxMessage)
	}
	n, err := pipe.Read(in.buf)
	switch {
	case err != nil:
		return err
	case n == 0:
		return io.EOF
	case in.buf[0] == kindDatagrams:
		in.rest = in.buf[1:n]
	}
	return nil
}

var errMessage = errors.New("quicsock: a message that cannot be read")

// take moves datagrams to ms. It may return 0.
func (in *inbox) take(ms []ipv4.Message) (n int) {
	for n < len(ms) && !in.empty() {
		rest, err := readDatagram(in.rest, &ms[n])
		if err != nil {
			in.rest = nil
			break
		}
		in.rest = rest
		n++
	}
	return n
}

// readDatagram reads what appendDatagram wrote.
func readDatagram(b []byte, m *ipv4.Message) (rest []byte, err error) {
	addr, b, ok := field(b, 1)
	var from netip.AddrPort
	if !ok || from.UnmarshalBinary(addr) != nil || !from.IsValid() {
		return nil, errMessage
	}
	info, b, ok := field(b, 1)
	if !ok || len(info) > len(m.OOB) {
		return nil, errMessage
	}
	data, b, ok := field(b, 2)
	if !ok || len(data) > len(m.Buffers[0]) {
		return nil, errMessage
	}
	m.Addr = net.UDPAddrFromAddrPort(from)
	m.NN, m.N, m.Flags = copy(m.OOB, info), copy(m.Buffers[0], data), 0
	return b, nil
}

// field takes off a length of that many bytes and what it counts.
func field(b []byte, size int) (value, rest []byte, ok bool) {
	if len(b) < size {
		return nil, nil, false
	}
	n := int(b[0])
	if size == 2 {
		n = int(binary.BigEndian.Uint16(b))
	}
	b = b[size:]
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
