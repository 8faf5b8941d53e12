package limit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// A quota's word has the number of its window in the high bits and what was
// used of it in the low ones. A window's number is its first instant, in
// quarters of an hour since 1970: no two windows begin in the same one, whatever
// the time zone, and later ones have higher numbers.
const (
	usedBits = 38
	// MaxQuota is what a quota can count to, in units.
	MaxQuota  = 1<<usedBits - 1
	numberOne = 15 * 60 // seconds
)

// calendar finds the window of a quota that holds a time.
type calendar struct {
	window ir.QuotaWindow
	zone   *time.Location

	current atomic.Pointer[span]
	mu      sync.Mutex // guards the change of current
}

// span is a window: from begin up to, and without, end, in Unix seconds.
type span struct {
	begin, end int64
	number     uint64
}

// at returns the window that holds t by the wall clock.
func (c *calendar) at(t time.Time) *span {
	sec := t.Unix()
	if s := c.current.Load(); s != nil && s.begin <= sec && sec < s.end {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.find(t)
	c.current.Store(s)
	return s
}

// find looks at the boundaries around t. Where a clock is put forward or back
// over midnight a date's first instant is what time.Date makes of it.
func (c *calendar) find(t time.Time) *span {
	local := t.In(c.zone)
	k := 0
	begin := c.boundary(local, k)
	for begin.After(t) {
		k--
		begin = c.boundary(local, k)
	}
	end := c.boundary(local, k+1)
	for !end.After(t) {
		k++
		begin, end = end, c.boundary(local, k+1)
	}
	return &span{begin: begin.Unix(), end: end.Unix(), number: uint64(max(begin.Unix(), 0)) / numberOne}
}

// boundary is the first instant of the window that holds t, or of the k-th after it.
func (c *calendar) boundary(t time.Time, k int) time.Time {
	y, m, d := t.Date()
	switch c.window {
	case ir.QuotaHour:
		// An hour that is repeated when clocks are put back is two windows.
		into := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
		return t.Add(-into).Add(time.Duration(k) * time.Hour)
	case ir.QuotaWeek: // ISO 8601: from Monday on
		d -= (int(t.Weekday()) + 6) % 7
		return time.Date(y, m, d+7*k, 0, 0, 0, 0, c.zone)
	case ir.QuotaMonth:
		return time.Date(y, m+time.Month(k), 1, 0, 0, 0, 0, c.zone)
	default:
		return time.Date(y, m, d+k, 0, 0, 0, 0, c.zone)
	}
}

// quota counts units in windows of a calendar.
type quota struct {
	amount uint64
	*calendar
}

// windowOf is the window of a word that is charged in s: a key never goes back to
// an earlier one, so that a clock that jumps forward and back gives each key the
// amount once more at the most.
func windowOf(word uint64, s *span) uint64 { return max(word>>usedBits, s.number) }

func (q *quota) used(word uint64, s *span) uint64 {
	if word>>usedBits < s.number {
		return 0
	}
	return word & MaxQuota
}

func (q *quota) take(word uint64, s *span, now time.Time, cost uint64) (next uint64, t Tally) {
	used := q.used(word, s)
	if used > q.amount || cost > q.amount-used {
		t = q.tally(used, s, now)
		t.OK, t.Never = false, cost > q.amount
		return word, t
	}
	used += cost
	t = q.tally(used, s, now)
	t.OK = true
	return windowOf(word, s)<<usedBits | used, t
}

// add charges cost whether or not there is as much; a negative one gives back.
func (q *quota) add(word uint64, s *span, now time.Time, cost int64) (next uint64, t Tally) {
	used := q.used(word, s)
	if cost < 0 {
		used -= min(used, uint64(-cost))
	} else {
		used = min(used+uint64(cost), MaxQuota)
	}
	t = q.tally(used, s, now)
	t.OK = true
	return windowOf(word, s)<<usedBits | used, t
}

func (q *quota) tally(used uint64, s *span, now time.Time) Tally {
	t := Tally{After: time.Duration(max(s.end-now.Unix(), 1)) * time.Second}
	if used < q.amount {
		t.Left = q.amount - used
	}
	return t
}
