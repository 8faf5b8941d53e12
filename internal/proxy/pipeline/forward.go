package pipeline

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// failure says why a try gave no response. Its zero value is success.
type failure struct {
	reason filter.Reason
	kind   upstream.OutcomeKind
	// sent: part of the request may have reached the upstream.
	sent bool
	err  error
}

func (f failure) failed() bool { return f.reason != filter.ReasonNone }

// forward sends the exchange to its backend and passes the response on.
func (x *Exchange) forward() {
	c := x.backend.Cluster
	if x.Req.Upgrade != nil && !x.prepareUpgrade(c) {
		return
	}
	if err := c.Begin(x.clock); err != nil {
		x.refuse(err)
		return
	}
	defer c.End()
	x.body.begin(x, x.replayBytes())
	if !x.bufferRequest() {
		return
	}
	if x.call.on {
		x.prepareCall(0)
	}
	x.startMirrors()
	f := x.tries(c)
	if f.failed() {
		x.failUpstream(f)
		return
	}
	x.respond(c)
}

// refuse answers for a cluster that takes no more work.
func (x *Exchange) refuse(err error) {
	switch {
	case errors.Is(err, upstream.ErrBreakerOpen):
		x.Fail(503, filter.BreakerOpen, "the backend fails too often; its circuit breaker is open")
	default:
		x.Fail(503, filter.Overload, "the backend has as many requests as its circuit breaker allows")
	}
}

// bufferRequest reads the whole body first where the policy asks for it, and
// what there is of it, up to a bound, for a request that may be hedged.
func (x *Exchange) bufferRequest() bool {
	limit := int64(0)
	if b := x.Rule.Policy.Buffer; b != nil {
		limit = b.RequestBytes
	}
	if limit > 0 && max(x.Req.Length, int64(len(x.body.first))) > limit {
		return x.bodyAccepted(ErrBodyTooLarge)
	}
	hedged := limit == 0 && x.mayHedge() && x.Req.Length <= maxHedgedBody
	if x.body.whole || limit == 0 && !hedged {
		return x.bodyAccepted(x.body.err)
	}
	if x.Req.ExpectContinue {
		x.Req.Header.Del(httpmsg.NameExpect)
		if x.sendContinue() != nil {
			x.broken = true
			return false
		}
	}
	var err error
	if hedged {
		err = x.body.peek(maxHedgedBody)
	} else {
		err = x.body.buffer(limit)
	}
	if !x.bodyAccepted(err) {
		return false
	}
	if x.tick(); x.deadline > 0 && x.clock >= x.deadline { // a client may have taken its time
		x.Fail(408, filter.RequestTimeout, "the request's body did not arrive in time")
		return false
	}
	if x.body.whole && x.Req.Body == httpmsg.BodyChunked && x.Req.Trailer.Len() == 0 {
		x.Req.Body, x.Req.Length = httpmsg.BodyLength, int64(len(x.body.first))
	}
	return true
}

// maxHedgedBody bounds the body of a request that may be sent twice at once.
const maxHedgedBody = 64 << 10

// bodyAccepted answers for a body that cannot be read.
func (x *Exchange) bodyAccepted(err error) bool {
	if err == nil {
		return true
	}
	var refused *filter.Refusal // which errors.As moves to the heap
	switch {
	case errors.As(err, &refused):
		x.Refuse(refused.Status, refused.Reason, refused.Detail, refused.Policy, refused.Part)
	case errors.Is(err, ErrBodyTooLarge), errors.Is(err, filter.ErrTooLarge):
		x.Fail(413, filter.BodyTooLarge, "the request's body is over the limit")
	case errors.Is(err, filter.ErrDecompressionLimit):
		x.Fail(413, filter.DecompressionLimit, "the request's body is over the limit once it is decoded")
	case errors.Is(err, errInternal):
		x.Fail(500, filter.InternalError, "a defect in the gateway; its log has more under this request's ID")
	case errors.Is(err, filter.ErrMalformed):
		x.Fail(400, filter.BadRequest, malformed(err))
	case errors.Is(err, filter.ErrContentCoding):
		x.Fail(400, filter.BadRequest, "the request's body is not in the coding that Content-Encoding names")
	case errors.Is(err, errSlow):
		x.Fail(408, filter.RequestTimeout, "the request's body came too slowly")
	case netx.IsTimeout(err):
		x.Fail(408, filter.RequestTimeout, "the request's body did not arrive in time")
	case upstream.IsFraming(err):
		x.Fail(400, filter.BadRequest, "the request's body is not framed as HTTP/1.1 says")
	default:
		x.Flags |= filter.ClientGone.Flag()
		x.broken = true
		return false
	}
	return false
}

// malformed is what is wrong with a body.
func malformed(err error) string {
	var m *filter.Malformed
	if errors.As(err, &m) {
		return m.Detail
	}
	return "the request's body is not what its type says"
}

// try sends the request once and reads the head of the response. On success
// the response's body is still to be read; on failure the try is over.
func (x *Exchange) try(c *upstream.Cluster) failure {
	x.upstreamAt = x.clock
	by := x.tryDeadline()
	e, err := c.Pick(&upstream.Query{Hash: x.hash, HasHash: x.hasHash, Sticky: x.session, Avoid: x.avoid, Now: x.clock})
	if err != nil {
		return failure{reason: filter.NoHealthyEndpoint, kind: upstream.ConnectFailure, err: err}
	}
	x.endpoint = e
	x.picked.Store(e)
	x.trying = true
	x.beginTry(e)
	x.tapBegun()
	for again := 0; ; again++ {
		reused, err := x.open(e, by)
		if err != nil {
			return x.endTry(c, connectFailure(err))
		}
		if !reused {
			x.connected()
		}
		x.tell(e)
		f := x.roundTrip(by)
		if !f.failed() {
			return failure{}
		}
		received, unprocessed := x.up.Received(), x.up.Unprocessed() && again < maxUnprocessed
		x.dropConn()
		if unprocessed && x.mayReplay() {
			continue
		}
		if reused && f.kind == upstream.Reset && !received && x.Req.MethodID.Idempotent() && x.mayReplay() {
			if m := x.backend.Metrics; m != nil {
				m.PoolStale()
			}
			continue
		}
		return x.endTry(c, f)
	}
}

// tryDeadline is when this try must have its response's head.
func (x *Exchange) tryDeadline() int64 {
	by := x.deadline
	if d := x.Rule.Policy.Timeouts.PerTry; d > 0 {
		if t := x.upstreamAt + int64(d); by == 0 || t < by {
			by = t
		}
	}
	return by
}

// maxUnprocessed is how often an endpoint may say that it did nothing with a
// request before that counts as its failure.
const maxUnprocessed = 3

// open takes a connection, or a place on one. A request that must not be sent
// twice gets a connection that was looked at, or a new one.
func (x *Exchange) open(e *upstream.Endpoint, by int64) (reused bool, err error) {
	x.ask = upstream.Ask{
		By: by, Now: x.clock, Checked: !x.Req.MethodID.Idempotent() || !x.body.replayable(),
		Source: x.PeerAddr, Destination: x.LocalAddr, Gone: x.gone,
		Task: x.Down.Task(),
	}
	x.up, reused, err = e.Open(&x.ask, &x.first)
	if err != nil {
		x.up = nil
	}
	return reused, err
}

// mayReplay tells whether the request can be sent once more, without that being
// a retry: on a pooled connection that the upstream had closed, where nothing of
// a response was received (RFC 9112 §9.3.1), or when the upstream has said that
// it did nothing with it. The connection was dropped, so that the pump is still.
func (x *Exchange) mayReplay() bool {
	return x.pump.failure(x) == nil && x.body.replayable() && !x.Down.Gone()
}

// roundTrip sends the request and reads the response's head.
func (x *Exchange) roundTrip(by int64) failure {
	x.up.SetWriteBy(by)
	x.up.SetReadBy(by)
	x.up.SetWatch(x.Down)
	if err := x.send(); err != nil && !x.mayHaveAnswer(err) {
		return x.exchangeFailure(err)
	}
	for {
		if err := x.up.ReadHead(&x.Resp); err != nil {
			if netx.IsTimeout(err) {
				by, late := x.overtime()
				if by > 0 {
					x.up.SetReadBy(by)
					continue
				}
				if late {
					f := failure{reason: filter.RequestTimeout, kind: upstream.Cancelled, sent: true, err: err}
					if x.call.on { // a deadline is the whole call's, whoever used its time
						f.reason = filter.UpstreamTimeout
					}
					return f
				}
			}
			return x.exchangeFailure(err)
		}
		if x.Resp.Status >= 200 || x.Resp.Status == 101 {
			x.headAt = x.tick()
			return failure{}
		}
		if err := x.inform(); err != nil {
			return failure{reason: filter.ClientGone, kind: upstream.Cancelled, sent: true, err: err}
		}
	}
}

// overtime is until when a try whose time is over may go on, because the time
// that the client takes to send its body is not the upstream's; zero is no
// longer. late tells that it is the client who is late.
func (x *Exchange) overtime() (by int64, late bool) {
	at := x.tick()
	late = x.pump.clientsTurn(at, x.upstreamAt) && !x.awaitsContinue()
	d := x.Rule.Policy.Timeouts.PerTry
	if d <= 0 {
		return 0, late
	}
	from := at
	if !late {
		from = x.pump.cameUntil()
	}
	if by = earlier(x.deadline, from+int64(d)); by <= at {
		return 0, late
	}
	return by, late
}

// awaitsContinue tells whether the client waits for the upstream's word before
// it sends the body.
func (x *Exchange) awaitsContinue() bool {
	return x.Req.ExpectContinue && !x.continued && x.bodyRead.Load() == 0
}

// latency of the upstream's answer at the time at: from the try's beginning, or
// from the last piece of the request if that came later.
func (x *Exchange) latency(at int64) time.Duration {
	return time.Duration(max(0, at-max(x.upstreamAt, x.pump.cameUntil())))
}

// send writes the head and what is there of the body; the pump sends the rest.
func (x *Exchange) send() error {
	b := &x.body
	if b.whole {
		return x.up.Send(&x.Req, b.first, true)
	}
	if err := x.up.Send(&x.Req, nil, false); err != nil {
		return err
	}
	if x.call.on {
		x.stream()
	}
	return x.pump.start(x, x.up)
}

// mayHaveAnswer tells whether a failed write may hide a response: a server that
// refuses a request early answers and closes.
func (x *Exchange) mayHaveAnswer(err error) bool {
	return !netx.IsTimeout(err) && x.Req.Body != httpmsg.BodyNone
}

// exchangeFailure says what an error on the upstream connection means.
func (x *Exchange) exchangeFailure(err error) failure {
	f := failure{sent: true, err: err}
	var netErr net.Error
	switch {
	case errors.Is(err, netx.ErrWatchGone):
		f.reason, f.kind = filter.ClientGone, upstream.Cancelled
	case netx.IsTimeout(err), errors.As(err, &netErr) && netErr.Timeout():
		f.reason, f.kind = filter.UpstreamTimeout, upstream.Timeout
	case errors.Is(err, websocket.ErrUnsupported): // of which clients must not make a failure of the endpoint
		f.reason, f.kind = filter.UpstreamProtocolError, upstream.Cancelled
	case upstream.IsFraming(err):
		f.reason, f.kind = filter.UpstreamProtocolError, upstream.Reset
	case upstream.RefusesCertificate(err):
		f.reason, f.kind = filter.UpstreamTLSFailure, upstream.TLSFailure
	default:
		f.reason, f.kind = filter.UpstreamReset, upstream.Reset
	}
	return f
}

func connectFailure(err error) failure {
	if errors.Is(err, upstream.ErrOverload) {
		return failure{reason: filter.Overload, kind: upstream.Cancelled, err: err}
	}
	var c *upstream.ConnectError
	if errors.As(err, &c) {
		switch c.Kind {
		case upstream.TLSFailure:
			if c.Mesh {
				return failure{reason: filter.MeshTLSFailure, kind: c.Kind, err: err}
			}
			return failure{reason: filter.UpstreamTLSFailure, kind: c.Kind, err: err}
		case upstream.Timeout:
			return failure{reason: filter.UpstreamTimeout, kind: c.Kind, err: err}
		case upstream.Cancelled:
			return failure{reason: filter.ClientGone, kind: c.Kind, err: err}
		}
	}
	return failure{reason: filter.UpstreamConnectFailure, kind: upstream.ConnectFailure, err: err}
}

// dropConn closes the try's connection and takes the body away from it.
func (x *Exchange) dropConn() {
	if x.up == nil {
		return
	}
	x.cutUpload()
	x.pump.detach(x)
	x.closeUp(false)
}

// closeUp gives the try's connection back, or closes it.
func (x *Exchange) closeUp(whole bool) {
	x.endpoint.Close(x.up, whole, x.clock)
	x.up = nil
}

// cutUpload resets a connection in the middle of a request's body: its end
// would wait behind what an upstream that does not read has not taken yet.
func (x *Exchange) cutUpload() {
	if x.pump.complete() {
		return
	}
	if conn := x.up.Conn(); conn != nil {
		_ = conn.Abort()
	}
	x.up.Cut()
}

// endTry reports a failed try. The body's own failure explains it better.
func (x *Exchange) endTry(c *upstream.Cluster, f failure) failure {
	if !x.body.whole && f.reason != filter.ClientGone {
		if err := x.pump.failure(x); err != nil && err != io.EOF {
			f.kind, f.err = upstream.Cancelled, err
			if x.bodyAccepted(err) || x.Local.Status == 0 {
				f.reason = filter.ClientGone
			} else {
				f.reason = x.Local.Reason
			}
		}
	}
	o := upstream.Outcome{Kind: f.kind, Latency: x.latency(x.tick())}
	if f.reason == filter.Overload {
		o.Latency = 0 // it waited in line, not for the endpoint
	}
	x.done(c, o, f.reason)
	return f
}

// failUpstream answers for a request that no try could have answered.
func (x *Exchange) failUpstream(f failure) {
	x.Resp.Reset()
	if x.Local.Status != 0 {
		return
	}
	if x.call.on {
		x.noteReset(f.err)
	}
	switch f.reason {
	case filter.ClientGone:
		x.Flags |= filter.ClientGone.Flag()
		x.broken = true
	case filter.InternalError:
		x.Fail(500, f.reason, "a defect in the gateway; its log has more under this request's ID")
	case filter.RequestTimeout:
		x.Fail(408, f.reason, "the request's body did not arrive in time")
	case filter.NoHealthyEndpoint:
		x.Fail(503, f.reason, "the backend has no endpoint that can take requests")
	case filter.Overload:
		x.Fail(503, f.reason, "the backend has as many connections as its circuit breaker allows")
	case filter.UpstreamConnectFailure:
		x.Fail(502, f.reason, "no connection to the backend")
	case filter.UpstreamTLSFailure:
		x.Fail(502, f.reason, "the TLS handshake with the backend failed")
	case filter.MeshTLSFailure:
		x.Fail(502, f.reason, "the backend's proxy is not who it must be, or does not accept this one; the log has both identities")
	case filter.UpstreamTimeout:
		x.Fail(504, f.reason, "the backend did not answer in time")
	case filter.UpstreamProtocolError:
		detail := "the backend's answer is not valid HTTP"
		if errors.Is(f.err, websocket.ErrUnsupported) {
			detail = "the backend does not take WebSocket over the HTTP/2 or HTTP/3 that it speaks (RFC 8441, RFC 9220)"
		}
		x.Fail(502, f.reason, detail)
	default:
		x.Fail(502, f.reason, "the backend closed the connection before it had answered")
	}
	if x.p.Log != nil && x.Local.Status != 0 {
		x.logFailure(f)
	}
}
