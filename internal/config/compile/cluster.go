package compile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// clusterState is a cluster and what it was compiled from.
type clusterState struct {
	ir       *ir.Cluster
	deps     []*store.Object
	missing  bool
	service  *servicePort // nil for a Backend
	problems []store.Problem
}

// reusable tells whether a cluster of the run before is still what it would be.
func (cs *clusterState) reusable(ch *changes) bool {
	return !(cs.missing && ch.added) && ch.fresh(cs.deps) && !cs.endpointsChanged(ch)
}

func (cs *clusterState) endpointsChanged(ch *changes) bool {
	return cs.service != nil && ch.endpoints[cs.service.object]
}

// cluster returns the cluster for a backend under the merged policies of a
// rule. It has the backend's name if the result is what the backend's own
// policies say, and otherwise a name with a hash.
func (c *compiler) cluster(b *backend, s *settings, certificate *ir.Certificate) *clusterState {
	own := c.merge(b.policies)
	cl := b.base
	applySettings(&cl, &s.spec)
	plain := cl
	applySettings(&plain, &own.spec)
	if cl.TLS != nil && certificate != nil && !b.ownCertificate {
		tls := *cl.TLS
		tls.Certificate = certificate
		cl.TLS = &tls
	}
	cl.Hash = hashCluster(&cl)
	if s != own || cl.TLS != plain.TLS {
		if plain.Hash = hashCluster(&plain); plain.Hash != cl.Hash {
			cl.Name = fmt.Sprintf("%s~%08x", cl.Name, uint32(cl.Hash^cl.Hash>>32))
		}
	}
	if cs := c.next.clusters[cl.Name]; cs != nil {
		return cs
	}
	if c.prev != nil {
		if cs := c.prev.clusters[cl.Name]; cs != nil && cs.reusable(&c.changes) && cs.ir.Hash == cl.Hash {
			c.keepCluster(cs)
			return cs
		}
	}
	cs := &clusterState{deps: b.deps, missing: b.missing, service: b.service, problems: b.problems}
	if b.service != nil {
		var problems []store.Problem
		cl.Endpoints, problems = c.endpoints(b.service)
		cs.problems = append(cs.problems[:len(cs.problems):len(cs.problems)], problems...)
	}
	cs.ir = &cl
	c.keepCluster(c.sameAsBefore(cs))
	return c.next.clusters[cl.Name]
}

func (c *compiler) keepCluster(cs *clusterState) {
	c.next.clusters[cs.ir.Name] = cs
	c.used[cs] = true
}

// sameAsBefore takes over the previous pointer of an equal cluster.
func (c *compiler) sameAsBefore(cs *clusterState) *clusterState {
	if c.prev == nil {
		return cs
	}
	if old := c.prev.clusters[cs.ir.Name]; old != nil && old.ir.Hash == cs.ir.Hash && old.ir.Ref == cs.ir.Ref &&
		slices.Equal(old.ir.Endpoints, cs.ir.Endpoints) {
		cs.ir = old.ir
	}
	return cs
}

// takeOver keeps a cluster that a reused route points to, with new endpoints if
// these changed.
func (c *compiler) takeOver(old *clusterState) {
	if c.used[old] || c.next.clusters[old.ir.Name] != nil {
		return
	}
	if !old.endpointsChanged(&c.changes) {
		c.keepCluster(old)
		return
	}
	cl := *old.ir
	cs := &clusterState{deps: old.deps, missing: old.missing, service: old.service}
	var problems []store.Problem
	cl.Endpoints, problems = c.endpoints(old.service)
	for _, p := range old.problems {
		if p.Code != "NoReadyEndpoints" && p.Code != "NoEndpoints" && p.Code != "UnsupportedAddressType" {
			cs.problems = append(cs.problems, p)
		}
	}
	cs.problems = append(cs.problems, problems...)
	cs.ir = &cl
	c.keepCluster(c.sameAsBefore(cs))
}

// collectClusters returns the clusters in use, by name, and their problems.
func (c *compiler) collectClusters() []*ir.Cluster {
	ordered := make([]*clusterState, 0, len(c.next.clusters))
	taken := make(map[*clusterState]bool)
	if c.prev != nil {
		// Most are where they were: keep their order and sort the rest in.
		for _, cs := range c.prev.ordered {
			if c.used[cs] {
				ordered = append(ordered, cs)
				taken[cs] = true
			}
		}
	}
	if len(ordered) < len(c.next.clusters) {
		for _, cs := range c.next.clusters {
			if !taken[cs] {
				ordered = append(ordered, cs)
			}
		}
		slices.SortFunc(ordered, func(a, b *clusterState) int { return cmp.Compare(a.ir.Name, b.ir.Name) })
	}
	c.next.ordered = ordered
	out := make([]*ir.Cluster, len(ordered))
	for i, cs := range ordered {
		out[i] = cs.ir
		for _, p := range cs.problems {
			c.reportOnce(p)
		}
	}
	return out
}
