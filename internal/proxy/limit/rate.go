package limit

import (
	"math/bits"
	"time"
)

// rate is GCRA, the generic cell rate algorithm: so many units per period, of
// which burst may come at once. A key's word is the monotonic time, in
// nanoseconds, at which all of the burst is there again (the "theoretical
// arrival time"); a time that has passed says no more than no word would.
type rate struct {
	unit  uint64 // the time, in nanoseconds, in which one unit comes back
	burst uint64 // units
	reach uint64 // burst × unit
}

// maxDebt bounds how far into the future a charge after the response may go.
const maxDebt = uint64(24 * time.Hour)

func newRate(units uint64, period time.Duration, burst uint64) rate {
	unit := max(1, (uint64(period)+units-1)/units)
	return rate{unit: unit, burst: burst, reach: product(burst, unit)}
}

// product is a×b, at most what a time can be.
func product(a, b uint64) uint64 {
	const most = 1 << 62
	if hi, lo := bits.Mul64(a, b); hi == 0 && lo < most {
		return lo
	}
	return most
}

// take charges cost at the time now, if there is as much.
func (r *rate) take(word uint64, now int64, cost uint64) (next uint64, t Tally) {
	at := max(word, uint64(now))
	end := uint64(now) + r.reach
	if cost > r.burst {
		t = r.tally(at, now)
		t.Never = true
		return word, t
	}
	next = at + product(cost, r.unit)
	if next > end {
		t = r.tally(at, now)
		t.OK, t.After = false, time.Duration(next-end)
		return word, t
	}
	t = r.tally(next, now)
	t.OK = true
	return next, t
}

// add charges cost whether or not there is as much; a negative one gives back.
func (r *rate) add(word uint64, now, cost int64) (next uint64, t Tally) {
	at := max(word, uint64(now))
	if cost < 0 {
		back := product(uint64(-cost), r.unit)
		next = uint64(now)
		if at-next > back {
			next = at - back
		}
	} else {
		next = min(at+product(uint64(cost), r.unit), max(at, uint64(now)+r.reach+maxDebt))
	}
	t = r.tally(next, now)
	t.OK = true
	return next, t
}

// tally is what a key may do at the time now if its word is at.
func (r *rate) tally(at uint64, now int64) Tally {
	end := uint64(now) + r.reach
	if at > end { // in debt
		return Tally{After: time.Duration(at - end + r.unit)}
	}
	left := (end - at) / r.unit
	t := Tally{Left: left}
	if left < r.burst {
		t.After = time.Duration(r.unit - (end-at)%r.unit)
	}
	return t
}

// Tally is what a limit has said about a key.
type Tally struct {
	OK bool
	// Left is how many units the key may use now. After is when there will be more,
	// or, if the request was refused, as many as it needs; zero if that is not
	// a matter of time.
	Left  uint64
	After time.Duration
	// Never: the request costs more than the limit ever has.
	Never bool
}
