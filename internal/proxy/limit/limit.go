// Package limit counts what callers use of their limits: rates, quotas, requests
// in progress, bytes per second. It knows keys as numbers and times as they are
// given to it, and nothing of HTTP.
//
// It owns no goroutines and reads no clock. The rate limit filter and the
// snapshot import it.
package limit

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"
	_ "time/tzdata" // quotas name time zones, and an image may have no database of them

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit/table"
)

// Limit is one limit with its counters. Its settings may change while it is used;
// what it counts, and by which key, may not.
type Limit struct {
	table    *table.Table
	seed     maphash.Seed
	calendar *calendar // of a quota
	settings atomic.Pointer[settings]
	// shared counts the charges of keys that found no room.
	shared atomic.Uint64
	// refused are those whom a store has refused.
	refused refusals
}

// kind is what a limit counts.
type kind uint8

const (
	kindRate kind = iota
	kindQuota
	kindConcurrency
	kindBandwidth
)

type settings struct {
	kind              kind
	rate              rate
	quota             quota
	most              uint64 // requests in progress
	request, response pace
}

// Moment is a time by both clocks: rates follow the monotonic one, which nobody
// sets; windows of the calendar follow the other.
type Moment struct {
	Monotonic int64 // nanoseconds, above zero
	Wall      time.Time
}

// epoch is before all moments that are asked about.
var epoch = time.Now().Add(-time.Hour)

// At is the moment at which time.Now returned t.
func At(t time.Time) Moment { return Moment{Monotonic: max(1, int64(t.Sub(epoch))), Wall: t} }

func newLimit(cfg *ir.RateLimit) *Limit {
	l := &Limit{seed: maphash.MakeSeed()}
	o := table.Options{Keys: cfg.MaxKeys}
	switch kindOf(cfg) {
	case kindQuota:
		l.calendar = &calendar{window: cfg.Quota.Window, zone: zoneOf(cfg.Quota.TimeZone)}
		o.Idle = func(word uint64, number int64) bool { return word>>usedBits < uint64(number) }
	case kindConcurrency:
		o.Idle = func(word uint64, _ int64) bool { return word&inProgress == 0 }
		o.Renew = func(old, first uint64) uint64 { return (old&^inProgress + inProgress + 1) | first }
	default:
		o.Idle = func(word uint64, now int64) bool { return word <= uint64(now) }
	}
	l.table = table.New(o)
	l.configure(cfg)
	return l
}

func kindOf(cfg *ir.RateLimit) kind {
	switch {
	case cfg.Quota != nil:
		return kindQuota
	case cfg.Concurrency > 0:
		return kindConcurrency
	case cfg.Bandwidth != nil:
		return kindBandwidth
	}
	return kindRate
}

func (l *Limit) configure(cfg *ir.RateLimit) {
	s := &settings{kind: kindOf(cfg)}
	switch s.kind {
	case kindQuota:
		s.quota = quota{amount: uint64(cfg.Quota.Amount), calendar: l.calendar}
	case kindConcurrency:
		s.most = uint64(cfg.Concurrency)
	case kindBandwidth:
		s.request, s.response = pace(cfg.Bandwidth.Request), pace(cfg.Bandwidth.Response)
	default:
		s.rate = newRate(uint64(cfg.Rate.Units), cfg.Rate.Period, uint64(cfg.Rate.Burst))
	}
	l.settings.Store(s)
}

// zoneOf is UTC for a name that is not known, which compile refuses.
func zoneOf(name string) *time.Location {
	if zone, err := time.LoadLocation(name); err == nil {
		return zone
	}
	return time.UTC
}

// Seed is what keys are hashed under. It is secret and made anew for each Limit:
// who could predict tags could have keys share their counters.
func (l *Limit) Seed() maphash.Seed { return l.seed }

// Take charges cost to a key if it has as much left; otherwise Tally.OK is false
// and nothing is charged. A cost of zero asks for anything to be left. Where
// requests in progress are counted the caller must give hold to Leave when the
// request is over.
func (l *Limit) Take(tag uint64, at Moment, cost int64) (t Tally, hold *atomic.Uint64) {
	o := operation{mode: take, at: at, cost: cost}
	t, word := l.run(tag, &o)
	if t.OK && o.settings.kind == kindConcurrency {
		hold = word
	}
	return t, hold
}

// Look is Take that charges nothing.
func (l *Limit) Look(tag uint64, at Moment, cost int64) Tally {
	o := operation{mode: look, at: at, cost: cost}
	t, _ := l.run(tag, &o)
	if t.OK { // as if it had been charged
		t.Left += uint64(cost)
		if s := o.settings; s.kind == kindRate && t.Left == s.rate.burst {
			t.After = 0
		}
	}
	return t
}

// Add charges cost whether or not there is as much left. A negative cost gives
// back what was charged.
func (l *Limit) Add(tag uint64, at Moment, cost int64) Tally {
	t, _ := l.run(tag, &operation{mode: add, at: at, cost: cost})
	return t
}

// Enter counts a request in progress whether or not there is a place for it, since
// somebody else has let it in. The caller must give hold to Leave when it is over.
func (l *Limit) Enter(tag uint64, at Moment) (t Tally, hold *atomic.Uint64) {
	return l.run(tag, &operation{mode: add, at: at})
}

// Leave gives back the place of a request that is over.
func Leave(hold *atomic.Uint64) { hold.Add(math.MaxUint64) }

// inProgress are the bits of a word that count requests; those above tell the
// owners of a slot apart.
const inProgress = 1<<32 - 1

type mode uint8

const (
	take mode = iota
	look
	add
)

// operation is what is to be done with a word.
type operation struct {
	mode     mode
	at       Moment
	cost     int64
	settings *settings
	span     *span // of a quota
}

// run finds the key's word and changes it.
func (l *Limit) run(tag uint64, o *operation) (Tally, *atomic.Uint64) {
	o.settings = l.settings.Load()
	now := o.at.Monotonic
	if o.settings.kind == kindQuota {
		o.span = o.settings.quota.at(o.at.Wall)
		now = int64(o.span.number)
	}
	for {
		c, found := l.table.Find(tag)
		if !found {
			next, t := o.apply(0)
			if !t.OK || next == 0 || o.mode == look || o.cost <= 0 && o.settings.kind != kindConcurrency {
				return t, nil
			}
			var added, shared bool
			if c, added, shared = l.table.Put(tag, next, now); added {
				return t, c.Word
			}
			if shared {
				l.shared.Add(1)
			}
		}
		word, ok := c.Load()
		if !ok {
			l.table.Settle(tag)
			continue
		}
		next, t := o.apply(word)
		if o.mode == look || !t.OK || o.cost == 0 && o.settings.kind != kindConcurrency {
			return t, nil
		}
		if c.Word.CompareAndSwap(word, next) {
			return t, c.Word
		}
	}
}

// apply is what becomes of a word.
func (o *operation) apply(word uint64) (next uint64, t Tally) {
	s := o.settings
	switch {
	case s.kind == kindConcurrency:
		return s.place(word, o.mode == add)
	case s.kind == kindQuota && o.mode == add:
		return s.quota.add(word, o.span, o.at.Wall, o.cost)
	case s.kind == kindQuota:
		next, t = s.quota.take(word, o.span, o.at.Wall, uint64(o.cost))
	case o.mode == add:
		return s.rate.add(word, o.at.Monotonic, o.cost)
	default:
		next, t = s.rate.take(word, o.at.Monotonic, uint64(o.cost))
	}
	if o.cost == 0 {
		t.OK = t.Left > 0
	}
	return next, t
}

// place is one more request in progress, in any case where it is forced.
func (s *settings) place(word uint64, forced bool) (next uint64, t Tally) {
	n := word & inProgress
	if n >= s.most && !forced {
		return word, Tally{}
	}
	return word + 1, Tally{OK: true, Left: s.most - min(n+1, s.most)}
}

// Stats describe a limit's counters for people and metrics.
type Stats struct {
	// Keys have used something that has not come back. Shared counts the charges
	// of those that found no room.
	Keys   int
	Shared uint64
}

// Stats reads all counters, without keeping anybody waiting.
func (l *Limit) Stats(at Moment) Stats {
	now := at.Monotonic
	if l.calendar != nil {
		now = int64(l.calendar.at(at.Wall).number)
	}
	return Stats{Keys: l.table.Stats(now).Active, Shared: l.shared.Load()}
}
