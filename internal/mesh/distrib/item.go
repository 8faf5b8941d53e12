package distrib

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// routeWire is a route without what its rules share with others, of which it has the
// names: a policy of a thousand rules is sent once, and is one again at the proxy,
// where what it compiles to is found by its pointer.
type routeWire struct {
	*ir.Route
	Shared []ruleShares `json:"shared,omitempty"`
}

// ruleShares are the names of what a rule shares, in order.
type ruleShares struct {
	Rule           int      `json:"rule"`
	Authorizations []string `json:"authorizations,omitempty"`
	RateLimits     []string `json:"rateLimits,omitempty"`
}

func (s *splitting) route(r *ir.Route) any {
	out := &routeWire{Route: r}
	for i, rule := range r.Rules {
		authorizations := namesOf(s.shared, rule.Policy.Authorization)
		limits := namesOf(s.shared, rule.Policy.RateLimits)
		if authorizations == nil && limits == nil {
			continue
		}
		if out.Route == r {
			n := *r
			n.Rules = slices.Clone(r.Rules)
			out.Route = &n
		}
		n := *rule
		if authorizations != nil {
			n.Policy.Authorization = nil
		}
		if limits != nil {
			n.Policy.RateLimits = nil
		}
		out.Rules[i] = &n
		out.Shared = append(out.Shared, ruleShares{i, authorizations, limits})
	}
	return out
}

// streamWire is routeWire for a route of streams.
type streamWire struct {
	*ir.StreamRoute
	Shared []ruleShares `json:"shared,omitempty"`
}

func (s *splitting) stream(r *ir.StreamRoute) any {
	names := namesOf(s.shared, r.Authorization)
	if names == nil {
		return r
	}
	n := *r
	n.Authorization = nil
	return &streamWire{&n, []ruleShares{{Authorizations: names}}}
}

// namesOf returns nil if not all of a list are shared: they are then sent with the rule.
func namesOf[T any](shared map[any]string, list []*T) []string {
	var names []string
	for _, x := range list {
		name, ok := shared[x]
		if !ok {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// withoutEndpoints is a cluster whose endpoints are a resource of their own.
func withoutEndpoints(c *ir.Cluster) any {
	if c.Endpoints == nil {
		return c
	}
	n := *c
	n.Endpoints = nil
	return &n
}

// consumerWire is a consumer with what is left out of its JSON elsewhere.
type consumerWire struct {
	*ir.Consumer
	Secrets []credentialSecret `json:"secrets,omitempty"`
}

// credentialSecret is what the credential at a place signs with.
type credentialSecret struct {
	Credential int    `json:"credential"`
	Secret     []byte `json:"secret"`
}

func consumer(c *ir.Consumer) any {
	out := &consumerWire{Consumer: c}
	for i, credential := range c.Credentials {
		if credential.Secret != nil {
			out.Secrets = append(out.Secrets, credentialSecret{i, credential.Secret})
		}
	}
	return out
}
