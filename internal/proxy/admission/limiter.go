// Package admission limits how many exchanges are in progress, to what the
// service behind can do without queueing, which it finds out by itself: the
// limit follows the latency, as in TCP congestion control by delay (Vegas,
// gradient, BBR). What exceeds the limit waits in a bounded queue by priority.
//
// The package owns no goroutines: a limit is adapted by who releases a place,
// and who waits does so on its own goroutine. The pipeline imports it.
package admission

import (
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Limiter is the limit of one scope.
type Limiter struct {
	mu       sync.Mutex // guards everything below
	cfg      ir.Admission
	inflight int
	law      law
	queue    queue
	counts   Counts
}

// Counts of what a limiter has decided since it was made.
type Counts struct {
	Admitted uint64 `json:"admitted"` // at once
	Queued   uint64 `json:"queued"`   // admitted after a wait
	Refused  uint64 `json:"refused"`  // the queue was full of as good or better, or there is none
	Evicted  uint64 `json:"evicted"`  // left the queue for a better one
	TimedOut uint64 `json:"timedOut"` // waited in vain
}

// New makes a limiter. Open fields get defaults: concurrency from 1 to 1000,
// at first 20; waits end after a second.
func New(cfg *ir.Admission) *Limiter {
	l := &Limiter{}
	l.configure(cfg)
	l.law.start(l.cfg.Initial, netx.Monotonic())
	return l
}

// configure is called with mu held, or before the limiter is shared.
func (l *Limiter) configure(cfg *ir.Admission) {
	c := *cfg
	c.MinConcurrency = max(c.MinConcurrency, 1)
	if c.MaxConcurrency <= 0 {
		c.MaxConcurrency = 1000
	}
	c.MaxConcurrency = max(c.MaxConcurrency, c.MinConcurrency)
	if c.Initial <= 0 {
		c.Initial = 20
	}
	c.Initial = min(max(c.Initial, c.MinConcurrency), c.MaxConcurrency)
	if c.QueueTimeout <= 0 {
		c.QueueTimeout = time.Second
	}
	l.cfg = c
	l.law.bound(c.MinConcurrency, c.MaxConcurrency, c.TargetLatency)
}

// Acquire asks for a place, for an exchange of priority 0 (first to be refused)
// to 9. It waits until the monotonic time by (0: as long as the queue allows)
// and asks gone, if given, about every 100 ms whether waiting has become
// pointless. A place that it returns must be released; false is a refusal.
func (l *Limiter) Acquire(priority int, by int64, gone func() bool) (Place, bool) {
	return l.AcquireOn(nil, priority, by, gone)
}

// AcquireOn is Acquire for a task of an event loop, which a wait detaches.
func (l *Limiter) AcquireOn(t *loop.Task, priority int, by int64, gone func() bool) (Place, bool) {
	priority = min(max(priority, 0), priorities-1)
	l.mu.Lock()
	if l.inflight < l.law.limit() && l.queue.len == 0 {
		l.inflight++
		l.law.saw(l.inflight)
		l.counts.Admitted++
		p := Place{l, l.law.enter()}
		l.mu.Unlock()
		return p, true
	}
	l.law.saw(l.inflight + 1) // demand, though it is not met
	w := l.enqueue(priority)
	timeout := l.cfg.QueueTimeout
	l.mu.Unlock()
	if w == nil {
		return Place{}, false
	}
	limit := netx.Monotonic() + int64(timeout)
	if by == 0 || by > limit {
		by = limit
	}
	t.Detach()
	return l.wait(w, by, gone)
}

// admit lets in who waits, the best first. It is called with mu held.
func (l *Limiter) admit() {
	for l.queue.len > 0 && l.inflight < l.law.limit() {
		w := l.queue.first()
		l.queue.remove(w)
		l.inflight++
		l.law.saw(l.inflight)
		l.counts.Queued++
		w.place = Place{l, l.law.enter()}
		w.verdict <- true
	}
}

// State of a limiter, for people and metrics.
type State struct {
	Scope    string        `json:"scope"`
	Limit    int           `json:"limit"`
	InFlight int           `json:"inFlight"`
	Queued   int           `json:"queued"`
	Baseline time.Duration `json:"baseline"` // latency without queueing, or the target
	Recent   time.Duration `json:"recent"`   // latency of the last window
	Counts   Counts        `json:"counts"`
}

// State returns the current one.
func (l *Limiter) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{
		Scope: l.cfg.Scope, Limit: l.law.limit(), InFlight: l.inflight, Queued: l.queue.len,
		Baseline: time.Duration(l.law.base()), Recent: time.Duration(l.law.recent), Counts: l.counts,
	}
}
