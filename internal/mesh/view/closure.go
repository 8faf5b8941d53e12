package view

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// content is one compiled configuration, by the names that its items name each other by.
type content struct {
	config *ir.Config
	mesh   *ir.Mesh

	routes          map[string]*ir.Route
	streams         map[string]*ir.StreamRoute
	clusters        map[string]*ir.Cluster
	services        map[string]*ir.MeshService // by "namespace/name"
	members         map[string]ir.MeshMember   // by cluster
	clustersOf      map[string][]string        // clusters of a service, by "namespace/name"
	keySets         map[string]*ir.KeySet
	logins          map[string]*ir.Login
	schemas         map[string]*ir.Schema
	tokenIssuers    map[string]*ir.TokenIssuer
	rateLimitStores map[string]*ir.RateLimitStore
	telemetrySinks  map[string]*ir.TelemetrySink
	addressLists    map[string]*ir.AddressList
	userAgentLists  map[string]*ir.UserAgentList
	revocations     map[string]*ir.RevocationLists
	consumers       map[string][]*ir.Consumer // by namespace
	policies        map[string]bool
	// bags are the closures that were asked for, by the name of what they are of.
	bags map[string]*bag
}

func byName[T any](lists ...[]T) func(name func(T) string) map[string]T {
	return func(name func(T) string) map[string]T {
		out := map[string]T{}
		for _, list := range lists {
			for _, x := range list {
				out[name(x)] = x
			}
		}
		return out
	}
}

func newContent(cfg *ir.Config, mesh *ir.Mesh) *content {
	c := &content{
		config: cfg, mesh: mesh,
		routes:          byName(cfg.Routes, mesh.Routes)(func(r *ir.Route) string { return r.Name }),
		streams:         byName(cfg.Streams, mesh.Streams)(func(r *ir.StreamRoute) string { return r.Name }),
		clusters:        byName(cfg.Clusters, mesh.Clusters)(func(c *ir.Cluster) string { return c.Name }),
		services:        byName(mesh.Services)(func(s *ir.MeshService) string { return s.Namespace + "/" + s.Name }),
		members:         byName(mesh.Members)(func(m ir.MeshMember) string { return m.Cluster }),
		clustersOf:      map[string][]string{},
		keySets:         byName(cfg.KeySets)(func(k *ir.KeySet) string { return k.Name }),
		logins:          byName(cfg.Logins)(func(l *ir.Login) string { return l.Name }),
		schemas:         byName(cfg.Schemas)(func(s *ir.Schema) string { return s.Name }),
		tokenIssuers:    byName(cfg.TokenIssuers)(func(t *ir.TokenIssuer) string { return t.Name }),
		rateLimitStores: byName(cfg.RateLimitStores)(func(s *ir.RateLimitStore) string { return s.Name }),
		telemetrySinks:  byName(cfg.TelemetrySinks)(func(s *ir.TelemetrySink) string { return s.Name }),
		addressLists:    byName(cfg.AddressLists)(func(l *ir.AddressList) string { return l.Name }),
		userAgentLists:  byName(cfg.UserAgentLists)(func(l *ir.UserAgentList) string { return l.Name }),
		revocations:     byName(cfg.RevocationLists)(func(l *ir.RevocationLists) string { return l.Name }),
		consumers:       map[string][]*ir.Consumer{},
		policies:        map[string]bool{},
		bags:            map[string]*bag{},
	}
	for _, m := range mesh.Members {
		k := m.Namespace + "/" + m.Service
		c.clustersOf[k] = append(c.clustersOf[k], m.Cluster)
	}
	for _, x := range cfg.Consumers {
		c.consumers[x.Namespace] = append(c.consumers[x.Namespace], x)
	}
	for _, p := range cfg.Policies {
		c.policies[p] = true
	}
	return c
}

// bag is items of a configuration, each once.
type bag struct {
	ir.Config
	seen map[any]bool
}

func newBag() *bag { return &bag{seen: map[any]bool{}} }

// take puts an item into a list unless it is there.
func take[T any](b *bag, list *[]*T, item *T) bool {
	if item == nil || b.seen[item] {
		return false
	}
	b.seen[item] = true
	*list = append(*list, item)
	return true
}

// add puts everything of another bag into this one.
func (b *bag) add(o *bag) {
	takeAll(b, &b.Routes, o.Routes)
	takeAll(b, &b.Streams, o.Streams)
	takeAll(b, &b.Clusters, o.Clusters)
	takeAll(b, &b.Schemas, o.Schemas)
	takeAll(b, &b.Consumers, o.Consumers)
	takeAll(b, &b.KeySets, o.KeySets)
	takeAll(b, &b.Logins, o.Logins)
	takeAll(b, &b.TokenIssuers, o.TokenIssuers)
	takeAll(b, &b.Authorizations, o.Authorizations)
	takeAll(b, &b.RateLimits, o.RateLimits)
	takeAll(b, &b.RateLimitStores, o.RateLimitStores)
	takeAll(b, &b.TelemetrySinks, o.TelemetrySinks)
	takeAll(b, &b.AddressLists, o.AddressLists)
	takeAll(b, &b.UserAgentLists, o.UserAgentLists)
	takeAll(b, &b.RevocationLists, o.RevocationLists)
	for _, p := range o.Policies {
		b.policy(p)
	}
}

func takeAll[T any](b *bag, list *[]*T, more []*T) {
	for _, x := range more {
		take(b, list, x)
	}
}

func (b *bag) policy(name string) {
	if !b.seen[name] {
		b.seen[name] = true
		b.Policies = append(b.Policies, name)
	}
}

// sort puts the lists in order.
func (b *bag) sort() *ir.Config {
	order(b.Routes, func(r *ir.Route) string { return r.Name })
	order(b.Streams, func(r *ir.StreamRoute) string { return r.Name })
	order(b.Clusters, func(c *ir.Cluster) string { return c.Name })
	order(b.Schemas, func(s *ir.Schema) string { return s.Name })
	slices.SortFunc(b.Consumers, func(x, y *ir.Consumer) int {
		if x.Namespace != y.Namespace {
			return strings.Compare(x.Namespace, y.Namespace)
		}
		return strings.Compare(x.Name, y.Name)
	})
	order(b.KeySets, func(k *ir.KeySet) string { return k.Name })
	order(b.Logins, func(l *ir.Login) string { return l.Name })
	order(b.TokenIssuers, func(t *ir.TokenIssuer) string { return t.Name })
	order(b.Authorizations, func(a *ir.Authorization) string { return a.Policy })
	slices.SortStableFunc(b.RateLimits, func(x, y *ir.RateLimit) int {
		if x.Policy != y.Policy {
			return strings.Compare(x.Policy, y.Policy)
		}
		return strings.Compare(x.Name, y.Name)
	})
	order(b.RateLimitStores, func(s *ir.RateLimitStore) string { return s.Name })
	order(b.TelemetrySinks, func(s *ir.TelemetrySink) string { return s.Name })
	order(b.AddressLists, func(l *ir.AddressList) string { return l.Name })
	order(b.UserAgentLists, func(l *ir.UserAgentList) string { return l.Name })
	order(b.RevocationLists, func(l *ir.RevocationLists) string { return l.Name })
	slices.Sort(b.Policies)
	return &b.Config
}

func order[T any](list []*T, name func(*T) string) {
	slices.SortFunc(list, func(a, b *T) int { return strings.Compare(name(a), name(b)) })
}

// bagOf is the closure of attachments: the routes, and whatever they name.
func (c *content) bagOf(of string, routes, streams []ir.Attachment) *bag {
	if b := c.bags[of]; b != nil {
		return b
	}
	b := newBag()
	for _, a := range routes {
		c.addRoute(b, c.routes[a.Route])
	}
	for _, a := range streams {
		c.addStream(b, c.streams[a.Route])
	}
	c.bags[of] = b
	return b
}

func (c *content) addRoute(b *bag, r *ir.Route) {
	if !take(b, &b.Routes, r) {
		return
	}
	for _, rule := range r.Rules {
		c.addPolicies(b, rule.Policies)
		c.addFilters(b, &rule.Filters)
		for i := range rule.Backends {
			c.addCluster(b, rule.Backends[i].Cluster)
			c.addFilters(b, &rule.Backends[i].Filters)
		}
		c.addPolicy(b, &rule.Policy)
	}
}

func (c *content) addStream(b *bag, r *ir.StreamRoute) {
	if !take(b, &b.Streams, r) {
		return
	}
	c.addPolicies(b, r.Policies)
	for i := range r.Backends {
		c.addCluster(b, r.Backends[i].Cluster)
	}
	c.addTelemetry(b, r.Telemetry)
	c.addShield(b, r.Shield)
	for _, a := range r.Authorization {
		take(b, &b.Authorizations, a)
	}
}

func (c *content) addCluster(b *bag, name string) {
	if name != "" {
		take(b, &b.Clusters, c.clusters[name])
	}
}

func (c *content) addPolicies(b *bag, refs []ir.Ref) {
	for _, r := range refs {
		if name := r.String(); c.policies[name] {
			b.policy(name)
		}
	}
}

func (c *content) addFilters(b *bag, f *ir.Filters) {
	for i := range f.Mirrors {
		c.addCluster(b, f.Mirrors[i].Cluster)
	}
	for _, e := range f.ExternalAuth {
		c.addCluster(b, e.Cluster)
	}
	if t := c.tokenIssuers[f.TokenIssuer]; t != nil && take(b, &b.TokenIssuers, t) {
		if t.EveryNamespace {
			c.addConsumers(b, "")
		} else {
			c.addConsumers(b, t.Namespace)
		}
	}
}

func (c *content) addPolicy(b *bag, p *ir.RoutePolicy) {
	if t := p.Transcoding; t != nil {
		take(b, &b.Schemas, c.schemas[t.Schema])
	}
	c.addTelemetry(b, p.Telemetry)
	c.addShield(b, p.Shield)
	for _, a := range p.Authorization {
		take(b, &b.Authorizations, a)
	}
	for _, l := range p.RateLimits {
		take(b, &b.RateLimits, l)
		if g := l.Shared(); g != nil {
			take(b, &b.RateLimitStores, c.rateLimitStores[g.Store])
		}
	}
	for _, s := range p.RateLimitServers {
		take(b, &b.RateLimitStores, c.rateLimitStores[s.Store])
		c.addCluster(b, s.Cluster)
	}
	if a := p.Authentication; a != nil {
		c.addAuthentication(b, a)
	}
}

func (c *content) addShield(b *bag, s *ir.Shield) {
	if s == nil {
		return
	}
	take(b, &b.AddressLists, c.addressLists[s.AllowAddresses])
	for _, name := range s.DenyAddresses {
		take(b, &b.AddressLists, c.addressLists[name])
	}
	take(b, &b.UserAgentLists, c.userAgentLists[s.AllowUserAgents])
	for _, name := range s.DenyUserAgents {
		take(b, &b.UserAgentLists, c.userAgentLists[name])
	}
}

func (c *content) addAuthentication(b *bag, a *ir.Authentication) {
	if a.EveryNamespace {
		c.addConsumers(b, "")
	} else {
		c.addConsumers(b, a.Namespace)
	}
	for i := range a.AnyOf {
		m := &a.AnyOf[i]
		if m.JWT != nil {
			for _, issuer := range m.JWT.Issuers {
				take(b, &b.KeySets, c.keySets[issuer.KeySet])
			}
		}
		if m.OIDC != nil {
			take(b, &b.KeySets, c.keySets[m.OIDC.KeySet])
			take(b, &b.Logins, c.logins[m.OIDC.Login])
		}
		if m.Introspection != nil {
			c.addCluster(b, m.Introspection.Cluster)
		}
		if m.External != nil {
			c.addCluster(b, m.External.Cluster)
		}
		if m.ClientCertificate != nil && m.ClientCertificate.Revocation != nil {
			take(b, &b.RevocationLists, c.revocations[m.ClientCertificate.Revocation.List])
		}
	}
}

// addConsumers puts in those of a namespace; empty is all.
func (c *content) addConsumers(b *bag, namespace string) {
	if namespace == "" {
		takeAll(b, &b.Consumers, c.config.Consumers)
		return
	}
	takeAll(b, &b.Consumers, c.consumers[namespace])
}
