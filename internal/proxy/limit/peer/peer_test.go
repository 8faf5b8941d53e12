package peer_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit/peer"
)

var addr = netip.MustParseAddr

func TestConnections(t *testing.T) {
	var l peer.Limiter
	now := time.Now()
	if _, ok := l.Enter(addr("192.0.2.1"), now); !ok {
		t.Error("refused without a limit")
	}
	l.Configure(&ir.ClientShare{Connections: 2, IPv4Bits: 32, IPv6Bits: 64}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	enter := func(client string, want bool) peer.Place {
		t.Helper()
		p, ok := l.Enter(addr(client), now)
		if ok != want {
			t.Errorf("%s: %t, want %t", client, ok, want)
		}
		return p
	}
	first := enter("192.0.2.1", true)
	enter("192.0.2.1", true)
	enter("192.0.2.1", false)
	enter("::ffff:192.0.2.1", false)
	enter("192.0.2.2", true)
	first.Leave()
	first.Leave() // once is enough
	enter("192.0.2.1", true)
	enter("192.0.2.1", false)
	enter("2001:db8::1", true)
	enter("2001:db8::2", true)
	enter("2001:db8::3%eth0", false)
	enter("2001:db8:0:1::1", true)
	for range 5 {
		enter("10.1.2.3", true)
	}
	// More is allowed, and who is there stays counted.
	l.Configure(&ir.ClientShare{Connections: 3, IPv4Bits: 32, IPv6Bits: 64}, nil)
	enter("192.0.2.1", true)
	enter("192.0.2.1", false)
	l.Configure(nil, nil)
	enter("192.0.2.1", true)
}

func TestArrivals(t *testing.T) {
	var l peer.Limiter
	l.Configure(&ir.ClientShare{New: &ir.Rate{Units: 1, Period: time.Second, Burst: 3}, IPv4Bits: 24, IPv6Bits: 64}, nil)
	now := time.Now()
	for i, want := range []bool{true, true, true, false, false} {
		if _, ok := l.Enter(addr("192.0.2.1").Next(), now); ok != want {
			t.Errorf("arrival %d: %t", i, ok)
		}
	}
	if _, ok := l.Enter(addr("192.0.3.1"), now); !ok {
		t.Error("another network is refused")
	}
	now = now.Add(time.Second)
	for i, want := range []bool{true, false} {
		if _, ok := l.Enter(addr("192.0.2.200"), now); ok != want {
			t.Errorf("arrival %d after a second: %t", i, ok)
		}
	}
}

// However many come and go at once, no more are in than may be.
func TestConcurrentConnections(t *testing.T) {
	var l peer.Limiter
	l.Configure(&ir.ClientShare{Connections: 4, IPv4Bits: 32, IPv6Bits: 64}, nil)
	var in, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				p, ok := l.Enter(addr("192.0.2.1"), time.Now())
				if !ok {
					continue
				}
				if n := in.Add(1); n > most.Load() {
					most.Store(n)
				}
				in.Add(-1)
				p.Leave()
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > 4 {
		t.Errorf("%d at once", n)
	}
	for i := range 5 {
		if _, ok := l.Enter(addr("192.0.2.1"), time.Now()); ok != (i < 4) {
			t.Errorf("connection %d after all have left: %t", i, ok)
		}
	}
}

func BenchmarkEnter(b *testing.B) {
	var l peer.Limiter
	l.Configure(&ir.ClientShare{Connections: 4, New: &ir.Rate{Units: 1_000_000, Period: time.Second, Burst: 1_000_000}, IPv4Bits: 32, IPv6Bits: 64}, nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, _ := l.Enter(addr("192.0.2.1"), now)
		p.Leave()
	}
}
