package proxy

import (
	"errors"
	"time"

	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/netx"
)

// NewMetrics makes a registry that knows the data plane's reasons.
func NewMetrics(build metric.Build, settings metric.Settings) *metric.Registry {
	return metric.New(metric.Options{
		Reasons: filter.ReasonNames(), Decisions: filter.DecisionNames(), Faults: filter.FaultNames(),
		PolicyKinds: filter.PolicyKindNames(), Questions: callout.PurposeNames(), Answers: callout.ResultNames(), Build: build, Settings: settings,
	})
}

// clusterMetrics gives clusters their counters in the registry.
type clusterMetrics struct{ registry *metric.Registry }

func (m clusterMetrics) Cluster(name string) upstream.ClusterMetrics {
	return clusterCounter{m.registry.Cluster(name)}
}

type clusterCounter struct{ c *metric.Cluster }

func (m clusterCounter) Connected(d time.Duration, err error) {
	m.c.PoolMiss()
	var failed *upstream.ConnectError
	switch {
	case err == nil:
		m.c.Connected(d)
	case errors.As(err, &failed) && failed.Kind == upstream.TLSFailure:
		m.c.ConnectFailed(metric.ConnectTLS)
	case netx.IsTimeout(err):
		m.c.ConnectFailed(metric.ConnectTimeout)
	default:
		m.c.ConnectFailed(metric.ConnectRefused)
	}
}

func (m clusterCounter) Reused() { m.c.PoolHit() }

func (m clusterCounter) Count(e upstream.Event) {
	switch e {
	case upstream.EventEjectedConsecutive5xx:
		m.c.Ejected(metric.EjectConsecutive5xx)
	case upstream.EventEjectedGatewayErrors:
		m.c.Ejected(metric.EjectConsecutiveGatewayErrors)
	case upstream.EventEjectedSuccessRate:
		m.c.Ejected(metric.EjectSuccessRate)
	case upstream.EventReturned:
		m.c.Returned()
	case upstream.EventCheckPassed:
		m.c.HealthChecked(true)
	case upstream.EventCheckFailed:
		m.c.HealthChecked(false)
	case upstream.EventUnhealthy:
		m.c.HealthChanged(false)
	case upstream.EventHealthy:
		m.c.HealthChanged(true)
	case upstream.EventBreakerOpened:
		m.c.BreakerChanged(metric.BreakerOpen)
	case upstream.EventBreakerHalfOpen:
		m.c.BreakerChanged(metric.BreakerHalfOpen)
	case upstream.EventBreakerClosed:
		m.c.BreakerChanged(metric.BreakerClosed)
	case upstream.EventBreakerRejected:
		m.c.BreakerRejected(metric.BreakerFailureRate)
	case upstream.EventOverloadRequests:
		m.c.BreakerRejected(metric.BreakerRequests)
	case upstream.EventOverloadPending:
		m.c.BreakerRejected(metric.BreakerPending)
	case upstream.EventOverloadConnections:
		m.c.BreakerRejected(metric.BreakerConnections)
	case upstream.EventOverloadRetries:
		m.c.BreakerRejected(metric.BreakerRetries)
	case upstream.EventRetryDenied:
		m.c.RetryDenied()
	case upstream.EventEndpointsUpdated:
		m.c.EndpointsUpdated()
	}
}
