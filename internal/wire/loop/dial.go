package loop

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// watchEvery is the time between two questions to DialOptions.Gone.
const watchEvery = int64(100 * time.Millisecond)

// DialOptions of a new connection.
type DialOptions struct {
	// Task waits for the connection, and both sides of the socket are bound to
	// it; nil is an ordinary goroutine.
	Task *Task
	// By is the time of Now at which the attempt ends; 0 leaves it to the system.
	By int64
	// Prepare, if not nil, is called with the descriptor before it connects.
	Prepare func(fd int) error
	// Gone, if not nil, is asked about every 100 ms whether the attempt has
	// become pointless; Dial then returns ErrGone.
	Gone func() bool
}

// ErrGone ends a Dial that nobody waits for any more.
var ErrGone = errors.New("loop: nobody waits for the connection any more")

// Dial connects to a TCP address.
func (g *Group) Dial(addr netip.AddrPort, o DialOptions) (*Sock, error) {
	sa, family := sockaddr(addr)
	s, err := g.dial(sa, family, &o)
	if err == nil {
		s.remote = addr
	}
	return s, err
}

// DialUnix connects to the Unix socket at path.
func (g *Group) DialUnix(path string, o DialOptions) (*Sock, error) {
	return g.dial(&syscall.SockaddrUnix{Name: path}, syscall.AF_UNIX, &o)
}

func (g *Group) dial(sa syscall.Sockaddr, family int, o *DialOptions) (*Sock, error) {
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if o.Prepare != nil {
		if err := o.Prepare(fd); err != nil {
			_ = syscall.Close(fd)
			return nil, err
		}
	}
	switch err := syscall.Connect(fd, sa); err {
	case nil, syscall.EINPROGRESS, syscall.EINTR:
	default:
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	s, err := g.register(fd, g.calmestFor(o.Task), reading|syscall.EPOLLOUT)
	if err != nil {
		return nil, err
	}
	s.rd.task, s.wr.task = o.Task, o.Task
	if err := s.connected(o); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// connected waits for the handshake of TCP.
func (s *Sock) connected(o *DialOptions) error {
	for {
		by := o.By
		if next := Now() + watchEvery; o.Gone != nil && (by == 0 || by > next) {
			by = next
		}
		if err := s.SetWriteBy(by); err != nil {
			return err
		}
		err := s.awaitConnect()
		switch {
		case err != os.ErrDeadlineExceeded:
			if err == nil {
				err = s.SetWriteBy(0)
			}
			return err
		case o.By != 0 && Now() >= o.By:
			return err
		case o.Gone != nil && o.Gone():
			return ErrGone
		}
	}
}

// awaitConnect waits for the event that tells the outcome, which may have come
// already.
func (s *Sock) awaitConnect() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	for {
		if err := s.await(&s.wr, s.wr.task); err != nil {
			return err
		}
		code, err := syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err != nil {
			return os.NewSyscallError("getsockopt", err)
		}
		if code != 0 {
			return os.NewSyscallError("connect", syscall.Errno(code))
		}
		if _, err := syscall.Getpeername(s.fd); err == nil {
			return nil
		}
	}
}

// calmestFor is the task's own loop, or any.
func (g *Group) calmestFor(t *Task) *Loop {
	if t != nil {
		return t.loop
	}
	return g.calmest()
}

func sockaddr(addr netip.AddrPort) (syscall.Sockaddr, int) {
	if ip := addr.Addr().Unmap(); ip.Is4() {
		return &syscall.SockaddrInet4{Addr: ip.As4(), Port: int(addr.Port())}, syscall.AF_INET
	}
	sa := &syscall.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port())}
	if zone := addr.Addr().Zone(); zone != "" {
		sa.ZoneId = zoneIndex(zone)
	}
	return sa, syscall.AF_INET6
}

// zoneIndex is the number of an interface, given by number or name.
func zoneIndex(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index)
	}
	return 0
}
