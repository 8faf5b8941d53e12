package metric

import (
	"math/bits"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

// red counts rate, errors and duration of one thing, and the bytes of bodies.
type red struct {
	cells slab[redCell]
	// native: exponential buckets are kept, too.
	native bool
}

// redCell is one processor's copy. A lock that nobody else wants costs two
// atomic operations however many counters change, and makes reads consistent.
type redCell struct {
	mu sync.Mutex // guards redCounts
	redCounts
}

type redCounts struct {
	count   uint64
	nanos   uint64
	in, out uint64
	codes   [slots]uint64
	latency [latency.Buckets]uint64
	reasons [maxReasons]uint64
	native  *nativeCounts
}

func (r *red) observe(status int, d time.Duration, in, out int64, flags uint64) {
	if !Counting {
		return
	}
	code, bucket := slot(status), latency.Bucket(d)
	c := r.cells.choose()
	c.mu.Lock()
	c.count++
	c.nanos += uint64(max(d, 0))
	c.in += uint64(max(in, 0))
	c.out += uint64(max(out, 0))
	c.codes[code]++
	c.latency[bucket]++
	if r.native {
		c.native = c.native.count(d)
	}
	for ; flags != 0; flags &= flags - 1 {
		c.reasons[bits.TrailingZeros64(flags)]++
	}
	n := c.count
	c.mu.Unlock()
	if n == hotAt {
		r.cells.heat()
	}
}

// total adds up the copies.
func (r *red) total() *redCounts {
	t := new(redCounts)
	r.cells.each(func(c *redCell) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.count += c.count
		t.nanos += c.nanos
		t.in += c.in
		t.out += c.out
		for i, n := range c.codes {
			t.codes[i] += n
		}
		for i, n := range c.latency {
			t.latency[i] += n
		}
		for i, n := range c.reasons {
			t.reasons[i] += n
		}
		t.native = t.native.plus(c.native)
	})
	return t
}

// count is the number of events so far.
func (r *red) count() (n uint64) {
	r.cells.each(func(c *redCell) {
		c.mu.Lock()
		n += c.count
		c.mu.Unlock()
	})
	return n
}

// histogram is latency alone, for events that have no status.
type histogram struct {
	cells  slab[histogramCell]
	native bool
}

type histogramCell struct {
	mu sync.Mutex // guards histogramCounts
	histogramCounts
}

type histogramCounts struct {
	count, nanos uint64
	latency      [latency.Buckets]uint64
	native       *nativeCounts
}

func (h *histogram) observe(d time.Duration) {
	if !Counting {
		return
	}
	bucket := latency.Bucket(d)
	c := h.cells.choose()
	c.mu.Lock()
	c.count++
	c.nanos += uint64(max(d, 0))
	c.latency[bucket]++
	if h.native {
		c.native = c.native.count(d)
	}
	n := c.count
	c.mu.Unlock()
	if n == hotAt {
		h.cells.heat()
	}
}

func (h *histogram) total() *histogramCounts {
	t := new(histogramCounts)
	h.cells.each(func(c *histogramCell) {
		c.mu.Lock()
		defer c.mu.Unlock()
		t.count += c.count
		t.nanos += c.nanos
		for i, n := range c.latency {
			t.latency[i] += n
		}
		t.native = t.native.plus(c.native)
	})
	return t
}

// events is a small set of plain counters.
type events struct{ cells slab[eventCell] }

const maxEvents = 32

type eventCell struct {
	mu     sync.Mutex // guards counts
	total  uint64
	counts [maxEvents]uint64
}

func (e *events) add(kind int) {
	if !Counting {
		return
	}
	c := e.cells.choose()
	c.mu.Lock()
	c.counts[kind]++
	c.total++
	n := c.total
	c.mu.Unlock()
	if n == hotAt {
		e.cells.heat()
	}
}

func (e *events) totals() (t [maxEvents]uint64) {
	e.cells.each(func(c *eventCell) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, n := range c.counts {
			t[i] += n
		}
	})
	return t
}
