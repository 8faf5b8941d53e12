package admission

import (
	"math"
	"time"
)

// probe looks for the latency without a queue in the service. It halves the
// limit for as long as that pays: while there is a standing queue, half the
// exchanges in progress take about half the time, and the service stays as busy
// as it was. The first step that does not make them faster shows the baseline,
// and the last one that did shows how much is too much.
type probe struct {
	on bool
	at int64 // when the next one is due
	// done: the baseline was once looked for.
	done bool

	level  float64 // the limit of this step
	above  float64 // that of the step before, which took the latency before
	before float64 // infinite in the first step, which is at the limit itself
	peak   float64 // work in progress before the first step
	queued float64 // the lowest limit that is known to make a queue

	// A step is judged by a cohort: the first exchanges that are let in after
	// its begin, until all of them are over. Whoever is over first is quicker
	// than the others, and says less.
	cohort  uint32
	members int
	left    int
	sum     float64
	samples int
	since   int64
}

const (
	probeFirst = 3 * windowTime
	probeEvery = int64(10 * time.Second)
	// A cohort has so many members; with the least number of samples it is
	// enough when the step's time is over.
	cohortSize   = 50
	leastSamples = 5
	// pays is what a step must reduce the latency to for another one.
	pays = 0.8
	// gentle is the part of the work in progress that a first step leaves.
	gentle = 0.7
)

// begin starts a probe, unless it would hold work back for nothing: where the
// limit is not reached, and the baseline is known.
func (a *law) begin(now int64) {
	p := &a.probe
	p.at = now + probeEvery
	if p.done && !a.binding() || a.samples == 0 {
		return
	}
	if min(a.value, float64(a.peak)) <= a.min { // it is as low as it may be
		a.baseline = a.smooth
		return
	}
	p.on, p.peak, p.queued, p.above = true, float64(a.peak), a.value, a.value
	a.step(now, a.value, math.Inf(1))
}

func (a *law) step(now int64, level, before float64) {
	p := &a.probe
	p.level, p.before = level, before
	p.cohort = max(p.cohort+1, 1)
	p.since, p.members, p.left, p.sum, p.samples = now, 0, 0, 0, 0
}

// enter counts who is let in and returns the cohort, zero for none.
func (a *law) enter() uint32 {
	p := &a.probe
	if !p.on || p.members == cohortSize {
		return 0
	}
	p.members++
	return p.cohort
}

// leave takes in the end of a member, with its latency in nanoseconds if that
// says something.
func (a *law) leave(now int64, cohort uint32, latency float64) {
	p := &a.probe
	if !p.on {
		return
	}
	if cohort == p.cohort {
		p.left++
		if latency > 0 {
			p.sum += latency
			p.samples++
		}
	}
	if p.left == cohortSize || now >= p.since+max(longWindow, 3*int64(a.recent)) {
		a.judge(now)
	}
}

// below is the limit of the next step. The first one is small where the limit
// was not reached, for then there may well be no queue.
func (a *law) below() float64 {
	p := &a.probe
	next := p.level / 2
	if math.IsInf(p.before, 1) && p.peak < inUse*p.level {
		next = gentle * p.peak
	}
	return max(a.min, next)
}

// judge ends a step.
func (a *law) judge(now int64) {
	p := &a.probe
	if p.samples < leastSamples { // nothing to be learnt now
		p.on, p.at = false, now+longWindow
		return
	}
	mean := p.sum / float64(p.samples)
	if mean < pays*p.before {
		p.queued = p.above
		if p.level > a.min {
			p.above = p.level
			a.step(now, a.below(), mean)
			return
		}
		p.before = mean
	}
	// Neither of the two has a queue: the more samples, the better.
	a.baseline = min(mean+p.before, 2*mean) / 2
	a.recent, a.smooth = mean, a.baseline
	a.value = max(a.min, min(a.value, p.queued))
	p.on, p.done, p.at = false, true, now+probeEvery
	// What was counted meanwhile is not of the limit that holds now.
	a.opened, a.sum, a.samples, a.drops, a.peak = now, 0, 0, 0, 0
}
