// Package stripe spreads writes of many goroutines over copies of a value, so
// that processors do not fight for one cache line. It owns no goroutines and
// imports the standard library only; the packages of internal/telemetry use it.
package stripe

import (
	"runtime"
	_ "unsafe" // for go:linkname
)

// maxStripes bounds the memory that copies take on large machines.
const maxStripes = 64

// Chooser answers which stripe the calling goroutine should write to: that of
// the processor it runs on. Two goroutines that run at the same time almost
// always get different stripes, and one processor keeps meeting its own.
// Almost: a goroutine can move on after it was told, and there may be more
// processors than stripes, so writers still need atomics or a lock.
type Chooser struct{ mask int }

// New returns a Chooser with one stripe per processor, rounded up to a power of two.
func New() *Chooser { return NewN(runtime.GOMAXPROCS(0)) }

// NewN is New with at least n stripes, within 1 and 64.
func NewN(n int) *Chooser {
	size := 1
	for size < n && size < maxStripes {
		size *= 2
	}
	return &Chooser{mask: size - 1}
}

// Len is the number of stripes, a power of two.
func (c *Chooser) Len() int { return c.mask + 1 }

// Choose returns a stripe from 0 to Len()-1.
func (c *Chooser) Choose() int {
	if c.mask == 0 {
		return 0
	}
	p := procPin()
	procUnpin()
	return p & c.mask
}

// procPin returns the number of the processor (P) and keeps the goroutine on
// it until procUnpin. The runtime names both among the internals that it keeps
// for packages outside of it (go.dev/issue/67401). The way without them is a
// token from a sync.Pool, which takes about 30 ns of CPU time against 4.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
