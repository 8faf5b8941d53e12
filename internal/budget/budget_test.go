package budget_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

const second = int64(time.Second)

// day is in 2026.
const day = 20_000 * 86_400

func TestQuota(t *testing.T) {
	l := budget.Limit{Amount: 100, Begin: day, End: day + 86_400}
	var s budget.State
	ask := func(at int64, a budget.Ask) budget.Grant {
		if a.Limit == (budget.Limit{}) {
			a.Limit = l
		}
		return s.Step("a", &a, at*second)
	}
	if g := ask(day+5, budget.Ask{Waiting: 1, Least: 1}); g.Units != 1 || g.Rest != 99 || g.Until != (day+86_400)*second {
		t.Errorf("%+v", g)
	}
	if g := ask(day+6, budget.Ask{Waiting: 10, Least: 1, Extra: 80}); g.Units != 10+99/4 {
		t.Errorf("more than its share is held: %+v", g)
	}
	if g := ask(day+6, budget.Ask{Delta: -4, Window: day}); g.Rest != 69 {
		t.Errorf("given back: %+v", g)
	}
	if g := ask(day+6, budget.Ask{Delta: -4, Window: day - 86_400}); g.Rest != 69 {
		t.Errorf("of another window: %+v", g)
	}
	if g := ask(day+6, budget.Ask{Waiting: 70, Least: 70}); g.Units != 0 || g.Rest != 69 {
		t.Errorf("more than there is: %+v", g)
	}
	if g := ask(day+6, budget.Ask{Waiting: 100, Least: 1}); g.Units != 69 || g.Rest != 0 {
		t.Errorf("all there is: %+v", g)
	}
	if g := ask(day+86_400, budget.Ask{Waiting: 1, Least: 1}); !g.OtherWindow || g.Units != 0 {
		t.Errorf("a window that is over: %+v", g)
	}
	after := budget.Limit{Amount: 100, Begin: l.End, End: l.End + 86_400}
	if g := ask(day+86_400, budget.Ask{Limit: after, Waiting: 60, Least: 1}); g.Units != 60 {
		t.Errorf("the next window: %+v", g)
	}
	if g := ask(day+86_399, budget.Ask{Waiting: 60, Least: 1}); g.Units != 40 {
		t.Errorf("a clock that was set back: %+v", g)
	}
	if g := ask(day+86_400, budget.Ask{Limit: after, Delta: 50, Window: l.End}); g.Rest != 0 {
		t.Errorf("what is owed: %+v", g)
	}
}

func TestRate(t *testing.T) {
	l := budget.Limit{Unit: second / 10, Burst: 20}
	var s budget.State
	now := day * second
	ask := func(holder string, after time.Duration, a budget.Ask) budget.Grant {
		now += int64(after)
		a.Limit = l
		return s.Step(holder, &a, now)
	}
	if g := ask("a", 0, budget.Ask{Waiting: 1, Least: 1, Extra: 8}); g.Units != 1+20/4 || g.Rest != 14 || g.Next != l.Unit {
		t.Errorf("%+v", g)
	}
	if g := ask("b", 0, budget.Ask{Waiting: 20, Least: 1}); g.Units != 14 || g.Rest != 0 {
		t.Errorf("%+v", g)
	}
	if g := ask("b", time.Second, budget.Ask{Waiting: 20, Least: 1}); g.Units != 10 {
		t.Errorf("what has come back in a second: %+v", g)
	}
	// a holds five: the bucket fills up to fifteen beside them.
	if g := ask("b", 5*time.Second, budget.Ask{}); g.Rest != 15 {
		t.Errorf("%+v", g)
	}
	// and all the way when they are told to be spent, from then on.
	if g := ask("a", 0, budget.Ask{Held: 0}); g.Rest != 15 {
		t.Errorf("%+v", g)
	}
	if g := ask("b", time.Second, budget.Ask{}); g.Rest != 20 {
		t.Errorf("%+v", g)
	}
	if g := ask("b", 0, budget.Ask{Waiting: 21, Least: 21}); g.Units != 0 || g.Rest != 20 {
		t.Errorf("%+v", g)
	}
	if g := ask("b", 0, budget.Ask{Delta: 25}); g.Rest != 0 || g.Next != 6*l.Unit {
		t.Errorf("in debt: %+v", g)
	}
	if g := ask("b", 0, budget.Ask{Delta: -5}); g.Rest != 0 || g.Next != l.Unit {
		t.Errorf("out of debt: %+v", g)
	}
	if g := ask("b", 0, budget.Ask{Delta: -100}); g.Rest != 20 || g.Next != 0 {
		t.Errorf("never more than all: %+v", g)
	}
}

// What somebody held who was heard of no more counts as spent when its time is over.
func TestHoldEnds(t *testing.T) {
	l := budget.Limit{Unit: second, Burst: 20}
	var s budget.State
	now := day * second
	s.Step("gone", &budget.Ask{Limit: l, Waiting: 16, Least: 1, Extra: 1}, now)
	a := budget.Ask{Limit: l, Extra: 1}
	if g := s.Step("gone", &a, now); g.Units != 0 {
		t.Fatalf("%+v", g)
	}
	end := now + int64(budget.HoldTime)
	s = budget.State{Full: now, Holds: map[string]budget.Hold{"gone": {Units: 5, Until: end}}}
	if g := s.Step("b", &budget.Ask{Limit: l}, end-1); g.Rest != 15 {
		t.Errorf("before: %+v", g)
	}
	if g := s.Step("b", &budget.Ask{Limit: l}, end+3*second); g.Rest != 18 {
		t.Errorf("three seconds after: %+v", g)
	}
	if len(s.Holds) != 0 {
		t.Errorf("%+v", s.Holds)
	}
}

// TestNeverMore: whoever asks for what, and spends what it holds whenever it likes,
// in any stretch of time no more is spent than the limit grants.
func TestNeverMore(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := budget.Limit{Unit: 1 + r.Int64N(second), Burst: 1 + r.Int64N(50)}
		var s budget.State
		type holder struct{ left, until int64 }
		holders := map[string]*holder{"a": {}, "b": {}, "c": {}}
		now := day * second
		var spent []int64 // when, each unit
		spend := func(n int64) {
			for range n {
				spent = append(spent, now)
			}
		}
		for range 200 {
			now += r.Int64N(4 * l.Unit)
			if r.IntN(20) == 0 {
				now += r.Int64N(2 * int64(budget.HoldTime))
			}
			for _, h := range holders {
				if now >= h.until {
					h.left = 0
				}
			}
			name := string("abc"[r.IntN(3)])
			h := holders[name]
			if r.IntN(2) == 0 && h.left > 0 {
				n := 1 + r.Int64N(h.left)
				h.left -= n
				spend(n)
				continue
			}
			a := budget.Ask{Limit: l, Held: h.left, Waiting: r.Int64N(5), Extra: r.Int64N(20)}
			if a.Waiting > 0 {
				a.Least = 1
			}
			if r.IntN(5) == 0 { // gives back what it held
				a.Held, a.Delta = 0, -h.left
			}
			g := s.Step(name, &a, now)
			at := min(g.Units, a.Waiting)
			spend(at)
			h.left, h.until = a.Held+g.Units-at, g.Until
			if r.IntN(10) == 0 {
				*h = holder{} // it is heard of no more
			}
		}
		for i := range spent {
			for j := i; j < len(spent); j++ {
				most := l.Burst + (spent[j]-spent[i])/l.Unit + 1
				if n := int64(j - i + 1); n > most {
					t.Fatalf("seed %d: %d units in %s, %d are allowed (%+v)", seed, n, time.Duration(spent[j]-spent[i]), most, l)
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	s := budget.State{Full: 5, Holds: map[string]budget.Hold{"a": {Units: 1, Until: 2, Sent: 3}}}
	if again, err := budget.Parse(s.Text()); err != nil || again.Text() != s.Text() {
		t.Errorf("%+v, %v", again, err)
	}
	for _, text := range []string{"{", `{"u":-1}`, `{"u":9999999999999}`, `{"h":{"a":{"n":-1}}}`, `{"h":{"a":{"s":-1}}}`, `[]`, `{"f":9223372036854775807}`} {
		if _, err := budget.Parse(text); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzState: whatever is kept, a step ends, grants no more than the limit, and
// leaves what can be read again.
func FuzzState(f *testing.F) {
	f.Add(`{"f":1728000000000000000,"h":{"a":{"n":3,"t":1728000005000000000}}}`, int64(1), int64(5), int64(3), int64(-2), uint8(0))
	f.Add(`{"w":1728000000,"u":7}`, int64(0), int64(100), int64(8), int64(4), uint8(1))
	f.Add(`{"h":{"a":{"n":3,"t":1728000005000000000,"s":7},"b":{"n":9,"t":1728000000000000000}}}`, int64(0), int64(4), int64(8), int64(4), uint8(2))
	f.Fuzz(func(t *testing.T, text string, unit, amount, waiting, delta int64, kind uint8) {
		s, err := budget.Parse(text)
		if err != nil {
			return
		}
		within := func(n, most int64) int64 { return max(min(n, most), -most) }
		a := budget.Ask{Waiting: max(within(waiting, 1<<32), 0), Extra: 10, Least: 1, Delta: within(delta, 1<<40), Window: day, Held: 2}
		most := max(within(amount, 1<<30), 1)
		switch kind % 3 {
		case 0:
			a.Limit = budget.Limit{Unit: max(within(unit, 1<<40), 1), Burst: most}
		case 1:
			a.Limit = budget.Limit{Amount: most, Begin: day, End: day + 86_400}
		case 2:
			a.Limit, a.Sent = budget.Limit{Places: most}, max(within(unit, 1<<40), 0)
		}
		g := s.Step("a", &a, day*second)
		if g.Units < 0 || g.Rest < 0 || g.Units+g.Rest > most || g.Next < 0 {
			t.Fatalf("%s: %+v of %d", text, g, most)
		}
		if _, err := budget.Parse(s.Text()); err != nil {
			t.Fatalf("%s becomes %s", text, s.Text())
		}
	})
}

// TestManyHolders: what is kept of a key is bounded, however many hold something.
func TestManyHolders(t *testing.T) {
	l := budget.Limit{Unit: second, Burst: 1 << 20}
	var s budget.State
	for i := range 1000 {
		a := budget.Ask{Limit: l, Waiting: 1, Least: 1, Extra: 1}
		if g := s.Step(fmt.Sprint(i), &a, day*second); g.Units == 0 {
			t.Fatalf("holder %d gets nothing", i)
		}
	}
	if n := len(s.Holds); n != 256 {
		t.Errorf("%d holders are kept", n)
	}
	if _, err := budget.Parse(s.Text()); err != nil {
		t.Error(err)
	}
}
