package pipeline

import (
	"math/rand/v2"

	"github.com/gridway/gridway/internal/proxy/snapshot"
)

// chooseBackend picks by weight, unless the client's session names an endpoint
// of one of the rule's backends.
func (x *Exchange) chooseBackend() *snapshot.Backend {
	backends := x.rule.Backends
	if x.session != "" {
		for i := range backends {
			if c := backends[i].Cluster; c != nil && c.Has(x.session) {
				return &backends[i]
			}
		}
	}
	switch {
	case len(backends) == 0 || x.rule.TotalWeight == 0:
		return nil
	case len(backends) == 1:
		return &backends[0]
	}
	n := rand.Uint32N(x.rule.TotalWeight)
	for i := range backends {
		if n < backends[i].IR.Weight {
			return &backends[i]
		}
		n -= backends[i].IR.Weight
	}
	return nil
}

// keepSession tells the client which endpoint it got, so that it comes back to it.
func (x *Exchange) keepSession() {
	if s := x.rule.Session; s != nil && x.endpoint != nil {
		s.Set(&x.Exchange, x.endpoint.Name())
	}
}
