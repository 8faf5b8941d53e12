package app

import (
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// measure lets the metrics read what only the data plane knows.
func (v *live) measure() {
	v.metrics.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		for name, c := range v.plane.Upstreams().Clusters() {
			yield(name, gauges(c.Snapshot()))
		}
	})
	v.metrics.SetAdmission(func(yield func(string, metric.Admission)) {
		for _, s := range v.plane.Admission() {
			c := &s.Counts
			yield(s.Scope, metric.Admission{
				Limit: s.Limit, InFlight: s.InFlight, Queued: s.Queued, Baseline: s.Baseline, Recent: s.Recent,
				Admitted: c.Admitted, Delayed: c.Queued, Refused: c.Refused, Displaced: c.Evicted, Expired: c.TimedOut,
			})
		}
	})
	v.metrics.SetRateLimitKeys(v.plane.RateLimitKeys)
	v.metrics.SetKeySets(v.plane.KeySetStates)
	v.metrics.SetDependencies(v.dependencies)
	v.metrics.SetLogins(v.plane.LoginStates)
	v.metrics.SetTokenIssuers(v.plane.TokenIssuerStates)
}

// observe lets the metrics read what the process knows.
func (g *Gateway) observe() {
	g.measure()
	g.observeCertificates()
	if g.election != nil {
		g.metrics.SetElection(func() (self bool, term int64) {
			s := g.election.State()
			return s.Self, s.Term
		})
	}
	if c := g.control; c != nil {
		g.metrics.SetDependencies(func(yield func(kind, owner, name string, up bool)) {
			g.dependencies(yield)
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

func gauges(s upstream.Snapshot) metric.ClusterGauges {
	out := metric.ClusterGauges{
		PendingRequests: s.Pending, ActiveConnections: s.Connections - s.Idle, IdleConnections: s.Idle,
		Retries: s.Retries, RetriesLeft: s.RetryBudget,
	}
	switch s.Breaker {
	case "open":
		out.Breaker = metric.BreakerOpen
	case "half-open":
		out.Breaker = metric.BreakerHalfOpen
	}
	for _, e := range s.Endpoints {
		out.ActiveRequests += e.Active
		switch e.State {
		case "healthy":
			out.Healthy++
		case "unhealthy":
			out.Unhealthy++
		case "ejected":
			out.Ejected++
		case "draining":
			out.Draining++
		}
	}
	return out
}
