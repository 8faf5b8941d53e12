package app

import (
	"github.com/gridway/gridway/internal/effect/between"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// passage says what becomes of a request between services, with the workloads of now.
func (g *Gateway) passage(q dryrun.PassageRequest) (*dryrun.Passage, error) {
	g.mu.Lock()
	cfg, mesh := g.state.config, g.state.mesh
	g.mu.Unlock()
	p, err := between.Decide(cfg, mesh, g.opt.Mesh.TrustDomain.String(), q)
	if err != nil || g.control == nil || p.Client == nil {
		return p, err
	}
	withWorkloads(g.control.views, p.Client)
	return p, nil
}

// withWorkloads puts the endpoints of now into what a decision says of Services.
func withWorkloads(views *view.Views, d *dryrun.Decision) {
	for i := range d.Backends {
		b := &d.Backends[i]
		for _, u := range views.Endpoints([]*ir.Cluster{{Name: b.Cluster, Endpoints: b.Endpoints}}) {
			b.Endpoints = u.Endpoints
		}
	}
}
