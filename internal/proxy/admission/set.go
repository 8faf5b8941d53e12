package admission

import (
	"maps"
	"slices"
	"sync"

	"github.com/gridway/gridway/internal/ir"
)

// Set holds the limiters of a proxy by scope. They outlive configurations, and
// with them what they learned. The zero value is ready.
type Set struct {
	mu     sync.Mutex // guards scopes
	scopes map[string]*Limiter
}

// Get returns the scope's limiter, with its settings brought up to date; nil
// for nil. It is called when a snapshot is built, not per exchange.
func (s *Set) Get(cfg *ir.Admission) *Limiter {
	if cfg == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.scopes[cfg.Scope]; l != nil {
		l.mu.Lock()
		l.configure(cfg)
		l.admit() // the new limit may be higher
		l.mu.Unlock()
		return l
	}
	if s.scopes == nil {
		s.scopes = make(map[string]*Limiter)
	}
	l := New(cfg)
	s.scopes[cfg.Scope] = l
	return l
}

// Keep forgets the limiters of scopes that are not in use any more. Exchanges
// that hold one may go on with it.
func (s *Set) Keep(inUse map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.scopes, func(scope string, _ *Limiter) bool { return !inUse[scope] })
}

// States describes all limiters, by scope.
func (s *Set) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]State, 0, len(s.scopes))
	for _, scope := range slices.Sorted(maps.Keys(s.scopes)) {
		out = append(out, s.scopes[scope].State())
	}
	return out
}
