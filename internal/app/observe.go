package app

import (
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// cluster is the live state of one cluster; false if it is not in use.
func (g *Gateway) cluster(name string) (upstream.Snapshot, bool) {
	c := g.plane.Upstreams().Cluster(name)
	if c == nil {
		return upstream.Snapshot{}, false
	}
	return c.Snapshot(), true
}

// observe lets the metrics read what only the data plane knows.
func (g *Gateway) observe() {
	g.metrics.SetClusterGauges(func(yield func(string, metric.ClusterGauges)) {
		for name, c := range g.plane.Upstreams().Clusters() {
			yield(name, gauges(c.Snapshot()))
		}
	})
	if l := g.access.logger; l != nil {
		g.metrics.SetAccessLog(func() metric.AccessLogStats {
			s := l.Stats()
			return metric.AccessLogStats{Written: s.Written, Dropped: s.Dropped, Errors: s.Errors}
		})
	}
}

func gauges(s upstream.Snapshot) metric.ClusterGauges {
	out := metric.ClusterGauges{
		PendingRequests: s.Pending, ActiveConnections: s.Connections - s.Idle, IdleConnections: s.Idle,
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
