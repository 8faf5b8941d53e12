package lb

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
)

// Pick chooses a member, counts it active and returns its index, or -1 when
// there is none. The caller gives it back with Balancer.Release.
func (v *View) Pick(b *Balancer, q *Query) int {
	t := v.tier(b, q)
	if t == nil {
		return -1
	}
	if hashes(v.cfg.Balance.Algorithm) {
		if i := v.pickHash(b, t, q); i >= 0 {
			return i
		}
		return v.Any(b, nil)
	}
	g, turn := t.zone(b)
	if g.total == 0 {
		g, turn = t.usable, &b.turns[2*t.slot]
		if g.total == 0 {
			return v.Any(b, nil)
		}
	}
	// Health may have changed since the view was built: look again a few times.
	for range 4 {
		var at int
		switch v.cfg.Balance.Algorithm {
		case ir.LeastRequest:
			at = v.leastRequest(g)
		case ir.PeakEWMA:
			at = v.peakEWMA(g, q.Now)
		case ir.Random:
			at = g.draw()
		default:
			at = g.turn(turn.Add(1))
		}
		m := g.members[at]
		if n := v.members[m].Node; t.panic || n.State() == 0 {
			b.Acquire(n)
			return int(m)
		}
	}
	return v.Any(b, nil)
}

// Any looks through all members in order of priority, from a random place on,
// for one that is in use and that skip does not refuse. It is the slow way for
// what is rare: a view that is out of date, or a retry with few endpoints.
func (v *View) Any(b *Balancer, skip func(int) bool) int {
	for i := range v.tiers {
		t := &v.tiers[i]
		n := len(t.all)
		if n == 0 {
			continue
		}
		start := int(below(rand.Uint64(), uint64(n)))
		for k := range n {
			m := t.all[(start+k)%n]
			s := v.members[m].Node.State()
			if s&(Removed|Draining) != 0 || s != 0 && !t.panic || skip != nil && skip(int(m)) {
				continue
			}
			if v.members[m].Weight == 0 && v.weighted {
				continue
			}
			b.Acquire(v.members[m].Node)
			return int(m)
		}
	}
	return -1
}

// tier chooses the priority: by hash where there is one, so that a key stays
// where it is; otherwise by an evenly spread sequence.
func (v *View) tier(b *Balancer, q *Query) *tier {
	if v.single {
		return &v.tiers[0]
	}
	if len(v.tiers) == 0 {
		return nil
	}
	var x uint64
	if q.HasHash && hashes(v.cfg.Balance.Algorithm) {
		x = mix64(q.Hash^0x7469657273) >> 32
	} else {
		x = spread(b.tiers.Add(1))
	}
	for i := range v.tiers {
		if x < v.tiers[i].upto {
			return &v.tiers[i]
		}
	}
	return nil
}

// zone chooses between the endpoints of the own zone and the others.
func (t *tier) zone(b *Balancer) (g *weighted, turn *atomic.Uint64) {
	local, remote := &b.turns[2*t.slot], &b.turns[2*t.slot+1]
	switch {
	case t.local == nil:
		return t.usable, local
	case t.localShare == shareOne:
		return t.local, local
	case t.localShare == 0 || spread(b.zones[t.slot].Add(1)) >= t.localShare:
		return t.remote, remote
	}
	return t.local, local
}

// spread maps a counter to [0, shareOne) by steps of the golden ratio.
func spread(n uint64) uint64 { return n * 0x9E3779B97F4A7C15 >> 32 }

// leastRequest draws by weight and keeps the one with the fewest active tries
// per weight; a tie goes to the first, so an idle cluster is used by weight.
func (v *View) leastRequest(g *weighted) int {
	best := g.draw()
	n := len(g.members)
	if n == 1 {
		return best
	}
	load := int64(v.members[g.members[best]].Node.active.Load())
	for range v.cfg.Balance.Choices - 1 {
		at := g.drawOther(best)
		l := int64(v.members[g.members[at]].Node.active.Load())
		if g.ends == nil && l < load || g.ends != nil && l*int64(g.weights[best]) < load*int64(g.weights[at]) {
			best, load = at, l
		}
	}
	return best
}

// peakEWMA draws two by weight and keeps the one that is expected to answer
// first: its latency times the tries that are ahead, relative to its weight. A
// tie goes to the first, so that what is alike is used by weight.
func (v *View) peakEWMA(g *weighted, now int64) int {
	a := g.draw()
	if len(g.members) == 1 {
		return a
	}
	c := g.drawOther(a)
	latency, queue := v.expect(g, a, now)
	otherLatency, otherQueue := v.expect(g, c, now)
	if alike(latency, otherLatency) {
		latency = otherLatency
	}
	if otherLatency*otherQueue < latency*queue {
		return c
	}
	return a
}

const (
	// unmeasured is the latency, in ns, assumed for an endpoint that has work but
	// no answer yet: one probe is free, more wait until it is known.
	unmeasured = 1e9
	// Peaks of equal endpoints differ by chance: those below shortest, and those
	// within a factor of similar, say nothing.
	shortest = 1e6
	similar  = 2
)

// expect is a member's latency in ns, and how much of it a new try takes.
func (v *View) expect(g *weighted, at int, now int64) (latency, queue float64) {
	n := v.members[g.members[at]].Node
	active := float64(n.active.Load())
	latency = decayed(n.latency.Load(), now, v.cfg.Balance.Decay)
	if latency == 0 && active > 0 {
		latency = unmeasured
	}
	return latency, 1 + active*g.mean/float64(g.weightAt(at))
}

// alike tells whether two latencies are no reason to prefer one.
func alike(a, b float64) bool {
	if a == 0 || b == 0 { // one was not measured
		return a == b
	}
	a, b = max(a, shortest), max(b, shortest)
	return a < similar*b && b < similar*a
}

// weightAt is the weight at a position.
func (w *weighted) weightAt(at int) uint64 {
	if w.ends == nil {
		return 1
	}
	return w.weights[at]
}

// mix64 is a bijective finaliser: every input bit moves every output bit.
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
