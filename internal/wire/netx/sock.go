package netx

import (
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// FromSock wraps a socket of an event loop. A local address that is not valid
// is asked for when somebody wants to know it.
func FromSock(s *loop.Sock, local netip.AddrPort) *Conn {
	c := &Conn{nc: (*sockConn)(s), sock: s, raw: s, remote: s.RemoteAddrPort(), local: local}
	c.in.ready = c.readReady
	c.out.ready = c.writeReady
	return c
}

// Bind says that task t reads and writes the connection from now on: it is set
// aside where it must wait. With nil it is any goroutine. Neither side may be in
// use. Connections without a loop know no tasks.
func (c *Conn) Bind(t *loop.Task) {
	if c.sock != nil {
		c.in.short = false
		c.sock.Bind(t)
	}
}

// Handle gives an idle connection to h: it is called when there is something
// to read.
func (c *Conn) Handle(h loop.Handler) {
	c.sock.SetHandler(h)
	c.sock.Idle()
}

// Start gives a fresh connection to h at once, whether or not there is something to read.
func (c *Conn) Start(h loop.Handler) {
	c.sock.SetHandler(h)
	c.sock.Start()
}

// Wake is BindRead for the handler of an idle socket that has been called: it
// does not rely on what earlier reads have found.
func (c *Conn) Wake(t *loop.Task) {
	c.in.short = false
	c.BindRead(t)
}

// BindRead is Bind for reading alone.
func (c *Conn) BindRead(t *loop.Task) {
	if c.sock != nil {
		c.sock.BindRead(t)
	}
}

// BindWrite is Bind for writing alone.
func (c *Conn) BindWrite(t *loop.Task) {
	if c.sock != nil {
		c.sock.BindWrite(t)
	}
}

// Home is the loop that watches the connection, nil without one.
func (c *Conn) Home() *loop.Loop {
	if c.sock == nil {
		return nil
	}
	return c.sock.Home()
}

// Ended reports that the peer is known to have closed its side or to have reset
// the connection. It asks nobody and so may not know yet; see Gone.
func (c *Conn) Ended() bool { return c.sock != nil && c.sock.HungUp() }

// OnEnded lets f be called once Ended is true, and maybe again, on the goroutine
// of a loop: it must not block. Without a loop it is never called.
func (c *Conn) OnEnded(f func()) {
	if c.sock != nil {
		c.sock.OnHangUp(f)
	}
}

// sockConn is a loop's socket as net.Conn, for what Conn does not do by itself.
type sockConn loop.Sock

func (s *sockConn) sock() *loop.Sock { return (*loop.Sock)(s) }

func (s *sockConn) Close() error              { return s.sock().Close() }
func (s *sockConn) CloseWrite() error         { return s.sock().CloseWrite() }
func (s *sockConn) SetLinger(sec int) error   { return s.sock().SetLinger(sec) }
func (s *sockConn) Read([]byte) (int, error)  { return 0, os.ErrInvalid }
func (s *sockConn) Write([]byte) (int, error) { return 0, os.ErrInvalid }
func (s *sockConn) RemoteAddr() net.Addr      { return net.TCPAddrFromAddrPort(s.sock().RemoteAddrPort()) }

func (s *sockConn) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(s.sock().LocalAddrPort()) }
func (s *sockConn) SetDeadline(time.Time) error { return os.ErrInvalid }

func (s *sockConn) SetReadDeadline(t time.Time) error  { return s.sock().SetReadBy(monotonicOf(t)) }
func (s *sockConn) SetWriteDeadline(t time.Time) error { return s.sock().SetWriteBy(monotonicOf(t)) }
