package http2

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/link"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// stream is one exchange on a connection: the pipeline's downstream side.
type stream struct {
	c    *Conn
	s    *h2.Stream
	x    *pipeline.Exchange
	task *loop.Task
	// reader is who reads the request's body.
	reader *loop.Task
	bad    *h2.Error // why the request is refused
	// gone: the client has reset the stream, or the connection has ended.
	gone atomic.Bool

	// The link's lock guards what follows.

	// The request's body.
	in      link.Inbox
	inEnd   bool
	inErr   error
	stopped bool
	arrived loop.Gate // opened when there is more of it
	bodyBy  int64     // when the whole request must have come; 0: no limit
	trailer httpmsg.Header
	arena   httpmsg.Arena // of the trailer

	// The response.
	out  []byte    // what WriteBody waits for
	bare bool      // it has no body
	err  error     // of what could not be sent
	took loop.Gate // opened when all of it was taken
}

// streams keeps those that are not in use.
var streams = sync.Pool{New: func() any { return new(stream) }}

func newStream(c *Conn, ev *h2.Event, x *pipeline.Exchange, home *loop.Loop) *stream {
	s := streams.Get().(*stream)
	s.c, s.s, s.x, s.bad = c, ev.Stream, x, ev.Refuse
	s.inEnd = ev.End
	s.arrived.Init(home)
	s.took.Init(home)
	ev.Stream.User = s
	return s
}

// Resume serves the exchange.
func (s *stream) Resume(t *loop.Task) (idle bool) {
	s.task, s.reader = t, t
	if s.bad == nil {
		s.c.p.Serve(s.x)
	} else {
		s.refuse()
	}
	s.finish()
	return false
}

// refuse answers a request that HTTP does not allow.
func (s *stream) refuse() {
	reason := filter.BadRequest
	switch s.bad.Status {
	case 431:
		reason = filter.HeaderTooLarge
	case 417:
		reason = filter.ExpectationFailed
	}
	s.x.Listener.Metrics.ProtocolError(s.bad.Reason)
	s.c.p.Refuse(s.x, s.bad.Status, reason, s.bad.Message)
}

// finish ends the stream, if the exchange has not done so, and gives all back.
func (s *stream) finish() {
	c := s.c
	broken := s.x.Broken()
	c.link.Lock()
	if !s.s.Closed() {
		switch {
		case !s.s.LocalEnd():
			c.link.H2.Reset(s.s, h2.InternalError)
		case broken && !s.inEnd:
			c.link.H2.Reset(s.s, h2.Cancel)
		default: // the client may stop sending (RFC 9113 §8.1)
			c.link.H2.Reset(s.s, h2.NoError)
		}
	}
	c.link.H2.Release(s.s)
	s.in.Clear()
	c.finished()
	c.link.Flush(s.task)
	c.link.Unlock()
	s.x.Release()
	s.reset()
	streams.Put(s)
}

func (s *stream) reset() {
	s.arrived.Rest()
	s.took.Rest()
	s.trailer.Reset()
	s.arena.Reset()
	s.c, s.s, s.x, s.task, s.reader, s.bad = nil, nil, nil, nil, nil, nil
	s.gone.Store(false)
	s.inEnd, s.inErr, s.stopped, s.bodyBy = false, nil, false, 0
	s.out, s.bare, s.err = nil, false, nil
}

// event notes what the client has sent. The lock is held.
func (s *stream) event(ev *h2.Event) {
	switch ev.Kind {
	case h2.EventData:
		s.in.Put(ev.Data)
	case h2.EventTrailer:
		for i := range ev.Trailer.Len() {
			f := ev.Trailer.At(i)
			s.trailer.AddField(s.arena.Copy(f.Name), s.arena.Copy(f.Value), f.ID)
		}
	case h2.EventReset:
		err := io.ErrUnexpectedEOF
		if ev.Err != nil {
			err = ev.Err
		}
		s.fail(err)
		return
	}
	s.inEnd = s.inEnd || ev.End
	s.arrived.Open()
}

// errReset: the client has given the stream up.
var errReset = errors.New("http2: the client has reset the stream")

// fail ends the stream for its exchange: nothing more comes or goes. The lock is held.
func (s *stream) fail(err error) {
	if !s.inEnd && s.inErr == nil {
		s.inErr = err
	}
	s.out = nil
	s.gone.Store(true)
	s.arrived.Open()
	s.took.Open()
}

// Task implements pipeline.Downstream, as do the methods that follow.
func (s *stream) Task() *loop.Task { return s.task }

func (s *stream) Gone() bool { return s.gone.Load() }

func (s *stream) Cut() bool { return s.c.cut.Load() }

func (s *stream) Conn() *netx.Conn { return nil }

func (s *stream) Upgraded() []byte { return nil }

var _ pipeline.Downstream = (*stream)(nil)
