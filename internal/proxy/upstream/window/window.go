// Package window counts two kinds of events over a sliding window of time,
// without locks and without allocation. It owns no goroutines and reads no
// clock: callers pass monotonic nanoseconds. The breaker and the retry budget
// use it.
package window

import (
	"sync/atomic"
	"time"
)

const buckets = 10

// Counter holds a window cut into ten parts; the oldest part leaves as a whole.
// A part counts up to 16,777,215 events of each kind and then stands still.
type Counter struct {
	width   uint64
	buckets [buckets]atomic.Uint64 // part's number (16 bits), a (24), b (24)
}

const (
	field = 1<<24 - 1
	stamp = 48
)

// New makes a counter; a window of zero is one second.
func New(window time.Duration) *Counter {
	if window <= 0 {
		window = time.Second
	}
	return &Counter{width: uint64(max(window/buckets, 1))}
}

// Add counts a events of the first kind and b of the second.
func (c *Counter) Add(now int64, a, b uint32) {
	part := uint64(now) / c.width
	w := &c.buckets[part%buckets]
	for {
		old := w.Load()
		var x, y uint64
		if old>>stamp == part&0xffff {
			x, y = old>>24&field, old&field
		}
		x, y = min(x+uint64(a), field), min(y+uint64(b), field)
		if w.CompareAndSwap(old, part<<stamp|x<<24|y) {
			return
		}
	}
}

// Sum returns what was counted in the window that ends now.
func (c *Counter) Sum(now int64) (a, b uint64) {
	part := uint64(now) / c.width
	for i := range uint64(buckets) {
		p := part - i
		if w := c.buckets[p%buckets].Load(); w>>stamp == p&0xffff {
			a += w >> 24 & field
			b += w & field
		}
	}
	return a, b
}

// Reset forgets everything.
func (c *Counter) Reset() {
	for i := range c.buckets {
		c.buckets[i].Store(0)
	}
}
