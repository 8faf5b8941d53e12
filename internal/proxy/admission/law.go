package admission

import (
	"math"
	"time"
)

// law is how the limit follows the latency.
//
// Latencies are averaged over windows. With the latency of an idle service
// (baseline) and that of the last window (recent), the next limit is
//
//	limit × gradient + headroom,  gradient = tolerance × baseline / recent within [½, 1]
//
// and headroom = √limit: it grows while latency is near the baseline, and
// settles where queueing in the service has raised it to tolerance / (1 − 1/√limit)
// times that: about twice at a limit of 20, 1.7 times at 100. With a target
// latency, that stands for tolerance × baseline.
//
// The baseline is the least recent latency. It cannot be seen while there is a
// standing queue, so every probeEvery the limit is halved for a moment, which
// drains the queue, and the baseline is taken anew: a service that has become
// slower for good is not throttled for ever.
type law struct {
	min, max float64
	target   float64

	value    float64
	baseline float64 // ns; zero before the first window
	recent   float64

	// The current window.
	opened  int64
	sum     float64
	samples int
	drops   int
	peak    int // most in flight, with those refused for want of a place

	probing   bool
	probeAt   int64
	probeEnds int64
	probeMin  float64
}

const (
	tolerance = 1.5
	// A window has both; it stretches while there are few samples.
	windowTime    = int64(100 * time.Millisecond)
	windowSamples = 10
	// longWindow ends a window with fewer samples, if there are any.
	longWindow = int64(time.Second)
	probeEvery = int64(10 * time.Second)
	smoothing  = 0.3
)

func (a *law) start(initial int, now int64) {
	a.value = float64(initial)
	a.opened = now
	a.probeAt = now + probeEvery
}

func (a *law) bound(lo, hi int, target time.Duration) {
	a.min, a.max, a.target = float64(lo), float64(hi), float64(target)
	a.value = min(max(a.value, a.min), a.max)
}

func (a *law) limit() int {
	if a.probing {
		return int(max(a.min, a.value/2))
	}
	return int(a.value)
}

func (a *law) base() float64 {
	if a.target > 0 {
		return a.target
	}
	return a.baseline
}

// saw takes note of demand.
func (a *law) saw(inflight int) { a.peak = max(a.peak, inflight) }

// sample takes in the end of an exchange, and the end of a window.
func (a *law) sample(now int64, latency time.Duration, dropped bool) {
	if dropped {
		a.drops++
	} else {
		a.sum += max(float64(latency), 1)
		a.samples++
	}
	age := now - a.opened
	n := a.samples + a.drops
	if age < windowTime || n < windowSamples && age < longWindow {
		return
	}
	a.turn(now)
	a.opened, a.sum, a.samples, a.drops, a.peak = now, 0, 0, 0, 0
}

// turn ends a window.
func (a *law) turn(now int64) {
	if a.samples > 0 {
		a.recent = a.sum / float64(a.samples)
	}
	if a.probing {
		a.probe(now)
		return
	}
	if a.samples > 0 && (a.baseline == 0 || a.recent < a.baseline) {
		a.baseline = a.recent
	}
	a.adapt()
	if a.target <= 0 && now >= a.probeAt {
		// An idle service shows its baseline without being asked to.
		if float64(a.peak) <= a.value/2 {
			if a.samples > 0 {
				a.baseline = a.recent
			}
			a.probeAt = now + probeEvery
			return
		}
		a.probing, a.probeMin = true, math.Inf(1)
		a.probeEnds = now + max(2*windowTime, int64(3*a.recent))
	}
}

func (a *law) adapt() {
	if a.drops > 0 && a.drops*10 >= a.samples+a.drops {
		a.value = max(a.min, a.value*0.8)
		return
	}
	if a.samples == 0 {
		return
	}
	goal := a.target
	if goal <= 0 {
		goal = tolerance * a.baseline
	}
	gradient := min(1, max(0.5, goal/a.recent))
	if gradient == 1 && float64(a.peak) < a.value*0.8 {
		return // the limit was not what held work back
	}
	next := a.value*gradient + math.Sqrt(a.value)
	next = a.value*(1-smoothing) + next*smoothing
	a.value = min(max(next, a.min), a.max)
}

// probe looks for the baseline while the limit is low. The first window still
// has what was in progress before, so the least of several counts.
func (a *law) probe(now int64) {
	if a.samples > 0 {
		a.probeMin = min(a.probeMin, a.recent)
	}
	if now < a.probeEnds {
		return
	}
	a.probing = false
	a.probeAt = now + probeEvery
	if !math.IsInf(a.probeMin, 1) {
		a.baseline = a.probeMin
	}
}
