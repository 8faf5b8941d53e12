// Package fault delays or aborts a share of the requests, to see how their
// callers take it. Its values are shared by all exchanges; it owns no
// goroutines. The list in package filters imports it.
package fault

import (
	"math/rand/v2"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// whole is all requests, in hundredths of a percent.
const whole = 100 * 100

// Fault injects faults.
type Fault struct {
	ir   ir.Fault
	draw func(n int) int
}

// New makes a fault. draw returns a number from 0 to n-1 for each decision and
// may be called by many goroutines at once; nil is a random one.
func New(f *ir.Fault, draw func(n int) int) *Fault {
	if draw == nil {
		draw = rand.IntN
	}
	return &Fault{ir: *f, draw: draw}
}

// OnRequest may wait, and then may reply. Both shares are drawn independently.
func (f *Fault) OnRequest(x *filter.Exchange) filter.Verdict {
	if f.ir.Delay > 0 && f.hit(f.ir.DelayPercent) {
		x.Flags |= filter.FaultInjected.Flag()
		if !x.Wait(f.ir.Delay) {
			return x.Fail(504, filter.UpstreamTimeout, "the request's time was over during an injected delay")
		}
	}
	if f.ir.AbortStatus > 0 && f.hit(f.ir.AbortPercent) {
		return x.Fail(f.ir.AbortStatus, filter.FaultInjected, "a fault was injected, as the configuration asks")
	}
	return filter.Continue
}

func (f *Fault) hit(percent int) bool {
	switch {
	case percent <= 0:
		return false
	case percent >= whole:
		return true
	}
	return f.draw(whole) < percent
}
