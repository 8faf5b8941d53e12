package metric

import (
	"sync/atomic"
	"time"
)

// Cluster counts tries (an exchange that is retried makes several), the
// connection pool and the protections of one cluster.
type Cluster struct {
	life
	beyond  *Cluster
	red     red
	traced  exemplars
	connect histogram
	events  events
	window  window
	copies  atomic.Pointer[copies] // nil unless it is a mirror
	name    string
}

func newCluster(r *Registry, name string) *Cluster {
	h := &Cluster{beyond: r.beyond.cluster, name: name}
	h.begin(r, &r.kinds.cluster)
	h.red.cells.stripes, h.red.native = r.stripes, r.opt.Native
	h.connect.cells.stripes, h.connect.native = r.stripes, r.opt.Native
	h.events.cells.stripes = r.stripes
	h.window.start(r.opt.Now())
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *Cluster) self() *Cluster {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Observe records one try at its end. Status is the upstream's, 0 if it did not
// answer; d runs from the choice of the endpoint to the end of the response.
func (h *Cluster) Observe(status int, d time.Duration, in, out int64, flags uint64) {
	h.self().red.observe(status, d, in, out, flags)
}

// Traced keeps a try that took d as an exemplar, as that of Route does.
func (h *Cluster) Traced(d time.Duration, trace []byte, now time.Time) {
	h.self().traced.note(d, trace, now)
}

const (
	eventRetry = iota
	eventRetryDenied
	eventHedge
	eventHedgeWon
	eventPoolHit
	eventPoolMiss
	eventPoolStale
	eventBreaker         // + BreakerLimit
	eventConnectFailure  = eventBreaker + int(breakerLimits)
	eventEjection        = eventConnectFailure + int(connectFailures)
	eventReturn          = eventEjection + int(ejectionCauses)
	eventHealthOK        = eventReturn + 1
	eventHealthFailed    = eventReturn + 2
	eventEndpointsUpdate = eventReturn + 3
	eventHealthy         = eventReturn + 4
	eventUnhealthy       = eventReturn + 5
	eventBreakerOpened   = eventReturn + 6
	eventBreakerHalfOpen = eventReturn + 7
	eventBreakerClosed   = eventReturn + 8
	clusterEvents        = eventReturn + 9
)

// It does not compile if the cluster's events outgrow their cell.
var _ [maxEvents - clusterEvents]struct{}

// BreakerLimit is the limit of a circuit breaker that refused work.
type BreakerLimit uint8

const (
	BreakerRequests BreakerLimit = iota
	BreakerPending
	BreakerConnections
	BreakerRetries
	BreakerFailureRate
	breakerLimits
)

var breakerNames = [breakerLimits]string{"requests", "pending", "connections", "retries", "failure_rate"}

// ConnectFailure is why a connection to an endpoint was not made.
type ConnectFailure uint8

const (
	ConnectRefused ConnectFailure = iota // any failure to connect but a timeout
	ConnectTimeout
	ConnectTLS
	connectFailures
)

var connectFailureNames = [connectFailures]string{"refused", "timeout", "tls"}

// EjectionCause is which rule of outlier detection ejected an endpoint.
type EjectionCause uint8

const (
	EjectConsecutive5xx EjectionCause = iota
	EjectConsecutiveGatewayErrors
	EjectSuccessRate
	ejectionCauses
)

var ejectionNames = [ejectionCauses]string{"consecutive_5xx", "consecutive_gateway_errors", "success_rate"}

// Retry counts a try after the first; RetryDenied one that the retry budget or
// the breaker's retry limit did not allow.
func (h *Cluster) Retry()       { h.self().events.add(eventRetry) }
func (h *Cluster) RetryDenied() { h.self().events.add(eventRetryDenied) }

// Hedge counts an extra try beside a slow one; HedgeWon one that answered first.
func (h *Cluster) Hedge()    { h.self().events.add(eventHedge) }
func (h *Cluster) HedgeWon() { h.self().events.add(eventHedgeWon) }

// PoolHit counts a try on a pooled connection, PoolMiss one that needed a new
// one, PoolStale a pooled one that turned out to be closed.
func (h *Cluster) PoolHit()   { h.self().events.add(eventPoolHit) }
func (h *Cluster) PoolMiss()  { h.self().events.add(eventPoolMiss) }
func (h *Cluster) PoolStale() { h.self().events.add(eventPoolStale) }

// Connected records the time to make a connection, TLS included.
func (h *Cluster) Connected(d time.Duration) { h.self().connect.observe(d) }

// ConnectFailed counts a connection that was not made.
func (h *Cluster) ConnectFailed(why ConnectFailure) {
	h.self().events.add(eventConnectFailure + int(why))
}

// BreakerRejected counts work that the circuit breaker refused.
func (h *Cluster) BreakerRejected(limit BreakerLimit) { h.self().events.add(eventBreaker + int(limit)) }

// Ejected counts an endpoint taken out by outlier detection, Returned one that came back.
func (h *Cluster) Ejected(cause EjectionCause) { h.self().events.add(eventEjection + int(cause)) }
func (h *Cluster) Returned()                   { h.self().events.add(eventReturn) }

// HealthChecked counts one active health check.
func (h *Cluster) HealthChecked(ok bool) {
	if ok {
		h.self().events.add(eventHealthOK)
		return
	}
	h.self().events.add(eventHealthFailed)
}

// HealthChanged counts an endpoint whose health checks changed their verdict.
func (h *Cluster) HealthChanged(healthy bool) {
	if healthy {
		h.self().events.add(eventHealthy)
		return
	}
	h.self().events.add(eventUnhealthy)
}

// BreakerChanged counts a change of the breaker by failure rate.
func (h *Cluster) BreakerChanged(to BreakerState) {
	switch to {
	case BreakerOpen:
		h.self().events.add(eventBreakerOpened)
	case BreakerHalfOpen:
		h.self().events.add(eventBreakerHalfOpen)
	default:
		h.self().events.add(eventBreakerClosed)
	}
}

// EndpointsUpdated counts a change of the endpoints by discovery.
func (h *Cluster) EndpointsUpdated() { h.self().events.add(eventEndpointsUpdate) }

// BreakerState is the state of a breaker by failure rate.
type BreakerState uint8

const (
	BreakerClosed BreakerState = iota
	BreakerHalfOpen
	BreakerOpen
)

// ClusterGauges is the present state of one cluster.
type ClusterGauges struct {
	// Endpoints of the cluster by state; Healthy ones take traffic.
	Healthy, Unhealthy, Ejected, Draining int
	// ActiveRequests are tries under way, PendingRequests wait for a connection.
	ActiveRequests, PendingRequests int
	// Connections in use, and idle in the pool.
	ActiveConnections, IdleConnections int
	Breaker                            BreakerState
	// Retries are under way; RetriesLeft is what the budget allows, -1 without one.
	Retries, RetriesLeft int
}
