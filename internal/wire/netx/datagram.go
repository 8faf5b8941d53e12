package netx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gridway/gridway/internal/wire/loop"
)

const (
	// BatchSize is how many datagrams one system call moves.
	BatchSize = 16
	// maxDatagram is more than UDP can carry.
	maxDatagram = 64 << 10
)

// Packet is one datagram.
type Packet struct {
	Data []byte
	// Remote is the other end; on sockets that are connected it is not set.
	Remote netip.AddrPort
	// Local is the address of this machine that the datagram was sent to, or is
	// to be sent from. It is not set where the socket has one address only.
	Local netip.Addr
}

// Batch is room for datagrams. Its memory is touched as far as they reach.
type Batch struct {
	Packets [BatchSize]Packet

	heads    [BatchSize]mmsghdr
	vectors  [BatchSize]syscall.Iovec
	names    [BatchSize]syscall.RawSockaddrInet6
	controls [BatchSize]control
	data     []byte
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	head syscall.Msghdr
	n    uint32
}

// control holds one message of type IP_PKTINFO or IPV6_PKTINFO.
type control [64]byte

// batches is shared by the process like every sync.Pool of scratch space.
var batches = sync.Pool{New: func() any { return &Batch{data: make([]byte, BatchSize*maxDatagram)} }}

// GetBatch borrows a Batch; Release gives it back.
func GetBatch() *Batch { return batches.Get().(*Batch) }

// Release gives the batch back. Its packets must not be used any more.
func (b *Batch) Release() {
	clear(b.Packets[:])
	batches.Put(b)
}

// Datagrams is a socket of UDP that belongs to a loop. Its handler receives; any
// goroutine may send.
type Datagrams struct {
	sock  *loop.Sock
	v6    bool
	infos bool // it tells, and is told, addresses of this machine
	local netip.AddrPort

	receive func(fd uintptr) bool
	into    *Batch
	n       int
	err     error
}

// ListenDatagrams opens a socket on "IP:PORT" or ":PORT" (all addresses of both
// families). Share sets SO_REUSEPORT.
func ListenDatagrams(g *loop.Group, address string, share bool) (*Datagrams, error) {
	network := "udp"
	switch {
	case strings.HasPrefix(address, "0.0.0.0:"):
		network = "udp4"
	case strings.HasPrefix(address, "[::]:"):
		network = "udp6"
	}
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		cerr := rc.Control(func(fd uintptr) {
			if share {
				err = setInt(fd, syscall.SOL_SOCKET, soReusePort, 1)
			}
		})
		return errors.Join(cerr, err)
	}}
	pc, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return TakeDatagrams(g, pc.(*net.UDPConn))
}

// TakeDatagrams takes a socket over from package net, which may be another
// process's too. It closes c.
func TakeDatagrams(g *loop.Group, c *net.UDPConn) (*Datagrams, error) {
	defer c.Close()
	local := c.LocalAddr().(*net.UDPAddr).AddrPort()
	fd, err := duplicate(c)
	if err != nil {
		return nil, err
	}
	d := &Datagrams{local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), infos: local.Addr().IsUnspecified()}
	if sa, err := syscall.Getsockname(fd); err == nil {
		_, d.v6 = sa.(*syscall.SockaddrInet6)
	}
	if d.infos {
		if err := d.askForInfo(fd); err != nil {
			_ = syscall.Close(fd)
			return nil, err
		}
	}
	return d.adopt(g, nil, fd)
}

// duplicate takes the descriptor out of the net package, whose poller forgets it
// when its own is closed.
func duplicate(c *net.UDPConn) (fd int, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := rc.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

func (d *Datagrams) askForInfo(fd int) error {
	if d.v6 {
		return setInt(uintptr(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
	}
	return setInt(uintptr(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
}

// DialDatagrams opens a socket that speaks with one address only, on the loop of
// the task, or any.
func DialDatagrams(g *loop.Group, t *loop.Task, to netip.AddrPort) (*Datagrams, error) {
	var sa syscall.Sockaddr
	family := syscall.AF_INET6
	if ip := to.Addr().Unmap(); ip.Is4() {
		family, sa = syscall.AF_INET, &syscall.SockaddrInet4{Addr: ip.As4(), Port: int(to.Port())}
	} else {
		sa = &syscall.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := syscall.Connect(fd, sa); err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return (&Datagrams{v6: family == syscall.AF_INET6}).adopt(g, t, fd)
}

func (d *Datagrams) adopt(g *loop.Group, t *loop.Task, fd int) (*Datagrams, error) {
	d.receive = d.receiveNow
	var err error
	if d.sock, err = g.Adopt(fd, t); err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	return d, nil
}

// LocalAddrPort is what the socket is bound to.
func (d *Datagrams) LocalAddrPort() netip.AddrPort { return d.local }

// Start gives what comes to the handler.
func (d *Datagrams) Start(h loop.Handler) {
	d.sock.SetHandler(h)
	d.sock.Idle()
}

// SetHandlerBy calls the handler at the monotonic time t, if nothing comes before.
func (d *Datagrams) SetHandlerBy(t int64) { _ = d.sock.SetReadBy(t) }

// Close closes the socket. Its handler is called once more.
func (d *Datagrams) Close() { _ = d.sock.Close() }

// Leave stops receiving, in favour of another process that has the socket too.
// Datagrams can still be sent. The handler is called once more, and gets
// os.ErrDeadlineExceeded.
func (d *Datagrams) Leave() {
	_ = d.sock.Leave()
	_ = d.sock.SetReadBy(1)
}

// SyscallConn is the socket itself, to be given to another process.
func (d *Datagrams) SyscallConn() (syscall.RawConn, error) { return d.sock, nil }

// BindRead says that task t, the handler's, receives. Without it a flood of
// datagrams would keep the other sockets of the loop waiting.
func (d *Datagrams) BindRead(t *loop.Task) { d.sock.BindRead(t) }

// Receive takes the datagrams that are there, by the handler. None and no error
// means that there are none; os.ErrDeadlineExceeded that the time of
// SetHandlerBy has come, which is forgotten with it.
func (d *Datagrams) Receive(b *Batch) (int, error) {
	b.prepare(d)
	d.into, d.n, d.err = b, 0, nil
	err := d.sock.Read(d.receive)
	d.into = nil
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = d.sock.SetReadBy(0)
		}
		return 0, err
	}
	if d.err != nil && d.err != syscall.EAGAIN {
		return 0, os.NewSyscallError("recvmmsg", d.err)
	}
	b.received(d.n, d)
	return d.n, nil
}

func (d *Datagrams) receiveNow(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&d.into.heads)), BatchSize, syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			d.n, d.err = int(n), nil
		case syscall.EINTR:
			continue
		default:
			d.n, d.err = 0, errno
		}
		return true
	}
}

// prepare makes room for what comes.
func (b *Batch) prepare(d *Datagrams) {
	for i := range b.heads {
		b.vectors[i].Base = &b.data[i*maxDatagram]
		b.vectors[i].SetLen(maxDatagram)
		h := &b.heads[i].head
		*h = syscall.Msghdr{Iov: &b.vectors[i], Name: (*byte)(unsafe.Pointer(&b.names[i])), Namelen: uint32(unsafe.Sizeof(b.names[i]))}
		h.Iovlen = 1
		if d.infos {
			h.Control = &b.controls[i][0]
			h.SetControllen(len(b.controls[i]))
		}
	}
}

func (b *Batch) received(n int, d *Datagrams) {
	for i := range n {
		p := &b.Packets[i]
		p.Data = b.data[i*maxDatagram:][:b.heads[i].n]
		p.Remote, p.Local = netip.AddrPort{}, netip.Addr{}
		if b.heads[i].head.Namelen > 0 {
			p.Remote = nameOf(&b.names[i])
		}
		if d.infos {
			p.Local = b.controls[i].local(int(b.heads[i].head.Controllen))
		}
	}
}

// nameOf reads a socket address of either family.
func nameOf(sa *syscall.RawSockaddrInet6) netip.AddrPort {
	if sa.Family == syscall.AF_INET {
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), swapped(in.Port))
	}
	addr := netip.AddrFrom16(sa.Addr).Unmap()
	if addr.Is6() && sa.Scope_id != 0 {
		addr = addr.WithZone(fmt.Sprint(sa.Scope_id))
	}
	return netip.AddrPortFrom(addr, swapped(sa.Port))
}

// swapped turns a port between network order and the machine's.
func swapped(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}
