package stream

import (
	"net/netip"

	"github.com/gridway/gridway/internal/proxy/tunnel"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/loop"
)

// peer is the other end of the connection that brought the stream.
func (s *Stream) peer() netip.AddrPort {
	if s.Conn != nil {
		return s.Conn.RemoteAddrPort()
	}
	address, _ := s.Tunnel.Peer()
	return address
}

// source is the client, which a proxy of the mesh speaks for.
func (s *Stream) source() netip.AddrPort {
	if s.Conn != nil {
		return s.Conn.RemoteAddrPort()
	}
	if source := s.Tunnel.Source(); source.IsValid() {
		return source
	}
	return s.peer()
}

// destination is what the client has connected to, as far as that is known.
func (s *Stream) destination() netip.AddrPort {
	if s.Conn != nil {
		return s.Conn.LocalAddrPort()
	}
	return netip.AddrPort{}
}

// gone tells whether the client has gone.
func (s *Stream) gone() bool {
	if s.Conn != nil {
		return s.Conn.Broken()
	}
	return s.Tunnel.Gone()
}

// relayTunnel relays where one side, or both, is a tunnel.
func (s *Stream) relayTunnel(t *loop.Task) {
	s.signalOpened()
	var client, endpoint tunnel.Side
	if s.Conn != nil {
		s.Conn.Bind(t)
		client = websocket.OnConn(s.Conn, nil)
	} else {
		client = s.Tunnel
		if err := s.Tunnel.Accept(); err != nil {
			s.drop()
			s.end(0, 0, err, false, false)
			return
		}
	}
	if s.up != nil {
		endpoint = websocket.OnConn(s.up, nil)
	} else {
		endpoint = s.through
	}
	r := s.Route.IR
	o := tunnel.Options{Idle: r.Idle, Answered: s.answered}
	if r.MaxStream > 0 {
		o.By = s.began + int64(r.MaxStream)
	}
	relay := tunnel.New(client, endpoint, o)
	s.relay.Store(relay)
	if s.killed.Load() {
		relay.Cut(ErrDraining)
	}
	if s.forbidden.Load() != nil {
		relay.Cut(errForbidden)
	}
	relay.Run(t)
	in, out := relay.Moved()
	end := relay.Err()
	if s.Conn != nil {
		_ = s.Conn.Close()
	}
	s.end(in, out, end.Err, end.Failed == endpoint, relay.FirstEnded() == endpoint)
}

// drop makes sure that the endpoint does not take the end for one that was meant.
func (s *Stream) drop() {
	if s.through != nil {
		s.through.Cut()
	} else {
		_ = s.up.Abort()
	}
}
