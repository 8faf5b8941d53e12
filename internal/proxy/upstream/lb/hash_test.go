package lb_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
)

var hashing = []ir.BalanceAlgorithm{ir.RingHash, ir.Maglev}

// owners says where each of n keys goes.
func (w *world) owners(n int) []int {
	r := rand.New(rand.NewPCG(3, 4))
	out := make([]int, n)
	for k := range out {
		out[k] = w.view.Pick(w.b, &lb.Query{Hash: r.Uint64(), HasHash: true})
		if out[k] >= 0 {
			w.b.Release(w.members[out[k]].Node)
		}
	}
	return out
}

func TestHashingFollowsWeights(t *testing.T) {
	for _, alg := range hashing {
		for _, ws := range [][]uint32{{1, 1, 1, 1}, {1, 2, 4, 8}, {100, 1, 50, 0}, {1 << 20, 1 << 21}} {
			w := newWorld(ir.Balance{Algorithm: alg}, "", weights(ws...)...)
			tolerance := 0.05
			if alg == ir.RingHash {
				tolerance = 0.3 // few points
			}
			var sum float64
			for _, x := range ws {
				sum += float64(x)
			}
			const n = 60000
			counts := make([]int, len(ws))
			for _, i := range w.owners(n) {
				counts[i]++
			}
			for i, x := range ws {
				want := n * float64(x) / sum
				if math.Abs(float64(counts[i])-want) > tolerance*want+n/300 {
					t.Errorf("%s %v: got %v", alg, ws, counts)
					break
				}
			}
		}
	}
}

// A key's endpoint is the same in every proxy and after every restart.
func TestHashingIsStable(t *testing.T) {
	for _, alg := range hashing {
		a, b := newWorld(ir.Balance{Algorithm: alg}, "", equal(20)...), newWorld(ir.Balance{Algorithm: alg}, "", equal(20)...)
		oa, ob := a.owners(5000), b.owners(5000)
		for k := range oa {
			if oa[k] != ob[k] {
				t.Fatal(alg, "key", k, "goes to", oa[k], "and", ob[k])
			}
		}
	}
}

// An endpoint that fails moves its own keys only, and gets them back.
func TestFailureMovesOnlyItsKeys(t *testing.T) {
	for _, alg := range hashing {
		w := newWorld(ir.Balance{Algorithm: alg}, "", equal(20)...)
		before := w.owners(20000)
		w.members[5].Node.SetState(lb.Unhealthy, true)
		for range 2 { // with the old view and with a new one
			counts := make([]int, 20)
			for k, o := range w.owners(20000) {
				if o == 5 || before[k] != 5 && o != before[k] {
					t.Fatal(alg, "key", k, "moved from", before[k], "to", o)
				}
				if before[k] == 5 {
					counts[o]++
				}
			}
			for i, n := range counts {
				if i != 5 && n > 300 {
					t.Errorf("%s: the keys of the failed endpoint crowd on %d: %v", alg, i, counts)
				}
			}
			w.build()
		}
		w.members[5].Node.SetState(lb.Unhealthy, false)
		w.build()
		for k, o := range w.owners(20000) {
			if o != before[k] {
				t.Fatal(alg, "key", k, "did not return")
			}
		}
	}
}

// moved is the share of keys that go elsewhere when member i leaves, beyond
// those that were its own.
func moved(t *testing.T, balance ir.Balance, members []lb.Member, i int) float64 {
	t.Helper()
	w := newWorld(balance, "", members...)
	const n = 20000
	before := w.owners(n)
	rest := append(append([]lb.Member(nil), w.members[:i]...), w.members[i+1:]...)
	after := newWorld(balance, "", rest...).owners(n)
	extra := 0
	for k := range before {
		was, is := before[k], after[k]
		if was > i {
			was--
		} else if was == i {
			continue
		}
		if was != is {
			extra++
		}
	}
	return float64(extra) / n
}

func TestDisruptionWhenAnEndpointLeaves(t *testing.T) {
	for _, n := range []int{3, 10, 100, 500} {
		// A ring moves nothing else; Maglev little (NSDI '16, §5.3).
		if got := moved(t, ir.Balance{Algorithm: ir.RingHash, RingSize: 1 << 16}, equal(n), n/2); got != 0 {
			t.Errorf("ring of %d: %.2f%% of the other keys moved", n, 100*got)
		}
		if got := moved(t, ir.Balance{Algorithm: ir.Maglev}, equal(n), n/2); got > 0.06 {
			t.Errorf("Maglev of %d: %.2f%% of the other keys moved", n, 100*got)
		}
	}
	// By default its counts of points do not depend on how many there are.
	for n := 2; n <= 40; n++ {
		if got := moved(t, ir.Balance{Algorithm: ir.RingHash}, equal(n), n/2); got != 0 {
			t.Errorf("default ring of %d: %.2f%% of the other keys moved", n, 100*got)
		}
		heavy := equal(n)
		for i := range heavy {
			heavy[i].Weight = 100
		}
		if got := moved(t, ir.Balance{Algorithm: ir.RingHash}, append(heavy, lb.Member{Weight: 7}), n); got != 0 {
			t.Errorf("default ring of %d and a canary: %.2f%% of the other keys moved", n, 100*got)
		}
	}
	mixed := equal(50)
	for i := range mixed {
		mixed[i].Weight = uint32(1 + i%7)
	}
	if got := moved(t, ir.Balance{Algorithm: ir.Maglev}, mixed, 20); got > 0.10 {
		t.Errorf("weighted Maglev: %.2f%% of the other keys moved", 100*got)
	}
	if got := moved(t, ir.Balance{Algorithm: ir.RingHash}, mixed, 20); got != 0 {
		t.Errorf("weighted ring: %.2f%% of the other keys moved", 100*got)
	}
}

// No endpoint has more than its bound of the tries in progress, though all keys are one.
func TestBoundedLoadHolds(t *testing.T) {
	for _, alg := range hashing {
		for _, bound := range []int{100, 110, 125, 200} {
			w := newWorld(ir.Balance{Algorithm: alg, BoundedLoad: bound}, "", weights(1, 1, 2, 1, 3)...)
			var held []int
			for n := 1; n <= 400; n++ {
				hash := uint64(42)
				if n%4 == 0 {
					hash = uint64(n)
				}
				i := w.view.Pick(w.b, &lb.Query{Hash: hash, HasHash: true})
				if i < 0 {
					t.Fatalf("%s at %d%%: nobody for try %d", alg, bound, n)
				}
				held = append(held, i)
				m := w.members[i]
				limit := math.Ceil(float64(n) * float64(bound) / 100 * float64(m.Weight) / 8)
				if a := m.Node.Active(); float64(a) > limit {
					t.Fatalf("%s at %d%%: member %d has %d of %d, limit %g", alg, bound, i, a, n, limit)
				}
			}
			for _, i := range held {
				w.b.Release(w.members[i].Node)
			}
			for i, m := range w.members {
				if m.Node.Active() != 0 {
					t.Fatal("member", i, "keeps", m.Node.Active())
				}
			}
		}
	}
}

// The order of attempts is deterministic and reaches another member each time.
func TestAttemptsGoOn(t *testing.T) {
	for _, alg := range hashing {
		w := newWorld(ir.Balance{Algorithm: alg}, "", equal(10)...)
		for key := range uint64(200) {
			first := w.view.Pick(w.b, &lb.Query{Hash: key, HasHash: true})
			second := w.view.Pick(w.b, &lb.Query{Hash: key, HasHash: true, Attempt: 1})
			again := w.view.Pick(w.b, &lb.Query{Hash: key, HasHash: true, Attempt: 1})
			if first == second || second != again {
				t.Fatal(alg, key, first, second, again)
			}
		}
	}
}

func TestMostMembersOut(t *testing.T) {
	for _, alg := range hashing {
		w := newWorld(ir.Balance{Algorithm: alg}, "", equal(2000)...)
		for i := range w.members {
			w.members[i].Node.SetState(lb.Unhealthy, i != 77 && i != 1900)
		}
		w.build()
		got := w.pick(1000)
		if got[77]+got[1900] != 1000 || got[77] < 300 || got[1900] < 300 {
			t.Error(alg, got[77], got[1900])
		}
	}
}

func TestTableSizes(t *testing.T) {
	for _, size := range []int{1, 2, 100, 1021} {
		for _, n := range []int{1, 3, 300} {
			for _, alg := range hashing {
				w := newWorld(ir.Balance{Algorithm: alg, RingSize: size}, "", equal(n)...)
				seen := map[int]bool{}
				for _, i := range w.owners(20000) {
					seen[i] = true
				}
				if len(seen) < n*2/3 {
					t.Errorf("%s of size %d: %d of %d members get anything", alg, size, len(seen), n)
				}
			}
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, alg := range algorithms {
		for _, n := range []int{100, 100000} {
			b.Run(fmt.Sprint(alg, "/", n), func(b *testing.B) {
				members := equal(n)
				w := newWorld(ir.Balance{Algorithm: alg}, "", members...)
				for b.Loop() {
					lb.Build(w.cfg, w.members, nil, 1)
				}
			})
		}
	}
}
