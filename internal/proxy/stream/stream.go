// Package stream carries what is not HTTP: TCP connections, with or without
// TLS, between a client and an endpoint of a TCPRoute or TLSRoute.
//
//	listen: accept → (PROXY) → (look at the first bytes) → (TLS) → route
//	stream: choose backend → breaker → pick endpoint → connect → (PROXY) → (TLS) → relay → account
//
// The endpoint is connected to before the client has said a word, so protocols
// in which the server speaks first do not wait. While both are silent a stream
// has no task, no goroutine and no buffer (see netx.Link). The package starts no
// goroutines. Package listen imports it and gives the tasks.
package stream

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Server is what all streams of a proxy share.
type Server struct {
	// AccessLog may be nil.
	AccessLog *accesslog.Logger
	Log       *slog.Logger
}

// Start is a connection that has come as far as a route.
type Start struct {
	Conn     *netx.Conn
	Listener *snapshot.Listener
	// Route is nil if none takes the connection; Reason then says why.
	Route  *snapshot.Stream
	Reason filter.Reason
	// Began is when the connection was accepted.
	Began time.Time
	// Protocol is "TCP" or "TLS"; ServerName what a TLS client asked for.
	Protocol, ServerName string
	// Closed is called once, by a task, when the connection is closed.
	Closed func()
}

// Stream is one connection on its way.
type Stream struct {
	Start
	server *Server

	began    int64
	backend  *snapshot.Backend
	endpoint *upstream.Endpoint
	up       *netx.Conn
	attempts int
	// connected is how long it took to have a connection to the endpoint.
	connected time.Duration
	verdict   atomic.Bool // the endpoint was judged
	flags     filter.Flags
	reason    filter.Reason
	// policy and part of it have refused the stream.
	policy, part string

	killed atomic.Bool
	link   atomic.Pointer[netx.Link]
}

// New makes a stream of a connection. Serve starts it.
func (s *Server) New(start Start) *Stream {
	return &Stream{Start: start, server: s, began: netx.MonotonicOf(start.Began)}
}

// ErrDraining is why a stream was cut by Kill.
var ErrDraining = errors.New("stream: the listener is closed")

// Kill cuts the stream at the end of a drain. Any goroutine may call it.
func (s *Stream) Kill(filter.Reason) {
	s.killed.Store(true)
	if link := s.link.Load(); link != nil {
		link.Cut(ErrDraining)
		return
	}
	s.Conn.Kill()
}

// EndIdle does nothing: what is idle in a stream is still in use.
func (s *Stream) EndIdle() {}

// Serve connects to an endpoint and begins to relay. It is the last act of the
// handler of the connection, whose task t is; what it returns the handler must
// return too.
func (s *Stream) Serve(t *loop.Task) (idle bool) {
	if s.Route == nil {
		return s.refuse(s.Reason)
	}
	s.Route.Metrics.Opened()
	var why filter.Reason
	if why, s.policy, s.part = s.Route.Shield.Refuse(s.Conn.RemoteAddrPort().Addr()); why != filter.ReasonNone {
		return s.refuse(why)
	}
	s.backend = s.Route.Choose()
	if s.backend == nil || s.backend.Cluster == nil {
		return s.refuse(filter.BackendInvalid)
	}
	c := s.backend.Cluster
	if err := c.Begin(s.began); err != nil {
		return s.refuse(reasonOf(err))
	}
	if err := s.connect(t); err != nil {
		c.End()
		s.server.Log.Debug("no connection to an endpoint", "route", s.Route.IR.ID, "cluster", c.Name(), "attempts", s.attempts, "error", err)
		return s.refuse(reasonOf(err))
	}
	return s.relay(t)
}

// relay passes bytes on until the stream ends.
func (s *Stream) relay(t *loop.Task) (idle bool) {
	r := s.Route.IR
	o := netx.LinkOptions{Idle: r.Idle, Answered: s.answered, Done: s.done}
	if r.MaxStream > 0 {
		o.By = s.began + int64(r.MaxStream)
	}
	link := netx.NewLink(s.Conn, s.up, o)
	s.link.Store(link)
	if s.killed.Load() {
		link.Cut(ErrDraining)
	}
	return link.Start(t)
}

// refuse ends a stream that reached no endpoint. The client gets a reset, so
// that it does not take the end for an answer.
func (s *Stream) refuse(why filter.Reason) bool {
	if s.Conn.Broken() {
		why = filter.ClientGone
	}
	s.reason = why
	s.flags |= why.Flag()
	_ = s.Conn.Abort()
	s.account(0, 0)
	s.Closed()
	return false
}

// answered is called when the endpoint has sent something.
func (s *Stream) answered() { s.judge(upstream.OK) }

// judge tells the cluster how the endpoint did, once.
func (s *Stream) judge(kind upstream.OutcomeKind) {
	if s.verdict.CompareAndSwap(false, true) {
		s.backend.Cluster.Observe(s.endpoint, upstream.Outcome{Kind: kind, Latency: s.connected})
	}
}

// done is called when the relay has ended.
func (s *Stream) done(link *netx.Link) {
	in, out := link.Moved()
	failed, err := link.Err()
	switch {
	case err == nil:
	case errors.Is(err, ErrDraining):
		s.flags |= filter.Draining.Flag()
	case netx.IsTimeout(err) && s.Route.IR.MaxStream > 0 && netx.Monotonic() >= s.began+int64(s.Route.IR.MaxStream):
		s.flags |= filter.StreamTimeout.Flag()
	case netx.IsTimeout(err):
		s.flags |= filter.IdleTimeout.Flag()
	case failed == s.up:
		s.flags |= filter.UpstreamReset.Flag()
	default:
		s.flags |= filter.ClientGone.Flag()
	}
	c := s.backend.Cluster
	switch {
	case failed == s.up && !netx.IsTimeout(err), link.FirstEnded() == s.up && in > 0:
		s.judge(upstream.Reset) // it went without an answer
	default:
		s.judge(upstream.Cancelled)
	}
	s.endpoint.Drop(s.up)
	c.Release(s.endpoint)
	c.End()
	s.account(in, out)
	s.Closed()
}
