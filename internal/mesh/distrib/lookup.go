package distrib

import "github.com/gridway/gridway/internal/ir"

// Of is what the last Split made of an item, a pointer in one of the configuration's
// lists; nil if it was not among them.
func (e *Encoder) Of(item any) *Resource {
	if done := e.items[item]; done != nil {
		return done.resource
	}
	return nil
}

// OfEndpoints is what the last Split made of the endpoints of a cluster.
func (e *Encoder) OfEndpoints(c *ir.Cluster) *Resource {
	if done := e.items[c]; done != nil {
		return done.endpoints
	}
	return nil
}
