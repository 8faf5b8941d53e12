package proxy

import (
	"context"
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/snapshot"
)

// Apply makes cfg the configuration of every request from now on: new sockets
// are open before old ones are closed, and connections with work keep it. An
// error names what could not be applied (a port that is taken, a certificate
// that cannot be used); the rest of cfg serves all the same. Endpoints of
// clusters with Discovery that were found already are in place before the
// clusters serve.
func (p *Proxy) Apply(ctx context.Context, cfg *ir.Config, found ...ir.EndpointUpdate) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("proxy: the data plane was shut down")
	}
	if p.loopsErr != nil {
		return fmt.Errorf("proxy: %w", p.loopsErr)
	}
	var errs []error
	if err := p.set.Apply(cfg.Clusters, found...); err != nil {
		errs = append(errs, err)
	}
	p.schemas.Begin(cfg)
	p.keys.Begin(cfg)
	p.logins.Begin(cfg)
	p.issuers.Begin(cfg)
	p.consumers.Apply(cfg.Consumers)
	if err := p.stores.Apply(cfg.RateLimitStores); err != nil {
		errs = append(errs, err)
	}
	if err := p.exporter.Apply(cfg.TelemetrySinks); err != nil {
		errs = append(errs, err)
	}
	if err := p.outlets.Apply(cfg.TelemetrySinks); err != nil {
		errs = append(errs, err)
	}
	p.pusher.Apply(cfg.TelemetrySinks)
	p.lists.Apply(cfg.AddressLists, cfg.UserAgentLists)
	p.revoked.Apply(cfg.RevocationLists)
	snap, err := snapshot.Build(cfg, p.snap.Load(), p.deps)
	if err != nil {
		errs = append(errs, err)
	}
	for _, l := range cfg.Listeners {
		built := snap.Listeners[l.Name]
		if built == nil {
			continue
		}
		if err := p.applyListener(ctx, l, built); err != nil {
			errs = append(errs, err)
		}
	}
	p.snap.Store(snap)
	p.streams.Recheck(snap.Stream)
	p.schemas.End(cfg)
	p.keys.End(cfg)
	p.logins.End(cfg)
	p.issuers.End(cfg)
	keepLimits(p.limits, cfg)
	p.stores.warnUnkept(cfg.RateLimits)
	p.authorizations.keep(cfg)
	p.formulas.keep(cfg)
	for name, l := range p.listeners {
		if snap.Listeners[name] == nil && !named(cfg, name) {
			delete(p.listeners, name)
			p.drain(l)
		}
	}
	return errors.Join(errs...)
}

// named tells whether cfg has a listener of that name, even one that failed to build.
func named(cfg *ir.Config, name string) bool {
	for _, l := range cfg.Listeners {
		if l.Name == name {
			return true
		}
	}
	return false
}

// Update replaces the endpoints of one cluster; it is false for a cluster that is not in use.
func (p *Proxy) Update(u ir.EndpointUpdate) bool { return p.set.Update(u) }
