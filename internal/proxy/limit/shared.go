package limit

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Charge is what a request is to be charged for one limit where several proxies
// count, and the answer.
type Charge struct {
	Cfg   *ir.RateLimit
	Limit *Limit
	// Key tells callers apart: a digest of what the limit is counted by.
	Key  Key
	Cost int64
	// Use is what the store says that the key has used, with this charge if all were
	// charged; Refused that the limit does not let the request pass.
	Use     Use
	Refused bool
	// Passing: a refusal may not last as long as Use says.
	Passing bool

	// Cluster is whom a store asks that is a server, and Parts what it is told of the
	// key. Said is what such a store says in the place of Use; Unlimited that it has no
	// limit for this.
	Cluster   string
	Parts     []Part
	Said      *Tally
	Unlimited bool

	// Slot is the request's place among those in progress, to be left when it is over;
	// nil if nothing of that kind was charged.
	Slot interface{ Leave() }
}

// Part is a part of a key by name.
type Part struct{ Name, Value string }

// Key is a caller as stores know it, the same in all proxies.
type Key [16]byte

// Use is what a key has used of a limit, as a store counts it.
type Use struct {
	// Used are units, more than the limit has where a response has cost more.
	Used uint64
	// Next is when there will be one unit less of a rate, or when the window of a
	// quota ends.
	Next time.Duration
}

// Budget is what a key may use: Burst units of a rate, one of which comes back in
// each Unit of time, Places at once, or the Amount of a quota.
type Budget struct {
	Unit                  time.Duration
	Burst, Places, Amount int64
}

// Budget is the limit's.
func (l *Limit) Budget() Budget {
	switch s := l.settings.Load(); s.kind {
	case kindQuota:
		return Budget{Amount: int64(s.quota.amount)}
	case kindConcurrency:
		return Budget{Places: int64(s.most)}
	default:
		return Budget{Unit: time.Duration(s.rate.unit), Burst: int64(s.rate.burst)}
	}
}

// Window is the window of a quota that holds t: from begin up to, and without,
// end, in Unix seconds.
func (l *Limit) Window(t time.Time) (begin, end int64) {
	s := l.calendar.at(t)
	return s.begin, s.end
}

// Learn has the limit's own counter of a key say what a store has said, so that it
// can go on from there, and returns what the key has left. cost is what was asked
// for, if it was refused.
func (l *Limit) Learn(tag uint64, at Moment, u Use, cost int64, refused bool) Tally {
	s := l.settings.Load()
	if s.kind == kindConcurrency {
		return Tally{OK: !refused, Left: s.most - min(u.Used, s.most)} // Enter counts who is let in
	}
	if s.kind == kindQuota {
		t := Tally{OK: !refused, After: u.Next, Never: refused && uint64(cost) > s.quota.amount}
		if u.Used < s.quota.amount {
			t.Left = s.quota.amount - u.Used
		}
		// The store's clock is the one that counts: its window may be another one
		// than this proxy's.
		w := s.quota.at(at.Wall)
		l.set(tag, w.number<<usedBits|min(u.Used, MaxQuota), int64(w.number))
		return t
	}
	t := s.rate.said(u, uint64(cost), refused)
	if u.Used > 0 {
		l.set(tag, uint64(at.Monotonic)+uint64(u.Next)+product(u.Used-1, s.rate.unit), at.Monotonic)
	} else {
		l.set(tag, uint64(at.Monotonic), at.Monotonic)
	}
	return t
}

// said is the tally of a key that a store counts.
func (r *rate) said(u Use, cost uint64, refused bool) Tally {
	t := Tally{OK: !refused, Never: refused && cost > r.burst}
	if u.Used < r.burst {
		t.Left = r.burst - u.Used
	}
	want := t.Left + 1 // when there will be more
	if refused && !t.Never {
		want = max(cost, 1)
	}
	// Used is rounded up, and falls by one after Next, and then by one each unit.
	if need := u.Used + want; need > r.burst && u.Used > 0 {
		t.After = u.Next + time.Duration(product(need-r.burst-1, r.unit))
	}
	return t
}

// set gives a key's word a value. A key without room is not followed.
func (l *Limit) set(tag, word uint64, now int64) {
	for {
		c, found := l.table.Find(tag)
		if !found {
			if word <= uint64(now) && l.calendar == nil {
				return // nothing is used
			}
			var added, shared bool
			if c, added, shared = l.table.Put(tag, word, now); added || shared {
				return
			}
		}
		was, ok := c.Load()
		if !ok {
			l.table.Settle(tag)
			continue
		}
		if c.Word.CompareAndSwap(was, word) {
			return
		}
	}
}
