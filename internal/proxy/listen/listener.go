// Package listen owns sockets: it accepts connections, bounds them, reads the
// PROXY protocol, terminates TLS, and gives each connection to the driver of
// its protocol, on tasks of the event loops that it is given. Drain waits for
// them. Package proxy imports it.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/limit/peer"
	"github.com/gridway/gridway/internal/proxy/listen/quicsock"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/sparse"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Listener is one open socket with the connections that came from it.
type Listener struct {
	name       string
	socket     *loop.Listener
	sockets    *Sockets
	pipeline   *pipeline.Pipeline
	streams    *stream.Server
	egress     *egress.Gate
	loops      *loop.Group
	log        *slog.Logger
	tlsOptions tlsx.Options // without what the configuration says
	identities tlsx.Identities
	guard      *tlsx.Guard
	strangers  sparse.Line // peers of the mesh that may not come in

	current  atomic.Pointer[snapshot.Listener]
	tls      atomic.Pointer[tls.Config]
	quicTLS  atomic.Pointer[tls.Config] // nil without HTTP/3
	started  atomic.Bool
	draining atomic.Bool
	// shared: another process has the socket too, and accepts from it.
	shared    atomic.Bool
	idleGrace atomic.Int64 // a time.Duration
	active    atomic.Int64
	clients   peer.Limiter
	pause     atomic.Int64   // the last one after accepting has failed
	local     netip.AddrPort // of every connection; zero if the socket has all addresses

	mu       sync.Mutex
	sessions map[*session]struct{} // guarded by mu
	server   *tlsx.Server          // guarded by mu; nil without TLS
	ending   bool                  // guarded by mu; idle connections are not waited for
	closed   bool                  // guarded by mu
	quic     *quicSide             // guarded by mu; nil unless HTTP/3 is served
	// estate is the UDP socket of the process that this one replaces, until HTTP/3
	// is served or is not wanted. Guarded by mu.
	estate *quicsock.Estate
	// announced: clients may remember that HTTP/3 is served. Guarded by mu.
	announced bool
	// refusing bounds the connections over the limit that are told so.
	refusing chan struct{}

	serving sync.WaitGroup // grows until the socket is closed

	// leavingQUIC are sides of HTTP/3 that were switched off, until ctx ends.
	leavingQUIC  sync.WaitGroup
	drainTimeout time.Duration
	ctx          context.Context
	stop         context.CancelFunc
}

// Options are what all listeners of a proxy share.
type Options struct {
	Loops    *loop.Group
	Pipeline *pipeline.Pipeline
	Streams  *stream.Server
	Log      *slog.Logger
	TLS      tlsx.Options
	// Identities and Guard are for listeners of a mesh.
	Identities tlsx.Identities
	Guard      *tlsx.Guard
	Sockets    *Sockets
	// Egress is the way out of outbound listeners.
	Egress *egress.Gate
	// IdleGrace is how long an idle connection may still bring a request after
	// a drain has begun; its answer then says that the connection will close.
	IdleGrace time.Duration
	// DrainTimeout is how long connections of HTTP/3 may take to end when that is
	// switched off.
	DrainTimeout time.Duration
}

// Open binds the socket of l. Nothing is accepted before Start.
func Open(ctx context.Context, l *ir.Listener, o Options) (*Listener, error) {
	socket, inherited, err := o.Sockets.bind(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	opened := &Listener{
		name: l.Name, sockets: o.Sockets, pipeline: o.Pipeline, streams: o.Streams, egress: o.Egress, loops: o.Loops, log: o.Log, tlsOptions: o.TLS, identities: o.Identities, guard: o.Guard,
		sessions: map[*session]struct{}{}, refusing: make(chan struct{}, maxRefusing), drainTimeout: o.DrainTimeout,
	}
	opened.ctx, opened.stop = context.WithCancel(context.Background())
	opened.estate = o.Sockets.estate(l.Name)
	opened.idleGrace.Store(int64(o.IdleGrace))
	opened.shared.Store(inherited)
	opened.socket, err = o.Loops.Listen(socket.(*net.TCPListener), opened.admit, opened.acceptFailed)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	if addr := opened.Addr(); !addr.Addr().IsUnspecified() {
		opened.local = addr
	}
	o.Sockets.add(opened)
	return opened, nil
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort {
	addr := l.socket.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Set makes s the configuration of requests and connections from now on.
// Certificates that cannot be used are reported; the rest is served.
func (l *Listener) Set(s *snapshot.Listener) error {
	var err error
	if s.Doors.Secure || s.IR.Mesh {
		err = l.setTLS(s)
	} else {
		l.tls.Store(nil)
		l.quicTLS.Store(nil)
	}
	l.clients.Configure(s.IR.Client.PerClient, s.IR.Client.TrustedProxies)
	l.current.Store(s)
	return errors.Join(err, l.setQUIC(s))
}

func (l *Listener) setTLS(s *snapshot.Listener) error {
	if s.IR.Mesh {
		return l.setMesh(s)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	opts := l.tlsOptions
	opts.HTTP2, opts.HTTP3 = !s.IR.Client.NoHTTP2, wantsQUIC(s)
	server, err := tlsx.NewServerWith(opts, s.IR.Sections, l.server)
	l.server = server
	l.tls.Store(server.Config())
	l.quicTLS.Store(server.QUIC())
	return err
}

// Start accepts connections until Drain. After an error the socket is closed;
// Drain ends connections that a loop may have got from it. Only a *UDPError
// leaves the rest at work.
func (l *Listener) Start() error {
	l.started.Store(true)
	if err := l.socket.Start(); err != nil {
		_ = l.socket.Close()
		l.sockets.remove(l)
		return fmt.Errorf("listener %s: %w", l.name, err)
	}
	return l.setQUIC(l.Current())
}

// Share says whether another process has the socket too and accepts from it. A
// drain then leaves it what waits.
func (l *Listener) Share(shared bool) { l.shared.Store(shared) }

// Shared is what Share said last; a socket that was inherited begins as shared.
func (l *Listener) Shared() bool { return l.shared.Load() }

// SetIdleGrace replaces Options.IdleGrace for a drain that has not begun.
func (l *Listener) SetIdleGrace(d time.Duration) { l.idleGrace.Store(int64(d)) }

// Socket is the descriptor, to be given to another process.
func (l *Listener) Socket() syscall.Conn { return l.socket }

// Current is the present configuration.
func (l *Listener) Current() *snapshot.Listener { return l.current.Load() }

// Draining tells connections to end after their present exchange.
func (l *Listener) Draining() bool { return l.draining.Load() }

// Active is the number of open connections.
func (l *Listener) Active() int64 { return l.active.Load() }

// acceptFailed says how long to wait before the next try: the system is out of
// descriptors or memory, which others may give back.
func (l *Listener) acceptFailed(err error) time.Duration {
	const shortest, longest = 5 * time.Millisecond, time.Second
	l.current.Load().Metrics.AcceptError()
	pause := min(max(2*time.Duration(l.pause.Load()), shortest), longest)
	l.pause.Store(int64(pause))
	l.log.Warn("accepting a connection failed", "listener", l.name, "error", err, "next_try", pause)
	return pause
}

// admit starts serving a connection, unless there are too many. It runs on the
// goroutine of a loop, or of a drain, and does not block.
func (l *Listener) admit(sock *loop.Sock) {
	l.pause.Store(0)
	s := l.current.Load()
	nc := netx.FromSock(sock, l.local)
	n := l.active.Add(1)
	if limit := s.IR.Client.MaxConnections; limit > 0 && n > int64(limit) {
		l.active.Add(-1)
		s.Metrics.Rejected(metric.RejectConnectionLimit)
		l.refuse(nc, s)
		return
	}
	ss := &session{l: l, nc: nc, s: s, host: l, began: time.Now()}
	if s.IR.Client.ProxyProtocol == ir.ProxyProtocolOff && !ss.enter() {
		l.active.Add(-1)
		l.refuse(nc, s)
		return
	}
	l.add(ss)
	s.Metrics.Accepted()
	nc.SetReadBy(handshakeBy(&s.IR.Client))
	nc.SetWriteBy(handshakeBy(&s.IR.Client))
	sock.SetHandler(ss)
	if !speaksFirst(s) {
		sock.Start()
		return
	}
	if d := l.firstByte(s); d > 0 {
		_ = sock.SetReadBy(netx.After(d))
	}
	sock.Idle()
}

// firstByte is how long a new connection may be silent.
func (l *Listener) firstByte(s *snapshot.Listener) time.Duration {
	client := &s.IR.Client
	d := client.IdleTimeout
	switch {
	case client.ProxyProtocol != ir.ProxyProtocolOff:
		d = client.HandshakeTimeout
	case detectTimeout(s) > 0:
		return detectTimeout(s)
	case s.IR.Protocol != ir.HTTP:
		d = client.HandshakeTimeout
	}
	if life := client.MaxConnectionDuration; life > 0 && (d <= 0 || life < d) {
		d = life
	}
	return d
}

func handshakeBy(c *ir.ClientPolicy) int64 {
	if c.HandshakeTimeout == 0 {
		return 0
	}
	return netx.Monotonic() + int64(c.HandshakeTimeout)
}

func (l *Listener) add(ss *session) {
	l.serving.Add(1)
	l.mu.Lock()
	l.sessions[ss] = struct{}{}
	l.mu.Unlock()
}

func (l *Listener) remove(ss *session) {
	l.mu.Lock()
	delete(l.sessions, ss)
	l.mu.Unlock()
	ss.place.Leave()
	ss.peer.Leave()
	ss.s.Metrics.Closed()
	if ss.over != nil {
		ss.over()
	}
	l.active.Add(-1)
	l.serving.Done()
}
