package lb

import (
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/ir"
)

// HashKey places a string on rings and in tables. It has no random seed, so
// that all proxies, and a proxy after a restart, agree.
func HashKey(s string) uint64 { return xxhash.Sum64String(s) }

// HashBytes hashes a key of a request.
func HashBytes(b []byte) uint64 { return xxhash.Sum64(b) }

// maxProbes bounds the walk over a ring or table before the direct search.
const maxProbes = 64

// hashTable builds the tier's ring or table, or takes it from prev.
func (v *View) hashTable(t *tier, prev *View) {
	if !hashes(v.cfg.Balance.Algorithm) || v.tableSum(t.all) == 0 {
		return
	}
	if prev != nil && prev.cfg == v.cfg {
		for i := range prev.tiers {
			if p := &prev.tiers[i]; v.sameTable(prev, t.all, p.all) {
				t.ring, t.maglev = p.ring, p.maglev
				return
			}
		}
	}
	if v.cfg.Balance.Algorithm == ir.Maglev {
		t.maglev = newMaglev(v, t.all)
	} else {
		t.ring = newRing(v, t.all)
	}
}

func (v *View) tableSum(all []int32) (sum uint64) {
	for _, m := range all {
		sum += v.tableWeight(m)
	}
	return sum
}

func (v *View) sameTable(prev *View, a, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if v.members[a[i]].Hash != prev.members[b[i]].Hash || v.tableWeight(a[i]) != prev.tableWeight(b[i]) {
			return false
		}
	}
	return true
}

// pickHash walks from the hash's place to the first member that is in use and,
// with bounded load, not full; Attempt such members are passed over. A member
// out of use keeps its place, so only its own keys move, and they come back.
func (v *View) pickHash(b *Balancer, t *tier, q *Query) int {
	h := q.Hash
	if !q.HasHash {
		h = rand.Uint64()
	}
	if t.usable.total == 0 {
		return -1
	}
	var limit float64 // tries per unit of weight
	if b.bounded {
		mean := (float64(b.inflight.Load()+1) * t.load) / float64(t.usable.total)
		limit = mean * float64(v.cfg.Balance.BoundedLoad) / 100
	}
	skip := q.Attempt
	last := int32(-1)
	walk := walker{t: t, hash: h}
	for range maxProbes {
		at := walk.next()
		m := t.all[at]
		if m == last {
			continue
		}
		last = m
		if !t.panic && v.members[m].Node.State() != 0 {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if v.admit(b, m, limit, t) {
			return int(m)
		}
	}
	// Most members are out of use or full: try all that are in use, from a
	// place that depends on the hash alone.
	start := int(below(mix64(h), uint64(len(t.usable.members))))
	for k := range t.usable.members {
		m := t.usable.members[(start+k)%len(t.usable.members)]
		if (t.panic || v.members[m].Node.State() == 0) && v.admit(b, m, limit, t) {
			return int(m)
		}
	}
	return -1
}

// admit counts a try unless the member is full: it may have its share of the
// load times the bound, rounded up.
func (v *View) admit(b *Balancer, m int32, limit float64, t *tier) bool {
	n := v.members[m].Node
	if !b.bounded {
		n.active.Add(1)
		return true
	}
	capacity := limit * float64(v.tableWeight(m)) / float64(t.usable.div)
	for {
		active := n.active.Load()
		if float64(active) >= capacity { // active+1 > ceil(capacity)
			return false
		}
		if n.active.CompareAndSwap(active, active+1) {
			b.inflight.Add(1)
			return true
		}
	}
}

// walker visits the places of a hash in order.
type walker struct {
	t    *tier
	hash uint64
	step uint64
	pos  int
}

func (w *walker) next() int32 {
	w.step++
	if w.t.maglev != nil {
		if w.step == 1 {
			return w.t.maglev.at(w.hash)
		}
		return w.t.maglev.at(mix64(w.hash + w.step*0x9E3779B97F4A7C15))
	}
	if w.step == 1 {
		w.pos = w.t.ring.find(w.hash)
	} else if w.pos++; w.pos == len(w.t.ring.points) {
		w.pos = 0
	}
	return w.t.ring.owners[w.pos]
}
