package loop

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// What a loop has waited is no work: neither while it is parked nor in waits of which a
// few are timed; and what was told of its work once is not taken back.
func TestUsage(t *testing.T) {
	const began = 100
	var u usage
	expect := func(when string, now int64, want time.Duration) {
		t.Helper()
		if got := u.busy(began, now); got != want {
			t.Fatalf("%s: it has worked for %d, want %d", when, got, want)
		}
	}
	expect("at first", 150, 50)
	u.parked(200)
	expect("it has just parked", 200, 100)
	expect("it is parked", 900, 100)
	u.unparked(1000)
	expect("it works again", 1010, 110)
	timed := 0
	for range 3 * sampled {
		if u.timed() {
			timed++
			u.held(2)
		}
	}
	if timed != 3 {
		t.Fatalf("%d of %d waits were timed", timed, 3*sampled)
	}
	rested := int64(800 + 3*sampled*2)
	expect("waits that keep the processor", 2000, time.Duration(2000-began-rested))
	u.held(1 << 40) // which it cannot have been
	expect("an estimate that is too much", 2001, time.Duration(2000-began-rested))
	u.parked(3000)
	u.unparked(3001)
	expect("after it", 3001, time.Duration(2000-began-rested))
}

// spin works until it is told to end.
type spin struct{ end *atomic.Bool }

func (s spin) Resume(*Task) bool {
	for !s.end.Load() {
		runtime.Gosched()
	}
	return false
}

// A loop without work does not work; one that a task keeps does, and is taken from it.
func TestStats(t *testing.T) {
	g, err := NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	until := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range 6000 {
			if ok() {
				return
			}
			<-tick.C
		}
		t.Fatalf("%s: %+v", what, g.Stats())
	}
	before := g.Stats()[0]
	until("it never rests", func() bool {
		now := g.Stats()[0]
		rests := now.Busy == before.Busy
		before = now
		return rests
	})
	var end atomic.Bool
	defer end.Store(true)
	g.loops[0].post(work{handler: spin{&end}})
	until("it does not work", func() bool { s := g.Stats()[0]; return s.Busy > before.Busy && s.Taken == 1 })
	end.Store(true)
	before = g.Stats()[0]
	until("it does not come to rest", func() bool {
		now := g.Stats()[0]
		rests := now.Busy == before.Busy && now.Queued == 0
		before = now
		return rests
	})
}
