package lease

import (
	"time"

	"github.com/gridway/gridway/internal/budget"
)

const (
	// vacancy is how long a refusal of a place is believed, since others leave theirs
	// at any time.
	vacancy = 20 * time.Millisecond
	// sayEvery is how often it is said to an exact Source which places are in use.
	sayEvery = time.Second
)

// Place is one that a request has.
type Place struct {
	store   *Store
	account *account
}

// Leave gives the place back, and waits for nothing. It is called once.
func (p *Place) Leave() {
	a, now := p.account, p.store.opt.Now()
	a.mu.Lock()
	a.lapse(now)
	a.vacate(1)
	ask := p.store.crowded(a, now)
	a.mu.Unlock()
	if ask {
		p.store.enqueue(a)
	}
}

// Occupy counts a request that was let in without asking: it is in progress all the
// same, and the Source is told when it can be. It is nil where there is no room to
// remember it.
func (s *Store) Occupy(c Charge) *Place {
	a, err := s.account(&c, s.opt.Now())
	if err != nil {
		return nil
	}
	a.inUse++
	a.mu.Unlock()
	return &Place{s, a}
}

// enter notes that requests have places now.
func (a *account) enter(n int64) {
	if a.limit.places > 0 {
		a.inUse += n
		a.spare = min(a.spare, a.left)
	}
}

// vacate notes that they have them no more. What the store knows to be held can be had
// by the next.
func (a *account) vacate(n int64) {
	a.inUse = max(a.inUse-n, 0)
	if a.inUse+a.left+n <= a.held {
		a.left += n
	}
}

// keeps is how many places may be left, for whoever comes next. Where others have few
// to choose from it is none, since they may be waiting.
func (s *Store) keeps(a *account) int64 {
	most := min(a.limit.places/largest, maxExtra)
	if s.opt.Exact || a.rest < most {
		return 0
	}
	return most
}

// crowded puts an account into the queue of which more places are left than are kept.
// Where the Source fails this is left to the next sweep.
func (s *Store) crowded(a *account, now int64) bool {
	most := s.keeps(a)
	if a.limit.places == 0 || a.left <= most || a.asking || len(a.waiters) > 0 || now < s.failing.Load() {
		return false
	}
	a.left, a.spare = most, min(a.spare, most)
	return a.toAsk()
}

// tend is what becomes of an account of places from time to time: what nobody has used
// since the last time is given back, and it is said what is held, at once if the
// Source may have forgotten it.
func (s *Store) tend(a *account, now int64, forgotten bool) (ask, gone bool) {
	idle := a.spare
	a.left -= idle
	a.spare = a.left
	every := budget.HoldTime / 2
	if s.opt.Exact {
		every = sayEvery
	}
	has := a.inUse + a.left
	switch {
	case idle > 0 || a.held > has:
		return true, false
	case has > 0:
		return forgotten || a.until == 0 || now-a.asked >= int64(every)-int64(sweepEvery)/2, false
	}
	return false, true
}
