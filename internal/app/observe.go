package app

import "github.com/gridway/gridway/internal/telemetry/metric"

// observe lets the metrics read what the process knows.
func (g *Gateway) observe() {
	g.live().Measure()
	g.observeCertificates()
	if g.election != nil {
		g.metrics.SetElection(func() (self bool, term int64) {
			s := g.election.State()
			return s.Self, s.Term
		})
	}
	if c := g.control; c != nil {
		g.metrics.SetDependencies(func(yield func(kind, owner, name string, up bool)) {
			g.live().Dependencies(yield)
			c.dependencies(yield)
		})
	}
	g.observeMesh()
	if l := g.accessLog.Logger; l != nil {
		g.metrics.SetAccessLog(func() metric.LogStats {
			s := l.Stats()
			return metric.LogStats{Written: s.Written, Dropped: s.Dropped, Errors: s.Errors}
		})
	}
	if g.opt.LogStats != nil {
		g.metrics.SetLog(g.opt.LogStats)
	}
}
