package admission_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/wire/netx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full returns a limiter of one place that is taken.
func full(t *testing.T, queue int) (*admission.Limiter, admission.Place) {
	t.Helper()
	l := admission.New(&ir.Admission{MinConcurrency: 1, MaxConcurrency: 1, Initial: 1, MaxQueue: queue, QueueTimeout: time.Minute})
	p, ok := l.Acquire(5, 0, nil)
	if !ok {
		t.Fatal("an empty limiter refused")
	}
	return l, p
}

func TestQueueOrderAndEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, place := full(t, 3)
		var mu sync.Mutex
		var order []string
		var refused []string
		ask := func(name string, priority int) {
			go func() {
				p, ok := l.Acquire(priority, 0, nil)
				mu.Lock()
				if ok {
					order = append(order, name)
				} else {
					refused = append(refused, name)
				}
				mu.Unlock()
				if ok {
					p.Release(admission.Answered, time.Millisecond)
				}
			}()
			synctest.Wait()
		}
		ask("low1", 1)
		ask("low2", 1)
		ask("mid", 5)
		ask("low3", 1)  // full of as good or better: refused
		ask("high", 9)  // pushes out low2, the newest of the lowest
		ask("mid2", 5)  // pushes out low1
		ask("mid3", 5)  // refused
		ask("high2", 9) // pushes out mid2
		place.Release(admission.Answered, time.Millisecond)
		synctest.Wait()
		if got := join(order); got != "high high2 mid" {
			t.Error("served:", got)
		}
		if got := join(refused); got != "low3 low2 low1 mid3 mid2" {
			t.Error("refused:", got)
		}
		if s := l.State(); s.InFlight != 0 || s.Queued != 0 || s.Counts.Evicted != 3 || s.Counts.Refused != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func join(names []string) (s string) {
	for i, n := range names {
		if i > 0 {
			s += " "
		}
		s += n
	}
	return s
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := full(t, 3)
		began := time.Now()
		if _, ok := l.Acquire(5, netx.After(50*time.Millisecond), nil); ok || time.Since(began) != 50*time.Millisecond {
			t.Error("the caller's deadline:", time.Since(began))
		}
		began = time.Now()
		if _, ok := l.Acquire(5, 0, nil); ok || time.Since(began) != time.Minute {
			t.Error("the queue's timeout:", time.Since(began))
		}
		var left atomic.Bool
		time.AfterFunc(time.Second, func() { left.Store(true) })
		began = time.Now()
		if _, ok := l.Acquire(5, 0, left.Load); ok || time.Since(began) > 1100*time.Millisecond {
			t.Error("a client that left:", time.Since(began))
		}
		if s := l.State(); s.Queued != 0 || s.Counts.TimedOut != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNoQueue(t *testing.T) {
	l, p := full(t, 0)
	if _, ok := l.Acquire(9, 0, nil); ok {
		t.Error("beyond the limit")
	}
	p.Release(admission.Silent, 0)
	if _, ok := l.Acquire(0, 0, nil); !ok {
		t.Error("a place that was given back is not free")
	}
}

func TestDropsLowerTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admission.New(&ir.Admission{MinConcurrency: 3, MaxConcurrency: 100, Initial: 100})
		for range 60 {
			var places []admission.Place
			for range 10 {
				if p, ok := l.Acquire(5, 0, nil); ok {
					places = append(places, p)
				}
			}
			time.Sleep(100 * time.Millisecond)
			for i, p := range places {
				if i%2 == 0 {
					p.Release(admission.Overloaded, 0)
				} else {
					p.Release(admission.Answered, 10*time.Millisecond)
				}
			}
		}
		if n := l.State().Limit; n > 12 {
			t.Error("limit", n, "though half of the exchanges fail")
		}
	})
}

func TestAcquireAllocatesNothing(t *testing.T) {
	l := admission.New(&ir.Admission{Initial: 10, MaxConcurrency: 10, MinConcurrency: 10})
	if n := testing.AllocsPerRun(1000, func() {
		p, _ := l.Acquire(5, 0, nil)
		p.Release(admission.Answered, time.Millisecond)
	}); n != 0 {
		t.Error(n, "allocations")
	}
}

func TestSetKeepsWhatWasLearned(t *testing.T) {
	var s admission.Set
	a := s.Get(&ir.Admission{Scope: "a", Initial: 50, MaxConcurrency: 100})
	if b := s.Get(&ir.Admission{Scope: "a", Initial: 7, MaxConcurrency: 100}); b != a || b.State().Limit != 50 {
		t.Error("a changed policy lost the limit that was learned")
	}
	if b := s.Get(&ir.Admission{Scope: "a", MaxConcurrency: 10}); b.State().Limit != 10 {
		t.Error("new bounds are not kept")
	}
	s.Get(&ir.Admission{Scope: "b"})
	s.Keep(map[string]bool{"a": true})
	if states := s.States(); len(states) != 1 || states[0].Scope != "a" {
		t.Errorf("%+v", states)
	}
	if s.Get(nil) != nil {
		t.Error("no policy, no limiter")
	}
}

func TestManyGoroutines(t *testing.T) {
	l := admission.New(&ir.Admission{MinConcurrency: 4, MaxConcurrency: 8, Initial: 4, MaxQueue: 10, QueueTimeout: 5 * time.Millisecond})
	var inside, most atomic.Int32
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 300 {
				p, ok := l.Acquire((g+i)%10, 0, nil)
				if !ok {
					continue
				}
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				inside.Add(-1)
				p.Release(admission.Sign(i%4), time.Duration(i)*time.Microsecond)
			}
		})
	}
	wg.Wait()
	if s := l.State(); s.InFlight != 0 || s.Queued != 0 || most.Load() > 8 {
		t.Errorf("%+v, at most %d at a time", s, most.Load())
	}
}

func BenchmarkAcquire(b *testing.B) {
	l := admission.New(&ir.Admission{Initial: 10, MaxConcurrency: 10})
	b.ReportAllocs()
	for b.Loop() {
		p, _ := l.Acquire(5, 0, nil)
		p.Release(admission.Answered, time.Millisecond)
	}
}
