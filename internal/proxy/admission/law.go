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
//	limit × gradient + headroom,  gradient = tolerance × baseline / recent within [½, 1.2]
//
// and headroom = √limit: it grows while latency is near the baseline, and
// settles where queueing in the service has raised it to tolerance / (1 − 1/√limit)
// times that: about twice at a limit of 20, 1.7 times at 100. With a target
// latency, that stands for tolerance × baseline.
//
// The baseline cannot be seen while there is a standing queue, and a limiter
// that begins under overload has never seen anything else: soon after the start
// and then every probeEvery it is looked for, see probe. In between it follows
// the latency down, slowly, so that a few quick answers in a row do not make a
// service look slow afterwards.
type law struct {
	min, max float64
	target   float64

	value    float64
	baseline float64 // ns; zero before the first window
	recent   float64 // of the last window
	smooth   float64 // recent, averaged over many windows
	windows  float64

	// The current window.
	opened  int64
	sum     float64
	samples int
	drops   int
	peak    int // most in flight, with those refused for want of a place

	probe probe
}

const (
	tolerance = 1.5
	// A window has both; it stretches while there are few samples, and to the
	// latency itself, for what a change does is not seen sooner.
	windowTime    = int64(100 * time.Millisecond)
	windowSamples = 10
	// longWindow ends a window with fewer samples, if there are any.
	longWindow = int64(time.Second)
	smoothing  = 0.3
	// settled is over how many windows smooth is averaged, about.
	settled  = 10.0
	steepest = 1.2
	// inUse is the part of the limit that must be in use for it to be raised,
	// and below which it is not lowered otherwise.
	inUse = 0.8
)

func (a *law) start(initial int, now int64) {
	a.value = float64(initial)
	a.opened = now
	a.probe.at = now + probeFirst
}

func (a *law) bound(lo, hi int, target time.Duration) {
	a.min, a.max, a.target = float64(lo), float64(hi), float64(target)
	a.value = min(max(a.value, a.min), a.max)
	a.probe.level = min(max(a.probe.level, a.min), a.max)
	if target > 0 {
		a.probe.on = false
	}
}

func (a *law) limit() int {
	if a.probe.on {
		return int(min(a.probe.level, a.value))
	}
	return int(a.value)
}

func (a *law) base() float64 {
	if a.target > 0 {
		return a.target
	}
	return a.baseline
}

// goal is the latency above which the limit is lowered.
func (a *law) goal() float64 {
	if a.target > 0 {
		return a.target
	}
	return tolerance * a.baseline
}

// saw takes note of demand.
func (a *law) saw(inflight int) { a.peak = max(a.peak, inflight) }

// binding tells whether the limit is what holds work back.
func (a *law) binding() bool { return float64(a.peak) >= a.value*inUse }

// sample takes in the end of an exchange, with its latency in nanoseconds, or
// zero for one that was dropped, and the end of a window.
func (a *law) sample(now int64, latency float64) {
	if latency > 0 {
		a.sum += latency
		a.samples++
	} else {
		a.drops++
	}
	age := now - a.opened
	n := a.samples + a.drops
	if age < max(windowTime, min(int64(a.recent), longWindow)) || n < windowSamples && age < longWindow {
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
	if a.probe.on {
		return
	}
	if a.samples > 0 {
		a.settle()
	}
	a.adapt()
	if a.target <= 0 && now >= a.probe.at {
		a.begin(now)
	}
}

// settle lets the baseline follow the latency down.
func (a *law) settle() {
	a.windows = min(a.windows+1, settled)
	a.smooth += (a.recent - a.smooth) / a.windows
	if a.probe.done {
		a.baseline = min(a.baseline, a.smooth)
	} else {
		a.baseline = a.smooth
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
	gradient := min(steepest, max(0.5, a.goal()/a.recent))
	if gradient >= 1 && !a.binding() {
		return // a higher limit would change nothing
	}
	next := a.value*gradient + math.Sqrt(a.value)
	next = a.value*(1-smoothing) + next*smoothing
	if gradient < 1 && !a.binding() {
		next = max(next, min(a.value, float64(a.peak)/inUse))
	}
	a.value = min(max(next, a.min), a.max)
}
