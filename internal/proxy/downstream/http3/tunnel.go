package http3

import (
	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/h3"
)

// tunnel is a stream on which a WebSocket is open.
type tunnel struct {
	websocket.QUIC
	s *stream
}

// Tunnel is the stream after a WebSocket was opened on it.
func (s *stream) Tunnel() websocket.Side {
	s.deafen() // Cut may be called by anybody, and abort does so
	s.tunnelled = true
	s.tunnel.s = s
	s.tunnel.Begin(s.str, &s.r, &s.body, s.lst.IR.Client.BodyIdleTimeout, s.misused)
	return &s.tunnel
}

// CloseWrite implements websocket.Side.
func (t *tunnel) CloseWrite() error {
	err := t.QUIC.CloseWrite()
	t.s.closed.Store(t.s.closed.Load() || err == nil)
	return err
}

// Cut implements websocket.Side.
func (t *tunnel) Cut() { t.s.abort(h3.RequestCancelled) }

// endTunnel ends what the tunnel has left open.
func (s *stream) endTunnel() {
	switch {
	case !s.closed.Load(): // RFC 9220 §3
		s.abort(h3.RequestCancelled)
	case !s.body.Done():
		s.str.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
	}
	s.tunnel.Release()
}
