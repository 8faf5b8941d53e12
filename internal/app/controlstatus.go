package app

import (
	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/manage/membership/membershipdb"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// accounts are who may call and who may manage, for the admin API; nil without a state
// store.
func (g *Gateway) accounts() adminapi.Access {
	if g.access == nil {
		return nil
	}
	return g.access
}

// Members is who may be in the mesh; nil without one.
func (g *Gateway) Members() adminapi.Membership {
	if g.control == nil {
		return nil
	}
	return g.control.membership(g)
}

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

func (c *control) membership(g *Gateway) *membershipdb.Service {
	return membershipdb.New(membershipdb.Options{DB: g.db, Access: g.access, Sealer: c.tokens, Authority: c.authority, Now: c.authority.Now})
}

// dependencies are what the mesh needs of others, each with whether it is there.
func (c *control) dependencies(yield func(kind, owner, name string, up bool)) {
	for _, p := range c.importer.States() {
		yield("peer", v1alpha1.KindMeshPeer+"/"+p.Name, p.TrustDomain, p.Address != "")
	}
	for _, f := range c.federation.States() {
		yield("bundle", "Federation/"+f.TrustDomain, f.URL, f.Error == "" && !f.Fetched.IsZero())
	}
}
