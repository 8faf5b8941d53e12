package fault_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/fault"
)

// count draws 0, 1, 2, … so that shares are exact.
func count() func(int) int {
	i := -1
	return func(n int) int { i++; return i % n }
}

func TestShares(t *testing.T) {
	for _, percent := range []int{0, 1, 250, 5000, 9999, 10000, 20000, -1} {
		want := min(max(percent, 0), 10000)
		f := fault.New(&ir.Fault{AbortStatus: 503, AbortPercent: percent}, count())
		aborted := 0
		for range 10000 {
			var x filter.Exchange
			if f.OnRequest(&x) == filter.Reply {
				aborted++
				if x.Local.Status != 503 || x.Local.Reason != filter.FaultInjected || !x.Flags.Has(filter.FaultInjected) {
					t.Fatalf("reply %+v", x.Local)
				}
			}
		}
		if aborted != want {
			t.Errorf("%d in 10000: aborted %d", percent, aborted)
		}
	}
}

func TestDelay(t *testing.T) {
	var waited time.Duration
	x := filter.Exchange{Wait: func(d time.Duration) bool { waited += d; return true }}
	f := fault.New(&ir.Fault{Delay: time.Second, DelayPercent: 5000}, count())
	for range 10000 {
		if f.OnRequest(&x) != filter.Continue {
			t.Fatal("a delay aborted")
		}
	}
	if waited != 5000*time.Second || !x.Flags.Has(filter.FaultInjected) {
		t.Errorf("waited %v", waited)
	}
}

func TestDelayThenAbort(t *testing.T) {
	var waited time.Duration
	x := filter.Exchange{Wait: func(d time.Duration) bool { waited += d; return true }}
	f := fault.New(&ir.Fault{Delay: time.Second, DelayPercent: 10000, AbortStatus: 429, AbortPercent: 10000}, nil)
	if f.OnRequest(&x) != filter.Reply || x.Local.Status != 429 || waited != time.Second {
		t.Errorf("status %d after %v", x.Local.Status, waited)
	}
}

func TestCancelledDelay(t *testing.T) {
	x := filter.Exchange{Wait: func(time.Duration) bool { return false }}
	f := fault.New(&ir.Fault{Delay: time.Second, DelayPercent: 10000}, nil)
	if f.OnRequest(&x) != filter.Reply || x.Local.Status != 504 {
		t.Errorf("reply %+v", x.Local)
	}
}

// The default draw is random: over many draws a half is near a half.
func TestRandom(t *testing.T) {
	f := fault.New(&ir.Fault{AbortStatus: 500, AbortPercent: 5000}, nil)
	n := 0
	for range 10000 {
		var x filter.Exchange
		if f.OnRequest(&x) == filter.Reply {
			n++
		}
	}
	if n < 4500 || n > 5500 { // ten standard deviations
		t.Errorf("%d of 10000", n)
	}
}
