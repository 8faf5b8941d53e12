package metric

import "sync/atomic"

const (
	// DefaultLimit is how many things of a kind (rules, clusters, policies and so
	// on) have series of their own.
	DefaultLimit = 10_000
	// MinLimit and MaxLimit bound what Settings.Limit may be.
	MinLimit, MaxLimit = 10, 1_000_000
	// overflow labels what counts the rest.
	overflow = "overflow"
)

// places bounds how many things of one kind have series of their own. The others
// count in one more thing of that kind, whose labels are "overflow".
type places struct {
	kind          string
	limit         int64
	taken, folded atomic.Int64
}

func (p *places) take() bool {
	if p.taken.Add(1) > p.limit {
		p.taken.Add(-1)
		return false
	}
	return true
}

const (
	undecided = iota
	placeOwn
	placeFolded
)

// place tells whether one thing has series of its own. That is decided with its
// first event, so that what has no traffic takes no place, and stays: a series
// whose events counted elsewhere for a while would lie about them.
type place struct {
	of    *places // nil for what always has its own
	state atomic.Uint32
}

func (p *place) own() bool { return p.state.Load() == placeOwn || p.decide() }

func (p *place) decide() bool {
	if p.of == nil {
		return true
	}
	if p.state.Load() == placeFolded {
		return false
	}
	took := p.of.take()
	next := uint32(placeFolded)
	if took {
		next = placeOwn
	}
	switch {
	case !p.state.CompareAndSwap(undecided, next):
		if took {
			p.of.taken.Add(-1)
		}
		return p.state.Load() == placeOwn
	case !took:
		p.of.folded.Add(1)
	}
	return took
}

// leave gives the place back. What somebody still holds goes on counting where it
// has counted, or in the overflow.
func (p *place) leave() {
	if p.of == nil {
		return
	}
	switch {
	case p.state.CompareAndSwap(undecided, placeFolded):
	case p.state.Load() == placeOwn:
		p.of.taken.Add(-1)
	default:
		p.of.folded.Add(-1)
	}
}

var (
	setsFamily       = define("gridway_metrics_label_sets", gauge, "Rules, clusters, policies and so on that have series of their own, by kind.", "kind")
	setsLimitFamily  = define("gridway_metrics_label_sets_limit", gauge, "How many of a kind may have series of their own (--metrics-limit).", "kind")
	setsFoldedFamily = define("gridway_metrics_label_sets_folded", gauge, "How many of a kind have none because there are too many: they count in the series whose labels are overflow, or are left out where only their state is shown. Of methods of gRPC about that many have been since the start.", "kind")
)

func (e *emitter) places(p *places) {
	e.gauge(&setsFamily, float64(p.taken.Load()), p.kind)
	e.gauge(&setsLimitFamily, float64(p.limit), p.kind)
	e.gauge(&setsFoldedFamily, float64(p.folded.Load()), p.kind)
}
