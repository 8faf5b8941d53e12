package netx

import (
	"sync"
	"syscall"
	"unsafe"
)

// peek is one look at a socket, made reusable so that asking allocates nothing
// and any goroutine may ask.
type peek struct {
	look func(fd uintptr)
	poll bool // ask for the state of the socket instead of its next byte
	half bool // with poll: a peer that has closed only its side is over too
	b    [1]byte
	pfd  pollFD
	n    int
	err  error
}

// pollFD is struct pollfd of poll(2).
type pollFD struct {
	fd              int32
	events, revents int16
}

const (
	pollErr   = 0x8
	pollHup   = 0x10
	pollRdHup = 0x2000
)

// peeks is shared by the process like every sync.Pool of scratch space.
var peeks = sync.Pool{New: func() any {
	p := new(peek)
	p.look = p.at
	return p
}}

func (p *peek) at(fd uintptr) {
	for {
		if p.poll {
			p.n, p.err = p.pollHangup(fd)
		} else {
			p.n, _, p.err = syscall.Recvfrom(int(fd), p.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		}
		if p.err != syscall.EINTR {
			return
		}
	}
}

// pollHangup returns 0 if the peer has gone, 1 if not.
func (p *peek) pollHangup(fd uintptr) (int, error) {
	p.pfd = pollFD{fd: int32(fd)}
	if p.half {
		p.pfd.events = pollRdHup
	}
	var now syscall.Timespec
	_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p.pfd)), 1,
		uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	if errno != 0 {
		return 1, errno
	}
	if p.pfd.revents&(pollErr|pollHup|pollRdHup) != 0 {
		return 0, nil
	}
	return 1, nil
}

type look uint8

const (
	lookOver    look = iota // ended, reset or closed
	lookData                // bytes wait
	lookNothing             // open and silent
)

func (c *Conn) look(poll, half bool) look {
	p := peeks.Get().(*peek)
	p.poll, p.half = poll, half
	err := c.raw.Control(p.look)
	n, errno := p.n, p.err
	peeks.Put(p)
	switch {
	case err != nil: // closed on this side
		return lookOver
	case errno == syscall.EAGAIN:
		return lookNothing
	case errno != nil || n == 0:
		return lookOver
	}
	return lookData
}

// Gone reports whether the peer closed its side or reset the connection,
// without waiting and without taking bytes from the socket. On plain sockets a
// peer that closed its side but left bytes behind is not gone before they were
// read; with TLS, where those may be no more than close_notify, it is. Any
// goroutine may ask. Connections without a descriptor are never gone.
func (c *Conn) Gone() bool {
	if c.raw == nil {
		return false
	}
	if c.tls != nil {
		return c.look(true, true) == lookOver
	}
	switch c.look(false, false) {
	case lookOver:
		return true
	case lookData: // a reset is noticed although bytes wait
		return c.look(true, false) == lookOver
	}
	return false
}

// HungUp is Gone for a peer that still has to send something: it is gone once
// it has closed its side, whatever it left behind.
func (c *Conn) HungUp() bool {
	return c.raw != nil && c.look(true, true) == lookOver
}

// Broken reports whether the connection is over in both directions, as after a
// reset. A peer that has closed its side alone may still be waiting for answers.
func (c *Conn) Broken() bool { return c.raw != nil && c.look(true, false) == lookOver }

// Silent reports whether nothing has come, or everything was read, and the peer is
// there, on a connection without TLS so far.
func (c *Conn) Silent() bool {
	return c.raw != nil && c.tls == nil && len(c.in.unread) == 0 && c.look(false, false) == lookNothing
}

// Stale reports whether an idle connection to an upstream cannot be used for
// a new exchange: the peer has gone, or, on plain sockets, has sent bytes that
// nobody asked for (often an answer 408 before it closes).
func (c *Conn) Stale() bool {
	if c.raw == nil {
		return false
	}
	if c.tls != nil { // session tickets may come at any time
		return c.look(true, true) == lookOver
	}
	return c.look(false, false) != lookNothing
}
