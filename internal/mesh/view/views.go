package view

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
)

// Options are for New.
type Options struct {
	TrustDomain identity.TrustDomain
	// Registry has the workloads.
	Registry *registry.Registry
	// Edges tells whether the workload of that name may be an edge: it is given the
	// private keys of Gateways. Nil is those of services called "edge".
	Edges func(namespace, service string) bool
	// Epoch tells the numbers of these views from those of other control planes. It is
	// a random one if it is empty.
	Epoch string
}

// Views makes the configurations of proxies.
type Views struct {
	opt Options

	mu      sync.Mutex // guards everything below
	content *content
	// encoder has the resources of the content.
	encoder distrib.Encoder
	// moment is how far the registry's changes have been taken in.
	moment uint64
	// live are clusters with the endpoints of now, by name, made when first needed.
	live map[string]*ir.Cluster
	// liveResources are the endpoints of live, as they are sent.
	liveResources map[string]*distrib.Resource
	// copied are services whose clusters some view has copies of: see endpointsOf.
	copied  map[string]bool
	changed chan struct{}
	changes changeLog
}

// New makes views of nothing; Apply gives them content.
func New(o Options) *Views {
	if o.Edges == nil {
		o.Edges = func(_, service string) bool { return service == "edge" }
	}
	if o.Epoch == "" {
		o.Epoch = rand.Text()
	}
	return &Views{
		opt: o, content: newContent(&ir.Config{}, &ir.Mesh{}),
		copied: map[string]bool{}, live: map[string]*ir.Cluster{}, liveResources: map[string]*distrib.Resource{}, changed: make(chan struct{}),
	}
}

// ErrNoMesh is that a configuration was not compiled for a mesh.
var ErrNoMesh = errors.New("the configuration was compiled without a mesh")

// Apply makes views of what was compiled from now on. Both are never changed. If an
// item cannot be sent, views stay what they were.
func (v *Views) Apply(cfg *ir.Config, mesh *ir.Mesh) error {
	if mesh == nil {
		return ErrNoMesh
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.content.config == cfg && v.content.mesh == mesh {
		return nil
	}
	now := newContent(cfg, mesh)
	if _, err := v.encoder.Split(now.pool()); err != nil {
		return err
	}
	was := v.content
	v.content = now
	v.forget()
	v.note(was.differs(now))
	return nil
}

// forget has all endpoints looked for anew. v.mu is held.
func (v *Views) forget() {
	clear(v.live)
	clear(v.liveResources)
}

// Run takes in what changes in the registry, until ctx is done.
func (v *Views) Run(ctx context.Context) error {
	for {
		next := v.opt.Registry.Changed()
		v.takeIn()
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// takeIn forgets the endpoints of services whose workloads changed.
func (v *Views) takeIn() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, services, all := v.opt.Registry.Since(v.moment)
	if v.moment == now {
		return
	}
	v.moment = now
	if all {
		v.forget()
		v.note(delta{all: true})
		return
	}
	d := delta{}
	for _, s := range services {
		for _, cluster := range v.content.clustersOf[s] {
			delete(v.live, cluster)
			delete(v.liveResources, cluster)
			d.clusters = append(d.clusters, cluster)
		}
		if v.copied[s] {
			d.services = append(d.services, endpointsOf(s))
		}
		if svc := v.content.services[s]; svc != nil && svc.Headless {
			d.services = append(d.services, s) // its endpoints are where its clients go
		}
	}
	v.note(d)
}

// Changed is closed with the next change.
func (v *Views) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

// Config is what a proxy needs, with the endpoints of now.
type Config struct {
	*ir.Config
	// Services are those that it depends on, sorted, and Unknown those among them that
	// the proxy uses and that do not exist.
	Services, Unknown []string
}

// Config makes the configuration of a proxy. It fails if the proxy says something of
// itself that it may not.
func (v *Views) Config(p *distrib.Proxy) (*Config, error) {
	v.takeIn()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.config(p)
}

// config is Config while v.mu is held.
func (v *Views) config(p *distrib.Proxy) (*Config, error) {
	if err := v.opt.Registry.Check(p); err != nil {
		return nil, err
	}
	w := &proxyScope{views: v, content: v.content, proxy: p, out: newBag(), depends: map[string]bool{}}
	if err := w.identify(); err != nil {
		return nil, err
	}
	if p.Role == distrib.RoleEdge {
		if err := w.edge(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.inbound(), w.outbound()); err != nil {
		return nil, err
	}
	w.metricSinks()
	for i, cl := range w.out.Clusters {
		w.out.Clusters[i] = v.liveCluster(cl)
	}
	w.out.Clusters = append(w.out.Clusters, w.local...)
	cfg := w.out.sort()
	cfg.Revision = v.changes.moment
	slices.SortFunc(cfg.Listeners, func(a, b *ir.Listener) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(cfg.Listeners); i++ {
		if a := cfg.Listeners[i]; a.Name == cfg.Listeners[i-1].Name {
			return nil, fmt.Errorf("proxy %.80q wants two listeners at %s", p.Name, a.Name)
		}
	}
	slices.Sort(w.unknown)
	return &Config{Config: cfg, Services: slices.Sorted(maps.Keys(w.depends)), Unknown: slices.Compact(w.unknown)}, nil
}

// liveCluster is a cluster with the endpoints of now. v.mu is held.
func (v *Views) liveCluster(cl *ir.Cluster) *ir.Cluster {
	m, ok := v.content.members[cl.Name]
	if !ok {
		return cl
	}
	if live := v.live[cl.Name]; live != nil {
		return live
	}
	n := *cl
	n.Endpoints = slices.Concat(cl.Endpoints, v.endpoints(m))
	v.live[cl.Name] = &n
	return &n
}
