package budget_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

func TestPlaces(t *testing.T) {
	var s budget.State
	sent := int64(0)
	ask := func(holder string, at time.Duration, held, waiting int64) budget.Grant {
		sent++
		return s.Step(holder, &budget.Ask{Limit: budget.Limit{Places: 5}, Held: held, Waiting: waiting, Least: min(waiting, 1), Sent: sent}, day*second+int64(at))
	}
	if g := ask("a", 0, 0, 3); g.Units != 3 || g.Rest != 2 || g.Until-g.Now != int64(budget.HoldTime) {
		t.Errorf("%+v", g)
	}
	if g := ask("b", 0, 0, 4); g.Units != 2 || g.Rest != 0 {
		t.Errorf("what is left: %+v", g)
	}
	if g := ask("a", time.Second, 2, 0); g.Units != 0 || g.Rest != 1 {
		t.Errorf("one is given back: %+v", g)
	}
	if g := ask("b", 2*time.Second, 4, 1); g.Units != 0 || g.Rest != 0 {
		t.Errorf("what is in use is noted, and more than there is not granted: %+v", g)
	}
	if g := ask("b", 3*time.Second, 2, 1); g.Units != 1 {
		t.Errorf("%+v", g)
	}
	late := budget.Ask{Limit: budget.Limit{Places: 5}, Held: 0, Sent: 1}
	if g := s.Step("b", &late, day*second+int64(4*time.Second)); g.Units != 0 || s.Holds["b"].Units != 3 {
		t.Errorf("an ask that comes late: %+v, %+v", g, s.Holds)
	}
	// a was heard of last at the first second.
	if g := ask("b", 11*time.Second, 3, 5); g.Units != 2 {
		t.Errorf("one who is not heard of has nothing: %+v", g)
	}
	if g := ask("c", -time.Hour, 0, 1); g.Units != 0 {
		t.Errorf("a clock that is set back gives nothing: %+v", g)
	}
	if g := ask("c", -time.Hour+11*time.Second, 0, 5); g.Units != 5 {
		t.Errorf("and keeps nothing for longer: %+v", g)
	}
	if at := s.Expires(&budget.Limit{Places: 5}); at != day*second+int64(-time.Hour+11*time.Second+budget.HoldTime) {
		t.Errorf("it expires at %d", at)
	}
}

// TestNeverMorePlaces: whatever happens, all holders that say what they have in time
// have no more than there is, and who has lost an answer gets what is there in the end.
func TestNeverMorePlaces(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		const places = 20
		var s budget.State
		now, sent := day*second, int64(0)
		has := make([]int64, 4)
		for step := range 400 {
			now += r.Int64N(second)
			if r.IntN(100) == 0 {
				now -= 3600 * second
			}
			i := r.IntN(len(has))
			has[i] -= r.Int64N(has[i] + 1)
			for h := range has { // so that nobody is late
				want := int64(0)
				if h == i {
					want = r.Int64N(8)
				}
				sent++
				g := s.Step(fmt.Sprint(h), &budget.Ask{Limit: budget.Limit{Places: places}, Held: has[h], Waiting: want, Least: min(want, 1), Sent: sent}, now)
				if g.Units > want {
					t.Fatalf("%d granted of %d", g.Units, want)
				}
				if r.IntN(10) > 0 { // or the answer is lost
					has[h] += g.Units
				}
			}
			sum := int64(0)
			for _, n := range has {
				sum += n
			}
			if sum > places {
				t.Fatalf("seed %d, step %d: %d of %d", seed, step, sum, places)
			}
		}
	}
}
