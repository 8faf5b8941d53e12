// Package listen owns sockets: it accepts connections, bounds them, reads the
// PROXY protocol, terminates TLS, and gives each connection to the driver of
// its protocol on a goroutine that it waits for. Package proxy imports it.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/downstream/http1"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// acceptGrace bounds how long a drain goes on accepting what keeps coming.
const acceptGrace = 100 * time.Millisecond

// Listener is one open socket with the connections that came from it.
type Listener struct {
	name      string
	socket    net.Listener
	pipeline  *pipeline.Pipeline
	log       *slog.Logger
	stapler   tlsx.Stapler
	idleGrace time.Duration

	current  atomic.Pointer[snapshot.Listener]
	tls      atomic.Pointer[tls.Config]
	draining atomic.Bool
	active   atomic.Int64
	acceptBy atomic.Int64 // once draining: when nothing more is accepted

	mu     sync.Mutex
	conns  map[*http1.Conn]struct{} // guarded by mu
	server *tlsx.Server             // guarded by mu; nil without TLS
	ending bool                     // guarded by mu; idle connections are not waited for
	closed bool                     // guarded by mu
	// refusing bounds the connections over the limit that are told so.
	refusing chan struct{}

	accepting sync.WaitGroup
	serving   sync.WaitGroup
}

// Options are what all listeners of a proxy share.
type Options struct {
	Pipeline *pipeline.Pipeline
	Log      *slog.Logger
	Stapler  tlsx.Stapler
	// IdleGrace is how long an idle connection may still bring a request after
	// a drain has begun; its answer then says that the connection will close.
	IdleGrace time.Duration
}

// Open binds the socket of l. Nothing is accepted before Start.
func Open(ctx context.Context, l *ir.Listener, o Options) (*Listener, error) {
	address := net.JoinHostPort(l.Address, strconv.Itoa(int(l.Port)))
	socket, err := netx.Listen(ctx, address, netx.ListenOptions{ReusePort: true})
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return &Listener{
		name: l.Name, socket: socket, pipeline: o.Pipeline, log: o.Log, stapler: o.Stapler, idleGrace: o.IdleGrace,
		conns: map[*http1.Conn]struct{}{}, refusing: make(chan struct{}, maxRefusing),
	}, nil
}

// Addr is the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return l.socket.Addr().(*net.TCPAddr).AddrPort() }

// Set makes s the configuration of requests and connections from now on.
// Certificates that cannot be used are reported; the rest is served.
func (l *Listener) Set(s *snapshot.Listener) error {
	var err error
	if s.IR.Protocol == ir.HTTPS {
		err = l.setTLS(s)
	} else {
		l.tls.Store(nil)
	}
	l.current.Store(s)
	return err
}

func (l *Listener) setTLS(s *snapshot.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	server, err := tlsx.NewServerWith(tlsx.Options{Stapler: l.stapler}, s.IR.Sections, l.server)
	l.server = server
	l.tls.Store(server.Config())
	return err
}

// Start accepts connections until Drain.
func (l *Listener) Start() {
	l.accepting.Go(l.accept)
}

// Current is the present configuration.
func (l *Listener) Current() *snapshot.Listener { return l.current.Load() }

// Draining tells connections to end after their present exchange.
func (l *Listener) Draining() bool { return l.draining.Load() }

// Active is the number of open connections.
func (l *Listener) Active() int64 { return l.active.Load() }

func (l *Listener) accept() {
	const longest = time.Second
	pause := time.Duration(0)
	quiet := 0
	for {
		conn, err := l.socket.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Once may mean that this goroutine, and not a client, was late.
			if quiet++; quiet == 2 {
				l.socket.Close()
				return
			}
			l.acceptWaiting()
			continue
		case err != nil:
			l.current.Load().Metrics.AcceptError()
			// Out of descriptors or memory: others may give some back.
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			l.log.Warn("accepting a connection failed", "listener", l.name, "error", err, "next_try", pause)
			time.Sleep(pause)
			continue
		}
		pause, quiet = 0, 0
		l.admit(conn)
		if l.draining.Load() {
			l.acceptWaiting()
		}
	}
}

// admit starts serving a connection, unless there are too many.
func (l *Listener) admit(conn net.Conn) {
	s := l.current.Load()
	n := l.active.Add(1)
	if limit := s.IR.Client.MaxConnections; limit > 0 && n > int64(limit) {
		l.active.Add(-1)
		s.Metrics.Rejected(metric.RejectConnectionLimit)
		l.refuse(conn, s)
		return
	}
	s.Metrics.Accepted()
	l.serving.Go(func() {
		defer l.active.Add(-1)
		defer s.Metrics.Closed()
		nc := netx.New(conn)
		defer l.contain(nc)
		l.serve(nc, s)
	})
}

// contain keeps a defect in the reading of requests to the connection that met it.
func (l *Listener) contain(nc *netx.Conn) {
	if defect := recover(); defect != nil {
		nc.Close()
		l.log.Error("a defect in Gridway ended a connection; please report it", "listener", l.name,
			"panic", fmt.Sprint(defect), "stack", string(debug.Stack()))
	}
}

func (l *Listener) serve(nc *netx.Conn, s *snapshot.Listener) {
	client := &s.IR.Client
	nc.SetReadBy(handshakeBy(client))
	nc.SetWriteBy(handshakeBy(client))
	if client.ProxyProtocol != ir.ProxyProtocolOff {
		required := client.ProxyProtocol == ir.ProxyProtocolRequired
		if _, err := nc.ReadProxyHeader(required, client.ProxyProtocolFrom); err != nil {
			s.Metrics.Rejected(metric.RejectProxyProtocol)
			l.log.Debug("PROXY header refused", "listener", l.name, "peer", nc.RemoteAddrPort(), "error", err)
			nc.Close()
			return
		}
	}
	if config := l.tls.Load(); config != nil {
		begun := time.Now()
		if err := nc.HandshakeServer(config, handshakeBy(client)); err != nil {
			s.Metrics.HandshakeFailed(handshakeFailure(err))
			l.log.Debug("TLS handshake failed", "listener", l.name, "peer", nc.RemoteAddrPort(), "error", err)
			refusePlain(nc, err)
			nc.Close()
			return
		}
		state := nc.TLSState()
		s.Metrics.Handshake(state.Version, state.DidResume, time.Since(begun))
	}
	nc.SetWriteBy(0)
	c := http1.New(nc, l, l.pipeline, s.Door)
	if !l.add(c) {
		s.Metrics.Rejected(metric.RejectDraining)
		nc.Close()
		return
	}
	defer l.remove(c)
	c.Serve()
}

// handshakeFailure sorts errors of crypto/tls for metrics. It has no exported
// type for a client's alerts and for a certificate that did not come.
func handshakeFailure(err error) metric.HandshakeFailure {
	var cert *tls.CertificateVerificationError
	var remote *net.OpError
	switch {
	case netx.IsTimeout(err):
		return metric.HandshakeTimeout
	case netx.IsGone(err):
		return metric.HandshakeClientGone
	case errors.As(err, &cert), err.Error() == "tls: client didn't provide a certificate",
		errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate"):
		return metric.HandshakeCertificate
	}
	return metric.HandshakeProtocol
}

func handshakeBy(c *ir.ClientPolicy) int64 {
	if c.HandshakeTimeout == 0 {
		return 0
	}
	return netx.Monotonic() + int64(c.HandshakeTimeout)
}

func (l *Listener) add(c *http1.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[c] = struct{}{}
	if l.ending {
		c.EndIdle()
	}
	return true
}

func (l *Listener) remove(c *http1.Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// Drain stops accepting, lets exchanges end, and closes what is left when ctx
// ends. It returns when every connection is closed, with an error if some had
// to be cut off.
func (l *Listener) Drain(ctx context.Context) error {
	if err := netx.HoldOff(l.socket); err != nil {
		l.log.Debug("new connections may be reset by the drain", "listener", l.name, "error", err)
	}
	l.acceptBy.Store(netx.After(acceptGrace))
	l.draining.Store(true)
	l.acceptWaiting()
	l.accepting.Wait()
	done := make(chan struct{})
	go func() {
		l.serving.Wait()
		close(done)
	}()
	idle := time.NewTimer(l.idleGrace)
	defer idle.Stop()
	var err error
	for {
		select {
		case <-done:
			return err
		case <-idle.C:
			l.mu.Lock()
			l.ending = true
			l.mu.Unlock()
			l.each((*http1.Conn).EndIdle)
		case <-ctx.Done():
			if n := l.Active(); n > 0 {
				err = fmt.Errorf("listener %s: %d connections were cut off at the end of the drain", l.name, n)
			}
			l.mu.Lock()
			l.closed = true
			l.mu.Unlock()
			l.each((*http1.Conn).Kill)
			<-done
			return err
		}
	}
}

// acceptWaiting lets the accept loop end as soon as no connection comes for a
// moment. Closing the socket at once would reset those that the kernel has
// accepted already.
func (l *Listener) acceptWaiting() {
	const moment = 3 * time.Millisecond
	d, ok := l.socket.(interface{ SetDeadline(time.Time) error })
	if !ok || netx.Monotonic() > l.acceptBy.Load() || d.SetDeadline(time.Now().Add(moment)) != nil {
		l.socket.Close()
	}
}

func (l *Listener) each(f func(*http1.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		f(c)
	}
}
