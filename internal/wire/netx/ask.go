package netx

import (
	"os"
	"syscall"
)

// Ask writes request and reads the first bytes of the answer into p: Write and
// then Read, without the attempt to read that finds nothing because no answer
// can be there yet. An error of the write is a *WriteError.
//
// It readies the wait before it writes, so an answer cannot slip in between.
// What had come before that, unasked, is noticed only after the Watcher's 100
// ms; without a Watcher, and with TLS, Ask does the two calls.
func (c *Conn) Ask(request, p []byte) (int, error) {
	if c.tls != nil || c.raw == nil || c.watch == nil || len(c.in.unread) > 0 || len(request) == 0 || len(p) == 0 {
		return c.askSlowly(request, p)
	}
	c.in.mode, c.in.p, c.in.ask, c.in.n, c.in.err = readAsk, p, request, 0, nil
	err := c.waitRead()
	left := c.in.ask
	c.in.mode, c.in.p, c.in.ask = readPlain, nil, nil
	switch {
	case err != nil:
		return 0, err
	case len(left) == 0:
		return readResult(c.in.n, c.in.err)
	case c.in.err != nil && c.in.err != syscall.EAGAIN:
		return 0, &WriteError{os.NewSyscallError("write", c.in.err)}
	}
	return c.askSlowly(left, p)
}

func (c *Conn) askSlowly(request, p []byte) (int, error) {
	if _, err := c.Write(request); err != nil {
		return 0, &WriteError{err}
	}
	return c.Read(p)
}

// writeAsk is readReady's first step for Ask. If all was written it waits.
func (c *Conn) writeAsk(fd int) (done bool) {
	n, err := sysWrite(fd, c.in.ask)
	if err != nil {
		n = 0
	}
	c.in.ask, c.in.err = c.in.ask[n:], err
	if len(c.in.ask) > 0 {
		return true
	}
	c.in.mode = readPlain
	c.armRead()
	return false
}
