// Package stripe spreads writes of many goroutines over copies of a value, so
// that processors do not fight for one cache line. It owns no goroutines and
// imports the standard library only; the packages of internal/telemetry use it.
package stripe

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// maxStripes bounds the memory that copies take on large machines.
const maxStripes = 64

// Chooser answers which stripe the calling goroutine should write to. A
// sync.Pool keeps its items per processor, so the token that it hands out
// stays with the processor: two goroutines that run at the same time almost
// always get different stripes, and one processor keeps meeting its own. Almost:
// writers still need atomics or a lock.
type Chooser struct {
	tokens []token
	next   atomic.Uint32
	pool   sync.Pool
}

// token is padded so that two processors' tokens do not share a cache line.
type token struct {
	stripe uint32
	_      [124]byte
}

// New returns a Chooser with one stripe per processor, rounded up to a power of two.
func New() *Chooser { return NewN(runtime.GOMAXPROCS(0)) }

// NewN is New with at least n stripes, within 1 and 64.
func NewN(n int) *Chooser {
	size := 1
	for size < n && size < maxStripes {
		size *= 2
	}
	c := &Chooser{tokens: make([]token, size)}
	for i := range c.tokens {
		c.tokens[i].stripe = uint32(i)
	}
	// Tokens that a garbage collection took out of the pool are handed out
	// again from the same array, so that choosing never allocates.
	c.pool.New = func() any {
		return &c.tokens[int(c.next.Add(1)-1)&(len(c.tokens)-1)]
	}
	return c
}

// Len is the number of stripes, a power of two.
func (c *Chooser) Len() int { return len(c.tokens) }

// Choose returns a stripe from 0 to Len()-1.
func (c *Chooser) Choose() int {
	if len(c.tokens) == 1 {
		return 0
	}
	t := c.pool.Get().(*token)
	i := t.stripe
	c.pool.Put(t)
	return int(i)
}
