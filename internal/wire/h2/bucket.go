package h2

// bucket allows so many events at once and so many a second after that.
type bucket struct {
	level, burst, rate int64 // in thousandths of an event
	at                 int64
}

const oneEvent = 1000

func newBucket(burst, rate int, now int64) bucket {
	b := int64(burst) * oneEvent
	return bucket{level: b, burst: b, rate: int64(rate), at: now}
}

// spend takes n events; it is false if there are none left.
func (b *bucket) spend(n, now int64) bool {
	const perMilli = 1e6 // nanoseconds; a rate of 1/s is a thousandth each
	if ms := (now - b.at) / perMilli; ms > 0 {
		b.level = min(b.level+min(ms, 1e7)*b.rate, b.burst)
		b.at = now
	}
	b.level -= n * oneEvent
	return b.level >= 0
}

// earn gives events back for what makes them plausible.
func (b *bucket) earn(n int64) { b.level = min(b.level+n*oneEvent, b.burst) }
