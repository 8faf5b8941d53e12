package admission_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/admission"
)

// crowd is clients that each send the next request when the last is answered or
// refused: a closed loop, so that there is an overload from the first moment on.
func crowd(wg *sync.WaitGroup, clients int, lim *admission.Limiter, s *service, d time.Duration, l *load) {
	end := time.Now().Add(d)
	for i := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for time.Now().Before(end) {
				if !l.one(lim, s) {
					time.Sleep(time.Duration(float64(40*time.Millisecond) * (0.5 + r.Float64())))
				}
			}
		})
	}
}

// A limiter that has seen nothing but overload, from its first sample on, finds
// out all the same what the service can do, and soon.
func TestLearnsUnderOverloadFromTheStart(t *testing.T) {
	for _, c := range []struct {
		name                       string
		capacity, initial, clients int
		each, settles              time.Duration
	}{
		{"default", 4, 32, 100, 20 * time.Millisecond, 8 * time.Second},
		{"far too high", 4, 400, 400, 20 * time.Millisecond, 8 * time.Second},
		{"higher than its clients", 4, 1000, 200, 20 * time.Millisecond, 8 * time.Second},
		{"slow service", 10, 200, 300, 300 * time.Millisecond, 40 * time.Second},
		{"quick service", 8, 100, 100, 3 * time.Millisecond, 8 * time.Second},
		{"too low", 100, 4, 600, 20 * time.Millisecond, 8 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.Initial, cfg.MaxConcurrency = c.initial, 1000
				lim, s, l := admission.New(cfg), newService(c.capacity, c.each), &load{priority: 5}
				var wg sync.WaitGroup
				crowd(&wg, c.clients, lim, s, c.settles+25*time.Second, l)
				time.Sleep(c.settles)
				early := lim.State()
				l.reset()
				time.Sleep(25 * time.Second)
				state := lim.State()
				l.mu.Lock()
				served, p50, p99 := l.served, percentile(l.latencies, 0.5), percentile(l.latencies, 0.99)
				l.mu.Unlock()
				wg.Wait()
				possible := float64(c.capacity) * 25 / c.each.Seconds()
				t.Logf("capacity %d: limit %d after %v, %d in the end; baseline %v of %v; %.2f of what is possible; p50 %v, p99 %v",
					c.capacity, early.Limit, c.settles, state.Limit, state.Baseline, c.each, float64(served)/possible, p50, p99)
				if most := 3*c.capacity + 6; early.Limit > most || state.Limit > most {
					t.Errorf("limit %d, then %d, for a capacity of %d", early.Limit, state.Limit, c.capacity)
				}
				if float64(served) < 0.9*possible {
					t.Errorf("%d served of %.0f", served, possible)
				}
				if p50 > 3*c.each || p99 > 5*c.each {
					t.Errorf("p50 %v, p99 %v in a service that takes %v", p50, p99, c.each)
				}
			})
		})
	}
}

// A service with two kinds of answers, quick ones and slow ones, that could do
// much more than it is asked for: a few quick ones in a row are no reason to
// refuse any.
func TestMixedLatenciesAreNoOverload(t *testing.T) {
	for _, perSecond := range []int{50, 300, 3000} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config()
			cfg.Initial = 32
			lim := admission.New(cfg)
			r := rand.New(rand.NewPCG(1, 1))
			var each sync.WaitGroup
			var refused atomic.Int64
			all := int64(0)
			warm := time.Now().Add(3 * time.Second) // three thousand are more than the initial limit
			for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
				time.Sleep(time.Duration(r.ExpFloat64() * float64(time.Second) / float64(perSecond)))
				d := 2 * time.Millisecond
				if r.IntN(10) == 0 {
					d = 100 * time.Millisecond
				}
				all++
				each.Go(func() {
					p, ok := lim.Acquire(5, 0, nil)
					if !ok {
						if time.Now().After(warm) {
							refused.Add(1)
						}
						return
					}
					time.Sleep(d)
					p.Release(admission.Answered, d)
				})
			}
			each.Wait()
			t.Logf("%d/s: %d of %d refused, %+v", perSecond, refused.Load(), all, lim.State())
			if n := refused.Load(); n*500 > all {
				t.Errorf("%d/s: %d of %d refused", perSecond, n, all)
			}
		})
	}
}

// Clients that give up before they are answered leave a trace.
func TestLearnsFromClientsThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Initial = 200
		lim := admission.New(cfg)
		for range 200 { // nobody is ever answered
			for range 20 {
				if p, ok := lim.Acquire(5, 0, nil); ok {
					time.AfterFunc(time.Second, func() { p.Release(admission.Unanswered, time.Second) })
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		first := lim.State()
		if first.Baseline != time.Second {
			t.Errorf("they left no trace: %+v", first)
		}
		// Now those who stay see 20 ms.
		for range 2000 {
			for i := range 4 {
				p, ok := lim.Acquire(9, 0, nil)
				if !ok {
					continue
				}
				time.Sleep(time.Millisecond)
				if i == 3 { // who leaves early says nothing
					p.Release(admission.Unanswered, time.Millisecond)
				} else {
					p.Release(admission.Answered, 20*time.Millisecond)
				}
			}
		}
		if b := lim.State().Baseline; b < 20*time.Millisecond || b > 21*time.Millisecond {
			t.Errorf("baseline %v", b)
		}
	})
}

// What never reached the service says nothing about it.
func TestSilentEndsAreNoSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := admission.New(&ir.Admission{Initial: 8})
		for range 1000 {
			p, ok := lim.Acquire(5, 0, nil)
			if !ok {
				t.Fatal("refused")
			}
			time.Sleep(time.Millisecond)
			p.Release(admission.Silent, 0)
		}
		if s := lim.State(); s.Limit != 8 || s.Baseline != 0 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}
