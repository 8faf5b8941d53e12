package http2

import (
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/loop"
)

// teller tells the exchanges of a connection that it is to end.
type teller Conn

func (c *teller) Resume(*loop.Task) (idle bool) {
	var all []func()
	c.link.Lock()
	c.link.H2.Each(func(hs *h2.Stream) {
		if s, ok := hs.User.(*stream); ok && !s.ended {
			if f := s.leaving.Take(); f != nil {
				all = append(all, f)
			}
		}
	})
	c.link.Unlock()
	for _, f := range all { // each may take the lock
		f()
	}
	return false
}

// OnLeave implements pipeline.Downstream.
func (s *stream) OnLeave(f func()) {
	s.c.link.Lock()
	told := s.c.told
	s.c.link.Unlock()
	s.leaving.On(f)
	if told {
		s.leaving.Tell()
	}
}

// tunnel is a stream on which a WebSocket is open.
type tunnel stream

// Tunnel is the stream after a WebSocket was opened on it.
func (s *stream) Tunnel() websocket.Side {
	s.c.link.Lock()
	s.tunnelled = true
	s.c.link.Unlock()
	return (*tunnel)(s)
}

func (t *tunnel) stream() *stream { return (*stream)(t) }

func (t *tunnel) Read() ([]byte, error) { return t.stream().ReadBody() }

func (t *tunnel) Write(p []byte) error {
	if err := t.stream().WriteBody(p); err != nil {
		return err
	}
	return t.stream().Flush()
}

func (t *tunnel) CloseWrite() error {
	if err := t.stream().End(nil); err != nil {
		return err
	}
	return t.stream().Flush()
}

// Interrupt implements websocket.Side.
func (t *tunnel) Interrupt() {
	l := &t.c.link
	l.Lock()
	t.interrupted = true
	t.arrived.Open()
	l.Unlock()
}

// Cut resets the stream, which is what a reset of a connection is (RFC 8441 §5).
func (t *tunnel) Cut() { t.cut(h2.Cancel) }

func (t *tunnel) cut(code h2.ErrCode) {
	l := &t.c.link
	l.Lock()
	l.H2.Reset(t.s, code)
	t.stream().fail(errReset)
	l.Flush(nil) // the caller may be anybody
	l.Unlock()
}
