package websocket

import (
	"errors"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// conn is a side that has a connection of its own. It holds a buffer only while
// bytes of it are being passed on.
type conn struct {
	c     *netx.Conn
	early []byte
	buf   *bufpool.Buf
	size  int
}

// OnConn makes a side of a connection. Early is what was read from it already;
// it stays valid until the first Read after the one that returns it.
func OnConn(c *netx.Conn, early []byte) Side {
	c.Uninterrupt()
	c.SetWatch(nil)
	return &conn{c: c, early: early, size: bufpool.Small}
}

func (s *conn) Read() ([]byte, error) {
	if s.buf != nil {
		s.buf.Release()
		s.buf = nil
	}
	if p := s.early; len(p) > 0 {
		s.early = nil
		return p, nil
	}
	buf, n, err := s.c.ReadIdle(s.size)
	if err != nil {
		if errors.Is(err, netx.ErrInterrupted) {
			s.c.Uninterrupt()
		}
		return nil, err
	}
	switch { // as much as comes at a time
	case n == len(buf.B) && s.size < bufpool.Large:
		s.size *= 4
	case n < s.size/8 && s.size > bufpool.Small:
		s.size /= 4
	}
	s.buf = buf
	return buf.B[:n], nil
}

func (s *conn) Write(p []byte) error {
	_, err := s.c.Write(p)
	return err
}

func (s *conn) CloseWrite() error      { return s.c.CloseWrite() }
func (s *conn) Interrupt()             { s.c.Interrupt() }
func (s *conn) Cut()                   { _ = s.c.Abort() }
func (s *conn) SetReadBy(t int64)      { s.c.SetReadBy(t) }
func (s *conn) SetWriteBy(t int64)     { s.c.SetWriteBy(t) }
func (s *conn) BindRead(t *loop.Task)  { s.c.BindRead(t) }
func (s *conn) BindWrite(t *loop.Task) { s.c.BindWrite(t) }
