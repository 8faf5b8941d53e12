package http2

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
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
	// Ends are who reads the request's body, and writes the response. The times are
	// those of tunnels.
	netx.Ends
	bad *h2.Error // why the request is refused
	// gone: the client has reset the stream, or the connection has ended.
	gone atomic.Bool
	// awaited is where the answer may be waited for.
	awaited netx.Awaited

	// The link's lock guards what follows.

	ended bool // the exchange was counted as over

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

	leaving pipeline.Leaving
	// What follows is for tunnels, after Tunnel was called.
	tunnelled   bool
	interrupted bool // guarded by the link's lock
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
	defer s.contain()
	s.task = t
	s.Bind(t)
	switch {
	case s.gone.Load(): // a reset has overtaken it, and it costs no upstream anything
		s.c.p.Abandon(s.x)
	case s.isTunnel():
		s.connect()
	case s.isProxied():
		s.proxied()
	case s.bad == nil:
		s.c.p.Serve(s.x)
	default:
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
	broken := s.x.Broken()
	s.close(broken)
	s.x.Release()
	s.reset()
	streams.Put(s)
}

// close ends the stream for the client.
func (s *stream) close(broken bool) {
	c := s.c
	c.link.Lock()
	defer c.link.Unlock()
	if !s.s.Closed() {
		switch {
		case !s.s.LocalEnd() && s.tunnelled: // RFC 8441 §5
			c.link.H2.Reset(s.s, h2.Cancel)
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
	s.ended = true
	c.finished()
	c.link.Flush(s.task)
}

// contain keeps a defect to the connection that met it.
func (s *stream) contain() {
	defect := recover()
	if defect == nil {
		return
	}
	c := s.c
	c.p.Log.Error("a defect in Gridway ended a connection; please report it",
		"panic", fmt.Sprint(defect), "stack", string(debug.Stack()))
	c.link.Abandon()
	c.link.Lock()
	defer c.link.Unlock()
	if !s.ended {
		s.s.User = nil
		c.finished()
	}
}

func (s *stream) reset() {
	s.arrived.Rest()
	s.took.Rest()
	s.trailer.Reset()
	s.arena.Reset()
	s.c, s.s, s.x, s.task, s.Ends, s.bad = nil, nil, nil, nil, netx.Ends{}, nil
	s.gone.Store(false)
	s.awaited.Set(nil)
	s.ended = false
	s.inEnd, s.inErr, s.stopped, s.bodyBy = false, nil, false, 0
	s.out, s.bare, s.err = nil, false, nil
	s.leaving = pipeline.Leaving{}
	s.tunnelled, s.interrupted = false, false
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
	if s.inErr == nil && !(s.inEnd && s.in.Empty()) {
		s.inErr = err
	}
	s.in.Drop()
	s.out = nil
	s.gone.Store(true)
	s.arrived.Open()
	s.took.Open()
	s.awaited.Nudge()
}

// Awaiting notes what the exchange waits for. It may have become another's since
// when the client resets the stream; that one only looks in vain.
func (s *stream) Awaiting(n netx.Nudger) {
	s.awaited.Set(n)
	if s.gone.Load() {
		n.Nudge()
	}
}

// Task implements pipeline.Downstream, as do the methods that follow.
func (s *stream) Task() *loop.Task { return s.task }

func (s *stream) Gone() bool { return s.gone.Load() }

func (s *stream) Cut() filter.Reason { return filter.Reason(s.c.cut.Load()) }

func (s *stream) Conn() *netx.Conn { return nil }

func (s *stream) Upgraded() []byte { return nil }

var _ pipeline.Downstream = (*stream)(nil)
