package upstream_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/netx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets.
type echo struct {
	address  string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	wg       sync.WaitGroup
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &echo{address: ln.Addr().String(), listener: ln}
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.closeConns()
		s.wg.Wait()
	})
	return s
}

func (s *echo) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *echo) closeConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

func newSet(t *testing.T, clusters ...*ir.Cluster) *upstream.Set {
	t.Helper()
	s := upstream.New(upstream.Options{})
	t.Cleanup(s.Close)
	if err := s.Apply(clusters); err != nil {
		t.Fatal(err)
	}
	return s
}

func cluster(addresses ...string) *ir.Cluster {
	c := &ir.Cluster{Name: "Backend/default/test", Protocol: ir.HTTP, ConnectTimeout: 10 * time.Second, Hash: 1}
	for _, a := range addresses {
		c.Endpoints = append(c.Endpoints, ir.Endpoint{Address: a, Weight: 1})
	}
	return c
}

func pick(t *testing.T, c *upstream.Cluster, q upstream.Query) *upstream.Endpoint {
	t.Helper()
	e, err := c.Pick(&q)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// soon is a deadline that a passing test never meets.
func soon() int64 { return netx.After(30 * time.Second) }

// eventually polls for what another goroutine is about to do.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if cond() {
			return
		}
	}
	t.Fatal("did not happen: " + what)
}

func roundTrip(t *testing.T, conn *netx.Conn) {
	t.Helper()
	conn.SetReadBy(soon())
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreReusedLastInFirstOut(t *testing.T) {
	s := newEcho(t)
	c := newSet(t, cluster(s.address)).Cluster("Backend/default/test")
	e := pick(t, c, upstream.Query{})
	var conns []*netx.Conn
	for range 3 {
		conn, reused, err := e.Connect(soon())
		if err != nil || reused {
			t.Fatal(conn, reused, err)
		}
		roundTrip(t, conn)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		e.Put(conn)
	}
	for _, want := range slices.Backward(conns) {
		got, reused, err := e.Connect(soon())
		if got != want || !reused || err != nil {
			t.Fatal("not the last connection that was put back", reused, err)
		}
		roundTrip(t, got)
	}
	if n := c.Snapshot().Connections; n != 3 {
		t.Fatal("connections", n)
	}
	for _, conn := range conns {
		e.Drop(conn)
	}
	c.Done(e, upstream.Outcome{Status: 200, Latency: time.Millisecond})
	if snap := c.Snapshot(); snap.Connections != 0 || snap.Endpoints[0].Active != 0 || snap.Endpoints[0].Tries != 1 {
		t.Fatalf("%+v", snap)
	}
}

func TestRefusedConnectionSaysSo(t *testing.T) {
	s := newEcho(t)
	_ = s.listener.Close()
	c := newSet(t, cluster(s.address)).Cluster("Backend/default/test")
	e := pick(t, c, upstream.Query{})
	_, _, err := e.Connect(soon())
	var ce *upstream.ConnectError
	if !errors.As(err, &ce) || ce.Kind != upstream.ConnectFailure || ce.Address != s.address {
		t.Fatal(err)
	}
	if n := c.Snapshot().Connections; n != 0 {
		t.Fatal("slot leaked:", n)
	}
	c.Done(e, upstream.Outcome{Kind: ce.Kind})
}

func TestRoundRobinAndAvoid(t *testing.T) {
	c := newSet(t, cluster("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")).Cluster("Backend/default/test")
	seen := map[string]int{}
	for range 300 {
		seen[pick(t, c, upstream.Query{}).Address()]++
	}
	for a, n := range seen {
		if n != 100 {
			t.Fatal(a, n)
		}
	}
	first := pick(t, c, upstream.Query{})
	for range 50 {
		if e := pick(t, c, upstream.Query{Avoid: []*upstream.Endpoint{first}}); e == first {
			t.Fatal("avoided endpoint picked although there are others")
		}
	}
	total := 0
	for _, e := range c.Snapshot().Endpoints {
		total += e.Active
	}
	if total != 351 {
		t.Fatal("picks that were turned down are still counted active:", total)
	}
}

func TestApplyKeepsUnchangedClusters(t *testing.T) {
	s := newEcho(t)
	set := newSet(t, cluster(s.address))
	c := set.Cluster("Backend/default/test")
	e := pick(t, c, upstream.Query{})
	conn, _, err := e.Connect(soon())
	if err != nil {
		t.Fatal(err)
	}
	e.Put(conn)
	if err := set.Apply([]*ir.Cluster{cluster(s.address, "127.0.0.1:9")}); err != nil {
		t.Fatal(err)
	}
	if set.Cluster("Backend/default/test") != c {
		t.Fatal("a cluster with the same hash was rebuilt")
	}
	if got, reused, _ := e.Connect(soon()); got != conn || !reused {
		t.Fatal("connection lost")
	}
	// A change of settings builds the cluster anew; the connection moves over
	// although it is in use now.
	changed := cluster(s.address)
	changed.Hash, changed.Balance.Algorithm = 2, ir.LeastRequest
	if err := set.Apply([]*ir.Cluster{changed}); err != nil {
		t.Fatal(err)
	}
	c2 := set.Cluster("Backend/default/test")
	if c2 == c {
		t.Fatal("a changed cluster was kept")
	}
	roundTrip(t, conn)
	e.Put(conn)
	e2 := pick(t, c2, upstream.Query{})
	if got, reused, _ := e2.Connect(soon()); got != conn || !reused {
		t.Fatal("the rebuilt cluster did not take over the connection")
	}
	// One that is gone closes its connections as they become free.
	if err := set.Apply(nil); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, conn)
	e2.Put(conn)
	if n := c2.Snapshot().Connections + c.Snapshot().Connections; n != 0 {
		t.Fatal("connections left:", n)
	}
	if e3, err := c2.Pick(&upstream.Query{}); err != nil || e3 != e2 {
		t.Fatal("a retired cluster must go on serving who holds it", err)
	}
}

func TestNoEndpoint(t *testing.T) {
	c := newSet(t, cluster()).Cluster("Backend/default/test")
	if _, err := c.Pick(&upstream.Query{}); !errors.Is(err, upstream.ErrNoHealthyEndpoint) {
		t.Fatal(err)
	}
}

func TestBeginLimit(t *testing.T) {
	cfg := cluster("127.0.0.1:1")
	cfg.Breaker = &ir.Breaker{MaxRequests: 2, MaxRetries: 1}
	c := newSet(t, cfg).Cluster(cfg.Name)
	if c.Begin(0) != nil || c.Begin(0) != nil || !errors.Is(c.Begin(0), upstream.ErrOverload) {
		t.Fatal("limit on requests")
	}
	c.End()
	if c.Begin(0) != nil {
		t.Fatal("a request that ended left its place taken")
	}
	if !c.AllowRetry() || c.AllowRetry() {
		t.Fatal("limit on retries")
	}
	c.RetryDone()
	if !c.AllowRetry() {
		t.Fatal("a retry that ended left its place taken")
	}
}

func BenchmarkPick(b *testing.B) {
	for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.PeakEWMA, ir.Random, ir.RingHash, ir.Maglev} {
		for _, n := range []int{3, 10000} {
			b.Run(string(alg)+"/"+strconv.Itoa(n), func(b *testing.B) {
				s := upstream.New(upstream.Options{})
				defer s.Close()
				cfg := cluster()
				cfg.Balance.Algorithm = alg
				for i := range n {
					cfg.Endpoints = append(cfg.Endpoints, ir.Endpoint{Address: "10.0.0.1:" + strconv.Itoa(i+1), Weight: uint32(1 + i%5)})
				}
				if err := s.Apply([]*ir.Cluster{cfg}); err != nil {
					b.Fatal(err)
				}
				c := s.Cluster(cfg.Name)
				b.ReportAllocs()
				h := uint64(1)
				now := netx.Monotonic()
				for b.Loop() {
					h = h*6364136223846793005 + 1
					e, _ := c.Pick(&upstream.Query{Hash: h, HasHash: true, Now: now})
					c.Done(e, upstream.Outcome{Kind: upstream.Cancelled})
				}
			})
		}
	}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
