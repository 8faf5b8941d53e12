package upstream

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream/breaker"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/proxy/upstream/outlier"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Snapshot is a cluster's state at one moment, for people and metrics.
type Snapshot struct {
	Name      string             `json:"name"`
	Algorithm string             `json:"algorithm"`
	Endpoints []EndpointSnapshot `json:"endpoints"`
	Tiers     []lb.TierState     `json:"tiers"`
	// Connections counts those in use and idle; Pending waits for one.
	Connections int `json:"connections"`
	Idle        int `json:"idle"`
	Pending     int `json:"pending"`
	Requests    int `json:"requests"`
	Retries     int `json:"retries"`
	// RetryBudget is how many retries are left; -1 without a budget.
	RetryBudget int    `json:"retryBudget"`
	Breaker     string `json:"breaker"` // closed, open or half-open
	Opened      uint64 `json:"opened"`  // how often the breaker opened
}

// EndpointSnapshot is one endpoint's part of it.
type EndpointSnapshot struct {
	Address  string `json:"address"`
	Hostname string `json:"hostname,omitempty"`
	Origin   string `json:"origin,omitempty"`
	Zone     string `json:"zone,omitempty"`
	Weight   uint32 `json:"weight"`
	Priority int    `json:"priority,omitempty"`
	// State is healthy, unhealthy, ejected or draining.
	State string `json:"state"`
	// Usable: gets new exchanges (apart from panic).
	Usable bool `json:"usable"`
	// Checked: an active health check has had a result.
	Checked   bool          `json:"checked"`
	Active    int           `json:"active"`
	Idle      int           `json:"idle"`
	Latency   time.Duration `json:"latency"` // peak-sensitive moving average
	Tries     uint64        `json:"tries"`
	Failures  uint64        `json:"failures"`
	Ejections int           `json:"ejections"`
	// EjectedFor is what is left of the ejection.
	EjectedFor time.Duration `json:"ejectedFor,omitempty"`
	// Cause of the ejection.
	Cause string `json:"cause,omitempty"`
	// SlowStart: the weight is still growing.
	SlowStart bool `json:"slowStart,omitempty"`
}

// Snapshot describes the cluster and all its endpoints.
func (c *Cluster) Snapshot() Snapshot {
	now := netx.Monotonic()
	s := Snapshot{
		Name: c.Name(), Algorithm: string(c.lbConfig.Balance.Algorithm),
		Connections: c.slots.Used(), Pending: c.slots.Waiting(),
		Requests: c.requests.Value(), Retries: c.retries.Value(), RetryBudget: c.budget.Left(now),
	}
	var state breaker.State
	state, s.Opened = c.failure.State()
	s.Breaker = state.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.view.Load()
	s.Tiers = a.lb.Tiers()
	s.Endpoints = make([]EndpointSnapshot, len(a.endpoints))
	for i, e := range a.endpoints {
		s.Endpoints[i] = c.describe(e, now)
		s.Idle += s.Endpoints[i].Idle
	}
	return s
}

// describe is called with mu held.
func (c *Cluster) describe(e *Endpoint, now int64) EndpointSnapshot {
	state := e.node.State()
	window := c.lbConfig.Balance.SlowStart
	d := EndpointSnapshot{
		Address: e.address, Hostname: e.spec.Hostname, Origin: e.spec.Origin, Zone: e.spec.Zone,
		Weight: e.spec.Weight, Priority: e.spec.Priority,
		State: stateName(state), Usable: state == 0, Checked: e.checked.Load(),
		Active: e.node.Active(), Idle: e.idle.Len(),
		Latency: e.node.Latency(now, c.lbConfig.Balance.Decay),
		Tries:   e.tries.Load(), Failures: e.failures.Load(),
		SlowStart: e.since != 0 && now-e.since < int64(window),
	}
	if c.detector != nil {
		var until int64
		var cause outlier.Cause
		d.Ejections, until, cause = c.detector.Ejections(&e.host)
		d.EjectedFor, d.Cause = time.Duration(max(0, until-now)), cause.String()
	}
	return d
}

func stateName(s lb.State) string {
	switch {
	case s&lb.Removed != 0:
		return "removed"
	case s&lb.Unhealthy != 0:
		return "unhealthy"
	case s&lb.Ejected != 0:
		return "ejected"
	case s&lb.Draining != 0:
		return "draining"
	}
	return "healthy"
}
