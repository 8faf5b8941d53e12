package metric

import (
	"sync/atomic"

	"github.com/gridway/gridway/internal/telemetry/stripe"
)

// hotAt is how many events a set of counters takes before it gets a copy per
// processor. Most rules of a large configuration never do, so that 100,000 of
// them cost little.
const hotAt = 1024

// slab holds the copies of one set of counters C. The zero value with its
// stripes set is ready and takes two words until the first event.
type slab[C any] struct {
	stripes *stripe.Chooser
	cold    atomic.Pointer[C]
	hot     atomic.Pointer[[]atomic.Pointer[C]]
}

// choose returns the copy that the calling goroutine should write to.
func (s *slab[C]) choose() *C {
	if hot := s.hot.Load(); hot != nil {
		p := &(*hot)[s.stripes.Choose()]
		if c := p.Load(); c != nil {
			return c
		}
		return first(p)
	}
	if c := s.cold.Load(); c != nil {
		return c
	}
	return first(&s.cold)
}

// first puts a new copy in place unless someone else was faster.
func first[C any](p *atomic.Pointer[C]) *C {
	c := new(C)
	if p.CompareAndSwap(nil, c) {
		return c
	}
	return p.Load()
}

// heat gives each processor a copy of its own from now on.
func (s *slab[C]) heat() {
	if s.stripes.Len() > 1 && s.hot.Load() == nil {
		hot := make([]atomic.Pointer[C], s.stripes.Len())
		s.hot.CompareAndSwap(nil, &hot)
	}
}

// each calls f with every copy.
func (s *slab[C]) each(f func(*C)) {
	if c := s.cold.Load(); c != nil {
		f(c)
	}
	if hot := s.hot.Load(); hot != nil {
		for i := range *hot {
			if c := (*hot)[i].Load(); c != nil {
				f(c)
			}
		}
	}
}

// used tells whether there was any event.
func (s *slab[C]) used() bool { return s.cold.Load() != nil || s.hot.Load() != nil }
