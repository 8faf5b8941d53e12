package pipeline

import (
	"bytes"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// copyTrace is what a copy for a mirror has of the trace of its request, which may be over
// long before the copy is. Its memory is the copy's own.
type copyTrace struct {
	policy *tracing.Policy
	span   trace.Span // zero if there is no trace
	side   trace.Side
	entry  accesslog.Entry
	began  int64
	call   bool
}

// traceCopy makes the nth copy a span of its own, whose parent is the exchange's, and
// tells the mirror so.
func (x *Exchange) traceCopy(c *mirror, n int) {
	t := &c.trace
	t.began, t.call = now(), x.call.on
	of := &x.trace
	if of.span.Span == 0 || of.policy == nil {
		return
	}
	t.policy, t.span, t.side = of.policy, of.span, x.side()
	t.span.Parent, t.span.Span = of.span.Span, trace.MirrorSpan(of.span.Span, n)
	out := of.out.Copied(&x.Req.Header, &c.req.Header)
	out.SetSpan(&c.req.Header, t.span.Span)
	e := &t.entry
	e.Start = x.Start.Add(time.Duration(t.began - x.started))
	e.Method, e.Scheme, e.Host, e.Path = c.req.Method, x.Req.Scheme, c.req.Host, c.req.Path
	e.Listener, e.Revision = x.Listener.IR.Name, x.Listener.Revision
	e.Route, e.Rule, e.Cluster = x.Route.Name, x.Rule.ID, c.cluster.Config().Name
	if t.call {
		e.GRPCService, e.GRPCMethod = bytes.Clone(x.call.service), bytes.Clone(x.call.method)
	}
	x.mask().Apply(e)
}

// account counts and remembers what has become of the copy.
func (c *mirror) account(result metric.MirrorResult, resp *httpmsg.Response, e *upstream.Endpoint) {
	t := &c.trace
	took := time.Duration(now() - t.began)
	status, code := resp.Status, grpc.OK
	if t.call && result.Answered() {
		code = copiedCode(resp)
		if code.Fault() && status == 200 {
			status = code.HTTPStatus()
		}
		result = metric.MirrorStatus(status)
	}
	c.metrics.Mirrored(result, took)
	if t.span.Span == 0 {
		return
	}
	t.entry.Duration, t.entry.Status = took, resp.Status
	if e != nil {
		t.entry.Endpoint, t.entry.EndpointIdentity = e.Address(), e.Identity()
	}
	switch {
	case !result.Answered():
		t.entry.Reason = result.String()
	case t.call:
		t.entry.GRPCStatus = code.String()
	}
	r := trace.Exchange{
		Entry: &t.entry, Trace: t.span.ID, Span: t.span.Span, Parent: t.span.Parent, Sampled: t.span.Sampled,
		Faulty: !result.Answered() || result == metric.Mirrored5xx, Side: t.side, Purpose: trace.Mirror,
	}
	if c.p.Records != nil {
		c.p.Records.Record(&r)
	}
	if r.Sampled && t.policy.Exports() {
		t.policy.Give(c.p.Resource, trace.AppendOwn(nil, &r))
	}
}

// copiedCode is the status of gRPC with which a mirror has answered.
func copiedCode(resp *httpmsg.Response) grpc.Code {
	v := resp.Header.Get(httpmsg.NameGRPCStatus)
	if v == nil {
		v = resp.Trailer.Get(httpmsg.NameGRPCStatus)
	}
	if v == nil {
		return grpc.OfHTTP(resp.Status)
	}
	code, _ := grpc.ParseCode(v)
	return code
}

// copyResult is why there was no complete answer.
func copyResult(err error, resp *httpmsg.Response) metric.MirrorResult {
	var lost *lostCopy
	switch {
	case err == nil:
		return metric.MirrorStatus(resp.Status)
	case errors.As(err, &lost):
		return lost.why
	case netx.IsTimeout(err):
		return metric.MirrorTimeout
	}
	return metric.MirrorReset
}

// copyRefused is why the mirror could not be connected to.
func copyRefused(err error) metric.MirrorResult {
	switch f := connectFailure(err); {
	case errors.Is(err, upstream.ErrOverload):
		return metric.MirrorRefused
	case f.kind == upstream.Timeout:
		return metric.MirrorTimeout
	}
	return metric.MirrorConnectFailure
}

// lostCopy says that a part of the body is missing.
type lostCopy struct{ why metric.MirrorResult }

func (e *lostCopy) Error() string { return "a part of the copy is missing: " + e.why.String() }
