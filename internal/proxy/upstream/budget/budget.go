// Package budget bounds retries to a share of the requests, so that retries
// cannot multiply the load of a cluster that is in trouble. It owns no
// goroutines and reads no clock.
package budget

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/window"
)

// Budget follows ir.RetryBudget. A nil Budget allows everything.
type Budget struct {
	percent uint64
	reserve uint64 // retries that a window may have in any case
	counts  *window.Counter
}

// New returns nil for nil.
func New(cfg *ir.RetryBudget) *Budget {
	if cfg == nil {
		return nil
	}
	w := cfg.Window
	if w <= 0 {
		w = 10 * time.Second
	}
	return &Budget{
		percent: uint64(max(cfg.Percent, 0)),
		reserve: uint64(float64(max(cfg.MinPerSecond, 0))*w.Seconds() + 0.5),
		counts:  window.New(w),
	}
}

// Request counts a request (not a retry).
func (b *Budget) Request(now int64) {
	if b != nil {
		b.counts.Add(now, 1, 0)
	}
}

// Allow spends a retry if the window has one left: its retries stay within
// percent of its requests plus the reserve. Retries that race for the last
// one may overspend by as many as race.
func (b *Budget) Allow(now int64) bool {
	if b == nil {
		return true
	}
	requests, retries := b.counts.Sum(now)
	if (retries+1)*100 > requests*b.percent+b.reserve*100 {
		return false
	}
	b.counts.Add(now, 0, 1)
	return true
}

// Left is how many retries the window has left; -1 stands for any number.
func (b *Budget) Left(now int64) int {
	if b == nil {
		return -1
	}
	requests, retries := b.counts.Sum(now)
	return int((requests*b.percent+b.reserve*100)/100) - int(retries)
}
