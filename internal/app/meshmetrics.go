package app

import (
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// observeMesh lets metrics see the mesh of a control plane.
func (g *Gateway) observeMesh() {
	if g.control == nil {
		return
	}
	g.metrics.SetMesh(func() metric.Mesh {
		c := g.control
		out := metric.Mesh{Control: c.metrics(), Denied: len(c.authority.Denials())}
		for _, p := range c.distrib.Proxies() {
			if p.State != distrib.StateGone {
				out.Withheld += len(p.Withheld)
			}
		}
		for _, s := range c.own.SVIDs() {
			out.SVIDs = append(out.SVIDs, metric.MeshSVID{ID: s.ID().String(), Ends: s.NotAfter()})
		}
		fetched := map[string]time.Time{}
		for _, f := range c.federation.States() {
			fetched[f.TrustDomain] = f.Fetched
		}
		for _, b := range c.authority.Keyring().Bundles() {
			name := b.TrustDomain().Name()
			out.Bundles = append(out.Bundles, metric.MeshBundle{TrustDomain: name, Roots: len(b.Roots()), Ends: b.Ends(), Fetched: fetched[name]})
		}
		return out
	})
}

func (c *control) metrics() *metric.MeshControl {
	n := c.distrib.Counts()
	out := &metric.MeshControl{
		Proxies: map[[2]string]int{}, Behind: map[string]uint64{}, Waiting: n.Waiting, Messages: n.Messages, Bytes: n.Bytes, Refused: n.Refused,
		Acknowledged: metric.Histogram{Count: n.Acks, Sum: n.AckTime.Seconds(), Buckets: n.Acknowledged},
		Joins:        c.join.Joins(), Issued: c.join.Issued(),
	}
	for _, p := range c.distrib.Proxies() {
		role := string(p.Role)
		out.Proxies[[2]string{role, string(p.State)}]++
		if p.State == distrib.StateGone {
			continue
		}
		behind := uint64(0)
		if p.Serving.Epoch == p.Wanted.Epoch && p.Wanted.Number > p.Serving.Number {
			behind = p.Wanted.Number - p.Serving.Number
		}
		out.Behind[role] = max(out.Behind[role], behind)
	}
	healthy, unhealthy, services := c.registry.Count()
	out.Services, out.Workloads = services, map[string]int{"healthy": healthy, "unhealthy": unhealthy}
	for _, a := range c.authority.State().Authorities {
		if !a.Ends.IsZero() {
			out.Authorities = append(out.Authorities, metric.MeshAuthority{Purpose: a.Purpose, Serial: a.Fingerprint, Ends: a.Ends})
		}
	}
	return out
}
