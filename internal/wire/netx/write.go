package netx

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// writer is the state of the write that is under way.
type writer struct {
	by int64 // when writes shall fail, monotonic, 0 = never
	// within, if not zero, sets by for each write, once it blocks.
	within int64
	armed  int64 // when the runtime's timer fires, 0 = it is off

	ready func(fd uintptr) bool // Conn.writeReady, made once
	a, b  []byte                // what is left to write
	pipe  *pipe                 // or to splice
	n     int
	err   error
}

// writeRaw writes to the socket, below TLS.
func (c *Conn) writeRaw(a, b []byte) (int, error) {
	if len(a) == 0 {
		a, b = b, nil
	}
	if len(a) == 0 {
		return 0, nil
	}
	c.beginWrite()
	if c.raw == nil {
		return c.writeGeneric(a, b)
	}
	c.out.a, c.out.b, c.out.n, c.out.err = a, b, 0, nil
	err := c.waitWrite()
	c.out.a, c.out.b = nil, nil
	if err == nil && c.out.err != nil {
		err = os.NewSyscallError("write", c.out.err)
	}
	return c.out.n, err
}

// waitWrite runs the write that c.out describes until it is done or its time is up.
func (c *Conn) waitWrite() error {
	for {
		err := c.writeNow()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if err := c.writeExpired(); err != nil {
			return err
		}
	}
}

// writeNow waits as the task that the writing side is bound to, unless the bytes
// may be of crypto/tls itself, which answers a KeyUpdate within a read: the
// reader can be another task.
func (c *Conn) writeNow() error {
	if c.sock != nil && c.in.inline.Load() {
		return c.sock.WriteHere(c.out.ready)
	}
	return c.raw.Write(c.out.ready)
}

// writeExpired is called when the runtime's timer fired, or had fired before
// the write was tried. It arms the timer again if there is still time.
func (c *Conn) writeExpired() error {
	c.out.armed = 0
	if c.out.by != 0 && Monotonic() >= c.out.by {
		return os.ErrDeadlineExceeded
	}
	c.out.armed = c.out.by
	return c.setWriteTimer(c.out.by)
}

// beginWrite forgets the deadline of the write before.
func (c *Conn) beginWrite() {
	if c.out.within > 0 {
		c.out.by = 0
	}
}

// armWrite is called just before a write blocks.
func (c *Conn) armWrite() {
	if c.out.within > 0 && c.out.by == 0 {
		c.out.by = Monotonic() + c.out.within
	}
	if c.out.by == 0 || c.out.armed != 0 && c.out.armed <= c.out.by {
		return
	}
	c.out.armed = c.out.by
	_ = c.setWriteTimer(c.out.by) // fails only on closed connections, as the wait will
}

func (c *Conn) setWriteTimer(t int64) error {
	if c.sock != nil {
		return c.sock.SetWriteBy(t)
	}
	if t == 0 {
		return c.nc.SetWriteDeadline(time.Time{})
	}
	return c.nc.SetWriteDeadline(wallTime(t))
}

// writeReady is called by the runtime with the descriptor, first at once and
// then each time it may be writable, until it returns true.
func (c *Conn) writeReady(fd uintptr) bool {
	for {
		var n int
		var err error
		switch {
		case c.out.pipe != nil:
			n, err = c.out.pipe.drain(int(fd))
		case len(c.out.b) == 0:
			n, err = sysWrite(int(fd), c.out.a)
		default:
			n, err = sysWritev(int(fd), c.out.a, c.out.b)
		}
		if err == syscall.EAGAIN {
			c.armWrite()
			return false
		}
		if err != nil {
			c.out.err = err
			return true
		}
		c.out.n += n
		if c.written(n) {
			return true
		}
	}
}

// written notes that n bytes went out and reports whether all did.
func (c *Conn) written(n int) bool {
	if c.out.pipe != nil {
		return c.out.pipe.held == 0
	}
	if n < len(c.out.a) {
		c.out.a = c.out.a[n:]
		return false
	}
	c.out.a, c.out.b = c.out.b[n-len(c.out.a):], nil
	return len(c.out.a) == 0
}

// writeGeneric serves connections without a descriptor.
func (c *Conn) writeGeneric(a, b []byte) (int, error) {
	total := 0
	for {
		c.armWrite()
		n, err := c.nc.Write(a)
		total += n
		if a = a[n:]; len(a) == 0 {
			a, b = b, nil
		}
		if len(a) == 0 {
			return total, nil
		}
		if err != nil && !IsTimeout(err) {
			return total, err
		}
		if err != nil {
			if err := c.writeExpired(); err != nil {
				return total, err
			}
		}
	}
}
