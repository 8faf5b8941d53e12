// Package breaker refuses work that would overload a cluster: by counts of what
// is in progress, and by the rate of failures. It owns no goroutines and reads
// no clock: callers pass monotonic nanoseconds. The limit on connections is in
// package pool, which owns the queue for them.
package breaker

import "sync/atomic"

// Gauge bounds how many of something are in progress. A max of zero is no limit.
type Gauge struct {
	max int64
	n   atomic.Int64
}

// NewGauge makes a gauge with a limit.
func NewGauge(limit int) *Gauge { return &Gauge{max: int64(limit)} }

// Enter counts one in, unless that would exceed the limit. Those it refuses
// are never counted, so that they cannot make it refuse another.
func (g *Gauge) Enter() bool {
	if g.max <= 0 {
		g.n.Add(1)
		return true
	}
	for {
		n := g.n.Load()
		if n >= g.max {
			return false
		}
		if g.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Leave counts one out.
func (g *Gauge) Leave() { g.n.Add(-1) }

// Value is how many are in.
func (g *Gauge) Value() int { return int(g.n.Load()) }

// Max is the limit.
func (g *Gauge) Max() int { return int(g.max) }
