package http3

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/loop"
)

// settingsTime is how long an endpoint may take to announce its settings.
const settingsTime = 5 * time.Second

// awaitConsent waits until the endpoint's settings are known, without which
// extended CONNECT must not be used (RFC 9220 §3). The task is detached.
func (s *Stream) awaitConsent() error {
	wait := settingsTime
	if s.WriteBy != 0 {
		wait = min(wait, time.Duration(s.WriteBy-loop.Now()))
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-s.c.settled:
	case <-s.c.q.Context().Done(): // to open a stream will tell why
		return nil
	case <-late.C:
		return websocket.ErrUnsupported
	}
	if !s.c.settings.ExtendedConnect {
		return websocket.ErrUnsupported
	}
	return nil
}

// settle notes the endpoint's settings, which come once.
func (c *Conn) settle(s h3.Settings) {
	c.settings = s
	close(c.settled)
}

// tunnel is a stream on which a WebSocket is open.
type tunnel struct {
	websocket.QUIC
	s *Stream
}

// Tunnel is the stream after a WebSocket was opened on it.
func (s *Stream) Tunnel() websocket.Side {
	s.watch = nil
	s.tunnel.s = s
	s.tunnel.Bind(s.Reader)
	s.tunnel.Begin(s.str, &s.r, &s.body, 0, s.c.misused)
	return &s.tunnel
}

// misused ends the connection for what the endpoint has sent on a stream.
func (c *Conn) misused(bad *h3.Error) {
	if bad.Conn {
		c.fail(bad)
	}
}

// CloseWrite implements websocket.Side.
func (t *tunnel) CloseWrite() error {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if t.s.cut {
		return errCut
	}
	t.s.sentAll = true
	return t.QUIC.CloseWrite()
}

// Cut implements websocket.Side.
func (t *tunnel) Cut() { t.s.Cut() }
