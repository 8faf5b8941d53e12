// Package stream carries what is not HTTP: TCP connections, with or without
// TLS, between a client and an endpoint of a TCPRoute or TLSRoute.
//
//	listen: accept → (PROXY) → (look at the first bytes) → (TLS) → route
//	stream: shield → authorize → choose backend → breaker → pick endpoint → connect → (PROXY) → (TLS) → relay → account
//
// The endpoint is connected to before the client has said a word, so protocols
// in which the server speaks first do not wait. While both are silent a stream
// has no task, no goroutine and no buffer (see netx.Link). The package starts no
// goroutines. Package listen imports it and gives the tasks.
package stream

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/tunnel"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Server is what all streams of a proxy share.
type Server struct {
	// AccessLog may be nil.
	AccessLog *accesslog.Logger
	// Outlets are where policies lead it; nil has none.
	Outlets *outlet.Set
	Log     *slog.Logger
	// Flows gathers who speaks to workloads here; nil gathers nothing.
	Flows *flow.Recorder
	// Records remembers streams; nil remembers none.
	Records *trace.Recorder
	// Taps look at what passes; nil has none.
	Taps *tap.Set
	// Signals counts by edge of the service graph; nil counts nothing.
	Signals *signal.Observer

	permits permits
}

// Start is a connection that has come as far as a route.
type Start struct {
	// Conn is nil for one that came by CONNECT on a connection of HTTP/2.
	Conn     *netx.Conn
	Tunnel   Tunnel
	Listener *snapshot.Listener
	// Section is what the route belongs to; nil is that there is none.
	Section *ir.Section
	// Route is nil if none takes the connection; Reason then says why.
	Route  *snapshot.Stream
	Reason filter.Reason
	// Began is when the connection was accepted.
	Began time.Time
	// Protocol is "TCP" or "TLS"; ServerName what a TLS client asked for.
	Protocol, ServerName string
	// Up is nil, or connected already, to what no cluster has. Leave is then called
	// once it is closed.
	Up    *netx.Conn
	Leave func()
	// Destination is where a client of an outbound listener wanted to go.
	Destination string
	// Closed is called once, by a task, when the connection is closed.
	Closed func()
}

// Abandon is instead of New, for what cannot be served any more.
func (s *Start) Abandon() {
	if s.Up != nil {
		_ = s.Up.Abort()
		s.Leave()
	}
}

// Tunnel is the client's side of a CONNECT that has not been answered.
type Tunnel interface {
	tunnel.Side
	// Accept answers that the way to the endpoint is open, Refuse why it is not.
	Accept() error
	Refuse(why filter.Reason)
	// Gone tells whether the client has gone, Cut whether this side has cut it off.
	Gone() bool
	Why() filter.Reason
	// Peer is the proxy that has sent it, by address and SPIFFE ID, and Source the
	// client behind that, as far as it has told.
	Peer() (netip.AddrPort, string)
	Source() netip.AddrPort
	TLSState() *tls.ConnectionState
}

// Stream is one connection on its way.
type Stream struct {
	Start
	server *Server

	began    int64
	backend  *snapshot.Backend
	endpoint *upstream.Endpoint
	up       *netx.Conn       // nil for an endpoint of the mesh
	through  *upstream.Tunnel // nil for others
	attempts int
	// connected is how long it took to have a connection to the endpoint.
	connected time.Duration
	verdict   atomic.Bool // the endpoint was judged
	flags     filter.Flags
	reason    filter.Reason
	// policy and part of it have refused the stream; notes are what others have noted.
	policy, part string
	notes        []filter.Noted
	permit       permit
	// edges are where it is counted in the service graph, while it is open.
	edges     [2]signal.Key
	forbidden atomic.Pointer[authorization.Ruling]

	killed atomic.Bool
	link   atomic.Pointer[netx.Link]
	relay  atomic.Pointer[tunnel.Relay]
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
	if relay := s.relay.Load(); relay != nil {
		relay.Cut(ErrDraining)
		return
	}
	if s.Conn != nil {
		s.Conn.Kill()
	} else {
		s.Tunnel.Cut()
	}
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
	if s.up = s.Up; s.up != nil {
		return s.carry(t)
	}
	var why filter.Reason
	if why, s.policy, s.part = s.Route.Shield.Refuse(s.peer().Addr()); why != filter.ReasonNone {
		return s.refuse(why)
	}
	if why = s.authorize(); why != filter.ReasonNone {
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
	if s.server.Taps.On() {
		e := s.describe(time.Duration(netx.Monotonic()-s.began), 0, 0)
		s.server.Outlets.MaskOf(s.server.Outlets.Of(s.telemetry())).Apply(e)
		s.tap(e, true)
	}
	return s.carry(t)
}

func (s *Stream) carry(t *loop.Task) (idle bool) {
	if s.Conn == nil || s.up == nil {
		s.relayTunnel(t)
		return false
	}
	return s.relayConns(t)
}

// relayConns passes bytes on until the stream ends.
func (s *Stream) relayConns(t *loop.Task) (idle bool) {
	s.signalOpened()
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
	if s.forbidden.Load() != nil {
		link.Cut(errForbidden)
	}
	return link.Start(t)
}

// refuse ends a stream that reached no endpoint. The client gets a reset, so
// that it does not take the end for an answer, or an answer to its CONNECT.
func (s *Stream) refuse(why filter.Reason) bool {
	if s.gone() {
		why = filter.ClientGone
	}
	s.reason = why
	s.flags |= why.Flag()
	if s.judged() {
		why = s.reason
	}
	if s.Conn != nil {
		_ = s.Conn.Abort()
	} else {
		s.Tunnel.Refuse(why)
	}
	s.account(0, 0)
	s.Closed()
	return false
}

// answered is called when the endpoint has sent something.
func (s *Stream) answered() { s.judge(upstream.OK) }

// judge tells the cluster how the endpoint did, once.
func (s *Stream) judge(kind upstream.OutcomeKind) {
	if s.Up == nil && s.verdict.CompareAndSwap(false, true) {
		s.backend.Cluster.Observe(s.endpoint, upstream.Outcome{Kind: kind, Latency: s.connected})
	}
}

// done is called when the relay has ended.
func (s *Stream) done(link *netx.Link) {
	in, out := link.Moved()
	failed, err := link.Err()
	s.end(in, out, err, failed == s.up, link.FirstEnded() == s.up)
}

// end judges and accounts for a relay that has ended: by the endpoint's fault, if
// failed says so, and deserted tells that the endpoint was the first to have said all.
func (s *Stream) end(in, out int64, err error, failed, deserted bool) {
	switch {
	case err == nil:
	case errors.Is(err, errForbidden):
		s.judged()
	case errors.Is(err, ErrDraining):
		s.flags |= filter.Draining.Flag()
	case netx.IsTimeout(err) && s.Route.IR.MaxStream > 0 && netx.Monotonic() >= s.began+int64(s.Route.IR.MaxStream):
		s.flags |= filter.StreamTimeout.Flag()
	case netx.IsTimeout(err):
		s.flags |= filter.IdleTimeout.Flag()
	case failed:
		s.flags |= filter.UpstreamReset.Flag()
	case s.Tunnel != nil && s.Tunnel.Why() != filter.ReasonNone:
		s.flags |= s.Tunnel.Why().Flag()
	default:
		s.flags |= filter.ClientGone.Flag()
	}
	if s.Up != nil {
		_ = s.up.Close()
		s.account(in, out)
		s.Leave()
		s.Closed()
		return
	}
	c := s.backend.Cluster
	switch {
	case err != nil && failed && !netx.IsTimeout(err), deserted && in > 0:
		s.judge(upstream.Reset) // it went without an answer
	default:
		s.judge(upstream.Cancelled)
	}
	if s.through != nil {
		s.through.Close()
	} else {
		s.endpoint.Drop(s.up)
	}
	c.Release(s.endpoint)
	c.End()
	s.account(in, out)
	s.Closed()
}
