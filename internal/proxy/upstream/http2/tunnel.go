package http2

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/netx"
)

// settingsTime is how long an endpoint may take to announce its settings, which
// are the first that it sends.
const settingsTime = 5 * time.Second

// awaitConsent waits until the endpoint's settings are known, without which
// extended CONNECT must not be used. The lock is held.
func (s *Stream) awaitConsent() error {
	l := &s.c.link
	by := netx.After(settingsTime)
	if s.WriteBy != 0 {
		by = min(by, s.WriteBy)
	}
	for !s.c.settled && s.outErr == nil && !l.Over() {
		s.c.unsettled = append(s.c.unsettled, s)
		l.Unlock()
		err := s.took.Wait(s.Writer, by)
		l.Lock()
		s.c.forget(s)
		if err != nil {
			return websocket.ErrUnsupported
		}
	}
	switch {
	case s.outErr != nil:
		return s.outErr
	case l.Over():
		return errCut
	case !l.H2.Peer().EnableConnectProtocol:
		return websocket.ErrUnsupported
	}
	return nil
}

// settle lets those go on that wait for the endpoint's settings.
func (c *Conn) settle() {
	c.settled = true
	c.settling.Open()
	for _, s := range c.unsettled {
		s.took.Open()
	}
}

// forget takes a stream from those that wait.
func (c *Conn) forget(s *Stream) {
	for i, w := range c.unsettled {
		if w == s {
			c.unsettled = append(c.unsettled[:i], c.unsettled[i+1:]...)
			return
		}
	}
}

// tunnel is a stream on which a WebSocket is open.
type tunnel Stream

// Tunnel is the stream after a WebSocket was opened on it.
func (s *Stream) Tunnel() websocket.Side {
	s.watch = nil
	s.WriteBy = 0
	return (*tunnel)(s)
}

func (t *tunnel) stream() *Stream { return (*Stream)(t) }

func (t *tunnel) Read() ([]byte, error) { return t.stream().ReadBody() }
func (t *tunnel) Write(p []byte) error  { return t.stream().SendBody(p, false, nil) }
func (t *tunnel) CloseWrite() error     { return t.stream().SendBody(nil, true, nil) }
func (t *tunnel) Cut()                  { t.stream().Cut() }

// Interrupt implements websocket.Side.
func (t *tunnel) Interrupt() {
	l := &t.c.link
	l.Lock()
	t.interrupted = true
	t.arrived.Open()
	l.Unlock()
}
