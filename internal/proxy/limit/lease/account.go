package lease

import (
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

const (
	// growWithin: who comes back for more so soon gets more the next time.
	growWithin = 2 * time.Second
	// pause is the least time between two refusals by the store of one key, and
	// between two refills that nobody waits for; patience the longest time that a
	// refusal is believed, since others may give something back.
	pause    = 50 * time.Millisecond
	patience = time.Second
	// idle is how long something may be held that nobody uses.
	idle = 3 * time.Second
	// What is held of a key is never more than maxExtra, and than this part of what
	// the limit ever has: of one that has little, everybody asks each time.
	maxExtra = 1 << 20
	largest  = 8
)

// account is a key's part that is here.
type account struct {
	id

	mu sync.Mutex // guards what follows
	// gone: it is not in its shard any more, and somebody has to look again.
	gone  bool
	limit limitOf
	// window is the Begin of the quota's that all numbers are of.
	window int64
	// left may be spent before until; held is what the store takes to be held.
	left, until, held int64
	// inUse are places that requests have, and spare the fewest that were left since
	// they were looked at last.
	inUse, spare int64
	// rest was left in the store at the time at, when there was one more of a rate
	// next later.
	rest, next, at int64
	// delta is to be told: owed, or below zero given back.
	delta int64
	// extra is what the next lease is to have beyond what is needed at once.
	extra int64
	// Until refused costs of short and more are refused without asking.
	refused, short int64
	used, asked    int64 // when
	asking         bool  // it is in the queue, or under way
	waiters        []*waiter
}

// limitOf is what the configuration says.
type limitOf struct {
	unit, burst, places, amount int64
	calendar                    Calendar
}

// quota tells whether it is one.
func (l *limitOf) quota() bool { return l.unit == 0 && l.places == 0 }

// waiter is a request that waits for a grant.
type waiter struct {
	cost int64
	done chan outcome // has room for one
}

type outcome uint8

const (
	open outcome = iota
	granted
	refused
	failed
)

// take charges cost at the monotonic time now. While it is open the waiter is to be
// waited for, and ask says that somebody has to ask the store.
func (a *account) take(cost, now int64, down bool) (is outcome, w *waiter, ask bool) {
	a.used = now
	a.lapse(now)
	switch {
	case cost > a.limit.most():
		return refused, nil, false
	case a.left >= cost && a.left > 0:
		a.left -= cost
		a.enter(cost)
		return granted, nil, a.wantsMore(now, down)
	case now < a.refused && cost >= a.short:
		return refused, nil, false
	case down:
		return failed, nil, false
	}
	w = &waiter{cost, make(chan outcome, 1)}
	a.waiters = append(a.waiters, w)
	return open, w, a.toAsk()
}

func (l *limitOf) most() int64 {
	switch {
	case l.unit > 0:
		return l.burst
	case l.places > 0:
		return l.places
	}
	return l.amount
}

// lapse forgets what may not be spent any more.
func (a *account) lapse(now int64) {
	if a.until != 0 && now >= a.until {
		a.left, a.held, a.until, a.spare = 0, 0, 0, 0
		if a.limit.unit == 0 {
			a.rest, a.delta, a.refused, a.window = 0, 0, 0, 0
		}
	}
}

// wantsMore tells whether the store is to be asked before the units are used up.
func (a *account) wantsMore(now int64, down bool) bool {
	return !down && a.extra > 0 && a.left <= a.extra/2 && now >= a.refused && now-a.asked >= int64(pause) && a.toAsk()
}

// toAsk puts the account into the queue, if it is not there; true is for whoever
// has to.
func (a *account) toAsk() bool {
	if a.asking {
		return false
	}
	a.asking = true
	return true
}

// back gives back what was taken: units that the store takes to be held are held
// again, others are told.
func (a *account) back(cost int64) {
	if a.limit.places > 0 {
		a.vacate(cost)
		return
	}
	if a.left+cost <= a.held || a.limit.unit == 0 {
		a.left += cost
		return
	}
	a.delta -= cost
}

// ask is what the store is to be asked. clock is the store's time.
func (a *account) ask(now int64, clock time.Time) budget.Ask {
	a.lapse(now)
	out := budget.Ask{Counter: a.group + "/" + a.name, Key: a.key, Held: a.left, Sent: now, Delta: a.delta, Window: a.window}
	out.Limit = budget.Limit{Unit: a.limit.unit, Burst: a.limit.burst, Places: a.limit.places, Amount: a.limit.amount}
	if a.limit.quota() {
		out.Limit.Begin, out.Limit.End = a.limit.calendar.Window(clock)
	}
	if a.window == 0 {
		out.Window = out.Limit.Begin
	}
	for i, w := range a.waiters {
		out.Waiting += w.cost
		if i == 0 || w.cost < out.Least {
			out.Least = w.cost
		}
	}
	out.Waiting, out.Least = max(out.Waiting-a.left, 0), max(out.Least-a.left, 0)
	if a.limit.places > 0 {
		out.Held = a.inUse + a.left
		a.held, a.asked = min(a.held, out.Held), now
		return out
	}
	if a.left <= a.extra/2 && a.used >= a.asked {
		if a.asked != 0 && now-a.asked < int64(growWithin) {
			a.extra = max(2*a.extra, 1)
		} else {
			a.extra /= 2
		}
		a.extra = min(a.extra, a.limit.most()/largest, maxExtra)
		out.Extra = max(a.extra-a.left, 0)
	}
	if now-a.used >= int64(idle) && len(a.waiters) == 0 {
		out.Held, out.Delta = 0, out.Delta-a.left
		a.left, a.held = 0, 0
	}
	a.delta, a.asked = 0, now
	return out
}

// answer takes over what the store has said to what was asked at the time sent.
// again: another window has begun, and the store is to be asked once more.
func (a *account) answer(asked *budget.Ask, g *budget.Grant, sent, now int64) (again bool) {
	if g.OtherWindow {
		a.left, a.rest, a.held, a.until = 0, 0, 0, 0
		return true
	}
	if a.limit.quota() && a.window != asked.Limit.Begin {
		if a.window != 0 {
			a.left = 0
		}
		a.window = asked.Limit.Begin
	}
	a.until = sent + (g.Until - g.Now)
	extra := max(g.Units-asked.Waiting, 0)
	a.held = asked.Held + extra
	if a.limit.places > 0 {
		a.held = asked.Held + g.Units
	}
	a.rest, a.next, a.at = g.Rest, g.Next, now
	a.refused = 0
	pool, before := a.left+g.Units, a.left
	late := a.waiters[:0] // who have come since, and for whom there may be more
	for _, w := range a.waiters {
		if w.cost <= pool && (w.cost > 0 || pool+a.rest > 0) { // who costs nothing asks for anything to be left
			pool -= w.cost
			a.enter(w.cost)
			w.done <- granted
			continue
		}
		if w.cost > 0 && w.cost <= pool+a.rest {
			late = append(late, w)
			continue
		}
		if a.refused == 0 || w.cost < a.short {
			a.short = w.cost
		}
		a.refused = now + int64(a.believe(w.cost, pool))
		w.done <- refused
	}
	a.waiters = late
	a.left, a.spare = pool, min(a.spare, pool)
	// What those have left over who did not wait is not held, for all that the store
	// knows.
	if over := pool - before - extra; a.limit.unit > 0 && over > 0 {
		a.left -= over
		a.delta -= over
	}
	if g.Rest == 0 && a.refused == 0 && a.left == 0 && a.limit.places == 0 {
		a.refused, a.short = now+int64(pause), 1
	}
	return false
}

// believe is how long a refusal of cost holds.
func (a *account) believe(cost, have int64) time.Duration {
	switch {
	case a.limit.places > 0:
		return vacancy
	case a.limit.unit == 0:
		return patience
	}
	missing := max(cost-have-a.rest, 1)
	return min(max(time.Duration(a.next+(missing-1)*min(a.limit.unit, int64(patience))), pause), patience)
}

// fail has those who wait look elsewhere. What is owed is told later; what was given
// back may have been taken already.
func (a *account) fail(asked *budget.Ask) {
	if asked.Delta > 0 {
		a.delta += asked.Delta
	}
	a.extra = 0 // it may have been granted, and is lost then
	for _, w := range a.waiters {
		w.done <- failed
	}
	a.waiters = a.waiters[:0]
}

// leave is for a request that does not wait any more. It gives back what it got
// meanwhile.
func (a *account) leave(w *waiter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.waiters, w); i >= 0 {
		a.waiters = slices.Delete(a.waiters, i, i+1)
		return
	}
	select {
	case is := <-w.done:
		if is == granted {
			a.back(w.cost)
		}
	default:
	}
}

// use is what the key has used, for all that is known here, and when it has used one
// less of a rate, or when the window ends.
func (a *account) use(now int64) (used int64, next time.Duration) {
	left := a.left + a.rest
	if a.limit.places > 0 {
		return max(a.limit.places-left, 0), 0
	}
	if a.limit.unit == 0 {
		return max(a.limit.amount-left, 0), time.Duration(max(a.until-now, 0))
	}
	room, since := max(a.limit.burst-left, 0), now-a.at
	if room > 0 && a.next > 0 && since >= a.next {
		n := min(1+(since-a.next)/a.limit.unit, room)
		return room - n, time.Duration(a.next + n*a.limit.unit - since)
	}
	return room, time.Duration(max(a.next-since, 0))
}
