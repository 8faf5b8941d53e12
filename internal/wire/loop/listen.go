package loop

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Listener is a listening TCP socket whose connections go to the loops.
type Listener struct {
	group  *Group
	sock   *Sock
	addr   net.Addr
	taken  func(*Sock)
	failed func(error) time.Duration
	// burst is how many connections an event may bring. It grows while that many
	// come, so that a crowd is let in at once, and one at a time costs one call.
	burst atomic.Int32
	// resting: the loops look away after a failure, until a timer fires.
	resting atomic.Bool

	watching sync.Mutex
	over     bool // guarded by watching: the loops never look again
	// accepting is held for reading by who accepts.
	accepting sync.RWMutex
}

// Listen takes over the socket of ln, which it closes, and gives each
// connection that is accepted to taken, on a loop's goroutine: taken must not
// block, and calls Idle or Close. Failed is told when the system refuses to
// accept (no descriptors, no memory), and says after what pause to try again.
func (g *Group) Listen(ln *net.TCPListener, taken func(*Sock), failed func(error) time.Duration) (*Listener, error) {
	defer ln.Close()
	rc, err := ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, errno := -1, syscall.Errno(0)
	if err := rc.Control(func(old uintptr) {
		n, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd, errno = int(n), e
	}); err != nil {
		return nil, err
	}
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	s := &Sock{fd: fd, group: g, serial: g.serial.Add(1)}
	s.rd.sock, s.wr.sock = s, s
	s.rd.timer.side, s.wr.timer.side = &s.rd, &s.wr
	s.loop.Store(g.loops[0])
	l := &Listener{group: g, sock: s, addr: ln.Addr(), taken: taken, failed: failed}
	l.burst.Store(1)
	s.accept = l.acceptSome
	if err := g.table.put(fd, s); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	g.loops[0].load.Add(1)
	return l, nil
}

// maxBurst bounds the connections that are accepted before others get a turn.
const maxBurst = 64

// Start begins to accept.
func (l *Listener) Start() error { return l.watch(syscall.EPOLL_CTL_ADD) }

func (l *Listener) acceptSome() {
	n := l.burst.Load()
	for range n {
		if !l.Accept() {
			l.burst.Store(1)
			return
		}
	}
	l.burst.Store(min(2*n, maxBurst))
}

// watch lets every loop look, or none.
func (l *Listener) watch(what int) error {
	l.watching.Lock()
	defer l.watching.Unlock()
	if l.over {
		return net.ErrClosed
	}
	return l.tell(what)
}

// tell is watch's; the caller holds watching. Exclusive events wake one loop.
func (l *Listener) tell(what int) error {
	if err := l.sock.begin(); err != nil {
		return err
	}
	defer l.sock.end()
	var failed error
	for _, lp := range l.group.loops {
		err := l.sock.control(lp, what, syscall.EPOLLIN|exclusive)
		if err != nil && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.ENOENT) {
			failed = err
		}
	}
	return failed
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() net.Addr { return l.addr }

// SyscallConn gives access to the descriptor.
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return l.sock, nil }

// Leave stops looking for connections for good, in favour of another process
// that has the socket too: from now on the kernel tells that one alone. What it
// has told us may wait still; who calls Leave takes it with Accept.
func (l *Listener) Leave() {
	l.watching.Lock()
	defer l.watching.Unlock()
	if !l.over {
		l.over = true
		_ = l.tell(syscall.EPOLL_CTL_DEL)
	}
}

// Close stops listening. Unless another process has the socket too, connections
// that the kernel has accepted already are reset. When it returns, taken is not
// called any more.
func (l *Listener) Close() error {
	l.Leave() // where another process has the socket, closing it here ends no event
	err := l.sock.Close()
	l.accepting.Lock()
	defer l.accepting.Unlock()
	return err
}

// Accept takes one connection that waits, if one does. Loops call it; a drain
// may too.
func (l *Listener) Accept() bool {
	l.accepting.RLock()
	defer l.accepting.RUnlock()
	s := l.sock
	if s.begin() != nil {
		return false
	}
	defer s.end()
	fd, remote, errno := accept(s.fd)
	switch errno {
	case 0:
	case syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED:
		return errno != syscall.EAGAIN
	default:
		l.pause(os.NewSyscallError("accept", errno))
		return false
	}
	conn, err := l.group.register(fd, l.group.calmest(), reading)
	if err != nil {
		l.pause(err)
		return false
	}
	conn.remote = remote
	l.taken(conn)
	return true
}

// pause stops accepting for a moment. Without it the same failure would come
// again and again.
func (l *Listener) pause(err error) {
	if !l.resting.CompareAndSwap(false, true) {
		return // another loop has failed too
	}
	_ = l.watch(syscall.EPOLL_CTL_DEL)
	time.AfterFunc(l.failed(err), l.resume)
}

// resume ends a pause, unless the system has no memory for that either.
func (l *Listener) resume() {
	switch err := l.Start(); {
	case err == nil:
		l.resting.Store(false)
	case !errors.Is(err, net.ErrClosed):
		time.AfterFunc(l.failed(err), l.resume)
	}
}

func accept(fd int) (int, netip.AddrPort, syscall.Errno) {
	var sa syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(n), addrPort(&sa), 0
}

// addrPort reads an IP address and port, zero for other families.
func addrPort(sa *syscall.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case syscall.AF_INET:
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), bigEndian(in.Port))
	case syscall.AF_INET6:
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), bigEndian(in.Port))
	}
	return netip.AddrPort{}
}

// bigEndian reads a port, whose bytes are in network order.
func bigEndian(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// RemoteAddrPort is the peer's address.
func (s *Sock) RemoteAddrPort() netip.AddrPort { return s.remote }

// LocalAddrPort asks the system for this side's address.
func (s *Sock) LocalAddrPort() netip.AddrPort {
	if s.begin() != nil {
		return netip.AddrPort{}
	}
	defer s.end()
	var sa syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	_, _, errno := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(s.fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&sa)
}
