package view

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// client is whose traffic outbound sections are for: the proxy's own workload, or one of
// those of a node proxy.
type client struct {
	namespace string
	// identity and suffix are empty where they are the proxy's own. Else what belongs to
	// the client has copies with the suffix, whose clusters have the identity: neighbours
	// share neither connections nor certificates.
	identity, suffix string
	clusters         map[string]*ir.Cluster
	routes           map[string]*ir.Route
	streams          map[string]*ir.StreamRoute
}

// workloadClient is a workload of a node proxy.
func (w *proxyScope) workloadClient(load *distrib.Workload) *client {
	suffix := "%" + load.Namespace + "/" + load.Service
	if load.Name != "" {
		suffix += "/" + load.Name
	}
	return &client{
		namespace: load.Namespace, identity: identity.Workload(w.views.opt.TrustDomain, load.Namespace, load.Service).String(), suffix: suffix,
		clusters: map[string]*ir.Cluster{}, routes: map[string]*ir.Route{}, streams: map[string]*ir.StreamRoute{},
	}
}

// endpointsOf is what views depend on that have copies of a service's clusters: their
// endpoints are not sent by themselves. No service has the name.
func endpointsOf(service string) string { return "*endpoints " + service }

// own is what of a closure is the client's: all of it, or copies.
func (w *proxyScope) own(c *client, of *bag) *bag {
	if c.suffix == "" {
		return of
	}
	out := newBag()
	out.add(of)
	called, asked := targets(of)
	rename := func(cluster string) string {
		if called[cluster] && w.content.clusters[cluster] != nil {
			return cluster + c.suffix
		}
		return cluster
	}
	out.Clusters = nil
	for _, cl := range of.Clusters {
		if called[cl.Name] {
			out.Clusters = append(out.Clusters, w.ownCluster(c, cl))
		}
		if !called[cl.Name] || asked[cl.Name] {
			out.Clusters = append(out.Clusters, cl)
		}
	}
	for i, r := range of.Routes {
		if c.routes[r.Name] == nil {
			c.routes[r.Name] = routeFor(r, c.suffix, rename)
		}
		out.Routes[i] = c.routes[r.Name]
	}
	for i, r := range of.Streams {
		if c.streams[r.Name] == nil {
			n := *r
			n.Name, n.Backends = r.Name+c.suffix, renamedBackends(r.Backends, rename)
			c.streams[r.Name] = &n
		}
		out.Streams[i] = c.streams[r.Name]
	}
	return out
}

// ownCluster is a cluster with the endpoints of now that has the client's identity.
func (w *proxyScope) ownCluster(c *client, cl *ir.Cluster) *ir.Cluster {
	if m, ok := w.content.members[cl.Name]; ok {
		service := m.Namespace + "/" + m.Service
		w.depends[endpointsOf(service)], w.views.copied[service] = true, true
	}
	if c.clusters[cl.Name] == nil {
		n := *w.views.liveCluster(cl)
		n.Name, n.Identity = cl.Name+c.suffix, c.identity
		c.clusters[cl.Name] = &n
	}
	return c.clusters[cl.Name]
}

// targets are the clusters that requests and connections go to, and those that policies
// ask something of.
func targets(b *bag) (called, asked map[string]bool) {
	called, asked = map[string]bool{}, map[string]bool{}
	filters := func(f *ir.Filters) {
		for i := range f.Mirrors {
			called[f.Mirrors[i].Cluster] = true
		}
		for _, e := range f.ExternalAuth {
			called[e.Cluster] = true
		}
	}
	for _, r := range b.Routes {
		for _, rule := range r.Rules {
			filters(&rule.Filters)
			for i := range rule.Backends {
				called[rule.Backends[i].Cluster] = true
				filters(&rule.Backends[i].Filters)
			}
			for _, s := range rule.Policy.RateLimitServers {
				asked[s.Cluster] = true
			}
			if a := rule.Policy.Authentication; a != nil {
				for i := range a.AnyOf {
					if m := &a.AnyOf[i]; m.Introspection != nil {
						asked[m.Introspection.Cluster] = true
					} else if m.External != nil {
						asked[m.External.Cluster] = true
					}
				}
			}
		}
	}
	for _, r := range b.Streams {
		for i := range r.Backends {
			called[r.Backends[i].Cluster] = true
		}
	}
	return called, asked
}

// routeFor is a route with another name whose clusters have others, too.
func routeFor(r *ir.Route, suffix string, rename func(string) string) *ir.Route {
	n := *r
	n.Name, n.Rules = r.Name+suffix, slices.Clone(r.Rules)
	for i, rule := range n.Rules {
		x := *rule
		x.Backends, x.Filters = renamedBackends(rule.Backends, rename), renamedFilters(rule.Filters, rename)
		n.Rules[i] = &x
	}
	return &n
}

func renamedBackends(list []ir.BackendRef, rename func(string) string) []ir.BackendRef {
	list = slices.Clone(list)
	for i := range list {
		list[i].Cluster = rename(list[i].Cluster)
		list[i].Filters = renamedFilters(list[i].Filters, rename)
	}
	return list
}

func renamedFilters(f ir.Filters, rename func(string) string) ir.Filters {
	f.Mirrors, f.ExternalAuth = slices.Clone(f.Mirrors), slices.Clone(f.ExternalAuth)
	for i := range f.Mirrors {
		f.Mirrors[i].Cluster = rename(f.Mirrors[i].Cluster)
	}
	for i, e := range f.ExternalAuth {
		n := *e
		n.Cluster = rename(e.Cluster)
		f.ExternalAuth[i] = &n
	}
	return f
}

// nodeOutbound has listeners for each workload of a node proxy, at which the kernel puts
// its connections and nobody else's.
func (w *proxyScope) nodeOutbound() error {
	for i := range w.proxy.Workloads {
		load := &w.proxy.Workloads[i]
		at, err := socketList("captured sockets of "+load.Namespace+"/"+load.Service, load.Captured)
		if err != nil {
			return err
		}
		if len(at) == 0 {
			continue
		}
		c := w.workloadClient(load)
		sections := w.outboundSections(c)
		for _, a := range at {
			l := w.listener(a, w.content.mesh.Outbound)
			l.Captured, l.CapturedOnly, l.Egress, l.Sections = true, true, w.content.mesh.EgressFor(c.namespace), sections
			l.ClusterDomain = w.content.mesh.ClusterDomain
			l.Workload = load.Namespace + "/" + load.Service
			w.out.Listeners = append(w.out.Listeners, l)
		}
	}
	return nil
}
