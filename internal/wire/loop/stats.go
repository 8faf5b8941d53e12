package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// sampled is how many of the waits that keep the processor there are for each one that is
// timed: reading the clock for all would cost a hundredth of a request. It is odd, and no
// multiple of what requests repeat, so that waits of all sorts are timed; none of them is
// longer than holdFor, so that what the others took is known well.
const sampled = 17

// Stats is how busy a loop is.
type Stats struct {
	// Sockets are open: of clients, endpoints and listeners.
	Sockets int
	// Queued tasks and sockets waited for their turn when the loop looked last.
	Queued int
	// Busy is for how long the loop has not waited since the group was started. It never
	// falls, and is an estimate while traffic is dense.
	Busy time.Duration
	// Taken counts how often a task ran for so long without a wait that the loop went on
	// with another goroutine.
	Taken uint64
}

// usage is what a loop notes for Stats.
type usage struct {
	// rest is how long the loop has waited, in nanoseconds; while it is parked, the time of
	// Now when it would have begun had it waited all its life, and negative.
	rest   atomic.Int64
	waits  int // since one was timed; of the goroutine that has the turn
	queued atomic.Int32
	taken  atomic.Uint64

	mu   sync.Mutex // guards told
	told time.Duration
}

// parked notes that the loop waits from now on, and unparked that it does no more.
func (u *usage) parked(now int64) {
	rested := min(u.rest.Load(), now-1) // an estimate may be too much
	u.rest.Store(rested - now)
}

func (u *usage) unparked(now int64) { u.rest.Store(now + u.rest.Load()) }

// held notes a wait that was timed, and stands for those that were not.
func (u *usage) held(d int64) { u.rest.Store(u.rest.Load() + sampled*d) }

// timed tells whether the wait that begins is to be timed.
func (u *usage) timed() bool {
	if u.waits++; u.waits < sampled {
		return false
	}
	u.waits = 0
	return true
}

// queue notes how much waits for its turn.
func (u *usage) queue(n int) {
	if int(u.queued.Load()) != n {
		u.queued.Store(int32(min(n, 1<<30)))
	}
}

// busy is how long the loop has not waited of a time.
func (u *usage) busy(began, now int64) time.Duration {
	rested := u.rest.Load()
	if rested < 0 {
		rested += now
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = max(u.told, time.Duration(now-began-rested))
	return u.told
}

// Stats are those of the loops of the group.
func (g *Group) Stats() []Stats {
	out := make([]Stats, len(g.loops))
	now := Now()
	for i, l := range g.loops {
		out[i] = Stats{
			Sockets: int(l.load.Load()), Queued: int(l.usage.queued.Load()), Busy: l.usage.busy(g.began, now), Taken: l.usage.taken.Load(),
		}
	}
	return out
}
