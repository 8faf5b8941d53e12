package stream

import (
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
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
		r.Place = snapshot.PlaceOf(&s.Route.IR.Ref)
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
		r.Decisions = append(r.Decisions, s.Route.Decided(v, n.Policy, n.Rule))
	}
	if r.Denied {
		r.Decisions = append(r.Decisions, s.Route.Decided(trace.Denied, s.policy, s.part))
	}
	s.server.Records.Record(&r)
}
