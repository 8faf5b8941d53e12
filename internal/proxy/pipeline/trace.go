package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/grpc"
)

// traced is what an exchange has of its trace.
type traced struct {
	policy *tracing.Policy
	parent trace.Parent
	span   trace.Span
	out    trace.Outgoing
	// kind is that of the next try.
	kind trace.TryKind
	// tries are those that have begun; the last is under way while Exchange.trying says so.
	tries []trace.Try
	first [2]trace.Try // memory of tries
	// questions are those that servers were asked about the exchange.
	questions []trace.Question
	// decided is memory of record.
	decided []trace.Decided
	// scratch is memory of export.
	scratch []byte
	// streamed: the response was to take as long as it takes.
	streamed bool
}

func (t *traced) clear() {
	t.policy, t.parent, t.span, t.out, t.kind, t.streamed = nil, trace.Parent{}, trace.Span{}, trace.Outgoing{}, trace.First, false
	t.tries, t.questions = t.tries[:0], t.questions[:0]
}

// beginTrace finds out to which trace the exchange belongs, decides whether that is
// sampled, and tells endpoints of it.
func (x *Exchange) beginTrace() {
	t, p := &x.trace, x.tracingPolicy()
	t.policy = p
	t.parent = trace.Extract(&x.Req.Header, p.Accept, p.B3First)
	if x.p.Records == nil && p.Send == 0 && !p.Exports() {
		return
	}
	x.identifySpan()
	t.span.Sampled = p.Samples(&t.parent, t.span.ID, p.RateOf(&x.Exchange), x.clock)
	t.out = trace.Inject(&x.Req.Header, &x.Req.Arena, p.Accept, p.Send, &t.parent, &t.span)
}

// tracingPolicy is that of the rule or, where there is none, of the section.
func (x *Exchange) tracingPolicy() *tracing.Policy {
	switch {
	case x.rule != nil && x.rule.Tracing != nil:
		return x.rule.Tracing
	case x.Section != nil:
		return x.p.Tracing.Get(x.Section.Telemetry)
	}
	return x.p.Tracing.Get(nil)
}

func (x *Exchange) identifySpan() {
	t := &x.trace
	t.span.ID, t.span.Parent = t.parent.ID, t.parent.Span
	if !t.parent.Valid() {
		t.span.ID, t.span.Parent = trace.NewID(), 0
	}
	t.span.Span = trace.NewSpan()
}

// traceID is what the access log says: the trace that the request came with, or that
// endpoints were told of.
func (x *Exchange) traceID() []byte {
	t := &x.trace
	if t.policy == nil || t.policy.Send == 0 {
		return t.parent.Text
	}
	return t.span.ID.Append(x.Req.Arena.Alloc(32)[:0])
}

// beginTry notes a try, and gives what is sent the try's own span.
func (x *Exchange) beginTry(e *upstream.Endpoint) {
	t := &x.trace
	if t.span.Span == 0 {
		return
	}
	t.out.SetSpan(&x.Req.Header, trace.TrySpan(t.span.Span, x.attempts))
	if t.tries == nil {
		t.tries = t.first[:0]
	}
	if len(t.tries) == maxTries {
		copy(t.tries, t.tries[1:])
		t.tries = t.tries[:maxTries-1]
	}
	t.tries = append(t.tries, trace.Try{
		Number: x.attempts, Kind: t.kind, Endpoint: e.Address(), Start: time.Duration(x.upstreamAt - x.started),
	})
}

// maxTries are remembered of an exchange: the last ones.
const maxTries = 16

// connected notes that the try has a connection of its own.
func (x *Exchange) connected() {
	if n := len(x.trace.tries); n > 0 {
		x.trace.tries[n-1].Connected = time.Duration(x.tick() - x.started)
	}
}

// endTried notes how the try under way has ended, at the last reading of the clock.
func (x *Exchange) endTried(status int, reason filter.Reason) {
	n := len(x.trace.tries)
	if n == 0 {
		return
	}
	t := &x.trace.tries[n-1]
	t.End = time.Duration(x.clock - x.started)
	t.Reason = reason.String()
	if t.GRPCStatus == "" {
		t.Status = status
	}
	if x.headAt >= x.upstreamAt && x.headAt != 0 {
		t.Head = time.Duration(x.headAt - x.started)
	}
}

// answeredTry notes what the endpoint has said of a call: the status of HTTP that came with
// it, too, since from now on the try counts as what the code means.
func (t *traced) answeredTry(status int, code grpc.Code) {
	if n := len(t.tries); n > 0 && t.tries[n-1].GRPCStatus == "" {
		t.tries[n-1].Status, t.tries[n-1].GRPCStatus = status, code.String()
	}
}

// follow makes y, a leg of x, a part of the same trace.
func (t *traced) follow(of *Exchange, y *Exchange, kind trace.TryKind) {
	t.policy, t.span, t.kind = of.trace.policy, of.trace.span, kind
	t.out = of.trace.out.Copied(&of.Req.Header, &y.Req.Header)
}

// adoptTries takes over what a leg has noted.
func (t *traced) adoptTries(leg *traced) {
	for i := range leg.tries {
		if len(t.tries) < maxTries {
			t.tries = append(t.tries, leg.tries[i])
		}
	}
}

// lostTry notes a hedge that is given up: e, if it had an endpoint by then, is whose
// answer is not waited for.
func (x *Exchange) lostTry(number int, kind trace.TryKind, began int64, e *upstream.Endpoint) {
	t := &x.trace
	if t.span.Span == 0 || len(t.tries) >= maxTries {
		return
	}
	n := trace.Try{
		Number: number, Kind: kind, Start: time.Duration(began - x.started), End: time.Duration(x.clock - x.started), Reason: "Outpaced",
	}
	if e != nil {
		n.Endpoint = e.Address()
	}
	t.tries = append(t.tries, n)
}

// record remembers the exchange, of which the entry for the access log is made and masked,
// and has its spans sent where they are wanted.
func (x *Exchange) record(d time.Duration) {
	t := &x.trace
	p := t.policy
	exported := p != nil && p.Exports()
	if x.p.Records == nil && !exported {
		return
	}
	if p == nil { // it came to an end before it was routed
		p = x.tracingPolicy()
		if t.span.Span == 0 {
			x.identifySpan()
		}
	}
	answered := x.answered(d)
	if t.streamed && x.headAt > 0 {
		answered = time.Duration(x.headAt - x.started)
	}
	failed := x.failed()
	r := trace.Exchange{
		Entry: &x.entry, Trace: t.span.ID, Span: t.span.Span, Parent: t.span.Parent, Sampled: t.span.Sampled,
		Slow: p.Slow > 0 && answered >= p.Slow, Failed: p.Errors && failed, Faulty: failed, Denied: x.Policy != "" && x.Local.Reason != filter.ReasonNone,
		Detail: x.Local.Detail, Tries: t.tries, Questions: t.questions, Side: x.side(),
	}
	if s := x.Section; s != nil {
		r.OfKind, r.OfNamespace, r.OfName = s.Ref.Kind, s.Ref.Namespace, s.Ref.Name
	}
	if x.Rule != nil {
		r.Place = placeOf(&x.Rule.Ref)
	}
	if x.Policy != "" || x.PermittedBy != "" || len(x.Notes) > 0 {
		t.decided = x.appendDecisions(t.decided[:0])
		r.Decisions = t.decided
	}
	if x.p.Records != nil {
		x.p.Records.Record(&r)
	}
	if exported && (r.Sampled || r.Slow || r.Failed) {
		x.export(p, &r)
	}
}

// side is which side of a service the proxy stands on for the exchange.
func (x *Exchange) side() trace.Side {
	switch {
	case x.Section.Inbound(), x.Listener.IR.Inbound:
		return trace.Inbound
	case x.Listener.IR.Outbound(), x.Section != nil && x.Section.ServicePort != 0:
		return trace.Outbound
	}
	return trace.Edge
}

// failed tells whether the exchange has failed by the fault of this side.
func (x *Exchange) failed() bool {
	const broken = 1<<filter.UpstreamReset | 1<<filter.UpstreamTimeout | 1<<filter.UpstreamProtocolError | 1<<filter.InternalError
	switch {
	case x.status >= 500, x.Flags&broken != 0:
		return true
	case x.status == 0:
		return !x.Flags.Has(filter.ClientGone)
	}
	return x.call.on && serverFault(x.call.code)
}
