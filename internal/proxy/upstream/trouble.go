package upstream

import (
	"iter"

	"github.com/gridway/gridway/internal/proxy/upstream/breaker"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// Troubles tells what is not well with clusters and their endpoints now, and how often
// breakers have opened and pools were full. It costs a look at the state of each endpoint,
// and nothing else for what is well.
func (s *Set) Troubles() iter.Seq[trouble.Sight] {
	return func(yield func(trouble.Sight) bool) {
		for _, c := range s.Clusters() {
			if !c.troubles(yield) {
				return
			}
		}
	}
}

func (c *Cluster) troubles(yield func(trouble.Sight) bool) bool {
	name := c.Name()
	endpoints := c.view.Load().endpoints
	sight := func(endpoint string, kind trouble.Kind) trouble.Sight {
		return trouble.Sight{Key: trouble.Key{Cluster: name, Endpoint: endpoint, Kind: kind}, Is: true, Endpoints: len(endpoints)}
	}
	if state, opened := c.failure.State(); opened > 0 {
		b := sight("", trouble.Breaker)
		b.Is, b.Times, b.Detail = state != breaker.Closed, opened, state.String()
		if !yield(b) {
			return false
		}
	}
	if n := c.refused.Load(); n > 0 {
		f := sight("", trouble.Full)
		f.Is, f.Times = false, n
		if !yield(f) {
			return false
		}
	}
	for _, e := range endpoints {
		state := e.node.State()
		if state&lb.Removed != 0 || state&(lb.Unhealthy|lb.Ejected) == 0 {
			continue
		}
		x := sight(e.address, trouble.Unhealthy)
		if state&lb.Unhealthy == 0 {
			x.Kind = trouble.Ejected
			if c.detector != nil {
				_, _, cause := c.detector.Ejections(&e.host)
				x.Detail = cause.String()
			}
		}
		if !yield(x) {
			return false
		}
	}
	return true
}

// overloaded counts a request that was refused since a limit was reached.
func (c *Cluster) overloaded(e Event) {
	c.refused.Add(1)
	c.metrics.Count(e)
}
