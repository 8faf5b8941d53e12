package upstream_test

import (
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// newLoopSet is newSet with connections that belong to event loops.
func newLoopSet(t *testing.T, clusters ...*ir.Cluster) *upstream.Set {
	t.Helper()
	g, err := loop.NewGroup(2)
	if err != nil {
		t.Fatal(err)
	}
	s := upstream.New(upstream.Options{Loops: g})
	t.Cleanup(func() {
		s.Close()
		g.Close()
	})
	if err := s.Apply(clusters); err != nil {
		t.Fatal(err)
	}
	return s
}

// What the endpoint closes while it is idle is closed here too, without anybody
// asking for it, and its place in the limit is free.
func TestConnectionsThatEndWhileIdle(t *testing.T) {
	s := newEcho(t)
	cfg := cluster(s.address)
	cfg.Breaker = &ir.Breaker{MaxConnections: 3, MaxPending: 3}
	c := newLoopSet(t, cfg).Cluster(cfg.Name)
	e := pick(t, c, upstream.Query{})
	for range 3 {
		var conns []*netx.Conn
		for range 3 {
			conn, reused := connect(t, e)
			if reused {
				t.Error("an ended connection was handed out")
			}
			roundTrip(t, conn)
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			e.Put(conn)
		}
		if snap := c.Snapshot(); snap.Idle != 3 || snap.Connections != 3 {
			t.Fatalf("%+v", snap)
		}
		s.closeConns()
		eventually(t, "the connections are closed", func() bool {
			snap := c.Snapshot()
			return snap.Idle == 0 && snap.Connections == 0
		})
	}
}

// One that ends while it is in use is its user's, until it is given back; one
// that has moved to a rebuilt cluster counts there.
func TestConnectionsThatEndElsewhere(t *testing.T) {
	s := newEcho(t)
	set := newLoopSet(t, cluster(s.address))
	c := set.Cluster("Backend/default/test")
	e := pick(t, c, upstream.Query{})
	used, _ := connect(t, e)
	moved, _ := connect(t, e)
	roundTrip(t, used)
	roundTrip(t, moved)
	e.Put(moved)
	changed := cluster(s.address)
	changed.Hash, changed.Balance.Algorithm = 2, ir.LeastRequest
	if err := set.Apply([]*ir.Cluster{changed}); err != nil {
		t.Fatal(err)
	}
	next := set.Cluster("Backend/default/test")
	if snap := next.Snapshot(); snap.Idle != 1 {
		t.Fatalf("%+v", snap)
	}
	s.closeConns()
	eventually(t, "the idle one is closed", func() bool { return next.Snapshot().Connections == 0 })
	eventually(t, "the other one's end is known", used.Ended)
	if n := c.Snapshot().Connections; n != 1 {
		t.Errorf("%d connections of the old cluster", n)
	}
	e.Put(used)
	if a, b := c.Snapshot().Connections, next.Snapshot(); a != 0 || b.Connections != 0 || b.Idle != 0 {
		t.Errorf("left: %d, %+v", a, b)
	}
}

// Ends race with everything else that is done to idle connections.
func TestEndsRaceWithUse(t *testing.T) {
	s := newEcho(t)
	cfg := cluster(s.address)
	cfg.Breaker = &ir.Breaker{MaxConnections: 4, MaxPending: 64}
	c := newLoopSet(t, cfg).Cluster(cfg.Name)
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			e, err := c.Pick(&upstream.Query{})
			if err != nil {
				t.Error(err)
				return
			}
			for range 300 {
				conn, _, err := e.Connect(soon())
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetReadBy(soon())
				var b [4]byte
				_, err = conn.Write([]byte("ping"))
				if err == nil {
					_, err = conn.Read(b[:])
				}
				if err != nil {
					e.Drop(conn)
				} else {
					e.Put(conn)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		users.Wait()
		close(done)
	}()
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
			s.closeConns()
		}
	}
	s.closeConns()
	eventually(t, "nothing is left", func() bool {
		snap := c.Snapshot()
		return snap.Connections == 0 && snap.Idle == 0 && snap.Pending == 0
	})
}
