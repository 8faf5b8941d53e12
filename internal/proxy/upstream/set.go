package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/telemetry/sparse"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Set is all clusters of a proxy.
type Set struct {
	opts     Options
	log      *slog.Logger
	keeper   *keeper
	shared   registry
	refused  sparse.Line // endpoints of the mesh
	clusters atomic.Pointer[map[string]*Cluster]
	// generation counts the changes of which cluster a name leads to.
	generation atomic.Uint64

	mu     sync.Mutex // guards changes of clusters
	closed bool
	apart  map[*Cluster]struct{} // guarded by mu, see Apart
}

// New starts an empty set. Close ends it.
func New(opts Options) *Set {
	s := &Set{opts: opts, log: opts.Log, keeper: newKeeper()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opts.ClientTLS == nil {
		s.opts.ClientTLS = tlsx.ClientConfig
	}
	if s.opts.Guard == nil {
		s.opts.Guard = tlsx.NewGuard(nil)
	}
	s.clusters.Store(&map[string]*Cluster{})
	go s.keeper.run()
	return s
}

// Cluster returns the cluster of that name, or nil.
func (s *Set) Cluster(name string) *Cluster { return (*s.clusters.Load())[name] }

// Generation is the same as long as every name leads to the cluster that it led
// to before.
func (s *Set) Generation() uint64 { return s.generation.Load() }

// Clusters returns all clusters by name, to be read only.
func (s *Set) Clusters() map[string]*Cluster { return *s.clusters.Load() }

// Apply makes the set what the configuration says. A cluster whose name and
// hash are the same goes on as it is, with its endpoints updated in place. One
// that changed is built anew, and takes over what it can from the old one.
// Clusters that are gone serve the exchanges that hold them, and close each
// connection as it becomes free.
//
// A cluster that cannot be built is reported in the error and left as it was;
// all others are applied. The endpoints of a cluster with Discovery are
// replaced only if found has some, or if none were discovered yet. As long as
// nothing is known of the names of a cluster that had others before, it goes on
// with the endpoints that it has, if it reaches them in the same way.
func (s *Set) Apply(clusters []*ir.Cluster, found ...ir.EndpointUpdate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("upstream: the set is closed")
	}
	old := *s.clusters.Load()
	next := make(map[string]*Cluster, len(clusters))
	replaced := make(map[*Cluster]*Cluster)
	discovered := make(map[string][]ir.Endpoint, len(found))
	for _, u := range found {
		discovered[u.Cluster] = u.Endpoints
	}
	var errs []error
	different := false
	for _, cfg := range clusters {
		if next[cfg.Name] != nil {
			errs = append(errs, fmt.Errorf("cluster %s: named twice", cfg.Name))
			continue
		}
		was := old[cfg.Name]
		if was != nil && was.cfg.Load().Hash == cfg.Hash {
			s.keep(was, cfg, discovered)
			next[cfg.Name] = was
			continue
		}
		c, err := newCluster(s, cfg, netx.Monotonic())
		if err != nil {
			errs = append(errs, err)
			if was != nil {
				next[cfg.Name] = was
			}
			continue
		}
		s.start(c, was, cfg, discovered)
		if was != nil {
			replaced[was] = c
		}
		next[cfg.Name] = c
		different = true
	}
	if len(old) != len(next) || different {
		s.generation.Add(1)
	}
	s.clusters.Store(&next)
	for name, c := range old {
		if next[name] != c {
			c.retire(replaced[c])
		}
	}
	return errors.Join(errs...)
}

// keep goes on with a cluster that did not change, or only in its endpoints.
func (s *Set) keep(c *Cluster, cfg *ir.Cluster, found map[string][]ir.Endpoint) {
	list, known := found[cfg.Name]
	c.mu.Lock()
	if known {
		c.discovered = cfg.Discovery != nil
	}
	discovered := c.discovered
	c.mu.Unlock()
	c.cfg.Store(cfg)
	switch {
	case known:
		c.setEndpoints(list, false)
	case cfg.Discovery == nil || !discovered:
		c.setEndpoints(cfg.Endpoints, false)
	}
}

// start gives a new cluster its endpoints, and what was learned about them.
func (s *Set) start(c, was *Cluster, cfg *ir.Cluster, found map[string][]ir.Endpoint) {
	list, known := found[cfg.Name]
	switch {
	case known:
		c.discovered = cfg.Discovery != nil
	case was != nil && cfg.Discovery != nil:
		list = cfg.Endpoints
		old := was.cfg.Load()
		was.mu.Lock()
		if was.discovered && (reflect.DeepEqual(old.Discovery, cfg.Discovery) || len(list) == 0 && sameTransport(old, cfg)) {
			list = was.specs()
			c.discovered = true
		}
		was.mu.Unlock()
	default:
		list = cfg.Endpoints
	}
	if was != nil {
		c.learn(was, list)
	}
	c.startChecks()
	c.setEndpoints(list, true)
}

// Update replaces the endpoints of one cluster. It is false if there is no
// such cluster. Its cost depends on that cluster alone.
func (s *Set) Update(u ir.EndpointUpdate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.Cluster(u.Cluster)
	if c == nil || s.closed {
		return false
	}
	c.mu.Lock()
	c.discovered = c.cfg.Load().Discovery != nil
	c.mu.Unlock()
	if c.setEndpoints(u.Endpoints, false) {
		c.metrics.Count(EventEndpointsUpdated)
	}
	return true
}

// Close retires all clusters and waits for the set's goroutines. Exchanges in
// progress may end; their connections are closed as they do.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for c := range maps.Values(*s.clusters.Load()) {
		c.retire(nil)
	}
	for c := range s.apart {
		c.retire(nil)
	}
	s.keeper.close()
	s.shared.close()
}

// learn makes the endpoints of a rebuilt cluster that was knows, with what it
// learned about them.
func (c *Cluster) learn(was *Cluster, list []ir.Endpoint) {
	old := was.view.Load()
	shares := sameConns(was.cfg.Load(), c.cfg.Load())
	a := &arrangement{lb: c.view.Load().lb, byName: make(map[string]*Endpoint)}
	for i := range list {
		e := old.byName[nameOf(&list[i])]
		if e == nil || a.byName[e.name] != nil {
			continue
		}
		n := c.newEndpoint(&list[i], e.name)
		if shares && n.mesh == e.mesh {
			n.shared = e.shared
		}
		n.node.Learn(&e.node)
		if c.cfg.Load().Health == nil {
			n.node.SetState(lb.Unhealthy, false)
		}
		n.node.SetState(lb.Ejected, false)
		if c.detector != nil && was.detector != nil {
			c.detector.Learn(&n.host, was.detector, &e.host)
		}
		a.byName[e.name] = n
	}
	c.view.Store(a)
}

// sameTransport tells whether connections of one cluster can serve another.
func sameTransport(a, b *ir.Cluster) bool {
	return a.Protocol == b.Protocol && a.HTTP2 == b.HTTP2 && a.HTTP3 == b.HTTP3 && a.ProxyProtocol == b.ProxyProtocol &&
		a.Identity == b.Identity && a.Pool.KeepAlive == b.Pool.KeepAlive && reflect.DeepEqual(a.TLS, b.TLS)
}

// sameConns tells whether connections that exchanges share, and the bounds that
// each was made with, serve another cluster as they are.
func sameConns(a, b *ir.Cluster) bool { return sameTransport(a, b) && a.Pool == b.Pool }

// retire ends the cluster's own work and gives its idle connections to next,
// if that uses the same transport, or closes them.
func (c *Cluster) retire(next *Cluster) {
	c.mu.Lock()
	c.retired = true
	endpoints := c.view.Load().endpoints
	c.mu.Unlock()
	c.stopChecks()
	c.set.keeper.forget(c)
	var heirs map[string]*Endpoint
	if next != nil && sameTransport(c.cfg.Load(), next.cfg.Load()) {
		heirs = next.view.Load().byName
	}
	for _, e := range endpoints {
		heir := heirs[e.name]
		if heir != nil && heir.mesh != e.mesh {
			heir = nil
		}
		if heir != nil {
			e.successor.Store(heir)
		} else if next == nil || !next.Has(e.name) {
			e.gone.Store(true)
		}
		for _, conn := range e.idle.Close() {
			if heir != nil && heir.adopt(conn) {
				c.slots.Release()
			} else {
				e.Drop(conn)
			}
		}
		switch {
		case e.shared == nil:
		case heir != nil && heir.shared == e.shared:
			e.shared.bequeath(c.slots, heir.cluster.slots)
		default:
			e.shared.close()
		}
	}
}

// specs is the current endpoints as configuration. Called with mu held.
func (c *Cluster) specs() []ir.Endpoint {
	endpoints := c.view.Load().endpoints
	out := make([]ir.Endpoint, len(endpoints))
	for i, e := range endpoints {
		out[i] = e.spec
	}
	return out
}

func (s *Set) logEndpoint(level slog.Level, message string, e *Endpoint, args ...any) {
	s.log.Log(context.Background(), level, message,
		append([]any{"cluster", e.cluster.Name(), "endpoint", e.address}, args...)...)
}
