package trace

import (
	"math"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	const n = 200_000
	for _, c := range []struct{ percent, want float64 }{
		{0, 0}, {-1, 0}, {math.NaN(), 0}, {0.05, 0.05}, {1, 1}, {12.5, 12.5}, {100, 100}, {1000, 100},
	} {
		rate, hits := Percent(c.percent), 0
		for range n {
			if rate.Has(NewID()) {
				hits++
			}
		}
		got := 100 * float64(hits) / n
		if within := 6 * math.Sqrt(c.want*(100-c.want)/n); math.Abs(got-c.want) > within {
			t.Errorf("%v %%: %v %% were sampled", c.percent, got)
		}
	}
	// All proxies agree, and who samples more has what others have.
	for range 1000 {
		id := NewID()
		if Percent(1).Has(id) && !Percent(2).Has(id) {
			t.Fatal("a trace in 1 % is not in 2 %")
		}
	}
}

func TestLimit(t *testing.T) {
	l, at := NewLimit(10), int64(1_000_000_000_000)
	took := func(n int) (taken int) {
		for range n {
			if l.Take(at) {
				taken++
			}
		}
		return taken
	}
	if n := took(100); n != 10 {
		t.Errorf("%d at once", n)
	}
	at += int64(time.Second) / 2
	if n := took(100); n != 5 {
		t.Errorf("%d after half a second", n)
	}
	at += int64(time.Minute)
	if n := took(100); n != 10 {
		t.Errorf("%d after a minute", n)
	}
	if !NewLimit(0).Take(at) || !(*Limit)(nil).Take(at) {
		t.Error("no limit limits")
	}
}

func TestPolicyFollows(t *testing.T) {
	never, always := Percent(0), Percent(100)
	id := NewID()
	for _, c := range []struct {
		name   string
		follow bool
		parent Parent
		rate   Rate
		want   bool
	}{
		{"no parent", true, Parent{}, always, true},
		{"parent says no", true, Parent{Decided: true}, always, false},
		{"parent says yes", true, Parent{Decided: true, Sampled: true}, never, true},
		{"parent leaves it", true, Parent{}, never, false},
		{"not believed", false, Parent{Decided: true, Sampled: true}, never, false},
	} {
		p := Policy{Follow: c.follow}
		if got := p.Samples(&c.parent, id, c.rate, 0); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
