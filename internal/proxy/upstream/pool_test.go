package upstream_test

import (
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

func connect(t *testing.T, e *upstream.Endpoint) (*netx.Conn, bool) {
	t.Helper()
	conn, reused, err := e.Connect(soon())
	if err != nil {
		t.Fatal(err)
	}
	return conn, reused
}

// one is the only endpoint's cluster, and the endpoint.
func one(t *testing.T, cfg *ir.Cluster) (*upstream.Cluster, *upstream.Endpoint) {
	t.Helper()
	c := newSet(t, cfg).Cluster(cfg.Name)
	return c, pick(t, c, upstream.Query{})
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	s := newEcho(t)
	cfg := cluster(s.address)
	cfg.Pool.IdleTimeout = 80 * time.Millisecond
	c, e := one(t, cfg)
	began := time.Now()
	a, _ := connect(t, e)
	b, _ := connect(t, e)
	e.Put(a)
	e.Put(b)
	eventually(t, "idle connections closed", func() bool { return c.Snapshot().Connections == 0 })
	if age := time.Since(began); age < 80*time.Millisecond {
		t.Error("closed after", age)
	}
	// The reaper starts again with the next idle connection.
	conn, reused := connect(t, e)
	if reused {
		t.Error("a closed connection was handed out")
	}
	e.Put(conn)
	eventually(t, "idle connection closed", func() bool { return c.Snapshot().Connections == 0 })
}

func TestPoolRules(t *testing.T) {
	s := newEcho(t)
	for _, c := range []struct {
		name string
		pool ir.Pool
		want bool // kept after the first exchange
	}{
		{"default", ir.Pool{}, true},
		{"off", ir.Pool{DisablePooling: true}, false},
		{"one request each", ir.Pool{MaxRequests: 1}, false},
		{"two requests each", ir.Pool{MaxRequests: 2}, true},
		{"too old", ir.Pool{MaxLifetime: 1}, false},
	} {
		cl, e := one(t, func() *ir.Cluster { cfg := cluster(s.address); cfg.Pool = c.pool; return cfg }())
		conn, _ := connect(t, e)
		roundTrip(t, conn)
		e.Put(conn)
		again, reused := connect(t, e)
		if reused != c.want {
			t.Errorf("%s: reused %v", c.name, reused)
		}
		e.Put(again)
		if c.pool.MaxRequests == 2 && cl.Snapshot().Idle != 0 {
			t.Errorf("%s: kept after the second", c.name)
		}
	}
	cfg := cluster(s.address)
	cfg.Pool.MaxIdle = 2
	c, e := one(t, cfg)
	var conns []*netx.Conn
	for range 5 {
		conn, _ := connect(t, e)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		e.Put(conn)
	}
	if snap := c.Snapshot(); snap.Idle != 2 || snap.Connections != 2 {
		t.Errorf("idle %d of 2, connections %d", snap.Idle, snap.Connections)
	}
}

func TestStaleConnectionIsNoticed(t *testing.T) {
	s := newEcho(t)
	c, e := one(t, cluster(s.address))
	conn, _ := connect(t, e)
	roundTrip(t, conn)
	e.Put(conn)
	s.closeConns()
	eventually(t, "the close arrives", conn.Gone)
	if got, reused, err := e.ConnectChecked(soon()); err != nil || reused || got == conn {
		t.Error("checked:", got == conn, reused, err)
	} else {
		roundTrip(t, got)
		e.Put(got)
	}
	fresh, err := e.ConnectFresh(soon())
	if err != nil {
		t.Fatal(err)
	}
	e.Drop(fresh)
	if snap := c.Snapshot(); snap.Connections != 1 || snap.Idle != 1 {
		t.Errorf("%+v", snap)
	}
}

func TestConnectionsOfLeavingEndpointsAreClosed(t *testing.T) {
	s := newEcho(t)
	cfg := cluster(s.address)
	set := newSet(t, cfg)
	c := set.Cluster(cfg.Name)
	e := pick(t, c, upstream.Query{})
	a, _ := connect(t, e)
	b, _ := connect(t, e)
	e.Put(a)
	if !set.Update(ir.EndpointUpdate{Cluster: cfg.Name, Endpoints: []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1}}}) {
		t.Fatal("no such cluster")
	}
	if n := c.Snapshot().Connections; n != 1 {
		t.Error("the idle connection should be closed, the other not:", n)
	}
	roundTrip(t, b)
	e.Put(b)
	if n := c.Snapshot().Connections; n != 0 {
		t.Error("connections left:", n)
	}
	c.Done(e, upstream.Outcome{Status: 200})
	if set.Update(ir.EndpointUpdate{Cluster: "nobody"}) {
		t.Error("updated a cluster that is not there")
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, e := one(t, cluster("unix:"+path))
	conn, _ := connect(t, e)
	e.Put(conn)
	if _, reused := connect(t, e); !reused {
		t.Error("not reused")
	}
	e.Drop(conn)
}

// limited is a cluster with a limit on connections.
func limited(connections, pending int, addresses ...string) *ir.Cluster {
	cfg := cluster(addresses...)
	cfg.Breaker = &ir.Breaker{MaxConnections: connections, MaxPending: pending}
	return cfg
}

func TestMaxConnectionsWaitInOrder(t *testing.T) {
	s := newEcho(t)
	c, e := one(t, limited(1, 3, s.address))
	held, _ := connect(t, e)
	type result struct {
		n    int
		conn *netx.Conn
		err  error
	}
	results := make(chan result)
	for n := range 3 {
		go func() {
			conn, _, err := e.Connect(soon())
			results <- result{n, conn, err}
		}()
		eventually(t, "in line", func() bool { return c.Snapshot().Pending == n+1 })
	}
	if _, _, err := e.Connect(soon()); !errors.Is(err, upstream.ErrOverload) {
		t.Error("beyond the limit on waiters:", err)
	}
	e.Put(held) // handed over
	first := <-results
	if first.n != 0 || first.conn != held || first.err != nil {
		t.Errorf("%+v, want the first in line with the connection that became free", first)
	}
	e.Drop(held) // the slot is handed over
	second := <-results
	if second.n != 1 || second.err != nil || second.conn == held {
		t.Errorf("%+v", second)
	}
	e.Put(second.conn)
	third := <-results
	if third.n != 2 || third.conn != second.conn {
		t.Errorf("%+v", third)
	}
	e.Put(third.conn)
	if snap := c.Snapshot(); snap.Connections != 1 || snap.Pending != 0 || snap.Idle != 1 {
		t.Errorf("%+v", snap)
	}
	if s.accepted() > 2 {
		t.Error("connections made:", s.accepted())
	}
}

func TestWaitingEnds(t *testing.T) {
	s := newEcho(t)
	c, e := one(t, limited(1, 0, s.address))
	held, _ := connect(t, e)
	began := time.Now()
	if _, _, err := e.Connect(netx.After(30 * time.Millisecond)); !errors.Is(err, upstream.ErrOverload) || time.Since(began) < 30*time.Millisecond {
		t.Error("deadline:", err, time.Since(began))
	}
	var gone atomic.Bool
	gone.Store(true)
	if _, _, err := e.ConnectWith(&upstream.Ask{By: soon(), Gone: gone.Load}); !errors.Is(err, upstream.ErrOverload) {
		t.Error("client left:", err)
	}
	e.Put(held)
	if got, reused := connect(t, e); got != held || !reused {
		t.Error("who gave up still takes what comes")
	}
	e.Drop(held)
	if snap := c.Snapshot(); snap.Connections != 0 || snap.Pending != 0 {
		t.Errorf("%+v", snap)
	}
}

// An idle connection to one endpoint does not keep another from being reached.
func TestIdleConnectionElsewhereGivesWay(t *testing.T) {
	a, b := newEcho(t), newEcho(t)
	cfg := limited(1, 5, a.address, b.address)
	c := newSet(t, cfg).Cluster(cfg.Name)
	ea, eb := pick(t, c, upstream.Query{}), pick(t, c, upstream.Query{})
	conn, _ := connect(t, ea)
	ea.Put(conn)
	other, reused := connect(t, eb)
	if reused || c.Snapshot().Connections != 1 {
		t.Error("reused", reused, "connections", c.Snapshot().Connections)
	}
	roundTrip(t, other)
	// And one that becomes idle while somebody waits for another endpoint.
	got := make(chan *netx.Conn)
	go func() {
		conn, _, _ := ea.Connect(soon())
		got <- conn
	}()
	eventually(t, "in line", func() bool { return c.Snapshot().Pending == 1 })
	eb.Put(other)
	conn = <-got
	roundTrip(t, conn)
	ea.Drop(conn)
	if snap := c.Snapshot(); snap.Connections != 0 {
		t.Errorf("%+v", snap)
	}
}

func TestManyWaitersShareFewConnections(t *testing.T) {
	a, b := newEcho(t), newEcho(t)
	cfg := limited(3, 0, a.address, b.address)
	cfg.Pool.IdleTimeout = 20 * time.Millisecond
	c := newSet(t, cfg).Cluster(cfg.Name)
	var wg sync.WaitGroup
	var open, most atomic.Int32
	for g := range 24 {
		wg.Go(func() {
			for i := range 60 {
				e, err := c.Pick(&upstream.Query{})
				if err != nil {
					t.Error(err)
					return
				}
				conn, _, err := e.Connect(soon())
				if err != nil {
					t.Error(err)
					return
				}
				n := open.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				open.Add(-1)
				if (g+i)%7 == 0 {
					e.Drop(conn)
				} else {
					e.Put(conn)
				}
				c.Done(e, upstream.Outcome{Status: 200})
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Error("connections in use at a time:", most.Load())
	}
	eventually(t, "all closed", func() bool { s := c.Snapshot(); return s.Connections == 0 && s.Pending == 0 })
	for _, e := range c.Snapshot().Endpoints {
		if e.Active != 0 {
			t.Error("active", e.Active)
		}
	}
}

func TestPooledExchangeAllocatesNothing(t *testing.T) {
	s := newEcho(t)
	for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.PeakEWMA, ir.Maglev} {
		cfg := cluster(s.address)
		cfg.Balance = ir.Balance{Algorithm: alg, BoundedLoad: 125}
		cfg.Breaker = &ir.Breaker{
			MaxConnections: 10, MaxRequests: 10, MaxRetries: 3,
			Failure: &ir.FailureRate{Percent: 50, MinRequests: 10, Window: time.Second, OpenFor: time.Second, HalfOpen: 1},
		}
		cfg.RetryBudget = &ir.RetryBudget{Percent: 20, MinPerSecond: 1e6, Window: time.Second}
		cfg.Outlier = &ir.Outlier{Consecutive5xx: 5, ConsecutiveGateway: 5}
		c := newSet(t, cfg).Cluster(cfg.Name)
		by := soon()
		if n := testing.AllocsPerRun(500, func() {
			if err := c.Begin(0); err != nil {
				t.Fatal(err)
			}
			q := upstream.Query{Hash: 5, HasHash: true}
			e, _ := c.Pick(&q)
			conn, _, err := e.Connect(by)
			if err != nil {
				t.Fatal(err)
			}
			e.Put(conn)
			c.Done(e, upstream.Outcome{Status: 200, Latency: time.Millisecond})
			if c.AllowRetry() {
				c.RetryDone()
			}
			c.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
	}
}

func TestProxyProtocol(t *testing.T) {
	for version, want := range map[int]string{1: "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n", 2: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x04\xd2\x00\x50"} {
		s := newEcho(t)
		cfg := cluster(s.address)
		cfg.ProxyProtocol = version
		_, e := one(t, cfg)
		conn, _, err := e.ConnectWith(&upstream.Ask{By: soon(), Source: addrPort("192.0.2.1:1234"), Destination: addrPort("192.0.2.2:80")})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		conn.SetReadBy(soon())
		for n := 0; n < len(got); {
			k, err := conn.Read(got[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		if string(got) != want {
			t.Errorf("version %d: %q", version, got)
		}
		e.Put(conn)
		if _, reused := connect(t, e); reused {
			t.Error("a connection that speaks for one client was reused for another")
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	s := upstream.New(upstream.Options{})
	defer s.Close()
	cfg := cluster(ln.Addr().String())
	if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
		b.Fatal(err)
	}
	c := s.Cluster(cfg.Name)
	by := soon()
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Begin(0)
		q := upstream.Query{}
		e, _ := c.Pick(&q)
		conn, _, err := e.Connect(by)
		if err != nil {
			b.Fatal(err)
		}
		e.Put(conn)
		c.Done(e, upstream.Outcome{Status: 200, Latency: time.Millisecond})
		c.End()
	}
}
