package pipeline

import (
	"net/http"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/retry"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// tries sends the request until there is a response to pass on, or no further
// try is allowed.
func (x *Exchange) tries(c *upstream.Cluster) failure {
	r := x.Rule.Policy.Retry
	for retries := 0; ; retries++ {
		f := x.tryOrHedge(c)
		if x.Early && !f.failed() && x.Resp.Status == http.StatusTooEarly {
			f = x.tryLater(c, f)
		}
		if x.retried {
			c.RetryDone()
			x.retried = false
		}
		if r == nil || retries >= r.Attempts || !x.wantsRetry(r, f) {
			return f
		}
		pause, ok := x.pause(r, f, retries+1)
		if !ok {
			return f
		}
		if !c.AllowRetry() {
			x.Flags |= filter.RetryLimit.Flag()
			return f
		}
		x.retried = true
		x.trace.kind = trace.Retry
		if m := x.backend.Metrics; m != nil {
			m.Retry()
		}
		if !f.failed() {
			x.discardResponse(c)
		}
		if x.endpoint != nil {
			x.avoid = append(x.avoid, x.endpoint)
		}
		if pause > 0 && !x.wait(pause) {
			c.RetryDone()
			x.retried = false
			return x.interrupted()
		}
		if x.call.on {
			x.prepareCall(retries + 1)
		}
	}
}

// tryLater sends a request again that the upstream will not take from early data,
// when the client's handshake is over. That is no retry: nothing was done with it
// (RFC 8470 §5.2).
func (x *Exchange) tryLater(c *upstream.Cluster, f failure) failure {
	x.Early = false
	down, ok := x.Down.(interface{ Confirm() bool })
	if !ok || !x.body.replayable() || !down.Confirm() {
		return f
	}
	x.discardResponse(c)
	x.trace.kind = trace.Retry
	x.Req.Header.DelName(EarlyData)
	return x.tryOrHedge(c)
}

// EarlyData marks requests that may have been replayed (RFC 8470 §5.1).
var EarlyData = []byte("Early-Data")

// tryOrHedge sends the request once, or as often as hedging does.
func (x *Exchange) tryOrHedge(c *upstream.Cluster) failure {
	if x.mayHedge() && x.body.whole {
		return x.hedge(c, x.Rule.Policy.Hedge)
	}
	x.attempts++
	return x.try(c)
}

// interrupted says why a wait between tries did not end well.
func (x *Exchange) interrupted() failure {
	if x.Down.Gone() {
		return failure{reason: filter.ClientGone, kind: upstream.Cancelled}
	}
	return failure{reason: filter.UpstreamTimeout, kind: upstream.Timeout}
}

// wantsRetry applies the route's conditions to how a try ended.
func (x *Exchange) wantsRetry(r *ir.Retry, f failure) bool {
	if !x.body.replayable() || x.deadline > 0 && x.clock >= x.deadline {
		return false
	}
	if x.call.on && x.wantsCall(r, f) {
		return true
	}
	if !f.failed() {
		return slices.Contains(r.Statuses, x.Resp.Status) && x.mayResend(r)
	}
	switch f.reason {
	case filter.UpstreamConnectFailure, filter.UpstreamTLSFailure, filter.MeshTLSFailure:
		return r.ConnectFailure
	case filter.UpstreamTimeout:
		if !f.sent {
			return r.ConnectFailure || r.Timeout
		}
		return r.Timeout && x.mayResend(r)
	case filter.UpstreamReset, filter.UpstreamProtocolError:
		return r.Reset && x.mayResend(r)
	}
	return false
}

// mayResendBody tells whether the request's body may be sent again, by its
// length, unless it was to be read whole anyway. A body that came with the head
// is at hand, but the bound must not depend on packets.
func (x *Exchange) mayResendBody(r *ir.Retry) bool {
	b := x.Rule.Policy.Buffer
	return !x.body.whole || int64(len(x.body.first)) <= r.MaxReplayBytes || b != nil && b.RequestBytes > 0
}

// mayResend tells whether the request may be sent again after it was sent once,
// by its body and its method.
func (x *Exchange) mayResend(r *ir.Retry) bool {
	if !x.mayResendBody(r) {
		return false
	}
	if len(r.Methods) == 0 {
		return x.Req.MethodID.Idempotent()
	}
	return slices.Contains(r.Methods, string(x.Req.Method))
}

// pause is the wait before the nth retry: BackoffMin, an exponential back-off
// with full jitter, and what the upstream asks for, so that those who were told
// the same do not come back together. It is not ok if the upstream asks for
// more than the policy's bound, or if the exchange would end while it waits.
func (x *Exchange) pause(r *ir.Retry, f failure, n int) (d time.Duration, ok bool) {
	d = r.BackoffMin + retry.Backoff(r.BackoffBase, r.BackoffMax, n)
	if x.call.on && !f.failed() {
		wait, said, ok := x.pushback(r)
		if !ok {
			return 0, false
		}
		if said {
			d = wait
		}
	}
	if r.RetryAfter && !f.failed() {
		if v := x.Resp.Header.Get(httpmsg.NameRetryAfter); v != nil {
			if after, ok := retry.After(v, time.Now()); ok {
				if r.RetryAfterMax > 0 && after > r.RetryAfterMax {
					return 0, false
				}
				d += after
			}
		}
	}
	return d, x.deadline == 0 || x.tick()+int64(d) < x.deadline
}

// discardResponse ends a try whose response is not passed on.
func (x *Exchange) discardResponse(c *upstream.Cluster) {
	o := upstream.Outcome{Kind: upstream.OK, Status: x.Resp.Status, Latency: x.latency(x.headAt)}
	if x.call.on {
		if code, ok := x.answerOf(&x.Resp.Trailer); ok {
			x.rate(&o, code)
		}
	}
	// The rest is worth a new connection, not a wait.
	const (
		drainPieces   = 4
		drainPatience = 5 * time.Millisecond
	)
	x.up.SetReadBy(earlier(x.deadline, x.tick()+int64(drainPatience)))
	for range drainPieces {
		if _, err := x.readBody(); err != nil {
			break
		}
	}
	x.returnConn(c, o)
	x.Resp.Reset()
}

// returnConn ends a try: the connection goes back to the pool when both sides
// have said all they had to.
func (x *Exchange) returnConn(c *upstream.Cluster, o upstream.Outcome) {
	if x.up == nil {
		return
	}
	x.tick()
	whole := x.pump.complete() && x.up.Reusable()
	if !whole {
		x.cutUpload()
		x.pump.detach(x)
	}
	x.closeUp(whole)
	if c.Crowded() {
		x.Down.Task().Share()
	}
	x.done(c, o, reasonOf(o.Kind))
}

// replayBytes is how much of a request body is kept for another try.
func (x *Exchange) replayBytes() int64 {
	if r := x.Rule.Policy.Retry; r != nil {
		return r.MaxReplayBytes
	}
	return 0
}

// earlier of two deadlines, the first of which may be zero for none.
func earlier(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}
