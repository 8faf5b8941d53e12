package breaker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/window"
)

// State of a failure-rate breaker.
type State uint32

const (
	// Closed: everything passes, failures are counted.
	Closed State = iota
	// Open: nothing passes until its time is over.
	Open
	// HalfOpen: a few requests pass, and decide.
	HalfOpen
)

// String returns "closed", "open" or "half-open".
func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// Failure opens when too many tries fail. A nil Failure is always closed.
type Failure struct {
	cfg    ir.FailureRate
	counts *window.Counter // failures, all
	state  atomic.Uint32

	mu        sync.Mutex // guards what follows and all changes of state
	openedAt  int64      // when it opened last
	until     int64      // while open: when to try
	since     int64      // while half-open: when the current probes were granted
	granted   int
	succeeded int
	opened    uint64
}

// NewFailure returns nil for nil.
func NewFailure(cfg *ir.FailureRate) *Failure {
	if cfg == nil || cfg.Percent <= 0 {
		return nil
	}
	c := *cfg
	c.MinRequests = max(c.MinRequests, 1)
	c.HalfOpen = max(c.HalfOpen, 1)
	if c.OpenFor <= 0 {
		c.OpenFor = 5 * time.Second
	}
	if c.Window <= 0 {
		c.Window = 10 * time.Second
	}
	return &Failure{cfg: c, counts: window.New(c.Window)}
}

// Allow tells whether a request may pass. When the open time is over it lets
// HalfOpen requests through; if those end without a verdict (cancelled), it
// grants as many again after each further OpenFor. halfOpened tells that this
// request is the first of those.
func (f *Failure) Allow(now int64) (ok, halfOpened bool) {
	if f == nil || State(f.state.Load()) == Closed {
		return true, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch State(f.state.Load()) {
	case Open:
		if now < f.until {
			return false, false
		}
		halfOpened = true
		f.state.Store(uint32(HalfOpen))
		f.since, f.granted, f.succeeded = now, 0, 0
	case HalfOpen:
		if now-f.since >= int64(f.cfg.OpenFor) {
			f.since, f.granted = now, 0
		}
	default:
		return true, false
	}
	if f.granted >= f.cfg.HalfOpen {
		return false, halfOpened
	}
	f.granted++
	return true, halfOpened
}

// Record takes in the outcome of a try that began at start, and tells whether
// it changed the state.
func (f *Failure) Record(now, start int64, failed bool) bool {
	if f == nil {
		return false
	}
	if State(f.state.Load()) != Closed {
		return f.probe(now, start, failed)
	}
	var bad uint32
	if failed {
		bad = 1
	}
	f.counts.Add(now, bad, 1)
	if !failed {
		return false
	}
	failures, all := f.counts.Sum(now)
	if all < uint64(f.cfg.MinRequests) || failures*100 < all*uint64(f.cfg.Percent) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if State(f.state.Load()) != Closed {
		return false
	}
	f.open(now)
	return true
}

// probe judges a half-open breaker. Tries from before it opened say nothing
// about now, so they do not count.
func (f *Failure) probe(now, start int64, failed bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if State(f.state.Load()) != HalfOpen || start < f.openedAt {
		return false
	}
	if failed {
		f.open(now)
		return true
	}
	if f.succeeded++; f.succeeded < f.cfg.HalfOpen {
		return false
	}
	f.counts.Reset()
	f.state.Store(uint32(Closed))
	return true
}

func (f *Failure) open(now int64) {
	f.openedAt, f.until = now, now+int64(f.cfg.OpenFor)
	f.opened++
	f.state.Store(uint32(Open))
}

// Closed tells whether everything passes.
func (f *Failure) Closed() bool { return f == nil || State(f.state.Load()) == Closed }

// State is the current one, and how often the breaker has opened.
func (f *Failure) State() (State, uint64) {
	if f == nil {
		return Closed, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return State(f.state.Load()), f.opened
}
