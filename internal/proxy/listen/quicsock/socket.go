// Package quicsock is the UDP socket of an HTTP/3 listener, which processes have
// one after the other in upgrades. All of them send from it. One receives: the
// newest that was told to, which passes on to each older one what belongs to
// its connections.
//
// A connection ID begins with a tag of the process that gave it out, so no
// process has to know what another one's connections are called. Where the tag
// is nobody's, such as in a client's first packets, the datagram is the
// receiver's own. Datagrams go from process to process over a pair of Unix
// sockets for each older process, and over the same pair that one says, once,
// that it has stopped to receive. So at no time two of them read from the
// socket, and what comes in between waits in its queue.
//
// A Socket has no goroutines but for one for each older process, which Close
// waits for; the QUIC library's reader does the work. Package listen imports it.
package quicsock

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
)

// Tag marks the connection IDs of a process.
type Tag [4]byte

func (t Tag) String() string { return hex.EncodeToString(t[:]) }

// connectionIDLen in bytes: a tag, and eight that are hard to guess (RFC 9000 §5.1).
const connectionIDLen = len(Tag{}) + 8

// elder is an older process with connections of its own.
type elder struct {
	tag  Tag
	pipe *net.UnixConn
}

// Socket is a net.UDPConn for quic.Transport, and the generator of its connection IDs.
type Socket struct {
	*net.UDPConn
	batches *ipv4.PacketConn
	tag     Tag

	granted chan struct{} // closed when this process may receive
	closing chan struct{} // closed when nobody reads any more
	left    atomic.Bool   // another process receives
	elders  atomic.Pointer[[]elder]
	inbox   inbox // the reader's own

	mu     sync.Mutex
	ours   *net.UnixConn // guarded by mu: to the successor, which has theirs
	theirs *net.UnixConn // guarded by mu: until the successor has it
	told   bool          // guarded by mu: the successor may receive
	closed bool          // guarded by mu

	watching sync.WaitGroup
}

// New makes a Socket of one that no other process has.
func New(c *net.UDPConn) *Socket {
	s := &Socket{
		UDPConn: c, batches: ipv4.NewPacketConn(c),
		granted: make(chan struct{}), closing: make(chan struct{}),
	}
	_, _ = rand.Read(s.tag[:]) // it does not fail
	close(s.granted)
	return s
}

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (s *Socket) GenerateConnectionID() (quic.ConnectionID, error) {
	id := make([]byte, connectionIDLen)
	_, _ = rand.Read(id[copy(id, s.tag[:]):])
	return quic.ConnectionIDFromBytes(id), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (s *Socket) ConnectionIDLen() int { return connectionIDLen }

// ReadBatch implements what quic.Transport reads with.
func (s *Socket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.readBatch(ms, flags)
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// readBatch may return 0, nil.
func (s *Socket) readBatch(ms []ipv4.Message, flags int) (int, error) {
	select {
	case <-s.granted:
	case <-s.closing:
		return 0, os.ErrDeadlineExceeded
	}
	if s.left.Load() {
		s.tell()
		return s.readForwarded(ms)
	}
	n, err := s.batches.ReadBatch(ms, flags)
	if errors.Is(err, os.ErrDeadlineExceeded) && s.left.Load() {
		return 0, nil
	}
	if elders := s.elders.Load(); elders != nil && n > 0 {
		n = sortOut(ms[:n], *elders)
	}
	return n, err
}

// HandOver stops to receive from the socket. The successor, which has what
// Estate returned last, does so from the moment on that this process has stopped.
func (s *Socket) HandOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.ours == nil || s.left.Swap(true) {
		return
	}
	_ = s.theirs.Close() // so that its end is seen
	_ = s.UDPConn.SetReadDeadline(time.Now())
}

// tell lets the successor receive.
func (s *Socket) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.told && s.ours != nil {
		s.told = true
		_, _ = s.ours.Write([]byte{kindGranted}) // one that is gone is noticed by the next read
	}
}

// readForwarded receives what the successor passes on. When that has gone without
// leaving anybody who does, this process receives again.
func (s *Socket) readForwarded(ms []ipv4.Message) (int, error) {
	if s.inbox.empty() && !s.awaitForwarded() {
		if s.isClosing() {
			return 0, os.ErrDeadlineExceeded
		}
		s.takeBack()
	}
	return s.inbox.take(ms), nil
}

// awaitForwarded is false at the end of what comes.
func (s *Socket) awaitForwarded() bool {
	s.mu.Lock()
	ours := s.ours
	s.mu.Unlock()
	return s.inbox.fill(ours) == nil
}

func (s *Socket) takeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.isClosing() {
		return
	}
	s.forget()
	s.told = false
	s.left.Store(false)
	_ = s.UDPConn.SetReadDeadline(time.Time{})
}

// SetReadDeadline ends reading for good, which is what quic.Transport uses it for.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.IsZero() {
		return nil
	}
	if !s.isClosing() {
		close(s.closing)
	}
	if s.ours != nil {
		_ = s.ours.SetReadDeadline(t)
	}
	return s.UDPConn.SetReadDeadline(t)
}

func (s *Socket) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// Close gives up the socket and everything that belongs to it. Older processes
// then receive for themselves.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.forget()
	if elders := s.elders.Load(); elders != nil {
		for _, e := range *elders {
			_ = e.pipe.Close()
		}
	}
	err := s.UDPConn.Close()
	s.mu.Unlock()
	s.watching.Wait()
	return err
}

// forget closes the pair to a successor; mu is held.
func (s *Socket) forget() {
	if s.ours != nil {
		_ = s.ours.Close()
		_ = s.theirs.Close()
	}
	s.ours, s.theirs = nil, nil
}

// watch waits for what an older process says: that it has stopped to receive, or
// that it is gone.
func (s *Socket) watch(e elder, direct bool) {
	b := make([]byte, 16)
	for {
		n, err := e.pipe.Read(b)
		if direct && (n > 0 || err != nil) {
			direct = false
			close(s.granted)
		}
		if n == 0 || err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.Clone(*s.elders.Load())
	left = slices.DeleteFunc(left, func(o elder) bool { return o == e })
	if len(left) > 0 {
		s.elders.Store(&left)
	} else {
		s.elders.Store(nil)
	}
	_ = e.pipe.Close()
}

var _ quic.OOBCapablePacketConn = (*Socket)(nil)

var _ quic.ConnectionIDGenerator = (*Socket)(nil)

var _ io.Closer = (*Estate)(nil)

var _ syscall.Conn = (*Socket)(nil)
