package stream

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// record remembers the stream, of which e says the rest. Nobody tells the next proxy of
// its trace: a stream is one of its own.
func (s *Stream) record(e *accesslog.Entry) {
	const failures = 1<<filter.UpstreamReset | 1<<filter.UpstreamTimeout | 1<<filter.UpstreamConnectFailure | 1<<filter.UpstreamTLSFailure |
		1<<filter.MeshTLSFailure | 1<<filter.NoHealthyEndpoint | 1<<filter.BackendInvalid | 1<<filter.BreakerOpen | 1<<filter.Overload
	r := trace.Exchange{
		Entry: e, Trace: trace.NewID(), Span: trace.NewSpan(), Failed: s.flags&failures != 0, Denied: s.policy != "" && s.reason != filter.ReasonNone,
	}
	switch {
	case s.Section.Inbound():
		r.Side = trace.Inbound
	case s.Listener.IR.Outbound(), s.Section != nil && s.Section.ServicePort != 0:
		r.Side = trace.Outbound
	}
	if s.Section != nil {
		r.OfKind, r.OfNamespace, r.OfName = s.Section.Ref.Kind, s.Section.Ref.Namespace, s.Section.Ref.Name
	}
	if s.Route != nil {
		r.Place = placeOf(&s.Route.IR.Ref)
	}
	var try [1]trace.Try
	if s.endpoint != nil {
		try[0] = trace.Try{Number: max(s.attempts, 1), Endpoint: s.endpoint.Address(), Connected: s.connected, End: e.Duration, Reason: s.reason.String()}
		if s.attempts > 1 {
			try[0].Kind = trace.Retry
		}
		r.Tries = try[:]
	}
	for i := range s.notes {
		n := &s.notes[i]
		v := trace.Audited
		if n.Kind == filter.NoteWouldDeny {
			v = trace.WouldDeny
		}
		r.Decisions = append(r.Decisions, s.decided(v, n.Policy, n.Rule))
	}
	if r.Denied {
		r.Decisions = append(r.Decisions, s.decided(trace.Denied, s.policy, s.part))
	}
	s.server.Records.Record(&r)
}

// decided finds the place of a policy, or of its rule.
func (s *Stream) decided(v trace.Verdict, policy, rule string) trace.Decided {
	d := trace.Decided{Verdict: v, Policy: policy, Rule: rule}
	if s.Route == nil {
		return d
	}
	for _, a := range s.Route.IR.Authorization {
		if a.Policy != policy {
			continue
		}
		d.Kind, d.Place = a.Ref.Kind, placeOf(&a.Ref)
		for i := range a.Rules {
			if rule != "" && a.Rules[i].Name == rule {
				d.Place = placeOf(&a.Rules[i].Ref)
			}
		}
		return d
	}
	for i := range s.Route.IR.Policies {
		if p := &s.Route.IR.Policies[i]; p.Namespace+"/"+p.Name == policy {
			d.Kind, d.Place = p.Kind, placeOf(p)
		}
	}
	return d
}

func placeOf(r *ir.Ref) trace.Place { return trace.Place{File: r.File, Line: r.Line, Column: r.Column} }
