// Package datagram carries UDP between clients and the endpoints of UDPRoutes.
//
// What comes from one client address belongs to a session, which has one
// endpoint and one socket, connected to that endpoint: its answers reach this
// client and nobody else, and nobody else can answer. Answers leave from the
// address that the client sent to. A session ends when nothing has moved for the
// route's idle time; there is a bound on how many there are. The proxy passes
// datagrams on one for one and says nothing itself, so it amplifies nothing.
//
// Handlers of event loops do the work, many datagrams per system call; the
// package starts no goroutines. Package proxy imports it.
package datagram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit/peer"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	// maxFailures bounds how often a handler tries again at once.
	maxFailures = 64
	// answerGrace is how long a drain waits at least for an endpoint that owes an
	// answer, and at most for one that does not: clients of DNS ask again after
	// five seconds.
	answerGrace = 5 * time.Second
	// silentAfter is how long an endpoint that is removed or unhealthy may go
	// without an answer and keep its sessions.
	silentAfter = time.Second
)

// defaultSessions bounds the sessions of a listener whose policy sets no limit:
// each has a descriptor.
const defaultSessions = 16 << 10

// Options are what all listeners of a proxy share.
type Options struct {
	Loops *loop.Group
	// AccessLog may be nil.
	AccessLog *accesslog.Logger
	// Outlets are where policies lead it; nil has none.
	Outlets *outlet.Set
	// Taps look at sessions; nil has none.
	Taps *tap.Set
	// Signals counts by edge of the service graph; nil counts nothing.
	Signals *signal.Observer
	Log     *slog.Logger
	// Shared opens sockets with SO_REUSEPORT.
	Shared bool
	// Inherited is a socket of a process that this one replaces; nil opens one.
	Inherited *net.UDPConn
	// IdleGrace is how long a session may still be silent once a drain has begun.
	IdleGrace time.Duration
	// Records remembers sessions; nil remembers none.
	Records *trace.Recorder
}

// Listener is one socket with the sessions that came from it.
type Listener struct {
	opts    Options
	name    string
	socket  *netx.Datagrams
	current atomic.Pointer[snapshot.Listener]
	clients peer.Limiter
	// shared: another process has the socket too, and receives from it.
	shared    atomic.Bool
	idleGrace atomic.Int64 // a time.Duration

	mu       sync.Mutex
	sessions map[client]*session // guarded by mu
	draining bool                // guarded by mu: no new sessions
	empty    chan struct{}       // closed, with mu, when a drain has no session left

	refusals refusals // endpoints that take nothing at present

	stopped chan struct{} // closed when the handler has seen the end
	started atomic.Bool
	refused atomic.Int64 // when a refusal was logged last
}

// client is who a session is for: an address, and what it spoke to.
type client struct {
	remote netip.AddrPort
	local  netip.Addr
}

// Open binds the socket of l. Nothing is received before Start.
func Open(l *ir.Listener, o Options) (*Listener, error) {
	socket, err := open(l, &o)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	opened := &Listener{
		opts: o, name: l.Name, socket: socket, sessions: map[client]*session{},
		empty: make(chan struct{}), stopped: make(chan struct{}),
	}
	opened.idleGrace.Store(int64(o.IdleGrace))
	opened.shared.Store(o.Inherited != nil)
	return opened, nil
}

func open(l *ir.Listener, o *Options) (*netx.Datagrams, error) {
	if o.Inherited != nil {
		return netx.TakeDatagrams(o.Loops, o.Inherited)
	}
	socket, err := netx.ListenDatagrams(o.Loops, net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port))), o.Shared)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("UDP port %d is taken by another process: %w", l.Port, err)
	}
	return socket, err
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return l.socket.LocalAddrPort() }

// Set makes s the configuration of new sessions.
func (l *Listener) Set(s *snapshot.Listener) error {
	l.clients.Configure(s.IR.Client.PerClient, nil)
	l.current.Store(s)
	return nil
}

// Current is the configuration of new sessions.
func (l *Listener) Current() *snapshot.Listener { return l.current.Load() }

// Start receives datagrams until Drain.
func (l *Listener) Start() error {
	l.started.Store(true)
	l.socket.Start(l)
	return nil
}

// Share says whether another process has the socket too and receives from it. A
// drain then leaves it what clients send, and passes on answers only.
func (l *Listener) Share(shared bool) { l.shared.Store(shared) }

// Shared is what Share said last; a socket that was inherited begins as shared.
func (l *Listener) Shared() bool { return l.shared.Load() }

// SetIdleGrace replaces Options.IdleGrace for a drain that has not begun.
func (l *Listener) SetIdleGrace(d time.Duration) { l.idleGrace.Store(int64(d)) }

// Socket is the descriptor, to be given to another process.
func (l *Listener) Socket() syscall.Conn { return l.socket }

// Active is the number of sessions.
func (l *Listener) Active() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.sessions))
}

// Resume passes on what clients have sent: the handler of the socket.
func (l *Listener) Resume(t *loop.Task) (idle bool) {
	l.socket.BindRead(t)
	b := netx.GetBatch()
	defer b.Release()
	for failed := 0; failed < maxFailures; {
		n, err := l.socket.Receive(b)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded): // Close or Leave
			close(l.stopped)
			return false
		case err != nil:
			// The error of one datagram, such as an ICMP message, is taken off with it.
			failed++
			l.opts.Log.Debug("receiving failed", "listener", l.name, "error", err)
		case n == 0:
			return true
		default:
			failed = 0
			l.dispatch(t, b, b.Packets[:n])
		}
	}
	return true
}

// dispatch gives runs of datagrams of one client to its session.
func (l *Listener) dispatch(t *loop.Task, b *netx.Batch, packets []netx.Packet) {
	var run [netx.BatchSize]netx.Packet
	for len(packets) > 0 {
		who := client{packets[0].Remote, packets[0].Local}
		n := 0
		for n < len(packets) && packets[n].Remote == who.remote && packets[n].Local == who.local {
			run[n] = netx.Packet{Data: packets[n].Data}
			n++
		}
		packets = packets[n:]
		if s := l.session(t, who, n); s != nil {
			s.forward(b, run[:n])
		}
	}
}

// session finds or begins the session of a client; it is nil if there is none.
func (l *Listener) session(t *loop.Task, who client, n int) *session {
	l.mu.Lock()
	s, draining := l.sessions[who], l.draining
	l.mu.Unlock()
	if s != nil && (draining || !s.outlived()) {
		return s
	}
	if s != nil {
		s.end(0)
	}
	snap := l.current.Load()
	if draining || !l.mayAnswer(who) {
		return nil
	}
	var route *snapshot.Stream
	if door := snap.Doors.Plain; door != nil {
		route = door.Route("")
	}
	if route == nil {
		snap.Metrics.Unrouted(uint64(filter.RouteNotFound.Flag()))
		return nil
	}
	if !l.room(snap) {
		snap.Metrics.Unrouted(uint64(filter.SessionLimit.Flag()))
		route.Metrics.Dropped(n)
		return nil
	}
	if why, policy, part := route.Shield.Refuse(who.remote.Addr()); why != filter.ReasonNone {
		route.Metrics.Dropped(n)
		l.refuse(snap, route, who, why, policy, part)
		return nil
	}
	place, ok := l.clients.Enter(who.remote.Addr(), time.Now())
	if !ok {
		snap.Metrics.Rejected(metric.RejectClientLimit)
		route.Metrics.Dropped(n)
		return nil
	}
	s, why := l.begin(t, snap, route, who, place)
	if s == nil {
		place.Leave()
		route.Metrics.Dropped(n)
		l.refuse(snap, route, who, why, "", "")
	}
	return s
}

// mayAnswer refuses clients to which an answer could do harm: none, many, or
// this socket itself.
func (l *Listener) mayAnswer(who client) bool {
	a := who.remote.Addr()
	self := who.remote.Port() == l.Addr().Port() && (a == who.local || a == l.Addr().Addr())
	return who.remote.Port() != 0 && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && !self
}

const (
	// lookAt is how many sessions are looked at to find one that can go.
	lookAt = 32
	// oldAfter is when a silent session may give its place to a new one.
	oldAfter = time.Second
)

// room makes sure of a place for one more session. When there is none, the
// longest silent of a few has to go.
func (l *Listener) room(snap *snapshot.Listener) bool {
	limit := snap.IR.Client.MaxConnections
	if limit <= 0 {
		limit = defaultSessions
	}
	l.mu.Lock()
	if len(l.sessions) < limit {
		l.mu.Unlock()
		return true
	}
	var oldest *session
	looked := 0
	for _, s := range l.sessions { // from a random place on
		if oldest == nil || s.last.Load() < oldest.last.Load() {
			oldest = s
		}
		if looked++; looked == lookAt {
			break
		}
	}
	l.mu.Unlock()
	if oldest == nil || netx.Monotonic()-oldest.last.Load() < int64(oldAfter) {
		return false
	}
	oldest.end(0)
	return true
}

// Drain takes no new clients, lets sessions end that have become quiet, and
// cuts what is left when ctx ends.
func (l *Listener) Drain(ctx context.Context) error {
	shared := l.shared.Load()
	if shared {
		l.leave()
	}
	l.mu.Lock()
	l.draining = true
	if len(l.sessions) == 0 {
		close(l.empty)
	}
	for _, s := range l.sessions {
		s.hurry(time.Duration(l.idleGrace.Load()))
	}
	l.mu.Unlock()
	var err error
	select {
	case <-l.empty:
	case <-ctx.Done():
		if n := l.cut(); n > 0 {
			err = fmt.Errorf("listener %s: %d sessions were cut off at the end of the drain", l.name, n)
		}
		<-l.empty
	}
	l.socket.Close()
	if l.started.Load() && !shared {
		<-l.stopped
	}
	return err
}

// leave stops receiving. What was received already still gets its sessions.
func (l *Listener) leave() {
	l.socket.Leave()
	if l.started.Load() {
		<-l.stopped
	}
}

// cut ends all sessions.
func (l *Listener) cut() int {
	l.mu.Lock()
	all := make([]*session, 0, len(l.sessions))
	for _, s := range l.sessions {
		all = append(all, s)
	}
	l.mu.Unlock()
	for _, s := range all {
		s.end(filter.Draining.Flag())
	}
	return len(all)
}

// enter files a session; it is false if there are to be no more.
func (l *Listener) enter(s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	l.sessions[s.who] = s
	return true
}

func (l *Listener) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sessions[s.who] != s {
		return
	}
	delete(l.sessions, s.who)
	if l.draining && len(l.sessions) == 0 {
		close(l.empty)
	}
}
