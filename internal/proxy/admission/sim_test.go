package admission_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/admission"
)

// service does capacity exchanges at a time, each in about its time; the
// others queue inside of it, which is what a limiter is to prevent.
type service struct {
	slots chan struct{}
	mu    sync.Mutex
	time  time.Duration
	rand  *rand.Rand
}

func newService(capacity int, each time.Duration) *service {
	return &service{slots: make(chan struct{}, capacity), time: each, rand: rand.New(rand.NewPCG(1, 2))}
}

func (s *service) set(each time.Duration) {
	s.mu.Lock()
	s.time = each
	s.mu.Unlock()
}

func (s *service) serve() {
	s.slots <- struct{}{}
	s.mu.Lock()
	d := time.Duration(float64(s.time) * (0.6 + 0.8*s.rand.Float64()))
	s.mu.Unlock()
	time.Sleep(d)
	<-s.slots
}

// load is what clients of one priority saw.
type load struct {
	perSecond int
	priority  int

	mu        sync.Mutex
	served    int
	refused   int
	latencies []time.Duration // in the service
	total     []time.Duration // with the wait for admission
}

func (l *load) reset() {
	l.mu.Lock()
	l.served, l.refused, l.latencies, l.total = 0, 0, nil, nil
	l.mu.Unlock()
}

func (l *load) success() float64 { return float64(l.served) / float64(l.served+l.refused) }

func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(p*float64(len(d)-1))]
}

// run sends an open-loop load for a time: arrivals do not wait for answers.
func (l *load) run(wg *sync.WaitGroup, lim *admission.Limiter, s *service, d time.Duration) {
	wg.Go(func() {
		r := rand.New(rand.NewPCG(9, uint64(l.priority)))
		var each sync.WaitGroup
		for end := time.Now().Add(d); time.Now().Before(end); {
			time.Sleep(time.Duration(r.ExpFloat64() * float64(time.Second) / float64(l.perSecond)))
			each.Go(func() { l.one(lim, s) })
		}
		each.Wait()
	})
}

// one is a request; false is a refusal.
func (l *load) one(lim *admission.Limiter, s *service) bool {
	began := time.Now()
	var place admission.Place
	ok := true
	if lim != nil {
		place, ok = lim.Acquire(l.priority, 0, nil)
	}
	if !ok {
		l.mu.Lock()
		l.refused++
		l.mu.Unlock()
		return false
	}
	admitted := time.Now()
	s.serve()
	in := time.Since(admitted)
	if lim != nil {
		place.Release(admission.Answered, in)
	}
	l.mu.Lock()
	l.served++
	l.latencies = append(l.latencies, in)
	l.total = append(l.total, time.Since(began))
	l.mu.Unlock()
	return true
}

func simulate(lim *admission.Limiter, s *service, d time.Duration, loads ...*load) {
	var wg sync.WaitGroup
	for _, l := range loads {
		l.run(&wg, lim, s, d)
	}
	wg.Wait()
}

func config() *ir.Admission {
	return &ir.Admission{
		Scope: "test", MinConcurrency: 2, MaxConcurrency: 500, Initial: 5,
		MaxQueue: 20, QueueTimeout: 200 * time.Millisecond, DefaultPriority: 5,
	}
}

// Capacity 10 × 20 ms is 500 a second. Twice that arrives.
func TestLimitConvergesUnderOverload(t *testing.T) {
	for _, initial := range []int{2, 10, 300} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config()
			cfg.Initial = initial
			lim, s := admission.New(cfg), newService(10, 20*time.Millisecond)
			l := &load{perSecond: 1000, priority: 5}
			simulate(lim, s, 20*time.Second, l) // settles
			l.reset()
			simulate(lim, s, 60*time.Second, l)
			state := lim.State()
			t.Logf("initial %d: limit %d, baseline %v, recent %v, %d served, p99 in the service %v, in all %v",
				initial, state.Limit, state.Baseline, state.Recent, l.served, percentile(l.latencies, 0.99), percentile(l.total, 0.99))
			if state.Limit < 8 || state.Limit > 30 {
				t.Errorf("limit %d for a capacity of 10", state.Limit)
			}
			if goodput := float64(l.served) / 60; goodput < 450 {
				t.Errorf("%.0f of 500 a second", goodput)
			}
			if p := percentile(l.latencies, 0.99); p > 80*time.Millisecond {
				t.Errorf("p99 in the service %v", p)
			}
			if p := percentile(l.total, 0.99); p > 300*time.Millisecond {
				t.Errorf("p99 in all %v", p)
			}
		})
	}
}

// The same load without a limiter: latency grows without bound. This is what
// the test above would miss if it were too kind.
func TestWithoutLimitLatencyGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &load{perSecond: 1000}
		simulate(nil, newService(10, 20*time.Millisecond), 10*time.Second, l)
		if p := percentile(l.latencies, 0.99); p < 5*time.Second {
			t.Errorf("p99 %v", p)
		}
	})
}

func TestPrioritiesWinUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim, s := admission.New(config()), newService(10, 20*time.Millisecond)
		high, mid, low := &load{perSecond: 250, priority: 9}, &load{perSecond: 250, priority: 5}, &load{perSecond: 1000, priority: 0}
		simulate(lim, s, 15*time.Second, high, mid, low)
		for _, l := range []*load{high, mid, low} {
			l.reset()
		}
		simulate(lim, s, 40*time.Second, high, mid, low)
		t.Logf("success: high %.3f, mid %.3f, low %.3f; high waits p99 %v", high.success(), mid.success(), low.success(), percentile(high.total, 0.99))
		if high.success() < 0.995 {
			t.Errorf("high priority: %.3f", high.success())
		}
		if mid.success() < 0.75 || mid.success() < 4*low.success() {
			t.Errorf("mid %.3f, low %.3f", mid.success(), low.success())
		}
		if p := percentile(high.total, 0.99); p > 120*time.Millisecond {
			t.Errorf("high priority p99 %v", p)
		}
	})
}

func TestTargetLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.TargetLatency = 60 * time.Millisecond
		lim, s := admission.New(cfg), newService(10, 20*time.Millisecond)
		l := &load{perSecond: 1000}
		simulate(lim, s, 20*time.Second, l)
		l.reset()
		simulate(lim, s, 30*time.Second, l)
		var sum time.Duration
		for _, d := range l.latencies {
			sum += d
		}
		if mean := sum / time.Duration(len(l.latencies)); mean < 45*time.Millisecond || mean > 90*time.Millisecond {
			t.Errorf("mean %v for a target of 60 ms, limit %d", mean, lim.State().Limit)
		}
	})
}

// A service that becomes slower for good gets a new baseline, and all of what
// it still can do; one that recovers is used again.
func TestBaselineFollowsTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim, s := admission.New(config()), newService(10, 20*time.Millisecond)
		l := &load{perSecond: 800}
		simulate(lim, s, 20*time.Second, l)
		for _, each := range []time.Duration{100 * time.Millisecond, 10 * time.Millisecond} {
			s.set(each)
			simulate(lim, s, 40*time.Second, l)
			l.reset()
			simulate(lim, s, 20*time.Second, l)
			possible := min(800, float64(10*time.Second/each))
			t.Logf("%v each: %d served of %.0f, %+v", each, l.served, possible*20, lim.State())
			if got := float64(l.served) / 20; got < 0.85*possible {
				t.Errorf("%v each: %.0f a second of %.0f", each, got, possible)
			}
		}
	})
}

// A light load is never refused, and does not raise the limit to nonsense.
func TestLightLoadPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Initial = 20
		lim, s := admission.New(cfg), newService(100, 20*time.Millisecond)
		l := &load{perSecond: 200} // 4 in progress
		simulate(lim, s, 60*time.Second, l)
		if l.refused > 0 {
			t.Error("refused", l.refused)
		}
		if n := lim.State().Limit; n < 10 || n > 40 {
			t.Error("limit", n)
		}
	})
}
