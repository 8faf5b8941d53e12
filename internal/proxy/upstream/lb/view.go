// Package lb chooses an endpoint of a cluster. All algorithms read an immutable
// View of the members and a few atomics per endpoint, so a pick takes no lock
// and allocates nothing. A View is built when members, their health or their
// slow-start weights change; the tables of the hashing algorithms depend on the
// members alone and are kept when only health changed.
//
// Hashing algorithms take no part in zone preference and slow start: both would
// move keys.
//
// The package owns no goroutines and reads no clock: time is passed in as
// nanoseconds of a monotonic clock. Package upstream imports it, no other.
package lb

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Config is what all views of a cluster have in common; see NewConfig.
type Config struct {
	Balance ir.Balance
	// Zone is the proxy's own zone; empty turns zone preference off.
	Zone string
	// Aggression shapes slow start: the share of the weight after a part t of
	// the window is t^(1/Aggression). Zero means 1, a straight line.
	Aggression float64
}

// NewConfig fills in what b leaves open.
func NewConfig(b ir.Balance, zone string) *Config {
	if b.Algorithm == "" {
		b.Algorithm = ir.RoundRobin
	}
	if b.Decay <= 0 {
		b.Decay = 10 * time.Second
	}
	if b.Overprovisioning < 100 {
		b.Overprovisioning = 140
	}
	if b.Choices < 2 {
		b.Choices = 2
	}
	return &Config{Balance: b, Zone: zone}
}

// Member is one endpoint as a View sees it.
type Member struct {
	Node *Node
	// Hash is HashKey of the endpoint's address: its place in rings and tables.
	Hash     uint64
	Weight   uint32
	Zone     string
	Priority int
	// Since is when slow start began for the endpoint; zero means it is over.
	Since int64
}

// Query is what a pick depends on.
type Query struct {
	Hash    uint64
	HasHash bool
	// Now is monotonic time in ns; PeakEWMA decays by it.
	Now int64
	// Attempt counts the picks that the caller turned down; hashing
	// algorithms answer each attempt with the next endpoint for the hash.
	Attempt int
}

// Balancer is the state of one cluster that outlives its views.
type Balancer struct {
	// turns[slot] counts round-robin steps of a tier's local and remote group.
	turns    [2 * maxSlots]atomic.Uint64
	tiers    atomic.Uint64           // steps of the choice among tiers
	zones    [maxSlots]atomic.Uint64 // and, per tier, between local and remote
	inflight atomic.Int64            // kept only with bounded load
	bounded  bool
}

const maxSlots = 8

// NewBalancer starts at a random place, so that many proxies that start at
// once do not all begin with the same endpoint. A test passes its own seed.
func NewBalancer(cfg *Config, seed uint64) *Balancer {
	b := &Balancer{bounded: cfg.Balance.BoundedLoad > 0 && hashes(cfg.Balance.Algorithm)}
	for i := range b.turns {
		b.turns[i].Store(mix64(seed+uint64(i)) >> 32)
	}
	b.tiers.Store(mix64(seed^0xabcd) >> 32)
	return b
}

// Release takes back what Pick counted.
func (b *Balancer) Release(n *Node) {
	n.active.Add(-1)
	if b.bounded {
		b.inflight.Add(-1)
	}
}

// Acquire counts a try on a node that was not picked: a sticky session's.
func (b *Balancer) Acquire(n *Node) {
	n.active.Add(1)
	if b.bounded {
		b.inflight.Add(1)
	}
}

// View is one immutable arrangement of a cluster's members.
type View struct {
	cfg     *Config
	members []Member
	tiers   []tier
	// single is set when the first tier gets everything.
	single bool
	// ramping says that some weights grow: build again after Step.
	ramping bool
	// weighted is false when all weights are zero, which stands for "all alike".
	weighted bool
}

// tier is one priority.
type tier struct {
	slot int
	// upto is the cumulative share of this and all earlier tiers, of shareOne.
	upto  uint64
	panic bool
	// all are the members that are not draining; usable those of them that may
	// be picked (all of them in panic), by weight, whatever the zone.
	all    []int32
	usable *weighted
	// With zone preference, local and remote split usable; localShare of shareOne
	// goes to local. Otherwise local is nil.
	local, remote *weighted
	localShare    uint64
	// ring or maglev is over all.
	ring   *ring
	maglev *maglev
	load   float64 // the tier's share of the cluster's requests
}

const shareOne = 1 << 32

// Build arranges members. prev may be nil; its hash tables are used again where
// they are the same. The slice is kept and must not change.
func Build(cfg *Config, members []Member, prev *View, now int64) *View {
	v := &View{cfg: cfg, members: members}
	byTier := v.split()
	weights := v.effectiveWeights(now)
	health := make([]tierHealth, len(byTier))
	v.tiers = make([]tier, len(byTier))
	for i, all := range byTier {
		v.tiers[i] = tier{slot: min(i, maxSlots-1), all: all}
		for _, m := range all {
			health[i].total++
			if members[m].Node.State() == 0 {
				health[i].healthy++
			}
		}
	}
	v.shareTiers(health)
	for i := range v.tiers {
		t := &v.tiers[i]
		v.group(t, weights)
		v.hashTable(t, prev)
	}
	v.single = len(v.tiers) > 0 && v.tiers[0].upto == shareOne
	return v
}

// split returns the members that take new work by priority, best first.
// Priorities that nobody has do not count.
func (v *View) split() [][]int32 {
	var order, counts []int // distinct priorities, ascending, and their members
	last := -1              // place of the previous member's priority
	find := func(p int) int {
		if last >= 0 && order[last] == p {
			return last
		}
		at, ok := slices.BinarySearch(order, p)
		if !ok {
			order = slices.Insert(order, at, p)
			counts = slices.Insert(counts, at, 0)
		}
		last = at
		return at
	}
	takesNew := func(m *Member) bool { return m.Node.State()&(Draining|Removed) == 0 }
	for i := range v.members {
		if m := &v.members[i]; takesNew(m) {
			counts[find(m.Priority)]++
		}
	}
	out := make([][]int32, len(order))
	for i := range out {
		out[i] = make([]int32, 0, counts[i])
	}
	for i := range v.members {
		// States may have changed since: a priority that is new by that is left out.
		m := &v.members[i]
		if at, ok := slices.BinarySearch(order, m.Priority); ok && takesNew(m) {
			out[at] = append(out[at], int32(i))
		}
	}
	return slices.DeleteFunc(out, func(t []int32) bool { return len(t) == 0 })
}

// weightScale lets fractions of weights (slow start, zone shares) be integers.
const weightScale = 1 << 10

// maxWeight keeps the sum of 100,000 scaled weights within 64 bits.
const maxWeight = 1 << 24

// effectiveWeights applies slow start. Members that all weigh zero weigh one.
func (v *View) effectiveWeights(now int64) []uint64 {
	out := make([]uint64, len(v.members))
	var sum uint64
	for i := range v.members {
		out[i] = min(uint64(v.members[i].Weight), maxWeight)
		sum += out[i]
	}
	v.weighted = sum > 0
	if !v.weighted {
		for i := range out {
			out[i] = 1
		}
	}
	window := v.cfg.Balance.SlowStart
	if window <= 0 || hashes(v.cfg.Balance.Algorithm) {
		return out
	}
	for i := range v.members {
		if f := rampFactor(now-v.members[i].Since, window, v.cfg.Aggression); v.members[i].Since != 0 && f < 1 {
			v.ramping = true
		}
	}
	if !v.ramping {
		return out
	}
	for i := range v.members {
		f := 1.0
		if since := v.members[i].Since; since != 0 {
			f = rampFactor(now-since, window, v.cfg.Aggression)
		}
		if out[i] > 0 {
			out[i] = max(1, uint64(float64(out[i]*weightScale)*f))
		}
	}
	return out
}

// minRamp is the share of its weight that an endpoint starts with.
const minRamp = 0.1

func rampFactor(age int64, window time.Duration, aggression float64) float64 {
	if age >= int64(window) {
		return 1
	}
	t := max(0, float64(age)/float64(window))
	if aggression > 0 && aggression != 1 {
		t = math.Pow(t, 1/aggression)
	}
	return max(minRamp, t)
}

// Ramping tells whether some weight is still growing, and how long to wait
// until the view should be built again.
func (v *View) Ramping() (step time.Duration, ok bool) {
	return max(v.cfg.Balance.SlowStart/50, 50*time.Millisecond), v.ramping
}

// Len is the number of members, in the order that Build was given.
func (v *View) Len() int { return len(v.members) }

// tableWeight is a member's weight in hash tables, where slow start would move keys.
func (v *View) tableWeight(i int32) uint64 {
	if !v.weighted {
		return 1
	}
	return min(uint64(v.members[i].Weight), maxWeight)
}

func hashes(a ir.BalanceAlgorithm) bool { return a == ir.RingHash || a == ir.Maglev }
