package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// account records the exchange once it is over: metrics of the listener and the
// rule, its record, and the access log.
func (x *Exchange) account() {
	if x.Flags.Has(filter.ClientGone) {
		if why := x.Down.Cut(); why != filter.ReasonNone {
			x.Flags = x.Flags&^filter.ClientGone.Flag() | why.Flag()
		}
	}
	d := time.Duration(x.ended() - x.started)
	flags := uint64(x.Flags)
	status := x.metricStatus()
	if x.rule != nil {
		x.rule.Metrics.Observe(status, x.answered(d), x.bodyRead.Load(), x.sent, flags)
		if x.trace.span.Sampled {
			x.rule.Metrics.Traced(x.answered(d), x.traceID(), x.Start.Add(d))
		}
	} else {
		x.Listener.Metrics.Observe(status, d, x.bodyRead.Load(), x.sent, flags)
	}
	if x.call.on {
		x.accountCall()
	}
	if x.p.Flows != nil && x.Section.Inbound() {
		x.flow(d)
	}
	if x.p.Signals != nil {
		x.signal(status, d)
	}
	policy := x.p.Outlets.Of(x.telemetry())
	logs := policy == nil && x.p.AccessLog != nil || policy != nil && policy.Wants(x.status)
	looked := x.p.Taps.On()
	traced := x.p.Records != nil || x.trace.span.Span != 0
	if !logs && !traced && !looked {
		return
	}
	e := x.describe(d)
	if traced {
		x.record(d)
	}
	if looked {
		x.tap(e, false)
	}
	switch {
	case !logs:
	case policy != nil:
		e.Own = x.own(policy)
		policy.Log(e)
	default:
		x.p.AccessLog.Log(e)
	}
}

// answered is the time d of the exchange or, of one that lasts, that until its answer began:
// who looks for slow answers is not to find long streams.
func (x *Exchange) answered(d time.Duration) time.Duration {
	if x.lasts() {
		return time.Duration(x.headAt - x.started)
	}
	return d
}

// lasts tells whether how long the exchange took is up to what is said in it, and not to how
// fast it was answered: another protocol, server-sent events, a call of gRPC that streams.
func (x *Exchange) lasts() bool {
	return x.status == 101 || x.ws.opened || x.lasting && x.headAt >= x.upstreamAt
}

// describe is all that is known of the exchange after d, but for what is hidden. It is
// overwritten by the next call.
func (x *Exchange) describe(d time.Duration) *accesslog.Entry {
	e := &x.entry
	h := &x.Req.Header
	*e = accesslog.Entry{} // in place: a literal is made elsewhere first, and it is large
	e.Start, e.Duration, e.RequestID = x.Start, d, x.RequestID
	e.Method, e.Scheme, e.Host, e.Path, e.Query = x.Req.Method, x.Req.Scheme, x.host, x.path, x.Req.Query
	e.Protocol, e.Status, e.Attempts = protocolName(x.Req.Version), x.status, x.attempts
	e.Listener, e.Revision = x.Listener.IR.Name, x.Listener.Revision
	e.RequestBytes, e.ResponseBytes = x.bodyRead.Load(), x.sent
	e.Client, e.Peer, e.PeerIdentity = x.Client, x.PeerAddr, x.PeerIdentity
	e.UserAgent, e.Referer = h.Get(httpmsg.NameUserAgent), h.Get(httpmsg.NameReferer)
	e.TraceID = x.traceID()
	if x.Local.Reason != filter.ReasonNone {
		e.Reason = x.Local.Reason.String()
	}
	if x.Flags != 0 {
		x.scratch = x.Flags.AppendTo(x.scratch[:0])
		e.Flags = x.scratch
	}
	if x.headAt > 0 {
		e.Upstream = time.Duration(x.headAt - x.upstreamAt)
	}
	if x.rule != nil {
		e.Route, e.Rule = x.Route.Name, x.Rule.ID
	}
	if x.call.on {
		e.GRPCService, e.GRPCMethod, e.GRPCStatus = x.call.service, x.call.method, x.call.code.String()
	}
	if x.Caller.Known() {
		e.AuthMethod, e.Credential = x.Caller.Method, x.Caller.Credential
		if c := x.Caller.Consumer; c != nil {
			e.ConsumerNamespace, e.Consumer = c.Namespace, c.Name
		}
		if c := x.Caller.Claims; c != nil {
			e.Subject, e.Issuer, e.ClientID = c.Subject, c.Issuer, c.ClientID
		}
	}
	e.Policy, e.PolicyRule = x.Policy, x.PolicyRule
	if len(x.Faults) > 0 {
		e.AuthFaults = x.authFaults()
	}
	if len(x.Notes) > 0 {
		e.Audited, e.WouldDeny, e.FailOpen = x.noted(filter.NoteAudit), x.noted(filter.NoteWouldDeny), x.noted(filter.NoteFailOpen)
	}
	if x.backend != nil {
		e.Cluster = x.backend.IR.Cluster
	}
	if x.endpoint != nil {
		e.Endpoint, e.EndpointIdentity = x.endpoint.Address(), x.endpoint.Identity()
	}
	if x.ws.opened {
		r := &x.ws.result
		e.WebSocket = true
		e.RequestMessages, e.ResponseMessages = r.Messages[metric.Client], r.Messages[metric.Endpoint]
		e.CloseCode, e.ClosedBy = r.Code, r.By.String()
	}
	if x.TLS != nil {
		e.TLSVersion, e.TLSCipher, e.TLSServerName = x.TLS.Version, x.TLS.CipherSuite, x.TLS.ServerName
	}
	x.mask().Apply(e)
	return e
}

// done ends a try: for the cluster's own state and for its metrics. The clock
// was read when it ended.
func (x *Exchange) done(c *upstream.Cluster, o upstream.Outcome, reason filter.Reason) {
	o.Now, o.Started = x.clock, x.upstreamAt
	c.Done(x.endpoint, o)
	x.trying = false
	x.endedAt = x.clock
	x.endTried(o.Status, reason)
	if m := x.backend.Metrics; m != nil {
		took := time.Duration(x.clock - x.upstreamAt)
		if x.lasts() {
			took = time.Duration(x.headAt - x.upstreamAt)
		}
		m.Observe(o.Status, took, x.bodyRead.Load(), x.sent, uint64(reason.Flag()))
		if x.trace.span.Sampled {
			m.Traced(took, x.traceID(), x.Start.Add(time.Duration(x.clock-x.started)))
		}
	}
}

func protocolName(v httpmsg.Version) string {
	switch v {
	case httpmsg.HTTP10:
		return "HTTP/1.0"
	case httpmsg.HTTP2:
		return "HTTP/2"
	case httpmsg.HTTP3:
		return "HTTP/3"
	}
	return "HTTP/1.1"
}

// Refuse answers an exchange whose head could not be accepted, and accounts for it.
func (p *Pipeline) Refuse(x *Exchange, status int, reason filter.Reason, detail string) {
	x.p = p
	x.begun()
	x.clear()
	x.host, x.path = x.Req.Host, x.Req.Path
	x.Client = x.PeerAddr.Addr()
	if x.Req.Version == 0 {
		x.Req.Version = httpmsg.HTTP11
	}
	x.beginCall()
	x.Fail(status, reason, detail)
	x.replyLocal()
	x.finish()
	x.account()
}

// Abandon accounts for an exchange that its client has given up before it began.
func (p *Pipeline) Abandon(x *Exchange) {
	x.p = p
	x.begun()
	x.clear()
	x.host, x.path = x.Req.Host, x.Req.Path
	x.Client = x.PeerAddr.Addr()
	x.Flags |= filter.ClientGone.Flag()
	x.broken = true
	x.finish()
	x.account()
}

// logFailure tells operators, who see no more of it than a status otherwise,
// why an upstream could not answer.
func (x *Exchange) logFailure(f failure) {
	address := ""
	if x.endpoint != nil {
		address = x.endpoint.Address()
	}
	x.p.Log.Debug("no answer from upstream", "route", x.Rule.ID, "cluster", x.backend.IR.Cluster,
		"endpoint", address, "reason", f.reason.String(), "attempts", x.attempts, "error", f.err)
}

// reasonOf is what a try that had a response ended with.
func reasonOf(kind upstream.OutcomeKind) filter.Reason {
	switch kind {
	case upstream.Timeout:
		return filter.UpstreamTimeout
	case upstream.Reset:
		return filter.UpstreamReset
	case upstream.Cancelled:
		return filter.ClientGone
	}
	return filter.ReasonNone
}

// authFaults lists what is wrong with credentials: "method:fault", with commas.
func (x *Exchange) authFaults() []byte {
	size := 0
	for _, f := range x.Faults {
		size += len(f.Method) + len(f.Fault.String()) + 2
	}
	out := x.Req.Arena.Alloc(size)[:0]
	for _, f := range x.Faults {
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, f.Method...), ':'), f.Fault.String()...)
	}
	return out
}

// noted lists what policies have noted: "namespace/name/rule", with commas.
func (x *Exchange) noted(kind filter.NoteKind) []byte {
	size := 0
	for i := range x.Notes {
		size += len(x.Notes[i].Policy) + len(x.Notes[i].Rule) + 2
	}
	return filter.AppendNoted(x.Req.Arena.Alloc(size)[:0], x.Notes, kind)
}
