package stream

import (
	"crypto/tls"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/wire/netx"
)

// account records the stream at its end: metrics, its record and the access log. In are
// bytes from the client, out those to it.
func (s *Stream) account(in, out int64) {
	d := time.Duration(netx.Monotonic() - s.began)
	s.server.permits.remove(s)
	if s.Route != nil {
		s.Route.Metrics.Ended(d, in, out, uint64(s.flags), s.flags&^(filter.ClientGone.Flag()|filter.Draining.Flag()) != 0)
	} else {
		s.Listener.Metrics.Unrouted(uint64(s.flags))
	}
	if s.server.Signals != nil {
		s.signal(d, in, out)
	}
	policy := s.server.Outlets.Of(s.telemetry())
	logs := policy == nil && s.server.AccessLog != nil || policy != nil && policy.Wants(0)
	looked := s.server.Taps.On()
	if !logs && s.server.Records == nil && !looked {
		return
	}
	e := s.describe(d, in, out)
	s.server.Outlets.MaskOf(policy).Apply(e)
	if s.server.Records != nil {
		s.record(e)
	}
	if looked {
		s.tap(e, false)
	}
	switch {
	case !logs:
	case policy != nil:
		policy.Log(e)
	default:
		s.server.AccessLog.Log(e)
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

// tap shows the stream to those who look.
func (s *Stream) tap(e *accesslog.Entry, opened bool) {
	seen := tap.Seen{Entry: e, Opened: opened}
	seen.Place(s.Section, s.Listener.IR)
	if s.backend != nil {
		seen.Backend(s.backend.IR.Ref)
		if c := s.backend.Cluster; c != nil {
			seen.Source = c.Config().Identity
		}
	}
	seen.Failed = !opened && s.flags&^(filter.ClientGone.Flag()|filter.Draining.Flag()) != 0
	s.server.Taps.Offer(&seen)
}

// describe is all that is known of the stream after d.
func (s *Stream) describe(d time.Duration, in, out int64) *accesslog.Entry {
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
		e.Flags = s.flags.AppendTo(nil)
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
	return &e
}
