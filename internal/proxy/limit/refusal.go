package limit

import (
	"sync/atomic"
	"time"
)

const (
	refusalSlots = 1 << 12
	// MaxRefusal is how long a refusal is remembered at the most: somebody may
	// change a store behind our back.
	MaxRefusal = time.Minute
)

// refusals remember who is over a limit that is counted elsewhere, so that nobody
// needs to be asked. Some may be forgotten: a slot holds the last one.
type refusals struct {
	slots atomic.Pointer[[refusalSlots]refusal]
}

// refusal is a slot. Sum is the tag mixed with the word, so that what two have
// written at once is nobody's.
type refusal struct{ sum, word atomic.Uint64 }

// A word has in its high bits the millisecond until which it is believed, by the
// monotonic clock, and in the low ones the seconds that the refusal lasts beyond.
const (
	beyondBits = 24
	maxBeyond  = 1<<beyondBits - 1
)

// Refuse remembers until when a charge to a key is refused.
func (l *Limit) Refuse(tag uint64, cost int64, at Moment, after, believe time.Duration) {
	if after <= 0 {
		return
	}
	slots := l.refused.slots.Load()
	if slots == nil {
		slots = new([refusalSlots]refusal)
		if !l.refused.slots.CompareAndSwap(nil, slots) {
			slots = l.refused.slots.Load()
		}
	}
	believe = min(believe, after, MaxRefusal)
	until := uint64((at.Monotonic + int64(believe)) / int64(time.Millisecond))
	beyond := min(uint64((after-believe+time.Second-1)/time.Second), maxBeyond)
	tag = l.refusalTag(tag, cost)
	r, word := &slots[tag%refusalSlots], until<<beyondBits|beyond
	r.word.Store(word)
	r.sum.Store(tag ^ word)
}

// Refused tells whether a charge to a key is known to be refused, and for how long.
func (l *Limit) Refused(tag uint64, cost int64, at Moment) (after time.Duration, is bool) {
	slots := l.refused.slots.Load()
	if slots == nil {
		return 0, false
	}
	tag = l.refusalTag(tag, cost)
	r := &slots[tag%refusalSlots]
	word := r.word.Load()
	if r.sum.Load()^word != tag {
		return 0, false
	}
	until := int64(word>>beyondBits) * int64(time.Millisecond)
	if until <= at.Monotonic {
		return 0, false
	}
	return time.Duration(until-at.Monotonic) + time.Duration(word&maxBeyond)*time.Second, true
}

// refusalTag is another one for each cost, and with other settings.
func (l *Limit) refusalTag(tag uint64, cost int64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	s := l.settings.Load()
	return (tag ^ uint64(cost)*odd) + (s.rate.reach^s.rate.unit*odd^s.quota.amount)*odd
}
