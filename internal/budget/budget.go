// Package budget is what proxies that share a limit take slices of, and how: the
// arithmetic of leases, on plain data, with the store's clock as an argument. The
// store keeps a State for each key of each limit and runs Step on it under a lock;
// nothing that is granted is ever granted to two.
//
// It imports the standard library only and owns no goroutines. The lease engine of
// the data plane and the state store's side of it import it.
package budget

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

const (
	// HoldTime is how long units of a rate may be held without a word to the store.
	HoldTime = 10 * time.Second
	// MaxDebt bounds how far a rate may be owed.
	MaxDebt = 24 * time.Hour
	// MaxUnits bounds every number of units.
	MaxUnits = 1 << 40
	// share is the part of what is left that one holder gets to hold at the most.
	share = 4
	// MaxHolders bounds those of a key; more get what they need at once, and nothing
	// to hold.
	MaxHolders = 256
)

// Limit is what a key may use: a rate if Unit is set, places if Places is, and a quota
// otherwise.
type Limit struct {
	// Unit is the time, in nanoseconds, in which one unit of a rate comes back, and
	// Burst how many there can be.
	Unit, Burst int64
	// Places is how many may be in use at once.
	Places int64
	// Amount of a quota for the window from Begin up to, and without, End, in Unix
	// seconds.
	Amount, Begin, End int64
}

// Ask is what a holder says of a key, and wants.
type Ask struct {
	// Counter and Key say of what.
	Counter string
	Key     [16]byte
	Limit   Limit
	// Held is what the holder goes on holding of earlier grants; of places all that it
	// has, in use or not.
	Held int64
	// Sent orders the asks of a holder: one of places that comes after a later one says
	// nothing. It is by the holder's own clock.
	Sent int64
	// Delta is what responses have cost beyond what was granted, or, below zero, what
	// is given back. Window is the Begin of the quota's window that it is of.
	Delta, Window int64
	// Waiting is what is spent at once, and Least the smallest part of it that makes
	// sense; Extra is to be held.
	Waiting, Least, Extra int64
}

// Grant answers an Ask.
type Grant struct {
	// Now is the store's clock, in Unix nanoseconds. Until is when what is held may
	// not be spent any more.
	Now, Until int64
	// Units were granted: those that are spent at once first.
	Units int64
	// Rest is what is left besides, and Next in how many nanoseconds there is one
	// more of a rate.
	Rest, Next int64
	// OtherWindow: the window is another one by the store's clock. Nothing was
	// granted or noted.
	OtherWindow bool
}

// State is what the store knows of a key.
type State struct {
	// Window is the Begin of a quota's window, and Used what was granted of it.
	Window int64 `json:"w,omitempty"`
	Used   int64 `json:"u,omitempty"`
	// Full is when all of a rate is there again (the theoretical arrival time of
	// GCRA), in Unix nanoseconds.
	Full int64 `json:"f,omitempty"`
	// Holds are of units that were granted and may not have been spent.
	Holds map[string]Hold `json:"h,omitempty"`
}

// Hold is what somebody holds.
type Hold struct {
	Units int64 `json:"n"`
	Until int64 `json:"t"` // Unix nanoseconds
	// Sent is that of the Ask, of places.
	Sent int64 `json:"s,omitempty"`
}

// ErrState is a state that is none.
var ErrState = errors.New("what is kept of a limit cannot be read")

// Parse reads a state; what is empty is that nothing was used.
func Parse(text string) (State, error) {
	var s State
	if text == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Window < 0 || s.Used < 0 || s.Used > MaxUnits || s.Full < 0 || s.Full > math.MaxInt64/2 || len(s.Holds) > 2*MaxHolders {
		return s, ErrState
	}
	for _, h := range s.Holds {
		if h.Units < 0 || h.Units > MaxUnits || h.Until < 0 || h.Until > math.MaxInt64/2 || h.Sent < 0 {
			return s, ErrState
		}
	}
	return s, nil
}

// Text is what Parse reads.
func (s *State) Text() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic("plain numbers: " + err.Error())
	}
	return string(text)
}

// Expires is from when on the state says no more than none would, in Unix
// nanoseconds, if the limit is still l.
func (s *State) Expires(l *Limit) int64 {
	if l.Unit == 0 && l.Places == 0 {
		return max(l.End, s.Window) * int64(time.Second)
	}
	at := s.Full
	for _, h := range s.Holds {
		at = max(at, h.Until)
	}
	return at
}

// Step is what an ask makes of a state at the time now by the store's clock.
func (s *State) Step(holder string, a *Ask, now int64) Grant {
	switch {
	case a.Limit.Places > 0:
		return s.places(holder, a, now)
	case a.Limit.Unit == 0:
		return s.quota(a, now)
	}
	return s.rate(holder, a, now)
}

func (s *State) quota(a *Ask, now int64) Grant {
	g := Grant{Now: now, Until: a.Limit.End * int64(time.Second)}
	if sec := now / int64(time.Second); sec < a.Limit.Begin || sec >= a.Limit.End {
		g.OtherWindow = true
		return g
	}
	// A window that is over never comes back, so that a clock that is set back gives
	// nothing twice.
	if s.Window < a.Limit.Begin {
		s.Window, s.Used = a.Limit.Begin, 0
	}
	if a.Window == s.Window {
		s.Used = min(max(s.Used+a.Delta, 0), MaxUnits)
	}
	left := max(a.Limit.Amount-s.Used, 0)
	g.Units = a.share(left)
	s.Used += g.Units
	g.Rest = left - g.Units
	return g
}

// share is what an ask gets of what is left.
func (a *Ask) share(left int64) int64 {
	if left <= 0 || left < a.Least {
		return 0
	}
	return min(left, a.Waiting+min(a.Extra, left/share))
}

func (s *State) rate(holder string, a *Ask, now int64) Grant {
	unit, reach := a.Limit.Unit, product(a.Limit.Burst, a.Limit.Unit)
	s.settle(now, unit)
	if a.Held > 0 {
		s.hold(holder, Hold{Units: a.Held, Until: now + int64(HoldTime)})
	} else {
		delete(s.Holds, holder)
	}
	if a.Delta > 0 {
		s.Full = min(s.Full+product(a.Delta, unit), max(s.Full, now+reach+int64(MaxDebt)))
	} else if a.Delta < 0 {
		s.Full = max(s.Full-product(-a.Delta, unit), now+product(s.held(), unit))
	}
	g := Grant{Now: now, Until: now + int64(HoldTime)}
	left := max(now+reach-s.Full, 0) / unit
	if len(s.Holds) >= MaxHolders {
		a.Extra = 0
	}
	g.Units = a.share(left)
	s.Full += product(g.Units, unit)
	if extra := g.Units - a.Waiting; extra > 0 {
		s.hold(holder, Hold{Units: a.Held + extra, Until: g.Until})
	}
	g.Rest = left - g.Units
	switch room := now + reach - s.Full; {
	case room < 0:
		g.Next = unit - room
	case g.Rest < a.Limit.Burst:
		g.Next = unit - room%unit
	}
	return g
}

// places grants what nobody else has. A holder says each time all that it has, and that
// is noted whatever others have: what is in use is in use. So an answer that was lost,
// and a store that has lost everything, are made good by the next ask.
func (s *State) places(holder string, a *Ask, now int64) Grant {
	g := Grant{Now: now, Until: now + int64(HoldTime)}
	was, known := s.Holds[holder]
	if known && was.Sent > a.Sent {
		return g
	}
	delete(s.Holds, holder)
	others := int64(0)
	for name, h := range s.Holds {
		if h.Until <= now {
			delete(s.Holds, name)
			continue
		}
		if h.Until > g.Until { // the clock was set back
			h.Until = g.Until
			s.Holds[name] = h
		}
		others += h.Units
	}
	left := max(a.Limit.Places-others-a.Held, 0)
	if !known && a.Held == 0 && len(s.Holds) >= MaxHolders {
		left = 0
	}
	g.Units = a.share(left)
	g.Rest = left - g.Units
	if has := a.Held + g.Units; has > 0 && len(s.Holds) < 2*MaxHolders {
		s.hold(holder, Hold{Units: has, Until: g.Until, Sent: a.Sent})
	}
	return g
}

// settle brings a rate to the time now. Units that are held have left the bucket,
// and it does not fill up in their place: what is there and what is held are never
// more than the burst. A hold that has ended was spent, for all that is known.
func (s *State) settle(now, unit int64) {
	names := slices.SortedFunc(maps.Keys(s.Holds), func(a, b string) int {
		return int(min(max(s.Holds[a].Until-s.Holds[b].Until, -1), 1))
	})
	for _, name := range names {
		h := s.Holds[name]
		if h.Until > now {
			break
		}
		s.Full = max(s.Full, h.Until+product(s.held(), unit))
		delete(s.Holds, name)
	}
	s.Full = max(s.Full, now+product(s.held(), unit))
}

func (s *State) held() (n int64) {
	for _, h := range s.Holds {
		n += h.Units
	}
	return n
}

func (s *State) hold(holder string, h Hold) {
	if s.Holds == nil {
		s.Holds = map[string]Hold{}
	}
	s.Holds[holder] = h
}

// product is a×b, at most what a time may be moved by.
func product(a, b int64) int64 {
	const most = 1 << 60
	if hi, lo := bits.Mul64(uint64(a), uint64(b)); hi == 0 && lo < most {
		return int64(lo)
	}
	return most
}
