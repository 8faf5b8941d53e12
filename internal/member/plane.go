package member

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"github.com/gridway/gridway/internal/config/source/consul"
	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// plane is the data plane as distribution feeds it.
type plane struct {
	*proxy.Proxy
	log     *slog.Logger
	keys    *identity.Keyring
	metrics *metric.Registry
	names   *discovery.Hub

	mu      sync.Mutex
	leaving bool                      // guarded by mu: nothing is applied any more
	config  *ir.Config                // guarded by mu
	app     map[string]netip.AddrPort // guarded by mu: where the program listens, by where that was assumed
}

func newPlane(log *slog.Logger, keys *identity.Keyring, metrics *metric.Registry, o proxy.Options) *plane {
	p := &plane{Proxy: proxy.New(o), log: log, keys: keys, metrics: metrics}
	p.names = discovery.New(discovery.Options{
		Sources: []discovery.Source{dns.New(dns.Options{Log: log}), consul.New(consul.Options{Log: log})}, Update: func(u ir.EndpointUpdate) { p.Update(u) }, Log: log,
	})
	return p
}

// run looks up names, and counts, until ctx ends.
func (p *plane) run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { p.names.Run(ctx) })
	p.metrics.Run(ctx)
	wg.Wait()
	return nil
}

// Apply implements distrib.Applier.
func (p *plane) Apply(cfg *ir.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaving {
		return errors.New("the proxy ends")
	}
	p.config = cfg
	ctx := context.Background()
	found := append(p.names.Prepare(ctx, cfg.Clusters), p.local()...)
	err := p.Proxy.Apply(ctx, cfg, found...)
	p.names.Set(cfg.Clusters)
	p.metrics.Keep(cfg)
	return ofListeners(err)
}

// ofListeners says of an error which listeners have no socket, if that is all: the rest
// of the configuration serves then.
func ofListeners(err error) error {
	var list []error
	var walk func(error) bool
	walk = func(err error) bool {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				if !walk(e) {
					return false
				}
			}
			return true
		}
		var l *proxy.ListenError
		if !errors.As(err, &l) {
			return false
		}
		list = append(list, &distrib.ResourceError{Key: distrib.Key{Kind: distrib.KindListener, Name: l.Listener}, Err: l})
		return true
	}
	if err == nil || !walk(err) {
		return err
	}
	return &distrib.PartialError{Err: errors.Join(list...)}
}

// Endpoints implements distrib.Applier.
func (p *plane) Endpoints(u ir.EndpointUpdate) { p.Update(u) }

// Trust implements distrib.Applier.
func (p *plane) Trust(bundles, denied []byte) {
	c, err := identity.DecodeTrust(bundles, denied)
	if err != nil {
		p.log.Error("whom the control plane trusts cannot be read; what was trusted stays", "error", err)
		return
	}
	p.keys.Apply(c)
}

// workload says where the program listens with one of its ports, which may be another
// address than the one that the control plane assumes.
func (p *plane) workload(at netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.app == nil {
		p.app = map[string]netip.AddrPort{}
	}
	p.app[netip.AddrPortFrom(netip.MustParseAddr(loopback), at.Port()).String()] = at
	for _, u := range p.local() {
		p.Update(u)
	}
}

// local are the endpoints of the program's own clusters, where it listens elsewhere
// than at 127.0.0.1.
func (p *plane) local() (out []ir.EndpointUpdate) {
	if len(p.app) == 0 || p.config == nil {
		return nil
	}
	for _, c := range p.config.Clusters {
		if !strings.HasPrefix(c.Name, "Workload/") || len(c.Endpoints) != 1 {
			continue
		}
		e := c.Endpoints[0]
		if at, known := p.app[e.Address]; known && at.String() != e.Address {
			e.Address = at.String()
			out = append(out, ir.EndpointUpdate{Cluster: c.Name, Endpoints: []ir.Endpoint{e}})
		}
	}
	return out
}

// leave ends the listeners that others come to and returns when what is under way is
// over; those of the program stay.
func (p *plane) leave(ctx context.Context, all bool) error {
	p.mu.Lock()
	p.leaving = true
	cfg := p.config
	p.mu.Unlock()
	others := map[string]bool{}
	if cfg != nil {
		for _, l := range cfg.Listeners {
			others[l.Name] = all || l.Mesh || l.Inbound
		}
	}
	return p.Leave(ctx, func(name string) bool { return others[name] })
}

var _ distrib.Applier = (*plane)(nil)
