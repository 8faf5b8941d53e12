package stream

import (
	"crypto/tls"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/wire/netx"
)

// account records the stream at its end: metrics and the access log. In are
// bytes from the client, out those to it.
func (s *Stream) account(in, out int64) {
	d := time.Duration(netx.Monotonic() - s.began)
	s.server.permits.remove(s)
	if s.Route != nil {
		s.Route.Metrics.Ended(d, in, out, uint64(s.flags), s.flags&^(filter.ClientGone.Flag()|filter.Draining.Flag()) != 0)
	} else {
		s.Listener.Metrics.Unrouted(uint64(s.flags))
	}
	if policy := s.server.Outlets.Of(s.telemetry()); policy != nil {
		if policy.Wants(0) {
			s.log(d, in, out, policy)
		}
	} else if s.server.AccessLog != nil {
		s.log(d, in, out, nil)
	}
}

// telemetry is what policies say of the stream; nil is nothing.
func (s *Stream) telemetry() *ir.Telemetry {
	switch {
	case s.Route != nil:
		return s.Route.IR.Telemetry
	case s.Section != nil:
		return s.Section.Telemetry
	}
	if l := s.Listener.IR.Sections; len(l) > 0 {
		return l[0].Telemetry
	}
	return nil
}

// log writes the stream as a policy has it; nil is none.
func (s *Stream) log(d time.Duration, in, out int64, policy *outlet.Policy) {
	var scratch [128]byte
	e := accesslog.Entry{
		Stream: true, Start: s.Began, Duration: d, Upstream: s.connected, Protocol: s.Protocol,
		Reason: s.reason.String(), Listener: s.Listener.IR.Name, Attempts: s.attempts,
		RequestBytes: in, ResponseBytes: out,
		Client: s.source().Addr(), Peer: s.peer(), TLSServerName: s.ServerName, Revision: s.Listener.Revision,
		Policy: s.policy, PolicyRule: s.part, Destination: s.Destination,
	}
	if len(s.notes) > 0 {
		e.Audited, e.WouldDeny = filter.AppendNoted(nil, s.notes, filter.NoteAudit), filter.AppendNoted(nil, s.notes, filter.NoteWouldDeny)
	}
	if s.flags != 0 {
		e.Flags = s.flags.AppendTo(scratch[:0])
	}
	if s.Route != nil {
		e.Route, e.Rule = s.Route.IR.Name, s.Route.IR.ID
	}
	if s.backend != nil {
		e.Cluster = s.backend.IR.Cluster
	}
	if s.Up != nil {
		e.Endpoint = s.Up.RemoteAddrPort().String()
	}
	if s.endpoint != nil {
		e.Endpoint, e.EndpointIdentity = s.endpoint.Address(), s.endpoint.Identity()
	}
	var state *tls.ConnectionState
	if s.Conn != nil {
		state = s.Conn.TLSState()
	} else {
		state = s.Tunnel.TLSState()
		_, e.PeerIdentity = s.Tunnel.Peer()
	}
	if state != nil {
		e.TLSVersion, e.TLSCipher, e.TLSALPN = state.Version, state.CipherSuite, state.NegotiatedProtocol
	}
	if policy != nil {
		policy.Log(&e)
		return
	}
	s.server.AccessLog.Log(&e)
}
