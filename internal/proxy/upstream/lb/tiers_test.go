package lb_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
)

// tierShares is the share of picks that each priority gets.
func (w *world) tierShares(n, tiers int) []float64 {
	out := make([]float64, tiers)
	for i, c := range w.pick(n) {
		out[w.members[i].Priority] += float64(c) / float64(n)
	}
	return out
}

func priorities(each int, tiers int) []lb.Member {
	var out []lb.Member
	for p := range tiers {
		for range each {
			out = append(out, lb.Member{Weight: 1, Priority: p})
		}
	}
	return out
}

func TestPriorityFailover(t *testing.T) {
	// Healthy of 10 in each of three priorities, overprovisioning, shares expected.
	for _, c := range []struct {
		healthy []int
		over    int
		want    []float64
	}{
		{[]int{10, 10, 10}, 140, []float64{1, 0, 0}},
		{[]int{8, 10, 10}, 140, []float64{1, 0, 0}}, // 112 %
		{[]int{5, 10, 10}, 140, []float64{0.7, 0.3, 0}},
		{[]int{5, 10, 10}, 100, []float64{0.5, 0.5, 0}},
		{[]int{0, 10, 10}, 140, []float64{0, 1, 0}},
		{[]int{2, 2, 10}, 140, []float64{0.28, 0.28, 0.44}},
		{[]int{2, 1, 0}, 140, []float64{2 / 3.0, 1 / 3.0, 0}}, // scaled up
		{[]int{0, 0, 1}, 140, []float64{0, 0, 1}},
	} {
		for _, alg := range algorithms {
			w := newWorld(ir.Balance{Algorithm: alg, Overprovisioning: c.over}, "", priorities(10, 3)...)
			for i, m := range w.members {
				m.Node.SetState(lb.Unhealthy, i%10 >= c.healthy[m.Priority])
			}
			w.build()
			for p, got := range w.tierShares(8000, 3) {
				if d := got - c.want[p]; d > 0.03 || d < -0.03 {
					t.Errorf("%s, healthy %v: priority %d got %.3f, want %.3f", alg, c.healthy, p, got, c.want[p])
				}
			}
		}
	}
}

// With a hash, a key stays in its priority while shares do not change.
func TestHashedPriorityIsStable(t *testing.T) {
	w := newWorld(ir.Balance{Algorithm: ir.Maglev}, "", priorities(10, 2)...)
	for i := range 5 {
		w.members[i].Node.SetState(lb.Unhealthy, true)
	}
	w.build()
	for key := range uint64(500) {
		q := lb.Query{Hash: key * 7919, HasHash: true}
		if a, b := w.view.Pick(w.b, &q), w.view.Pick(w.b, &q); a != b {
			t.Fatal("key moved", a, b)
		}
	}
}

func TestPanicThreshold(t *testing.T) {
	for _, c := range []struct {
		healthy, threshold int
		unhealthyUsed      bool
	}{
		{6, 50, false}, {5, 50, false}, {4, 50, true}, {0, 50, true}, {0, 1, true}, {4, 0, false}, {1, 10, false},
	} {
		for _, alg := range algorithms {
			w := newWorld(ir.Balance{Algorithm: alg, PanicThreshold: c.threshold}, "", equal(10)...)
			for i := c.healthy; i < 10; i++ {
				w.members[i].Node.SetState(lb.Unhealthy, true)
			}
			w.build()
			got := w.pick(1000)
			if (got[9] > 0) != c.unhealthyUsed {
				t.Errorf("%s, %d of 10 healthy, threshold %d%%: %v", alg, c.healthy, c.threshold, got)
			}
		}
	}
	// Another priority can carry the load: no panic.
	w := newWorld(ir.Balance{PanicThreshold: 50}, "", priorities(10, 2)...)
	for i := range 9 {
		w.members[i].Node.SetState(lb.Unhealthy, true)
	}
	w.build()
	for i, n := range w.pick(2000)[:9] {
		if n > 0 {
			t.Error("unhealthy member", i, "was used although the second priority is healthy")
		}
	}
}

func zones(counts map[string]int, order ...string) []lb.Member {
	var out []lb.Member
	for _, z := range order {
		for range counts[z] {
			out = append(out, lb.Member{Weight: 1, Zone: z})
		}
	}
	return out
}

func TestZonePreference(t *testing.T) {
	for _, c := range []struct {
		name    string
		total   map[string]int
		down    map[string]int
		want    map[string]float64
		ownZone string
	}{
		{"even: all local", map[string]int{"a": 4, "b": 4, "c": 4}, nil, map[string]float64{"a": 1}, "a"},
		{"local is larger: all local", map[string]int{"a": 8, "b": 4}, nil, map[string]float64{"a": 1}, "a"},
		// a has 2/8 of what is due 1/2: half stays, half goes to b.
		{"local is smaller", map[string]int{"a": 2, "b": 6}, nil, map[string]float64{"a": 0.5, "b": 0.5}, "a"},
		// The default of overprovisioning, 140 %, makes up for one of four.
		{"one local fails", map[string]int{"a": 4, "b": 4, "c": 4}, map[string]int{"a": 1}, map[string]float64{"a": 1}, "a"},
		// Two local ones do the work of 2.8 of 10.8; due is a third of it.
		{
			"half of local fails",
			map[string]int{"a": 4, "b": 4, "c": 4},
			map[string]int{"a": 2},
			map[string]float64{"a": 3 * 2.8 / 10.8, "b": (1 - 3*2.8/10.8) / 2, "c": (1 - 3*2.8/10.8) / 2},
			"a",
		},
		// One does that of 1.4 of 9.4.
		{
			"local fails",
			map[string]int{"a": 4, "b": 4, "c": 4},
			map[string]int{"a": 3},
			map[string]float64{"a": 3 * 1.4 / 9.4, "b": (1 - 3*1.4/9.4) / 2, "c": (1 - 3*1.4/9.4) / 2},
			"a",
		},
		// What spills over does not go where as little is left: c does 1.4 of 6.8.
		{
			"another zone fails too",
			map[string]int{"a": 4, "b": 4, "c": 4},
			map[string]int{"a": 3, "c": 3},
			map[string]float64{"a": 3 * 1.4 / 6.8, "b": 1 - 3*1.4/6.8},
			"a",
		},
		{
			"local is gone",
			map[string]int{"a": 4, "b": 4, "c": 4},
			map[string]int{"a": 4},
			map[string]float64{"b": 0.5, "c": 0.5},
			"a",
		},
		// Of 8 healthy, a has 2 (1/4 of due 1/3), b 5 (surplus .29), c 1 (none).
		{"spill by surplus", map[string]int{"a": 2, "b": 5, "c": 1}, nil, map[string]float64{"a": 0.75, "b": 0.25}, "a"},
		{"a zone without endpoints", map[string]int{"b": 4, "c": 4}, nil, map[string]float64{"b": 0.5, "c": 0.5}, "a"},
		{"no zone of our own", map[string]int{"b": 6, "c": 2}, nil, map[string]float64{"b": 0.75, "c": 0.25}, ""},
	} {
		for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.Random} {
			members := zones(c.total, "a", "b", "c")
			w := newWorld(ir.Balance{Algorithm: alg, ZoneAware: true}, c.ownZone, members...)
			down := map[string]int{}
			for _, m := range w.members {
				if down[m.Zone] < c.down[m.Zone] {
					down[m.Zone]++
					m.Node.SetState(lb.Unhealthy, true)
				}
			}
			w.build()
			got := map[string]float64{}
			for i, n := range w.pick(12000) {
				got[w.members[i].Zone] += float64(n) / 12000
			}
			for _, z := range []string{"a", "b", "c"} {
				if d := got[z] - c.want[z]; d > 0.025 || d < -0.025 {
					t.Errorf("%s, %s: got %v, want %v", c.name, alg, got, c.want)
					break
				}
			}
		}
	}
}

// When every zone's proxies behave alike, every endpoint gets the same.
func TestZonesTogetherLoadEvenly(t *testing.T) {
	counts := map[string]int{"a": 2, "b": 5, "c": 3}
	load := make([]int, 10)
	for zone := range counts {
		w := newWorld(ir.Balance{ZoneAware: true}, zone, zones(counts, "a", "b", "c")...)
		for i, n := range w.pick(30000) {
			load[i] += n
		}
	}
	for i, n := range load {
		near(t, fmt.Sprint("endpoint ", i), float64(n), 9000, 0.02)
	}
}

func TestSlowStart(t *testing.T) {
	const window = 100 * time.Second
	for _, alg := range []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.Random} {
		w := newWorld(ir.Balance{Algorithm: alg, SlowStart: window}, "", equal(4)...)
		w.now = int64(time.Second)
		w.members[0].Since = w.now
		for _, c := range []struct {
			age    time.Duration
			factor float64
		}{
			{0, 0.1},
			{5 * time.Second, 0.1},
			{25 * time.Second, 0.25},
			{50 * time.Second, 0.5},
			{90 * time.Second, 0.9},
			{window, 1},
			{2 * window, 1},
		} {
			w.now = int64(time.Second + c.age)
			w.build()
			const n = 20000
			near(t, fmt.Sprint(alg, " after ", c.age), float64(w.pick(n)[0]), n*c.factor/(3+c.factor), 0.2)
			if _, ramping := w.view.Ramping(); ramping != (c.factor < 1) {
				t.Error("ramping", ramping, "after", c.age)
			}
		}
	}
	// Aggression bends the line.
	w := newWorld(ir.Balance{SlowStart: window}, "", equal(2)...)
	w.cfg.Aggression = 2
	w.members[0].Since, w.now = 1, int64(25*time.Second)
	w.build()
	near(t, "aggression 2", float64(w.pick(30000)[0]), 10000, 0.01) // √¼ = ½ of the weight
}
