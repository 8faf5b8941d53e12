package stream

import (
	"errors"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// connect picks an endpoint and connects to it, or to others when that fails:
// nothing was sent yet, so it does no harm to try again.
func (s *Stream) connect(t *loop.Task) error {
	c := s.backend.Cluster
	q := upstream.Query{}
	q.Hash, q.HasHash = c.HashOfClient(s.source().Addr())
	var last error
	for {
		q.Now = netx.Monotonic()
		e, err := c.Pick(&q)
		if err != nil {
			return errors.Join(last, err)
		}
		s.attempts++
		err = s.dial(t, e, q.Now)
		if err == nil {
			s.endpoint, s.connected = e, time.Duration(netx.Monotonic()-q.Now)
			return nil
		}
		s.endpoint, last = e, err
		if why := reasonOf(err); why == filter.ClientGone || why == filter.AccessDenied || errors.Is(err, upstream.ErrOverload) || s.attempts > s.Route.IR.Attempts {
			return err
		}
		for _, before := range q.Avoid {
			if before == e {
				return err // there is no other
			}
		}
		if !c.AllowRetry() {
			s.flags |= filter.RetryLimit.Flag()
			return err
		}
		// A connection is nothing that could overlap with another try.
		c.RetryDone()
		q.Avoid = append(q.Avoid, e)
	}
}

func (s *Stream) dial(t *loop.Task, e *upstream.Endpoint, now int64) (err error) {
	ask := upstream.Ask{Fresh: true, Now: now, Task: t, Gone: s.gone, Source: s.source(), Destination: s.destination()}
	if e.InMesh() {
		s.through, err = e.OpenTunnel(&ask)
	} else {
		s.up, _, err = e.ConnectWith(&ask)
	}
	if err == nil {
		return nil
	}
	c := s.backend.Cluster
	o := upstream.Outcome{Kind: upstream.Cancelled, Started: now}
	var failed *upstream.ConnectError
	if errors.As(err, &failed) {
		o.Kind = failed.Kind
	}
	o.Now = netx.Monotonic()
	o.Latency = time.Duration(o.Now - now)
	c.Done(e, o)
	if s.backend.Metrics != nil {
		s.backend.Metrics.Observe(0, o.Latency, 0, 0, uint64(reasonOf(err).Flag()))
	}
	return err
}

// reasonOf says what an error on the way to an endpoint means.
func reasonOf(err error) filter.Reason {
	var failed *upstream.ConnectError
	switch {
	case errors.As(err, &failed):
		switch {
		case failed.Denied:
			return filter.AccessDenied
		case failed.Mesh:
			return filter.MeshTLSFailure
		case failed.Kind == upstream.TLSFailure:
			return filter.UpstreamTLSFailure
		case failed.Kind == upstream.Cancelled:
			return filter.ClientGone
		case failed.Kind == upstream.Timeout, netx.IsTimeout(failed.Err):
			return filter.UpstreamTimeout
		}
		return filter.UpstreamConnectFailure
	case errors.Is(err, upstream.ErrBreakerOpen):
		return filter.BreakerOpen
	case errors.Is(err, upstream.ErrOverload):
		return filter.Overload
	}
	return filter.NoHealthyEndpoint
}
