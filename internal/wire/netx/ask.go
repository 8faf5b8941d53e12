package netx

import (
	"os"
	"syscall"

	"github.com/gridway/gridway/internal/wire/bufpool"
)

// Ask writes request and waits for the first bytes of the answer, as Write and
// then ReadIdle would, without the attempt to read that finds nothing because no
// answer can be there yet. No buffer is held while it waits: from, unless it is
// nil, is the one that the request is in, and is given back as soon as that was
// written or has failed. An error of the write is a *WriteError.
//
// It readies the wait before it writes, so an answer cannot slip in between.
// What had come before that, unasked, is noticed only when the Watcher is asked;
// without a Watcher, and with TLS, Ask does the two calls.
func (c *Conn) Ask(request []byte, from *bufpool.Buf, size int) (buf *bufpool.Buf, n int, err error) {
	if c.tls != nil || c.raw == nil || c.watch == nil || len(c.in.unread) > 0 || len(request) == 0 {
		return c.askSlowly(request, from, size)
	}
	c.in.mode, c.in.size, c.in.ask, c.in.from, c.in.n, c.in.err = readAsk, size, request, from, 0, nil
	err = c.waitRead()
	left, from := c.in.ask, c.in.from
	c.in.mode, c.in.ask, c.in.from = readPlain, nil, nil
	switch {
	case err != nil:
	case len(left) == 0:
		return c.takeIdle()
	case c.in.err == nil || c.in.err == syscall.EAGAIN:
		return c.askSlowly(left, from, size)
	default:
		err = &WriteError{os.NewSyscallError("write", c.in.err)}
	}
	from.Release()
	return nil, 0, err
}

func (c *Conn) askSlowly(request []byte, from *bufpool.Buf, size int) (*bufpool.Buf, int, error) {
	_, err := c.Write(request)
	from.Release()
	if err != nil {
		return nil, 0, &WriteError{err}
	}
	return c.ReadIdle(size)
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
	c.in.ask = nil
	c.in.from.Release()
	c.in.mode, c.in.from = readIdle, nil
	c.armRead()
	return false
}
