package datagram

import (
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// record remembers a session that has ended, or a client that got none, of which e says
// the rest. It is a trace of its own: datagrams carry none.
func (l *Listener) record(e *accesslog.Entry, snap *snapshot.Listener, route *snapshot.Stream, flags filter.Flags) {
	const failures = 1<<filter.UpstreamConnectFailure | 1<<filter.NoHealthyEndpoint | 1<<filter.BackendInvalid | 1<<filter.BreakerOpen | 1<<filter.Overload
	r := trace.Exchange{
		Entry: e, Trace: trace.NewID(), Span: trace.NewSpan(), Failed: flags&failures != 0, Denied: e.Policy != "" && e.Reason != "",
		Place: snapshot.PlaceOf(&route.IR.Ref),
	}
	if len(snap.IR.Sections) > 0 {
		of := &snap.IR.Sections[0].Ref
		r.OfKind, r.OfNamespace, r.OfName = of.Kind, of.Namespace, of.Name
	}
	var try [1]trace.Try
	if e.Endpoint != "" {
		try[0] = trace.Try{Number: 1, Endpoint: e.Endpoint, End: e.Duration}
		if flags.Has(filter.UpstreamConnectFailure) {
			try[0].Reason = filter.UpstreamConnectFailure.String()
		}
		r.Tries = try[:]
	}
	var decided [1]trace.Decided
	if r.Denied {
		decided[0] = route.Decided(trace.Denied, e.Policy, e.PolicyRule)
		r.Decisions = decided[:]
	}
	l.opts.Records.Record(&r)
}
