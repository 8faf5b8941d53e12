package stream

import (
	"errors"
	"slices"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/flow"
)

// permits are the streams that policies let in, each of which goes on only as long as
// they do. Streams are linked, so that opening one allocates nothing for it.
type permits struct {
	mu    sync.Mutex // guards everything here, and permit of the streams in the list
	first *Stream
	// latest is the newest form of a route; nil before the first configuration.
	latest func(route string) *snapshot.Stream
}

// permit is what a stream was let in by.
type permit struct {
	next, before *Stream // in permits
	listed       bool
	policies     []*ir.Authorization
	facts        authorization.Connection
}

var errForbidden = errors.New("stream: a policy does not let it go on")

// authorize asks the policies that reach the stream, and has them asked again whenever
// they change.
func (s *Stream) authorize() filter.Reason {
	s.permit.facts = authorization.Connection{
		Client: s.source().Addr().Unmap(), Section: s.Section, Opened: s.Began,
		Port: filter.PortOf(s.Section, s.Listener.IR.Port),
	}
	f := &s.permit.facts
	if s.Conn != nil {
		f.TLS = s.Conn.TLSState()
	} else {
		f.TLS = s.Tunnel.TLSState()
	}
	if !s.Listener.IR.Mesh {
		f.ServerName = s.ServerName
	}
	r := s.server.permits.add(s).Open(f)
	s.policy, s.part, s.notes = r.Policy, r.Rule, r.Notes
	if s.server.Flows != nil && s.Section.Inbound() {
		s.flow(&r)
	}
	return r.Why
}

// flow tells of a connection to a workload here, when it is opened: it may stay for days.
func (s *Stream) flow(r *authorization.Ruling) {
	seen := flow.Seen{
		Namespace: s.Section.Ref.Namespace, Service: s.Section.Ref.Name, Port: s.Section.ServicePort, Protocol: flow.TCP,
		Verdict: flow.Allowed, From: flow.From(s.permit.facts.Client), At: s.Began,
	}
	if s.Tunnel != nil {
		_, seen.Source = s.Tunnel.Peer()
	}
	if r.Why != filter.ReasonNone {
		seen.Verdict, seen.Policy = flow.Denied, r.Policy
	} else {
		for i := range r.Notes {
			if r.Notes[i].Kind == filter.NoteWouldDeny {
				seen.Verdict, seen.Policy = flow.WouldDeny, r.Notes[i].Policy
				break
			}
		}
	}
	s.server.Flows.Record(&seen)
}

// add takes a stream in, and returns the policies of the newest configuration, which
// may be newer than the stream's own route.
func (p *permits) add(s *Stream) *authorization.Authorization {
	p.mu.Lock()
	defer p.mu.Unlock()
	route := s.Route
	if p.latest != nil {
		if newest := p.latest(route.IR.Name); newest != nil {
			route = newest
		}
	}
	s.permit.policies = route.IR.Authorization
	s.permit.listed, s.permit.next = true, p.first
	if p.first != nil {
		p.first.permit.before = s
	}
	p.first = s
	return route.Authorization
}

// remove forgets a stream that ends.
func (p *permits) remove(s *Stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := &s.permit
	if !x.listed {
		return
	}
	if x.next != nil {
		x.next.permit.before = x.before
	}
	if x.before != nil {
		x.before.permit.next = x.next
	} else {
		p.first = x.next
	}
	x.listed, x.next, x.before = false, nil, nil
}

// Recheck asks the policies of a new configuration about the streams that are open, and
// cuts those that they do not let go on. latest is the route of a name there, nil for
// one that is gone, whose streams go on; it is called until the next Recheck.
func (s *Server) Recheck(latest func(route string) *snapshot.Stream) {
	p := &s.permits
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = latest
	for x := p.first; x != nil; x = x.permit.next {
		route := latest(x.Route.IR.Name)
		if route == nil || slices.Equal(route.IR.Authorization, x.permit.policies) {
			continue
		}
		x.permit.policies = route.IR.Authorization
		if r := route.Authorization.Still(&x.permit.facts); r.Why != filter.ReasonNone {
			s.Log.Info("a connection was cut that a policy does not let go on", "route", route.IR.ID, "client", x.permit.facts.Client, "policy", r.Policy, "rule", r.Rule)
			x.forbid(r)
		}
	}
}

// forbid cuts the stream. It may be connecting still.
func (s *Stream) forbid(r authorization.Ruling) {
	s.forbidden.CompareAndSwap(nil, &r)
	if link := s.link.Load(); link != nil {
		link.Cut(errForbidden)
	} else if relay := s.relay.Load(); relay != nil {
		relay.Cut(errForbidden)
	}
}

// judged takes up why the stream was cut, if a policy did.
func (s *Stream) judged() bool {
	r := s.forbidden.Load()
	if r == nil {
		return false
	}
	s.reason, s.policy, s.part = r.Why, r.Policy, r.Rule
	s.flags |= r.Why.Flag()
	return true
}
