package proxy

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// NewMetrics makes a registry that knows the data plane's reasons.
func NewMetrics(build metric.Build) *metric.Registry {
	return metric.New(metric.Options{Reasons: filter.ReasonNames(), Build: build})
}

// clusterMetrics gives clusters their counters in the registry.
type clusterMetrics struct{ registry *metric.Registry }

func (m clusterMetrics) Cluster(name string) upstream.ClusterMetrics {
	return clusterCounter{m.registry.Cluster(name)}
}

type clusterCounter struct{ c *metric.Cluster }

func (m clusterCounter) Connected(d time.Duration, ok bool) {
	m.c.PoolMiss()
	if ok {
		m.c.Connected(d)
	} else {
		m.c.ConnectFailed(metric.ConnectRefused)
	}
}

func (m clusterCounter) Reused() { m.c.PoolHit() }

func (m clusterCounter) Count(e upstream.Event) {
	switch e {
	case upstream.EventEjected:
		m.c.Ejected(metric.EjectConsecutive5xx)
	case upstream.EventReturned:
		m.c.Returned()
	case upstream.EventUnhealthy:
		m.c.HealthChecked(false)
	case upstream.EventHealthy:
		m.c.HealthChecked(true)
	case upstream.EventOverloadRequests:
		m.c.BreakerRejected(metric.BreakerRequests)
	case upstream.EventOverloadPending:
		m.c.BreakerRejected(metric.BreakerPending)
	case upstream.EventRetryDenied:
		m.c.RetryDenied()
	}
}
