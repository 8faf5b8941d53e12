package upstream

import (
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/proxy/upstream/http2"
	"github.com/gridway/gridway/internal/proxy/upstream/http3"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Stream is one exchange with an endpoint, whatever protocol that speaks. One
// task may send the request while another receives the response.
type Stream interface {
	// Send sends the request's head and the first piece of its body; end says
	// that piece is all of it.
	Send(req *httpmsg.Request, piece []byte, end bool) error
	// SendBody sends a further piece; end closes the body, with a trailer
	// unless that is nil.
	SendBody(piece []byte, end bool, trailer *httpmsg.Header) error
	// ReadHead reads the next head, interim (1xx) or final.
	ReadHead(resp *httpmsg.Response) error
	// ReadBody returns the next piece of the response's body, valid until the
	// next call, and io.EOF with or after the last one.
	ReadBody() ([]byte, error)
	// Buffered tells whether ReadBody need not wait.
	Buffered() bool
	// Ended tells whether the whole response was read.
	Ended() bool
	// Received tells whether anything of a response has arrived.
	Received() bool
	// Unprocessed tells, after a failure, whether the endpoint has promised that
	// it did nothing with the request.
	Unprocessed() bool
	// Reusable tells whether both sides have said all they had to.
	Reusable() bool

	// Bind says which task sends and receives, nil for a goroutine; BindWrite
	// which one sends.
	Bind(t *loop.Task)
	BindWrite(t *loop.Task)
	// SetReadBy and SetWriteBy set monotonic deadlines, and SetWatch who is asked
	// whether the response still has a point.
	SetReadBy(t int64)
	SetWriteBy(t int64)
	SetWatch(w netx.Watcher)
	// Rebind tells where trailers go after the response was moved to resp.
	Rebind(resp *httpmsg.Response)

	// Cut ends the exchange at once: who sends or receives gets an error. Any
	// goroutine may call it.
	Cut()
	// Tunnel is the endpoint's side of a WebSocket, once the head that opens it
	// has come.
	Tunnel() websocket.Side
	// Conn is the connection if the exchange has it alone (HTTP/1), else nil.
	Conn() *netx.Conn
}

// Open begins an exchange with the endpoint: on first, if that is HTTP/1, with a
// connection of its own, else on a connection that it shares. reused says that
// the connection was used before. Close must follow.
func (e *Endpoint) Open(a *Ask, first *http1.Stream) (s Stream, reused bool, err error) {
	if e.shared != nil {
		return e.openShared(a)
	}
	cfg := e.cluster.cfg.Load()
	conn, reused, err := e.ConnectWith(a)
	if err != nil {
		return nil, false, err
	}
	first.Begin(conn, headerBytes(cfg.Pool.HeaderBytes), maxResponseHeaders)
	conn.Bind(a.Task)
	return first, reused, nil
}

const (
	defaultResponseHeaderBytes = 64 << 10
	maxResponseHeaders         = 512
)

func headerBytes(n int) int { return max(n, defaultResponseHeaderBytes) }

// Close ends an exchange at the monotonic time now. Unless it has come to its
// end on both sides, what it used is not used again.
func (e *Endpoint) Close(s Stream, whole bool, now int64) {
	switch shared := s.(type) {
	case *http2.Stream:
		conn := shared.Link()
		shared.End()
		e.shared.leave(conn)
		return
	case *http3.Stream:
		conn := shared.On()
		shared.End()
		e.shared.leave(conn)
		return
	}
	conn := s.Conn()
	conn.SetWatch(nil)
	if whole && s.Reusable() {
		e.PutAt(conn, now)
	} else {
		e.Drop(conn)
	}
	s.(*http1.Stream).End()
}

// openShared begins an exchange on a connection that has room for it.
func (e *Endpoint) openShared(a *Ask) (Stream, bool, error) {
	now := orNow(a.Now)
	by := a.By
	if by == 0 {
		by = now + int64(e.cluster.connectTimeout())
	}
	conn, reused, err := e.shared.take(e, a, by)
	if err != nil {
		return nil, false, err
	}
	if reused {
		e.cluster.metrics.Reused()
	}
	if h3, ok := conn.(*http3.Conn); ok {
		return h3.Open(a.Task), reused, nil
	}
	return conn.(*http2.Conn).Open(a.Task), reused, nil
}

// dialShared makes a connection, which the caller has counted.
func (e *Endpoint) dialShared(a *Ask, by int64) (sharedConn, error) {
	if e.cluster.cfg.Load().HTTP3 && !e.InMesh() {
		return e.dialQUIC(a, by)
	}
	return e.dialHTTP2(a, by)
}

func (e *Endpoint) dialHTTP2(a *Ask, by int64) (sharedConn, error) {
	c := e.cluster
	began := netx.Monotonic()
	var nc *netx.Conn
	var guarded *tlsx.Guarded
	var err error
	if e.InMesh() {
		nc, guarded, err = e.dialMesh(a, by)
	} else {
		nc, err = e.dial(a, by)
	}
	if err == nil && nc.IsTLS() && nc.TLSState().NegotiatedProtocol != "h2" {
		_ = nc.Abort()
		guarded.Leave()
		err = &ConnectError{Address: e.address, Kind: TLSFailure, Err: errNoHTTP2}
	}
	c.metrics.Connected(time.Duration(netx.Monotonic()-began), err)
	if err != nil {
		return nil, err
	}
	cfg := c.cfg.Load()
	conn := http2.New(nc, e.shared, http2.Options{
		HeaderBytes: headerBytes(cfg.Pool.HeaderBytes), HeaderCount: maxResponseHeaders,
		Idle: c.rules.IdleTimeout, Lifetime: c.rules.MaxLifetime, Requests: c.rules.MaxRequests,
		KeepAlive: cfg.Pool.HTTP2KeepAlive, Peer: guarded,
	})
	e.shared.begun(e, conn)
	conn.Start()
	conn.Settle(a.Task, by)
	if err := e.welcomed(conn); err != nil {
		return nil, err
	}
	return conn, nil
}

var errNoHTTP2 = errors.New("the endpoint does not take HTTP/2 by ALPN")

// errCrowded: the limit on connections is reached, and none has room.
var errCrowded = fmt.Errorf("%w: no connection has room, and no more may be made", ErrOverload)

var (
	_ Stream = (*http1.Stream)(nil)
	_ Stream = (*http2.Stream)(nil)
	_ Stream = (*http3.Stream)(nil)
)
