package lb_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
)

var algorithms = []ir.BalanceAlgorithm{ir.RoundRobin, ir.LeastRequest, ir.PeakEWMA, ir.Random, ir.RingHash, ir.Maglev}

// bench is a balancer over members, with synthetic time.
type world struct {
	cfg     *lb.Config
	b       *lb.Balancer
	members []lb.Member
	view    *lb.View
	now     int64
}

func newWorld(balance ir.Balance, zone string, members ...lb.Member) *world {
	w := &world{cfg: lb.NewConfig(balance, zone), members: members, now: 1}
	w.b = lb.NewBalancer(w.cfg, 7)
	for i := range w.members {
		m := &w.members[i]
		if m.Node == nil {
			m.Node = new(lb.Node)
		}
		if m.Hash == 0 {
			m.Hash = lb.HashKey(fmt.Sprintf("10.0.%d.%d:80", i/250, i%250))
		}
	}
	w.build()
	return w
}

func (w *world) build() { w.view = lb.Build(w.cfg, w.members, w.view, w.now) }

// pick picks and releases at once, n times, and counts by member.
func (w *world) pick(n int) []int {
	counts := make([]int, len(w.members))
	for range n {
		i := w.view.Pick(w.b, &lb.Query{Hash: rand.Uint64(), HasHash: true, Now: w.now})
		if i < 0 {
			continue
		}
		counts[i]++
		w.b.Release(w.members[i].Node)
	}
	return counts
}

func weights(ws ...uint32) []lb.Member {
	out := make([]lb.Member, len(ws))
	for i, w := range ws {
		out[i].Weight = w
	}
	return out
}

func equal(n int) []lb.Member {
	out := make([]lb.Member, n)
	for i := range out {
		out[i].Weight = 1
	}
	return out
}

// near fails unless got is want within tolerance (a share of want).
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s: got %.4g, want %.4g within %g%%", what, got, want, tolerance*100)
	}
}

func TestRoundRobinIsExactPerCycle(t *testing.T) {
	for _, ws := range [][]uint32{
		{1},
		{1, 1},
		{5, 1, 1},
		{1, 2, 3, 4},
		{100, 200, 300},
		{7, 0, 3},
		{1 << 16, 1, 3},
		{1000, 999, 998, 1},
		{0, 0, 0},
	} {
		w := newWorld(ir.Balance{}, "", weights(ws...)...)
		want := make([]int, len(ws))
		div, sum := 0, 0
		for i, x := range ws {
			want[i] = int(x)
			div = gcd(div, int(x))
			sum += int(x)
		}
		if sum == 0 {
			want, sum, div = []int{1, 1, 1}, 3, 1
		}
		got := w.pick(sum / div * 2)
		for i := range got {
			if got[i] != want[i]/div*2 {
				t.Errorf("weights %v: got %v", ws, got)
				break
			}
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// In any stretch of picks a member is at most a few picks away from its share.
func TestRoundRobinIsSmooth(t *testing.T) {
	for trial := range 20 {
		r := rand.New(rand.NewPCG(1, uint64(trial)))
		ws := make([]uint32, 2+r.IntN(30))
		var sum float64
		for i := range ws {
			ws[i] = 1 + r.Uint32N(1000)
			sum += float64(ws[i])
		}
		w := newWorld(ir.Balance{}, "", weights(ws...)...)
		counts := make([]float64, len(ws))
		worst := 0.0
		for n := 1.0; n <= 3000; n++ {
			i := w.view.Pick(w.b, &lb.Query{})
			counts[i]++
			for k := range counts {
				worst = max(worst, math.Abs(counts[k]-n*float64(ws[k])/sum))
			}
		}
		if worst > 6 {
			t.Errorf("trial %d: a member was %.1f picks away from its share", trial, worst)
		}
	}
}

func TestRoundRobinHugeWeights(t *testing.T) {
	members := make([]lb.Member, 5000) // the sum needs more than 32 bits
	var sum float64
	for i := range members {
		members[i].Weight = 1<<24 - uint32(i)*3001
		sum += float64(members[i].Weight)
	}
	w := newWorld(ir.Balance{}, "", members...)
	const n = 200000
	var chi2 float64
	for i, got := range w.pick(n) {
		want := n * float64(members[i].Weight) / sum
		chi2 += (float64(got) - want) * (float64(got) - want) / want
	}
	if chi2 > 5000 { // a random draw would have about 5000, even spreading far less
		t.Fatal("chi² =", chi2)
	}
}

func TestWeightsOfAnIdleCluster(t *testing.T) {
	for _, alg := range []ir.BalanceAlgorithm{ir.LeastRequest, ir.Random} {
		w := newWorld(ir.Balance{Algorithm: alg}, "", weights(1, 2, 3, 10, 84)...)
		const n = 100000
		for i, got := range w.pick(n) {
			near(t, fmt.Sprint(alg, " member ", i), float64(got), n*float64(w.members[i].Weight)/100, 0.16)
		}
	}
}

// With every member slower the more it has to do, tries in progress settle in
// proportion to weights.
func TestLeastRequestBalancesLoad(t *testing.T) {
	w := newWorld(ir.Balance{Algorithm: ir.LeastRequest}, "", weights(1, 1, 2, 4)...)
	for range 80 {
		w.view.Pick(w.b, &lb.Query{})
	}
	for i, m := range w.members {
		near(t, fmt.Sprint("active of ", i), float64(m.Node.Active()), 10*float64(m.Weight), 0.3)
	}
	// One member hangs: the others take over.
	hung := newWorld(ir.Balance{Algorithm: ir.LeastRequest}, "", equal(10)...)
	for range 1000 {
		if i := hung.view.Pick(hung.b, &lb.Query{}); i != 3 {
			hung.b.Release(hung.members[i].Node)
		}
	}
	if a := hung.members[3].Node.Active(); a > 3 {
		t.Error("a member that hangs was given", a, "tries")
	}
}

func TestPeakEWMAPrefersTheFast(t *testing.T) {
	w := newWorld(ir.Balance{Algorithm: ir.PeakEWMA, Decay: time.Second}, "", equal(4)...)
	latency := []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, 50 * time.Millisecond}
	counts := make([]int, 4)
	for range 20000 {
		w.now += int64(100 * time.Microsecond)
		i := w.view.Pick(w.b, &lb.Query{Now: w.now})
		counts[i]++
		w.members[i].Node.Observe(w.now, latency[i], time.Second)
		w.b.Release(w.members[i].Node)
	}
	if counts[3] > 500 || counts[3] < 1 {
		t.Error("the slow member should get a few probes only:", counts)
	}
	// A peak counts at once and is forgotten with time.
	n := new(lb.Node)
	n.Observe(0, 10*time.Millisecond, time.Second)
	n.Observe(int64(time.Millisecond), time.Second, time.Second)
	if got := n.Latency(int64(time.Millisecond), time.Second); got < 999*time.Millisecond {
		t.Error("peak not taken over:", got)
	}
	near(t, "after one time constant", float64(n.Latency(int64(1001*time.Millisecond), time.Second)), float64(time.Second)/math.E, 0.01)
}

// A try that was given up tells that an endpoint is slow, never that it is fast.
func TestObserveLeast(t *testing.T) {
	n := new(lb.Node)
	n.Observe(0, 10*time.Millisecond, time.Second)
	n.ObserveLeast(0, time.Millisecond, time.Second)
	if got := n.Latency(0, time.Second); got < 9*time.Millisecond {
		t.Error("lowered to", got)
	}
	n.ObserveLeast(0, 50*time.Millisecond, time.Second)
	if got := n.Latency(0, time.Second); got < 49*time.Millisecond {
		t.Error("not raised:", got)
	}
}

// Latencies that differ by chance do not outweigh weights; those that differ do.
func TestPeakEWMAFollowsWeightsOfTheAlike(t *testing.T) {
	for _, c := range []struct {
		what           string
		least, most    time.Duration
		slowest        time.Duration // of the last; zero is like the others
		want, accuracy float64       // share of the last
	}{
		{"alike", 2 * time.Millisecond, 3900 * time.Microsecond, 0, 0.1, 0.2},
		{"alike and fast", 20 * time.Microsecond, 900 * time.Microsecond, 0, 0.1, 0.2},
		{"slower", 2 * time.Millisecond, 3900 * time.Microsecond, 40 * time.Millisecond, 0.005, 1},
	} {
		w := newWorld(ir.Balance{Algorithm: ir.PeakEWMA, Decay: 10 * time.Second}, "", weights(7, 2, 1)...)
		const n = 30000
		last := 0
		for range n {
			w.now += int64(time.Millisecond)
			i := w.view.Pick(w.b, &lb.Query{Now: w.now})
			latency := c.least + rand.N(c.most-c.least)
			if i == 2 {
				last++
				latency = max(latency, c.slowest)
			}
			w.members[i].Node.Observe(w.now, latency, 10*time.Second)
			w.b.Release(w.members[i].Node)
		}
		near(t, c.what, float64(last)/n, c.want, c.accuracy)
	}
}

func TestPicksAllocateNothing(t *testing.T) {
	for _, alg := range algorithms {
		for _, bounded := range []int{0, 125} {
			w := newWorld(ir.Balance{Algorithm: alg, BoundedLoad: bounded, ZoneAware: true}, "a", weights(1, 2, 3, 4, 5)...)
			w.members[4].Node.SetState(lb.Unhealthy, true) // behind the view's back
			if n := testing.AllocsPerRun(1000, func() {
				q := lb.Query{Hash: rand.Uint64(), HasHash: true, Now: 5}
				w.b.Release(w.members[w.view.Pick(w.b, &q)].Node)
			}); n != 0 {
				t.Errorf("%s: %v allocations per pick", alg, n)
			}
		}
	}
}

func TestUnusableMembersAreNeverPicked(t *testing.T) {
	for _, alg := range algorithms {
		w := newWorld(ir.Balance{Algorithm: alg}, "", equal(8)...)
		// First without a new view, then with one.
		for _, s := range []lb.State{lb.Unhealthy, lb.Ejected, lb.Draining, lb.Removed} {
			w.members[2].Node.SetState(s, true)
			for range 2 {
				if got := w.pick(2000); got[2] != 0 || got[3] == 0 {
					t.Errorf("%s, state %d: %v", alg, s, got)
				}
				w.build()
			}
			w.members[2].Node.SetState(s, false)
			w.build()
		}
		if got := w.pick(2000); got[2] == 0 {
			t.Errorf("%s: a member that returned gets nothing", alg)
		}
	}
}

func TestNobodyHealthyWithoutPanic(t *testing.T) {
	for _, alg := range algorithms {
		w := newWorld(ir.Balance{Algorithm: alg}, "", equal(3)...)
		for _, m := range w.members {
			m.Node.SetState(lb.Unhealthy, true)
		}
		for range 2 {
			if i := w.view.Pick(w.b, &lb.Query{HasHash: true}); i >= 0 {
				t.Errorf("%s picked %d", alg, i)
			}
			w.build()
		}
	}
}

// Members that come and go while a balancer runs must not favour those that
// stand first.
func TestRebuildsDoNotStartOver(t *testing.T) {
	w := newWorld(ir.Balance{}, "", equal(10)...)
	counts := make([]int, 10)
	for i := range 10000 {
		w.members[9].Node.SetState(lb.Ejected, i%2 == 0) // flapping
		w.build()
		for k, n := range w.pick(1) {
			counts[k] += n
		}
	}
	for i, n := range counts[:9] {
		near(t, fmt.Sprint("member ", i), float64(n), 10000*(1/9.0+1/10.0)/2, 0.15)
	}
}
