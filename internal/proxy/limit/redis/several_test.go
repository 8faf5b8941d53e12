package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

// TestCluster: limits of several policies are on several nodes, and count exactly
// all the same; what one refuses is charged to no other.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, 3)
	cfg := ir.RedisStore{Mode: ir.RedisCluster, Addresses: []string{nodes[1].Addr}}
	groups := []string{"default/a", "default/b", "default/c", "default/d", "default/e", "default/f"}
	wide := make([]*ir.RateLimit, len(groups))
	for i, g := range groups {
		wide[i] = rate("wide-"+g[8:], 1_000_000, 24*365*time.Hour, 1_000_000)
		wide[i].Global.Group = g
	}
	const amount = 100
	narrow := quota("narrow", amount)
	ask := func(p *proxy) []limit.Charge {
		charges := []limit.Charge{p.charge(narrow, "a", 1)}
		for _, l := range wide {
			charges = append(charges, p.charge(l, "a", 1))
		}
		return charges
	}
	var passed atomic.Int64
	var wg sync.WaitGroup
	proxies := []*proxy{open(t, cfg), open(t, cfg), open(t, cfg)}
	for _, p := range proxies {
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if p.take(t, ask(p)...) {
						passed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if passed.Load() != amount {
		t.Errorf("%d of %d passed", passed.Load(), amount)
	}
	for i, l := range wide {
		wait(t, "what was charged beside a refusal is given back: "+groups[i], func() bool { return proxies[0].used(t, l, "a") == amount })
	}
	spread := 0
	for _, n := range nodes {
		if n.Do("DBSIZE") != "0" {
			spread++
		}
	}
	if spread < 2 {
		t.Error("all policies are on one node")
	}
}

// TestSentinel: the master ends, its replica takes its place, and counting goes on
// from what it knew.
func TestSentinel(t *testing.T) {
	t.Parallel()
	sentinel, master, replica := redistest.StartSentinel(t, "limits")
	p := open(t, ir.RedisStore{Mode: ir.RedisSentinel, Addresses: []string{sentinel.Addr}, Master: "limits"})
	l := quota("l", 10)
	for range 4 {
		p.take(t, p.charge(l, "a", 1))
	}
	master.Do("WAIT", "1", "5000")
	master.Kill()
	wait(t, "the replica counts", func() bool {
		return p.Take([]limit.Charge{p.charge(l, "b", 1)}, time.Second) == nil
	})
	if n := p.used(t, l, "a"); n != 4 {
		t.Errorf("%d are used, and it was 4", n)
	}
	if role := replica.Do("ROLE"); role[:7] != "[master" {
		t.Errorf("it counts on a %s", role)
	}
}
