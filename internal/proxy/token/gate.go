package token

import (
	"sync/atomic"
	"time"
)

const (
	// maxWaiting is how many may wait for each that is at work.
	maxWaiting = 64
	// patience is how long one waits at most.
	patience = time.Second
)

// Gate bounds how many signatures are verified at a time, so that tokens that
// nobody has seen before, good or bad, leave processors for everybody else.
type Gate struct {
	slots   chan struct{}
	waiting atomic.Int64
}

// NewGate lets n through at a time.
func NewGate(n int) *Gate { return &Gate{slots: make(chan struct{}, max(n, 1))} }

// Enter waits for a place; false is that there are too many, or that it took too
// long. Wait is called before it waits.
func (g *Gate) Enter(wait func()) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	default:
	}
	if g.waiting.Add(1) > int64(cap(g.slots))*maxWaiting {
		g.waiting.Add(-1)
		return false
	}
	defer g.waiting.Add(-1)
	wait()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case g.slots <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}

// Leave gives the place back.
func (g *Gate) Leave() { <-g.slots }
