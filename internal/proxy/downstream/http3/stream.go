package http3

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// stream is one exchange on a connection: the pipeline's downstream side. It runs
// on a goroutine, and has no task.
type stream struct {
	c   *Conn
	str *quic.Stream
	x   *pipeline.Exchange
	lst *snapshot.Listener
	// start is run, made once so that starting a goroutine allocates nothing.
	start func()
	lim   h3.Limits

	// The request.
	r      h3.Reader
	body   h3.Body
	ended  bool // nothing of it is left to be read
	bodyBy time.Time
	arena  httpmsg.Arena // of the trailer
	into   *bufpool.Buf

	mu      sync.Mutex
	stopped bool // guarded by mu

	// What the exchange waits for is nudged when the client gives the stream up: by
	// wake, on a goroutine of its own, of which woken hears when it has ended. It is
	// listened for until deaf is called, which is nil before Awaiting.
	awaited netx.Awaited
	wake    func()
	woken   chan struct{}
	deaf    func() bool

	// The response.
	out     *bufpool.Buf
	pending []byte // of out
	bare    bool   // it has no body
	begun   bool
	closed  atomic.Bool // its end was sent
	aborted atomic.Bool
	told    bool // its priority came on the control stream

	tunnel    tunnel
	tunnelled bool
}

// streams keeps those that are not in use.
var streams = sync.Pool{New: func() any { return new(stream) }}

func newStream(c *Conn, str *quic.Stream, lst *snapshot.Listener) *stream {
	s := streams.Get().(*stream)
	if s.start == nil {
		s.start, s.wake, s.woken = s.run, s.nudge, make(chan struct{}, 1)
	}
	s.c, s.str, s.lst = c, str, lst
	client := &lst.IR.Client
	s.lim = h3.Limits{HeaderBytes: client.MaxHeaderBytes, HeaderCount: client.MaxHeaderCount, MergeSlashes: client.MergeSlashes}
	s.r.Reset(str)
	return s
}

// run serves the stream.
func (s *stream) run() {
	c, str := s.c, s.str
	answered := false
	defer c.running.Done()
	defer func() { c.finished(str, answered) }()
	defer c.contain()
	s.x = pipeline.Get()
	answered = s.serve()
	s.finish()
}

// serve reads the head and has the exchange served. It is false if the client has
// given it up.
func (s *stream) serve() (answered bool) {
	bad, err := s.readHead()
	switch {
	case err != nil:
		s.giveUp(err)
		return false
	case bad != nil && bad.Status == 0:
		s.misused(bad)
		return true
	}
	c, x := s.c, s.x
	x.Down, x.Listener = s, s.lst
	x.PeerAddr, x.LocalAddr = addrPort(c.q.RemoteAddr()), addrPort(c.q.LocalAddr())
	x.TLS = c.state()
	x.Req.Scheme = "https"
	if bad == nil {
		websocket.AsUpgrade(&x.Req)
	}
	if d := s.lst.IR.Client.RequestTimeout; d > 0 {
		s.bodyBy = time.Now().Add(d)
	}
	switch {
	case bad != nil:
		s.refuse(bad)
	case s.reset(): // it has overtaken the request, which costs no upstream anything
		c.p.Abandon(x)
		return false
	case c.early && !s.ready():
		return false
	default:
		c.p.Serve(x)
	}
	return s.closed.Load() || !s.reset()
}

// readHead reads the request's head and finds out whether content follows.
func (s *stream) readHead() (bad *h3.Error, err error) {
	if d := s.lst.IR.Client.HeaderTimeout; d > 0 {
		_ = s.str.SetReadDeadline(time.Now().Add(d))
	}
	length, err := h3.Head(&s.r)
	if err == io.EOF {
		return nil, h3.Incomplete()
	}
	if err != nil {
		return nil, err
	}
	req := &s.x.Req
	if length > uint64(s.lim.HeaderBytes) {
		return h3.TooLarge(req), nil
	}
	buf := bufpool.Get(int(length))
	defer buf.Release()
	block, err := s.r.Payload(buf.B)
	if err != nil {
		return nil, err
	}
	if bad = h3.DecodeRequest(block, &s.lim, req); bad != nil {
		return bad, nil
	}
	s.prioritize(&req.Header)
	if s.ended, err = s.endsHere(req); err != nil {
		return nil, err
	}
	if s.ended {
		bad = h3.EndRequest(req)
	}
	s.body.Begin(req.Length, &s.lim)
	return bad, nil
}

// contentGrace is how long a request may take to tell that no content follows,
// where that is usual for its method: not all clients say so with the head.
const contentGrace = time.Second

// endsHere tells whether no content follows. Only for methods that usually have
// none this waits for the client.
func (s *stream) endsHere(req *httpmsg.Request) (bool, error) {
	if s.r.Pending() || req.Length > 0 {
		return false, nil
	}
	if s.r.Ended() {
		return true, nil
	}
	switch req.MethodID {
	case httpmsg.MethodGet, httpmsg.MethodHead, httpmsg.MethodOptions, httpmsg.MethodDelete, httpmsg.MethodTrace:
	default:
		if req.Length != 0 {
			return false, nil
		}
	}
	_ = s.str.SetReadDeadline(time.Now().Add(contentGrace))
	ended, err := s.r.Await()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return ended, err
}

// refuse answers a request that HTTP does not allow.
func (s *stream) refuse(bad *h3.Error) {
	reason := filter.BadRequest
	switch bad.Status {
	case 431:
		reason = filter.HeaderTooLarge
	case 417:
		reason = filter.ExpectationFailed
	}
	s.lst.Metrics.ProtocolError(bad.Reason)
	s.c.p.Refuse(s.x, bad.Status, reason, bad.Message)
}

// misused ends a stream, or the connection, for what is on it.
func (s *stream) misused(bad *h3.Error) {
	if bad.Conn {
		s.c.fail(bad)
		return
	}
	s.lst.Metrics.ProtocolError(bad.Reason)
	s.abort(bad.Code)
}

// giveUp ends a stream whose head did not come.
func (s *stream) giveUp(err error) {
	if bad, ok := h3.AsError(err); ok {
		s.misused(bad)
		return
	}
	s.abort(h3.RequestRejected)
}

// finish ends the stream, if the exchange has not done so, and gives all back.
func (s *stream) finish() {
	s.deafen()
	switch {
	case s.tunnelled:
		s.endTunnel()
	case !s.closed.Load():
		s.abort(h3.InternalError)
	case !s.ended: // the client may stop sending (RFC 9114 §4.1)
		s.str.CancelRead(quic.StreamErrorCode(h3.NoError))
	}
	s.str.ReleaseStreamCredit()
	s.x.Release()
	s.rest()
	streams.Put(s)
}

// Awaiting notes what the exchange waits for.
func (s *stream) Awaiting(n netx.Nudger) {
	s.awaited.Set(n)
	if s.deaf == nil {
		s.deaf = context.AfterFunc(s.str.Context(), s.wake)
	}
	if s.reset() {
		n.Nudge()
	}
}

func (s *stream) nudge() {
	s.awaited.Nudge()
	s.woken <- struct{}{}
}

// deafen ends what Awaiting has begun: this side is about to end the stream itself,
// or the next exchange to use its memory.
func (s *stream) deafen() {
	if s.deaf == nil {
		return
	}
	if !s.deaf() {
		<-s.woken
	}
	s.deaf = nil
	s.awaited.Set(nil)
}

func (s *stream) rest() {
	s.r.Release()
	s.arena.Reset()
	s.into.Release()
	s.out.Release()
	s.c, s.str, s.x, s.lst, s.into, s.out, s.pending = nil, nil, nil, nil, nil, nil, nil
	s.ended, s.bodyBy, s.stopped = false, time.Time{}, false
	s.bare, s.begun, s.told, s.tunnelled = false, false, false, false
	s.aborted.Store(false)
	s.tunnel = tunnel{}
	s.closed.Store(false)
}

// reset tells whether the client wants no response any more, or has gone.
func (s *stream) reset() bool { return s.str.Context().Err() != nil && !s.closed.Load() }

// Task implements pipeline.Downstream, as do the methods that follow.
func (s *stream) Task() *loop.Task { return nil }

func (s *stream) Gone() bool { return s.reset() }

func (s *stream) Cut() filter.Reason {
	if s.c.cut.Load() {
		return filter.Draining
	}
	return filter.ReasonNone
}

func (s *stream) Conn() *netx.Conn { return nil }

func (s *stream) Upgraded() []byte { return nil }

var _ pipeline.Downstream = (*stream)(nil)
