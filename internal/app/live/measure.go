package live

import (
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Measure lets the metrics read what only the data plane knows.
func (v View) Measure() {
	v.Metrics.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		for name, c := range v.Plane.Upstreams().Clusters() {
			yield(name, gauges(c.Snapshot()))
		}
	})
	v.Metrics.SetAdmission(func(yield func(string, metric.Admission)) {
		for _, s := range v.Plane.Admission() {
			c := &s.Counts
			yield(s.Scope, metric.Admission{
				Limit: s.Limit, InFlight: s.InFlight, Queued: s.Queued, Baseline: s.Baseline, Recent: s.Recent,
				Admitted: c.Admitted, Delayed: c.Queued, Refused: c.Refused, Displaced: c.Evicted, Expired: c.TimedOut,
			})
		}
	})
	v.Metrics.SetRateLimitKeys(v.Plane.RateLimitKeys)
	v.Metrics.SetKeySets(v.Plane.KeySetStates)
	v.Metrics.SetDependencies(v.Dependencies)
	v.Metrics.SetLogins(v.Plane.LoginStates)
	v.Metrics.SetTokenIssuers(v.Plane.TokenIssuerStates)
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
