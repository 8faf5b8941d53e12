package breaker_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/breaker"
)

const second = int64(time.Second)

func newFailure() *breaker.Failure {
	return breaker.NewFailure(&ir.FailureRate{Percent: 50, MinRequests: 10, Window: 10 * time.Second, OpenFor: 5 * time.Second, HalfOpen: 3})
}

func state(f *breaker.Failure) breaker.State { s, _ := f.State(); return s }

// record takes in n tries of which bad fail, at now.
func record(f *breaker.Failure, now int64, n, bad int) {
	for i := range n {
		f.Record(now, now, i < bad)
	}
}

func TestOpensByRate(t *testing.T) {
	for _, c := range []struct {
		n, bad int
		want   breaker.State
	}{{9, 9, breaker.Closed}, {100, 4, breaker.Closed}, {10, 10, breaker.Open}, {1000, 400, breaker.Open}} {
		f := newFailure()
		record(f, second, c.n, c.bad)
		if got := state(f); got != c.want {
			t.Errorf("%d of %d failed (failures first): %v, want %v", c.bad, c.n, got, c.want)
		}
	}
	// Failures that are older than the window do not count.
	f := newFailure()
	record(f, second, 9, 9)
	record(f, 13*second, 9, 1)
	if state(f) != breaker.Closed {
		t.Error("opened by failures of long ago")
	}
}

func open(t *testing.T) *breaker.Failure {
	t.Helper()
	f := newFailure()
	record(f, second, 10, 10)
	if state(f) != breaker.Open {
		t.Fatal("not open")
	}
	return f
}

func allow(f *breaker.Failure, now int64) bool {
	ok, _ := f.Allow(now)
	return ok
}

// Each time that it begins to try again is told once.
func TestHalfOpenIsTold(t *testing.T) {
	f := open(t)
	told := 0
	for _, now := range []int64{5 * second, 6*second + 1, 6*second + 2, 12 * second} {
		if _, half := f.Allow(now); half {
			told++
		}
	}
	if told != 1 {
		t.Error("told", told, "times")
	}
	f.Record(13*second, 12*second, true)
	if _, half := f.Allow(18*second + 1); !half {
		t.Error("the second time was not told")
	}
}

func TestHalfOpenClosesAfterSuccesses(t *testing.T) {
	f := open(t)
	if allow(f, 5*second) {
		t.Error("passed while open")
	}
	for i := range 5 {
		if got := allow(f, 6*second+1); got != (i < 3) {
			t.Errorf("half-open request %d: %v", i, got)
		}
	}
	for i := range 3 {
		if state(f) != breaker.HalfOpen {
			t.Fatal("closed after", i, "successes")
		}
		f.Record(7*second, 6*second+2, false)
	}
	if state(f) != breaker.Closed || !allow(f, 7*second) {
		t.Error("not closed after three successes")
	}
	if f.Record(7*second, 7*second, true) {
		t.Error("what failed before it opened still counts")
	}
}

func TestHalfOpenOpensAfterOneFailure(t *testing.T) {
	f := open(t)
	allow(f, 6*second+1)
	f.Record(7*second, 6*second+2, false)
	if !f.Record(7*second, 6*second+2, true) || state(f) != breaker.Open || allow(f, 11*second) {
		t.Error("a failed probe must open again")
	}
	if !allow(f, 12*second+1) {
		t.Error("no new probes after another five seconds")
	}
	if _, n := f.State(); n != 2 {
		t.Error("opened", n, "times")
	}
}

// A try that hung since before the breaker opened says nothing about now.
func TestOldTriesDoNotJudge(t *testing.T) {
	f := open(t)
	allow(f, 6*second+1)
	if f.Record(7*second, second/2, true) || state(f) != breaker.HalfOpen {
		t.Error("an old failure opened the breaker again")
	}
	for range 5 {
		f.Record(7*second, second/2, false)
	}
	if state(f) != breaker.HalfOpen {
		t.Error("old successes closed the breaker")
	}
}

// Clocks are read once per exchange, and not in the order in which they ask.
func TestProbesThatReadTheClockEarlyJudge(t *testing.T) {
	f := open(t)
	for range 3 {
		allow(f, 6*second+10)
	}
	for range 3 {
		f.Record(7*second, 6*second+1, false)
	}
	if state(f) != breaker.Closed {
		t.Error("three successes of three probes did not close it")
	}
}

// Probes that end without a verdict do not leave the breaker stuck.
func TestLostProbesAreGrantedAgain(t *testing.T) {
	f := open(t)
	for range 3 {
		allow(f, 6*second+1)
	}
	if allow(f, 7*second) || !allow(f, 12*second) {
		t.Error("new probes are due after another OpenFor")
	}
}

func TestConcurrentUse(t *testing.T) {
	f := newFailure()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				now := int64(i) * second / 50
				if allow(f, now) {
					f.Record(now, now, (i+g)%3 == 0 || i/200%2 == 0)
				}
				f.State()
			}
		})
	}
	wg.Wait()
}

func TestGauge(t *testing.T) {
	g := breaker.NewGauge(2)
	if !g.Enter() || !g.Enter() || g.Enter() || g.Value() != 2 {
		t.Error("limit of two")
	}
	if g.Leave(); !g.Enter() {
		t.Error("a place that was left is free")
	}
	free := breaker.NewGauge(0)
	for range 1000 {
		if !free.Enter() {
			t.Fatal("zero is no limit")
		}
	}
}

// Who is refused must not take a place from who is not, not even for a moment.
func TestGaugeIsExact(t *testing.T) {
	const places, workers = 4, 4 // nobody ever has to be refused
	g := breaker.NewGauge(places)
	full := breaker.NewGauge(places)
	for range places {
		full.Enter()
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range 20_000 {
				if !g.Enter() {
					t.Error("refused with a place free")
					return
				}
				if full.Enter() || full.Value() != places {
					t.Error("a full gauge let somebody in, or counted who was refused")
					return
				}
				g.Leave()
			}
		})
	}
	wg.Wait()
}

func TestNil(t *testing.T) {
	f := breaker.NewFailure(nil)
	if !allow(f, 0) || f.Record(0, 0, true) || state(f) != breaker.Closed {
		t.Error("no breaker is a closed breaker")
	}
}
