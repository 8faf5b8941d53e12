package upstream

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// CallOn is who makes a call.
type CallOn struct {
	// By is a monotonic deadline beside the call's own time; zero is none.
	By int64
	// Task is who waits; nil is an ordinary goroutine.
	Task *loop.Task
	// Watch tells whether the answer still has a point; it may be nil. Gone is its
	// method.
	Watch netx.Watcher
	Gone  func() bool
}

const (
	// maxCalled is how many endpoints a call goes to if the first cannot be reached.
	maxCalled = 3
	// maxCallAgain is how often a call is sent again to an endpoint that had closed
	// the pooled connection, or has said that it did nothing with it.
	maxCallAgain = 2
)

// Call has an endpoint answer a question about a request. It counts like an
// exchange. The error is a *callout.Error. Questions change nothing, so one that
// met a connection that the endpoint was closing is asked again.
func (c *Cluster) Call(q *callout.Call, on CallOn) error {
	now := netx.Monotonic()
	by := now + int64(q.Timeout)
	if on.By != 0 && on.By < by {
		by = on.By
	}
	if err := c.Begin(now); err != nil {
		kind := callout.Overload
		if errors.Is(err, ErrBreakerOpen) {
			kind = callout.BreakerOpen
		}
		return &callout.Error{Kind: kind, Err: err}
	}
	defer c.End()
	c.frame(q)
	var avoid [maxCalled]*Endpoint
	for n := 0; ; n++ {
		e, err := c.Pick(&Query{Avoid: avoid[:n], Now: now})
		if err != nil {
			return &callout.Error{Kind: callout.NoServer, Err: err}
		}
		failed := c.callOne(e, q, on, by)
		if n > 0 {
			c.RetryDone()
		}
		switch {
		case failed == nil:
			return nil
		case failed.Kind != callout.ConnectFailure || n+1 == maxCalled || netx.Monotonic() >= by || !c.AllowRetry():
			return failed
		}
		avoid[n], now = e, 0
	}
}

// frame completes the head of the question.
func (c *Cluster) frame(q *callout.Call) {
	r := &q.Request
	r.Scheme, r.Version = "http", httpmsg.HTTP11
	if c.tls != nil || c.quic != nil {
		r.Scheme = "https"
	}
	r.Body, r.Length = httpmsg.BodyNone, 0
	if len(q.Body) > 0 {
		r.Body, r.Length = httpmsg.BodyLength, int64(len(q.Body))
	}
	if host := c.cfg.Load().Host; host != "" {
		r.SetHost(r.Arena.CopyString(host))
	}
}

// lent is what a call needs while it is under way, and others after it.
type lent struct {
	ask   Ask
	first http1.Stream
}

var lents = sync.Pool{New: func() any { return new(lent) }}

// callOne asks one endpoint.
func (c *Cluster) callOne(e *Endpoint, q *callout.Call, on CallOn, by int64) *callout.Error {
	if len(q.Request.Host) == 0 {
		q.Request.SetHost(q.Request.Arena.CopyString((*checkTarget)(e).Host()))
	}
	q.Endpoint = e.Address()
	l := lents.Get().(*lent) // one that panics keeps it
	failed := c.askOne(e, q, on, by, l)
	l.ask = Ask{}
	lents.Put(l)
	return failed
}

func (c *Cluster) askOne(e *Endpoint, q *callout.Call, on CallOn, by int64, l *lent) *callout.Error {
	for again := 0; ; again++ {
		o := Outcome{Started: netx.Monotonic()}
		l.ask = Ask{By: by, Now: o.Started, Checked: true, Fresh: again > 0, Gone: on.Gone, Task: on.Task}
		s, reused, err := e.Open(&l.ask, &l.first)
		if err != nil {
			failed := connectError(err, &o)
			c.Done(e, o)
			return failed
		}
		s.SetReadBy(by)
		s.SetWriteBy(by)
		s.SetWatch(on.Watch)
		err = converse(s, q, &o)
		received, unprocessed := s.Received(), s.Unprocessed()
		e.Close(s, err == nil, netx.Monotonic())
		if err == nil {
			c.Done(e, o)
			return nil
		}
		failed := callError(err, &o)
		if again < maxCallAgain && failed.Kind == callout.Reset && (unprocessed || reused && !received) {
			continue
		}
		c.Done(e, o)
		return failed
	}
}

// converse sends the question and takes the answer.
func converse(s Stream, q *callout.Call, o *Outcome) error {
	q.Response.Reset()
	q.Answer = q.Answer[:0]
	if err := s.Send(&q.Request, q.Body, true); err != nil && (netx.IsTimeout(err) || len(q.Body) == 0) {
		return err // else a server that refuses early may have answered
	}
	for q.Response.Status < 200 {
		if err := s.ReadHead(&q.Response); err != nil {
			return err
		}
	}
	o.Status = q.Response.Status
	o.Latency = time.Duration(netx.Monotonic() - o.Started)
	// Reading on moves what the head's slices point to.
	q.Response.Own(&q.Request.Arena)
	for {
		piece, err := s.ReadBody()
		if len(q.Answer)+len(piece) > q.MaxAnswer {
			return errAnswerTooLarge
		}
		q.Answer = append(q.Answer, piece...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	q.Response.Trailer.Own(&q.Request.Arena)
	if code, _, ok := q.Status(); q.GRPC && ok {
		o.Status = code.HTTPStatus()
	}
	return nil
}

var errAnswerTooLarge = errors.New("the answer is longer than may be")

func connectError(err error, o *Outcome) *callout.Error {
	var c *ConnectError
	o.Kind = ConnectFailure
	kind := callout.ConnectFailure
	switch {
	case errors.Is(err, ErrOverload):
		o.Kind, kind = Cancelled, callout.Overload
	case errors.As(err, &c):
		switch o.Kind = c.Kind; o.Kind {
		case Timeout:
			kind = callout.Timeout
		case Cancelled:
			kind = callout.Gone
		}
	}
	return &callout.Error{Kind: kind, Err: err}
}

func callError(err error, o *Outcome) *callout.Error {
	var timeout net.Error
	o.Kind = Reset
	kind := callout.Reset
	switch {
	case errors.Is(err, errAnswerTooLarge):
		o.Kind, kind = OK, callout.TooLarge
	case errors.Is(err, netx.ErrWatchGone):
		o.Kind, kind = Cancelled, callout.Gone
	case netx.IsTimeout(err), errors.As(err, &timeout) && timeout.Timeout():
		o.Kind, kind = Timeout, callout.Timeout
	case RefusesCertificate(err):
		o.Kind, kind = TLSFailure, callout.ConnectFailure
	case IsFraming(err):
		kind = callout.Protocol
	}
	o.Latency = time.Duration(netx.Monotonic() - o.Started)
	return &callout.Error{Kind: kind, Err: err}
}
