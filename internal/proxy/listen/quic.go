package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/downstream/http3"
	"github.com/gridway/gridway/internal/proxy/listen/quicsock"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/netx"
)

// quicSide is the UDP socket of a listener that speaks HTTP/3, with the
// connections that came from it. There is one socket: the library tells
// connections apart by their IDs, so that a client may change its address.
type quicSide struct {
	l         *Listener
	socket    *quicsock.Socket
	transport *quic.Transport
	accepting *quic.EarlyListener

	draining    atomic.Bool
	handed      atomic.Bool // another process receives from the socket
	handshaking atomic.Int64

	mu       sync.Mutex
	conns    map[*http3.Conn]struct{} // guarded by mu
	alive    int                      // guarded by mu; connections, also before their handshake is over
	empty    chan struct{}            // closed when the last one ends in a drain
	refusing bool                     // guarded by mu; no connections begin
	ending   bool                     // guarded by mu; idle connections are not waited for
	closed   bool                     // guarded by mu

	serving sync.WaitGroup // connections, grows until accepting is over
	running sync.WaitGroup // who accepts
}

// UDPError says that HTTP/3 cannot be served; the listener's TCP side serves on.
type UDPError struct {
	Listener string
	Err      error
}

func (e *UDPError) Error() string { return fmt.Sprintf("listener %s: HTTP/3: %v", e.Listener, e.Err) }

func (e *UDPError) Unwrap() error { return e.Err }

// wantsQUIC tells whether the configuration asks for HTTP/3, and for something
// that can be served by it. What is before TLS in a PROXY header cannot.
func wantsQUIC(s *snapshot.Listener) bool {
	c := &s.IR.Client
	return c.HTTP3 != nil && s.Secure.TLS && s.Doors.Secure && c.ProxyProtocol == ir.ProxyProtocolOff
}

// What bounds clients whose address is not proved, or whose handshake is not over.
const (
	// retryFrom is the number of handshakes under way from which on further
	// clients have to prove their address first (RFC 9000 §8.1.2).
	retryFrom = 64
	// maxHandshakes is how many there may be.
	maxHandshakes = 4096
)

// openQUIC takes over the UDP socket of l's port, or binds one.
func openQUIC(ctx context.Context, l *Listener) (*quicSide, error) {
	socket, err := l.quicSocket(ctx)
	if err != nil {
		return nil, err
	}
	q := &quicSide{l: l, socket: socket, conns: map[*http3.Conn]struct{}{}, empty: make(chan struct{})}
	// The library would tell about buffers on standard error, in words of its own.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	q.transport = &quic.Transport{
		Conn: q.socket, ConnectionIDGenerator: q.socket,
		VerifySourceAddress: q.retry, ConnContext: q.admit,
	}
	q.accepting, err = q.transport.ListenEarly(
		&tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h3"}, GetConfigForClient: q.tlsFor},
		&quic.Config{GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) { return quicConfig(l.Current()), nil }},
	)
	if err != nil {
		_ = q.transport.Close()
		_ = q.socket.Close()
		return nil, err
	}
	q.checkBuffers()
	q.running.Go(q.accept)
	return q, nil
}

const (
	// streamWindow is what a stream may have sent that was not taken; more where
	// it is taken quickly. The connection's window is that of all of them together,
	// so that none stalls another, up to a bound for very many.
	streamWindow    = 64 << 10
	maxStreamWindow = 512 << 10
	maxConnWindow   = 256 << 20
	// maxUniStreams are the control stream, two of QPACK's, and some of types that
	// clients make up so that servers get used to it (RFC 9114 §6.2.3).
	maxUniStreams  = 16
	defaultStreams = 128
)

// quicConfig is how the library treats a new connection.
func quicConfig(s *snapshot.Listener) *quic.Config {
	c := &s.IR.Client
	streams := c.MaxConcurrentStreams
	if streams == 0 {
		streams = defaultStreams
	}
	window := min(uint64(streams)*maxStreamWindow, maxConnWindow)
	handshake := c.HandshakeTimeout / 2 // the library allows twice as much in all
	if handshake == 0 {
		handshake = time.Minute
	}
	// The connection's own driver ends it when it is idle. This only finds clients
	// that have gone without a word, also while they wait for a slow response.
	silence := max(2*c.IdleTimeout, 30*time.Second)
	return &quic.Config{
		HandshakeIdleTimeout: handshake, MaxIdleTimeout: silence, KeepAlivePeriod: silence / 2,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: maxStreamWindow,
		InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window,
		MaxIncomingStreams: int64(streams), MaxIncomingUniStreams: maxUniStreams, RequireStreamCreditRelease: true,
		Allow0RTT: takesEarly(s),
	}
}

// takesEarly tells whether clients may send early data. Where they have to show
// certificates they may not: a session that was seen before would stand for one.
func takesEarly(s *snapshot.Listener) bool {
	if s.IR.Client.HTTP3 == nil || !s.IR.Client.HTTP3.EarlyData {
		return false
	}
	for _, section := range s.IR.Sections {
		if section.TLS != nil && section.TLS.ClientAuth != nil {
			return false
		}
	}
	return true
}

// tlsFor chooses by server name, among the certificates of now.
func (q *quicSide) tlsFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	config := q.l.quicTLS.Load()
	if config == nil {
		return nil, errors.New("HTTP/3 was switched off")
	}
	return config.GetConfigForClient(hello)
}

// retry tells whether a client has to prove its address first.
func (q *quicSide) retry(net.Addr) bool {
	if q.handshaking.Load() < retryFrom {
		return false
	}
	q.l.Current().Metrics.HTTP3(metric.HTTP3Retried)
	return true
}

var errRefused = errors.New("listen: the connection is refused")

// arrival is a connection whose handshake may be under way.
type arrival struct {
	q     *quicSide
	s     *snapshot.Listener
	began time.Time
	shook atomic.Bool // its handshake is over
}

type arrivalKey struct{}

// admit takes a new connection, unless there are too many.
func (q *quicSide) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	s := q.l.Current()
	if !q.count(1) {
		s.Metrics.Rejected(metric.RejectDraining)
		return nil, errRefused
	}
	n := q.l.active.Add(1)
	limit := s.IR.Client.MaxConnections
	if limit > 0 && n > int64(limit) || q.handshaking.Load() >= maxHandshakes {
		q.l.active.Add(-1)
		q.count(-1)
		s.Metrics.Rejected(metric.RejectConnectionLimit)
		return nil, errRefused
	}
	a := &arrival{q: q, s: s, began: time.Now()}
	q.handshaking.Add(1)
	s.Metrics.Accepted()
	context.AfterFunc(ctx, func() { a.over(context.Cause(ctx)) })
	return context.WithValue(ctx, arrivalKey{}, a), nil
}

// count counts connections; it is false for one that comes during a drain.
func (q *quicSide) count(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > 0 && q.refusing {
		return false
	}
	q.alive += n
	if q.alive == 0 && q.refusing {
		close(q.empty)
	}
	return true
}

// shake notes the end of the handshake; it is false if there was one before.
func (a *arrival) shake() bool {
	if a.shook.Swap(true) {
		return false
	}
	a.q.handshaking.Add(-1)
	return true
}

// over notes that the connection is closed.
func (a *arrival) over(err error) {
	if a.shake() {
		a.s.Metrics.HandshakeFailed(quicFailure(err))
		a.q.l.log.Debug("QUIC handshake failed", "listener", a.q.l.name, "error", err)
	}
	a.s.Metrics.Closed()
	a.q.l.active.Add(-1)
	a.q.count(-1)
}

// quicFailure sorts errors of handshakes for metrics.
func quicFailure(err error) metric.HandshakeFailure {
	var transport *quic.TransportError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return metric.HandshakeTimeout
	case errors.As(err, &transport) && transport.ErrorCode.IsCryptoError():
		if transport.Remote {
			return metric.HandshakeClientGone
		}
		switch alert := uint8(transport.ErrorCode); alert {
		case 42, 46, 48, 116: // of certificates (RFC 8446 §6)
			return metric.HandshakeCertificate
		}
	case errors.As(err, &transport) && transport.Remote:
		return metric.HandshakeClientGone
	}
	return metric.HandshakeProtocol
}

// accept serves connections until the side is closed.
func (q *quicSide) accept() {
	for {
		conn, err := q.accepting.Accept(context.Background())
		if err != nil {
			return
		}
		q.serving.Go(func() { q.serve(conn) })
	}
}

// serve serves one connection.
func (q *quicSide) serve(conn *quic.Conn) {
	a := conn.Context().Value(arrivalKey{}).(*arrival)
	early := conn.ConnectionState().Used0RTT && takesEarly(a.s)
	if !early && !a.await(conn) {
		return
	}
	var host http3.Host = q.l
	if a.s.Secure != a.s {
		host = secureSide{q.l}
	}
	c := http3.New(conn, host, q.l.pipeline, a.s.Door, early)
	if !q.add(c) {
		c.Kill()
		return
	}
	defer q.remove(c)
	if early {
		q.serving.Go(func() { a.await(conn) })
	}
	c.Serve()
}

// await waits for the end of the handshake. It is false if it has failed.
func (a *arrival) await(conn *quic.Conn) bool {
	select {
	case <-conn.HandshakeComplete():
	case <-conn.Context().Done():
	}
	if conn.Context().Err() != nil || !a.shake() {
		return false
	}
	state := conn.ConnectionState().TLS
	a.s.Metrics.Handshake(state.Version, state.DidResume, time.Since(a.began))
	// Only now is the address the client's own.
	place, ok := a.q.l.clients.Enter(conn.RemoteAddr().(*net.UDPAddr).AddrPort().Addr(), a.began)
	if !ok {
		a.s.Metrics.Rejected(metric.RejectClientLimit)
		_ = conn.CloseWithError(quic.ApplicationErrorCode(h3.ExcessiveLoad), "")
		return false
	}
	context.AfterFunc(conn.Context(), place.Leave)
	return true
}

func (q *quicSide) add(c *http3.Conn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.conns[c] = struct{}{}
	if q.ending {
		c.EndIdle()
	} else if q.draining.Load() {
		c.LeaveSoon()
	}
	return true
}

func (q *quicSide) remove(c *http3.Conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.conns, c)
}

func (q *quicSide) each(f func(*http3.Conn)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c := range q.conns {
		f(c)
	}
}

// checkBuffers warns of buffers that lose datagrams under load. The library has
// asked for as much as it is allowed.
func (q *quicSide) checkBuffers() {
	for _, b := range []struct {
		name, sysctl string
		option       int
	}{{"receive", "net.core.rmem_max", syscall.SO_RCVBUF}, {"send", "net.core.wmem_max", syscall.SO_SNDBUF}} {
		if n, err := netx.BufferSize(q.socket, b.option); err == nil && n < leastBuffer {
			q.l.log.Warn("the UDP "+b.name+" buffer is small: HTTP/3 will lose packets under load",
				"listener", q.l.name, "bytes", n, "wanted", leastBuffer, "remedy", fmt.Sprintf("sysctl -w %s=%d", b.sysctl, wantedBuffer))
		}
	}
}

const (
	leastBuffer  = 2 << 20
	wantedBuffer = 7500000
)
