package app

import (
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// membership is who may be in the mesh, for the admin API; nil without a mesh.
func (g *Gateway) membership() *membership.Service {
	if g.control == nil {
		return nil
	}
	return g.control.membership(g)
}

// Members is who may be in the mesh; nil without one.
func (g *Gateway) Members() *membership.Service { return g.membership() }

// Workloads is how many healthy workloads a service of the mesh has.
func (g *Gateway) Workloads(namespace, service string) (n int) {
	if g.control == nil {
		return 0
	}
	for _, w := range g.control.registry.Instances(namespace, service) {
		if w.Healthy {
			n++
		}
	}
	return n
}

// traffic is what proxies have seen, for the admin API; nil without a mesh.
func (g *Gateway) traffic() adminapi.Traffic {
	if g.control == nil {
		return nil
	}
	return g.control.evidence
}

func (c *control) membership(g *Gateway) *membership.Service {
	return membership.New(membership.Options{DB: g.db, Access: g.access, Sealer: c.tokens, Authority: c.authority, Now: c.authority.Now})
}

// status is how the mesh stands.
func (c *control) status(m *Mesh) *adminapi.MeshStatus {
	out := &adminapi.MeshStatus{TrustDomain: m.TrustDomain.Name(), Address: c.listener.Addr().String(), Proxies: []adminapi.MeshProxy{}}
	for _, p := range c.distrib.Proxies() {
		x := adminapi.MeshProxy{
			Name: p.Name, Identity: p.Identity, Role: string(p.Role), Zone: p.Zone, Version: p.Version, State: string(p.State), Why: p.Why(),
			Since: p.Since, Revision: p.Serving.Number, Services: append([]string{}, p.Services...),
		}
		out.Proxies = append(out.Proxies, x)
		out.Revision = max(out.Revision, p.Wanted.Number)
		if p.State == distrib.StateServing {
			out.Serving++
		}
	}
	for _, f := range c.federation.States() {
		out.Federation = append(out.Federation, adminapi.MeshFederation(f))
	}
	return out
}
