package limit

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Grace is how long the counters of a limit are kept that the configuration does
// not have any more, since it may come back.
const Grace = 10 * time.Minute

// Set holds the limits of a proxy. They outlive configurations. The zero value is
// ready.
type Set struct {
	mu     sync.Mutex // guards limits
	limits map[string]*entry
}

type entry struct {
	limit *Limit
	cfg   *ir.RateLimit
	gone  time.Time // zero while it is configured
}

// Get returns the limit whose counters cfg names, with its settings brought up to
// date. It is called when a snapshot is built, not per exchange.
func (s *Set) Get(cfg *ir.RateLimit) *Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.limits[cfg.State]
	if e == nil {
		if s.limits == nil {
			s.limits = make(map[string]*entry)
		}
		e = &entry{limit: newLimit(cfg), cfg: cfg}
		s.limits[cfg.State] = e
	}
	e.gone = time.Time{}
	if e.cfg != cfg {
		e.cfg = cfg
		e.limit.configure(cfg)
	}
	return e.limit
}

// Keep says which limits are configured now, by State. The others are forgotten
// some time after; exchanges that hold one may go on with it.
func (s *Set) Keep(configured map[string]bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for state, e := range s.limits {
		switch {
		case configured[state]:
			e.gone = time.Time{}
		case e.gone.IsZero():
			e.gone = now
		case now.Sub(e.gone) >= Grace:
			delete(s.limits, state)
		}
	}
}

// Each calls f with every limit that is configured, ordered by State.
func (s *Set) Each(f func(cfg *ir.RateLimit, l *Limit)) {
	s.mu.Lock()
	var list []entry
	for _, state := range slices.Sorted(maps.Keys(s.limits)) {
		if e := s.limits[state]; e.gone.IsZero() {
			list = append(list, *e)
		}
	}
	s.mu.Unlock()
	for _, e := range list {
		f(e.cfg, e.limit)
	}
}
