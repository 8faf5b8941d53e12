package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/proxy/upstream/outlier"
	"github.com/gridway/gridway/internal/proxy/upstream/pool"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/proxyproto"
)

// Endpoint is one address of a running cluster.
type Endpoint struct {
	node    lb.Node
	cluster *Cluster
	address string
	name    string
	mesh    meshPeer
	hash    uint64
	host    outlier.Host
	idle    pool.Stack
	shared  *sharedConns

	hostname        atomic.Pointer[string] // nil for none
	tries, failures atomic.Uint64
	checked         atomic.Bool // by an active health check
	// successor is the endpoint that took over from this one when its cluster
	// was rebuilt with the same transport.
	successor atomic.Pointer[Endpoint]
	gone      atomic.Bool // its cluster ended, and none that followed has its address

	// Guarded by Cluster.mu.
	spec   ir.Endpoint
	since  int64 // start of slow start
	listed int   // place in the list that the cluster was given last
	round  uint64
}

// idleConn keeps the signature of findIdle short.
type idleConn = *netx.Conn

// Address is "IP:PORT", "[IPv6]:PORT" or "unix:PATH".
func (e *Endpoint) Address() string { return e.address }

// Name tells the endpoint from others of its cluster: the address, with "/SERVERNAME"
// appended in the mesh.
func (e *Endpoint) Name() string { return e.name }

// Hostname is the DNS name that the address came from, or empty.
func (e *Endpoint) Hostname() string {
	if name := e.hostname.Load(); name != nil {
		return *name
	}
	return ""
}

// Cluster is the cluster that the endpoint belongs to.
func (e *Endpoint) Cluster() *Cluster { return e.cluster }

// Connect returns a pooled or a new connection, until the monotonic time by.
// The caller gives it back with Put or Drop.
func (e *Endpoint) Connect(by int64) (conn *netx.Conn, reused bool, err error) {
	return e.ConnectWith(&Ask{By: by})
}

// ConnectChecked is Connect for an exchange that cannot be tried again.
func (e *Endpoint) ConnectChecked(by int64) (conn *netx.Conn, reused bool, err error) {
	return e.ConnectWith(&Ask{By: by, Checked: true})
}

// ConnectFresh never takes a pooled connection: for the retry after one turned out stale.
func (e *Endpoint) ConnectFresh(by int64) (*netx.Conn, error) {
	conn, _, err := e.ConnectWith(&Ask{By: by, Fresh: true})
	return conn, err
}

// ConnectWith is Connect with everything that can be asked for.
func (e *Endpoint) ConnectWith(a *Ask) (conn *netx.Conn, reused bool, err error) {
	c := e.cluster
	now := orNow(a.Now)
	if !a.Fresh {
		if conn := e.pop(now, a); conn != nil {
			c.metrics.Reused()
			return conn, true, nil
		}
	}
	by := a.By
	if by == 0 {
		by = now + int64(c.connectTimeout())
	}
	if conn, err := c.acquireSlot(e, a, by); conn != nil || err != nil {
		return conn, conn != nil, err
	}
	conn, err = e.dial(a, by)
	c.metrics.Connected(time.Duration(netx.Monotonic()-now), err)
	if err != nil {
		c.slots.Release()
		return nil, false, err
	}
	conn.Life = netx.Life{Opened: now, Uses: 1}
	e.watch(conn)
	return conn, false, nil
}

// pop takes an idle connection that can still be used.
func (e *Endpoint) pop(now int64, a *Ask) *netx.Conn {
	for {
		conn, ok := e.idle.PopFor(a.Task.Home(), &e.cluster.rules, now)
		if conn == nil {
			return nil
		}
		if ok && !conn.Ended() && !(a.Checked && conn.Stale()) {
			conn.Life.Uses++
			return conn
		}
		e.Drop(conn)
	}
}

// acquireSlot counts the connection to be made against the cluster's limit; it
// may return one that somebody else gave back.
func (c *Cluster) acquireSlot(e *Endpoint, a *Ask, by int64) (*netx.Conn, error) {
	if !c.slots.Limited() {
		_, err := c.slots.Acquire(nil)
		return nil, err
	}
	conn, err := c.slots.Acquire(&pool.Wait{Stack: &e.idle, By: by, Gone: a.Gone, Idle: c.findIdle, Task: a.Task})
	switch {
	case errors.Is(err, pool.ErrFull):
		c.overloaded(EventOverloadPending)
		return nil, fmt.Errorf("%w: %w", ErrOverload, err)
	case err != nil:
		if errors.Is(err, pool.ErrDeadline) {
			c.overloaded(EventOverloadConnections)
		}
		return nil, fmt.Errorf("%w: %w", ErrOverload, err)
	case conn == nil:
		return nil, nil
	case a.Fresh || a.Checked && conn.Stale():
		_ = conn.Close() // its slot is ours
		return nil, nil
	}
	conn.Life.Uses++
	c.metrics.Reused()
	return conn, nil
}

func (c *Cluster) connectTimeout() time.Duration {
	if d := c.cfg.Load().ConnectTimeout; d > 0 {
		return d
	}
	return 10 * time.Second
}

func (e *Endpoint) dial(a *Ask, by int64) (*netx.Conn, error) {
	var config *tls.Config
	if e.cluster.tls != nil {
		config = e.tlsConfig()
	}
	return e.dialTo(context.Background(), e.address, config, a, by)
}

// dialTo makes a connection: TCP, then the PROXY header, then TLS unless config
// is nil, all within the connect timeout.
func (e *Endpoint) dialTo(ctx context.Context, address string, config *tls.Config, a *Ask, by int64) (*netx.Conn, error) {
	c := e.cluster
	by = min(by, netx.Monotonic()+int64(c.connectTimeout()))
	fail := func(kind OutcomeKind, err error) error {
		if by == a.By && netx.IsTimeout(err) {
			kind = Timeout
		}
		return &ConnectError{Address: address, Kind: kind, Err: err}
	}
	conn, err := netx.Dial(ctx, address, netx.DialOptions{
		By: by, KeepAlive: c.rules.KeepAlive, Group: c.set.opts.Loops, Task: a.Task, Gone: a.Gone, Mark: c.set.opts.Mark,
	})
	switch {
	case errors.Is(err, netx.ErrWatchGone):
		return nil, fail(Cancelled, err)
	case err != nil:
		return nil, fail(ConnectFailure, err)
	}
	if version := c.cfg.Load().ProxyProtocol; version != 0 && !e.InMesh() {
		if err := sendProxyHeader(conn, version, a, by); err != nil {
			_ = conn.Abort()
			return nil, fail(ConnectFailure, err)
		}
	}
	if config == nil {
		return conn, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Abort() })
	err = conn.HandshakeClient(config, by)
	if stop(); err != nil {
		_ = conn.Abort()
		return nil, fail(TLSFailure, err)
	}
	return conn, nil
}

// sendProxyHeader names the client; without one (a health check) the header
// says that the proxy speaks for itself.
func sendProxyHeader(conn *netx.Conn, version int, a *Ask, by int64) error {
	var header []byte
	if version == 1 {
		header = proxyproto.AppendV1(nil, a.Source, a.Destination)
	} else {
		header = proxyproto.AppendV2(nil, a.Source, a.Destination)
	}
	conn.SetWriteBy(by)
	defer conn.SetWriteBy(0)
	_, err := conn.Write(header)
	return err
}

// tlsConfig names the endpoint's own host when the cluster names none.
func (e *Endpoint) tlsConfig() *tls.Config {
	t := e.cluster.tls
	if host := e.Hostname(); t.ServerName == "" && host != "" {
		t = t.Clone()
		t.ServerName = host
	}
	return t
}

// Put gives a connection back for the next exchange. The response on it was
// read to its end.
func (e *Endpoint) Put(conn *netx.Conn) { e.PutAt(conn, netx.Monotonic()) }

// PutAt is Put for a caller that has the monotonic time at hand.
func (e *Endpoint) PutAt(conn *netx.Conn, now int64) {
	c := e.cluster
	if next := e.successor.Load(); next != nil {
		conn.Bind(nil)
		if next.adopt(conn) {
			c.slots.Release()
		} else {
			e.Drop(conn)
		}
		return
	}
	conn.Bind(nil)
	conn.SetWatch(nil)
	conn.SetReadBy(0)
	conn.SetWriteBy(0)
	if !e.keep(conn, now) {
		return
	}
	if c.slots.Waiting() > 0 {
		e.offer(now)
	}
	if !c.reaping.Load() && c.reaping.CompareAndSwap(false, true) {
		c.set.keeper.schedule(c, now+int64(c.reapEvery()))
	}
}

// offer gives an idle connection to who waits for one.
func (e *Endpoint) offer(now int64) {
	c := e.cluster
	conn, ok := e.idle.Pop(&c.rules, now)
	if conn == nil {
		return
	}
	if !ok {
		e.Drop(conn)
		return
	}
	taken, closeIt := c.slots.Offer(conn, &e.idle)
	switch {
	case closeIt:
		_ = conn.Close()
	case !taken:
		e.keep(conn, now)
	}
}

// Drop closes a connection that cannot be used again.
func (e *Endpoint) Drop(conn *netx.Conn) {
	_ = conn.Close()
	e.cluster.slots.Release()
}

// adopt takes over an idle connection of the endpoint that this one replaced.
func (e *Endpoint) adopt(conn *netx.Conn) bool {
	c := e.cluster
	if !c.slots.Adopt() {
		return false
	}
	e.watch(conn)
	e.Put(conn)
	return true
}

// idleAnywhere finds an idle connection for a caller that must wait: one of
// its own endpoint, otherwise any other's, which it will close.
func (c *Cluster) idleAnywhere(prefer *pool.Stack) (conn *netx.Conn, own bool) {
	now := netx.Monotonic()
	if conn, ok := prefer.Pop(&c.rules, now); conn != nil {
		return conn, ok
	}
	for _, e := range c.view.Load().endpoints {
		if conn, _ := e.idle.Pop(&c.rules, now); conn != nil {
			return conn, false
		}
	}
	return nil, false
}
