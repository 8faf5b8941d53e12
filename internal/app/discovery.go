package app

import (
	"context"
	"sync"

	"github.com/gridway/gridway/internal/app/live"
	"github.com/gridway/gridway/internal/config/source/consul"
	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/ir"
)

// discover begins to look for endpoints, which the first configuration waits for.
func (g *Gateway) discover() {
	g.discovery = discovery.New(discovery.Options{
		Sources: []discovery.Source{dns.New(dns.Options{Log: g.opt.Log}), consul.New(consul.Options{Log: g.opt.Log})},
		Update:  func(u ir.EndpointUpdate) { g.plane.Update(u) }, Log: g.opt.Log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { g.discovery.Run(ctx) })
	g.stopDiscovery = func() { cancel(); done.Wait() }
	g.metrics.SetDiscovery(g.live().Discovered)
}

// live is the data plane as those see it who ask how it is.
func (g *Gateway) live() live.View {
	return live.View{Plane: g.plane, Metrics: g.metrics, Discovery: g.discovery}
}
