package netx

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/loop"
)

// Conn is one connection. See the package comment for who may call what.
type Conn struct {
	nc   net.Conn
	sock *loop.Sock      // nil for connections that the net package has made
	raw  syscall.RawConn // nil for connections without a descriptor (net.Pipe)
	tls  *tls.Conn       // nil on plain connections

	in  reader
	out writer

	watch       Watcher
	interrupted atomic.Bool
	nudged      atomic.Bool

	remote, local netip.AddrPort
	state         *tls.ConnectionState

	// Life is kept by the pool that the connection belongs to.
	Life Life
}

// Life is what a pool remembers of a connection. Conn does not look at it.
type Life struct {
	// Opened is the monotonic time when the connection was made.
	Opened int64
	// Uses counts the exchanges that it was handed out for.
	Uses int
}

// New wraps a fresh connection: a *net.TCPConn, a *net.UnixConn, or (slower)
// any other stream. A *Conn is returned as it is.
func New(nc net.Conn) *Conn {
	if c, ok := nc.(*Conn); ok {
		return c
	}
	c := &Conn{nc: nc, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw = raw
			c.in.ready = c.readReady
			c.out.ready = c.writeReady
		}
	}
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	ta, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := ta.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Read reads up to len(p) bytes. It returns os.ErrDeadlineExceeded after the
// time of SetReadBy, ErrWatchGone if the Watcher of SetWatch says so, and
// io.EOF at the end of the stream. After a time-out the connection can still be
// read, with TLS too.
func (c *Conn) Read(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Read(p)
	}
	return c.readRaw(p)
}

// Write writes all of p. It returns os.ErrDeadlineExceeded after the time of
// SetWriteBy; with TLS the connection cannot be written any more then.
func (c *Conn) Write(p []byte) (int, error) {
	if c.tls != nil {
		return c.tls.Write(p)
	}
	return c.writeRaw(p, nil)
}

// Writev writes all of a and then all of b, on plain sockets with one system
// call. With TLS what fits is put into one record. It returns how many bytes of
// both were written.
func (c *Conn) Writev(a, b []byte) (int, error) {
	if c.tls == nil {
		return c.writeRaw(a, b)
	}
	if len(a) == 0 {
		return c.tls.Write(b)
	}
	if len(b) == 0 || len(a) >= bufpool.Medium {
		n, err := c.tls.Write(a)
		if err != nil || len(b) == 0 {
			return n, err
		}
		m, err := c.tls.Write(b)
		return n + m, err
	}
	buf := bufpool.Get(bufpool.Medium)
	n := copy(buf.B[:bufpool.Medium], a)
	m := copy(buf.B[n:bufpool.Medium], b)
	n, err := c.tls.Write(buf.B[:n+m])
	buf.Release()
	if err != nil || m == len(b) {
		return n, err
	}
	m, err = c.tls.Write(b[m:])
	return n + m, err
}

// SetReadBy lets reads fail from the monotonic time t on; 0 lets them wait for
// ever. It costs next to nothing: the runtime's timer is armed only when a read
// blocks and the armed one is later than t, and a timer that fires too early is
// armed again.
func (c *Conn) SetReadBy(t int64) { c.in.by = t }

// SetWriteBy is SetReadBy for writes.
func (c *Conn) SetWriteBy(t int64) { c.out.by, c.out.within = t, 0 }

// SetWriteWithin lets each write, or piece that is spliced, fail that has waited
// for d; 0 lets it wait for ever. It replaces SetWriteBy, and writes that need
// not wait never look at the clock.
func (c *Conn) SetWriteWithin(d time.Duration) { c.out.by, c.out.within = 0, int64(max(d, 0)) }

// SetWatch lets w be asked, about every 100 ms while a Read is blocked and for
// the first time after 100 to 200, whether the read still has a point. Nil ends
// that. An Awaiter is given the connection, and may nudge it to be asked at once.
func (c *Conn) SetWatch(w Watcher) {
	c.watch = w
	if a, ok := w.(Awaiter); ok {
		a.Awaiting(c)
	}
}

// SetUnsent bounds how many bytes the kernel takes before it has sent them: writes
// wait that would leave more. What is written is then as late a decision as it can
// be, at the price of more of them. Sockets that have no such bound ignore it.
func (c *Conn) SetUnsent(n int) {
	if c.sock != nil {
		_ = c.sock.Control(func(fd uintptr) { _ = setInt(fd, syscall.IPPROTO_TCP, tcpNotSentLowat, n) })
	}
}

// Interrupt wakes the ReadIdle that waits, or lets the next one return
// ErrInterrupted as soon as it would wait. Reads of other kinds go on. It is
// how a drain ends idle connections without cutting a request in two. Any
// goroutine may call it.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	if c.sock != nil {
		_ = c.sock.SetReadBy(1)
		return
	}
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// Uninterrupt takes Interrupt back.
func (c *Conn) Uninterrupt() { c.interrupted.Store(false) }

// Interrupted reports whether Interrupt was called.
func (c *Conn) Interrupted() bool { return c.interrupted.Load() }

// Close closes the connection. With TLS it sends close_notify first, for which
// it waits five seconds at most if the socket's buffer is full.
func (c *Conn) Close() error {
	if c.tls != nil {
		return c.tls.Close()
	}
	return c.nc.Close()
}

// Abort closes the connection at once. On TCP the peer gets a reset, so it can
// tell that the stream was cut; bytes that were not yet sent are lost.
func (c *Conn) Abort() error {
	if tc, ok := c.nc.(interface{ SetLinger(sec int) error }); ok {
		_ = tc.SetLinger(0)
	}
	return c.nc.Close()
}

// Kill closes the connection at once, without the close_notify of TLS. Any
// goroutine may call it; reads and writes that wait get net.ErrClosed.
func (c *Conn) Kill() { _ = c.nc.Close() }

// CloseWrite tells the peer that nothing more comes (FIN, with TLS close_notify
// before it).
func (c *Conn) CloseWrite() error {
	if c.tls != nil {
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	if hc, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return hc.CloseWrite()
	}
	if c.tls != nil {
		return nil
	}
	return errors.ErrUnsupported
}

// RemoteAddrPort is the peer's address, or what the PROXY protocol said it is;
// zero on Unix sockets.
func (c *Conn) RemoteAddrPort() netip.AddrPort { return c.remote }

// LocalAddrPort is this side's address, or the destination that the PROXY
// protocol named; zero on Unix sockets.
func (c *Conn) LocalAddrPort() netip.AddrPort {
	if c.sock != nil && !c.local.IsValid() {
		c.local = c.sock.LocalAddrPort()
	}
	return c.local
}

// SetAddrs replaces the two addresses; a zero one is kept as it is.
func (c *Conn) SetAddrs(remote, local netip.AddrPort) {
	if remote.IsValid() {
		c.remote = remote
	}
	if local.IsValid() {
		c.local = local
	}
}

// RemoteAddr and the methods below complete net.Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.nc.RemoteAddr()
}

// LocalAddr returns LocalAddrPort as a net.Addr.
func (c *Conn) LocalAddr() net.Addr {
	if c.local.IsValid() {
		return net.TCPAddrFromAddrPort(c.local)
	}
	return c.nc.LocalAddr()
}

// SetDeadline sets both deadlines. Unlike net.Conn's it does not end a call
// that already waits.
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.by = monotonicOf(t)
	c.SetWriteBy(c.in.by)
	return nil
}

// SetReadDeadline is SetReadBy for a time.Time.
func (c *Conn) SetReadDeadline(t time.Time) error { c.in.by = monotonicOf(t); return nil }

// SetWriteDeadline is SetWriteBy for a time.Time.
func (c *Conn) SetWriteDeadline(t time.Time) error { c.SetWriteBy(monotonicOf(t)); return nil }

func monotonicOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, Monotonic()+int64(time.Until(t)))
}
