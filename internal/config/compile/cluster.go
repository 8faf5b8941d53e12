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
	affinity, affine := clientAffinity(b, &s.spec)
	applySettings(&cl, affinity)
	plain := cl
	ownAffinity, _ := clientAffinity(b, &own.spec)
	applySettings(&plain, ownAffinity)
	if b.service != nil && c.in.Mesh {
		for _, x := range []*ir.Cluster{&cl, &plain} {
			if x.Outlier == nil {
				x.Outlier = meshOutlier()
			}
		}
	}
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
	if cs := c.fresh[cl.Name]; cs != nil {
		return cs
	}
	if c.prev != nil {
		if cs := c.prev.clusters[cl.Name]; cs != nil && (c.used[cs] || cs.reusable(&c.changes) && cs.ir.Hash == cl.Hash) {
			c.used[cs] = true
			return cs
		}
	}
	cs := &clusterState{deps: b.deps, missing: b.missing, service: b.service, problems: b.problems}
	if b.service != nil {
		var problems []store.Problem
		cl.Endpoints, problems = c.endpoints(b.service)
		cs.problems = append(cs.problems[:len(cs.problems):len(cs.problems)], problems...)
		cs.problems = append(cs.problems, judgeAffinity(b.service, affine)...)
	}
	cs.ir = &cl
	c.fresh[cl.Name] = c.sameAsBefore(cs)
	return cs
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

// takeOver keeps a cluster that a reused route points to, or returns the one
// in its place if its endpoints changed.
func (c *compiler) takeOver(old *clusterState) *clusterState {
	if len(c.changes.endpoints) == 0 || !old.endpointsChanged(&c.changes) {
		c.used[old] = true
		return old
	}
	if cs := c.fresh[old.ir.Name]; cs != nil {
		return cs
	}
	cl := *old.ir
	cs := &clusterState{deps: old.deps, missing: old.missing, service: old.service}
	var problems []store.Problem
	cl.Endpoints, problems = c.endpoints(old.service)
	for _, p := range old.problems {
		if p.Object.Kind != "EndpointSlice" && p.Code != "NoReadyEndpoints" && p.Code != "NoEndpoints" {
			cs.problems = append(cs.problems, p)
		}
	}
	cs.problems = append(cs.problems, problems...)
	cs.ir = &cl
	c.fresh[cl.Name] = c.sameAsBefore(cs)
	return cs
}

// collectClusters returns the clusters in use, by name, and their problems.
func (c *compiler) collectClusters() []*ir.Cluster {
	ordered := make([]*clusterState, 0, len(c.used)+len(c.fresh))
	unchanged := len(c.fresh) == 0
	if c.prev != nil {
		// Most are where they were: keep their order and sort the rest in.
		for _, cs := range c.prev.ordered {
			if c.used[cs] {
				ordered = append(ordered, cs)
			} else {
				unchanged = false
			}
		}
	}
	if c.prev != nil && unchanged {
		c.next.clusters = c.prev.clusters
	} else {
		for _, cs := range c.fresh {
			ordered = append(ordered, cs)
		}
		slices.SortFunc(ordered, func(a, b *clusterState) int { return cmp.Compare(a.ir.Name, b.ir.Name) })
		c.next.clusters = make(map[string]*clusterState, len(ordered))
		for _, cs := range ordered {
			c.next.clusters[cs.ir.Name] = cs
		}
	}
	c.next.ordered = ordered
	out := make([]*ir.Cluster, len(ordered))
	for i, cs := range ordered {
		out[i] = cs.ir
		c.next.plain = c.next.plain && len(cs.problems) == 0 && !cs.missing
		for _, p := range cs.problems {
			c.reportOnce(p)
		}
	}
	return out
}
