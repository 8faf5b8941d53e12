package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// edge tells whether the form of a route is for listeners of Gateways.
func (rs *routeState) edge(form string) bool {
	return slices.ContainsFunc(rs.attachments, func(a attachment) bool { return a.ir.Route == form })
}

// ofService tells whether the form of a route is for ports of Services.
func (rs *routeState) ofService(form string) bool {
	return slices.ContainsFunc(rs.mesh, func(a meshAttachment) bool { return a.form == form })
}

// split gives the Config what listeners of Gateways serve, and nothing else: all
// is a form of each route, and clusters those of everything.
func (c *compiler) split(all []*ir.Route, clusters []*ir.Cluster) (routes []*ir.Route, streams []*ir.StreamRoute, used []*ir.Cluster) {
	if !c.next.meshRoutes && len(c.next.services) == 0 {
		return all, c.next.streamRoutes(), clusters
	}
	routes = make([]*ir.Route, 0, len(all))
	of := make(map[*ir.Cluster]bool, len(clusters))
	each := func(list []*routeState, keep func(rs *routeState)) {
		for _, rs := range list {
			if len(rs.attachments) == 0 {
				continue
			}
			keep(rs)
			for _, cs := range rs.clusters {
				of[cs.ir] = true
			}
		}
	}
	each(c.next.routes, func(rs *routeState) {
		for _, f := range rs.forms {
			if len(rs.mesh) == 0 || rs.edge(f.Name) {
				routes = append(routes, f)
			}
		}
	})
	each(c.next.streams, func(rs *routeState) {
		for _, r := range rs.streams {
			if len(rs.mesh) == 0 || rs.edge(r.Name) {
				streams = append(streams, r)
			}
		}
	})
	used = make([]*ir.Cluster, 0, len(of))
	for _, cl := range clusters {
		if of[cl] {
			used = append(used, cl)
		}
	}
	return routes, streams, used
}

// meshShare is a port as clients of one namespace see it, or of all that have no
// routes of their own.
type meshShare struct {
	place     meshPlace
	namespace string
}

// meshGroup are the routes on it.
type meshGroup struct {
	meshShare
	routes []meshRoute
}

type meshRoute struct {
	object     *store.Object
	kind, form string
}

// collectMesh puts together what Services come to with their routes.
func (c *compiler) collectMesh() *ir.Mesh {
	if !c.in.Mesh {
		return nil
	}
	m := &ir.Mesh{Inbound: meshClient(), Outbound: meshClient(), ClusterDomain: c.clusterDomain()}
	m.Outbound.DetectTimeout = defaultDetectTimeout
	m.Egress, m.Egresses = c.egress()
	m.Peers = c.peers
	c.meshRoutes(m)
	addresses := c.serviceAddresses()
	if c.patched { // routes changed in their places, and nothing else
		if slices.Equal(c.prevMesh.Routes, m.Routes) {
			return c.prevMesh
		}
		now := *c.prevMesh
		now.Routes = m.Routes
		return &now
	}
	used := map[*ir.Cluster]bool{}
	groups := c.meshGroups(used)
	c.noteMeshShadowed(groups)
	var before []*ir.MeshService
	if c.prevMesh != nil {
		before = c.prevMesh.Services
	}
	m.Services = make([]*ir.MeshService, 0, len(c.next.services))
	for i, ss := range c.next.services {
		key := ss.object.Key
		for len(before) > 0 && compareNames(before[0], key) < 0 {
			before = before[1:]
		}
		var old *ir.MeshService
		if len(before) > 0 && compareNames(before[0], key) == 0 {
			old = before[0]
		}
		n := 0
		for n < len(groups) && groups[n].place.service == key {
			n++
		}
		m.Services = append(m.Services, ss.withRoutes(addresses[i], groups[:n], old))
		groups = groups[n:]
		m.Clusters = append(m.Clusters, ss.locals...)
		for _, cs := range ss.clusters {
			used[cs.ir] = true
		}
	}
	for _, cs := range c.next.ordered {
		if used[cs.ir] {
			m.Clusters = append(m.Clusters, cs.ir)
		}
		if p := cs.service; p != nil {
			m.Members = append(m.Members, ir.MeshMember{
				Cluster: cs.ir.Name, Namespace: p.object.Key.Namespace, Service: p.object.Key.Name, Port: uint16(p.port.Port),
			})
		}
	}
	c.passages(m)
	slices.SortFunc(m.Clusters, func(a, b *ir.Cluster) int { return cmp.Compare(a.Name, b.Name) })
	if was := c.prevMesh; was != nil && slices.Equal(was.Services, m.Services) && slices.Equal(was.Routes, m.Routes) &&
		slices.Equal(was.Streams, m.Streams) && slices.Equal(was.Clusters, m.Clusters) && slices.Equal(was.Members, m.Members) &&
		slices.Equal(was.Peers, m.Peers) && slices.Equal(was.Passages, m.Passages) &&
		was.ClusterDomain == m.ClusterDomain && was.Egress == m.Egress && slices.Equal(was.Egresses, m.Egresses) {
		return was
	}
	return m
}

// meshRoutes puts the routes of Services into m, and those that Services have
// without any.
func (c *compiler) meshRoutes(m *ir.Mesh) {
	if c.next.meshRoutes {
		for _, rs := range c.next.routes {
			for _, f := range rs.forms {
				if rs.ofService(f.Name) {
					m.Routes = append(m.Routes, f)
				}
			}
		}
		for _, rs := range c.next.streams {
			for _, r := range rs.streams {
				if rs.ofService(r.Name) {
					m.Streams = append(m.Streams, r)
				}
			}
		}
	}
	for _, ss := range c.next.services {
		m.Routes, m.Streams = append(m.Routes, ss.forms...), append(m.Streams, ss.streams...)
	}
}

// meshGroups are the routes of Services, ordered by place and namespace, those of
// streams from the oldest. It notes the clusters that they use.
func (c *compiler) meshGroups(used map[*ir.Cluster]bool) []meshGroup {
	if !c.next.meshRoutes {
		return nil
	}
	var out []meshGroup
	index := map[meshShare]int{}
	aged := slices.Clone(c.next.streams)
	slices.SortStableFunc(aged, func(a, b *routeState) int { return byAge(a.object, b.object) })
	for _, rs := range slices.Concat(c.next.routes, aged) {
		if len(rs.mesh) == 0 {
			continue
		}
		for _, cs := range rs.clusters {
			used[cs.ir] = true
		}
		for _, a := range rs.mesh {
			share := meshShare{a.place, roleOf(rs.object.Key, a.place)}
			i, known := index[share]
			if !known {
				i = len(out)
				index[share], out = i, append(out, meshGroup{meshShare: share})
			}
			out[i].routes = append(out[i].routes, meshRoute{rs.object, rs.object.Key.Kind, a.form})
		}
	}
	slices.SortFunc(out, func(a, b meshGroup) int {
		return cmp.Or(compareKeys(a.place.service, b.place.service), cmp.Compare(a.place.port, b.place.port), cmp.Compare(a.namespace, b.namespace))
	})
	return out
}

// withRoutes is the Service with its addresses and the routes on its ports, or what
// it was before if it is the same.
func (ss *serviceState) withRoutes(addresses []netip.Addr, groups []meshGroup, old *ir.MeshService) *ir.MeshService {
	ports := ss.ports
	if len(groups) > 0 {
		ports = slices.Clone(ports)
		for i, p := range ports {
			ports[i] = withGroups(p, groups)
		}
	}
	if old != nil && old.Headless == ss.headless && slices.Equal(old.Addresses, addresses) && slices.EqualFunc(old.Ports, ports, equalPorts) {
		if place := ref(ss.object, ""); place == old.Ref {
			return old
		}
	}
	key := ss.object.Key
	return &ir.MeshService{Namespace: key.Namespace, Name: key.Name, Addresses: addresses, Headless: ss.headless, Ports: ports, Ref: ref(ss.object, "")}
}

// withGroups is a port with those of the routes that are its own.
func withGroups(p *ir.MeshPort, groups []meshGroup) *ir.MeshPort {
	out := p
	for _, g := range groups {
		if g.place.port != int32(p.Port) {
			continue
		}
		if out == p {
			n := *p
			n.Outbound, out = slices.Clone(p.Outbound), &n
		}
		if o := g.outbound(); g.namespace == "" {
			out.Outbound[0] = o
		} else {
			out.Outbound = append(out.Outbound, o)
		}
	}
	return out
}

// noteMeshShadowed tells of routes that get nothing because an older one takes all
// connections to the port.
func (c *compiler) noteMeshShadowed(groups []meshGroup) {
	for _, g := range groups {
		for _, r := range g.routes[1:] {
			if streamKind(r.kind) {
				c.next.plain = false
				c.report(problemAt(r.object, "spec", store.Warning, "ShadowedRoute",
					fmt.Sprintf("nothing reaches this route on port %d of %s: %s is older and takes it all", g.place.port, g.place.service, g.routes[0].object.Key),
					"name another port of the Service, or remove one of the two"))
			}
		}
	}
}

func (g *meshGroup) outbound() ir.MeshOutbound {
	out := ir.MeshOutbound{Namespace: g.namespace}
	for _, r := range g.routes {
		out.Protocol = speaks(r.kind)
		if streamKind(r.kind) {
			out.Streams = append(out.Streams, anyHost(r.form))
		} else {
			out.Routes = append(out.Routes, anyHost(r.form))
		}
	}
	return out
}

func compareNames(s *ir.MeshService, k store.Key) int {
	if s.Namespace != k.Namespace {
		return cmp.Compare(s.Namespace, k.Namespace)
	}
	return cmp.Compare(s.Name, k.Name)
}

func equalPorts(a, b *ir.MeshPort) bool {
	return a == b || a.Name == b.Name && a.Port == b.Port && a.Plaintext == b.Plaintext && a.TargetPort == b.TargetPort && a.Protocol == b.Protocol &&
		slices.EqualFunc(a.Outbound, b.Outbound, func(x, y ir.MeshOutbound) bool {
			return x.Namespace == y.Namespace && x.Protocol == y.Protocol && equalAttachments(x.Routes, y.Routes) && equalAttachments(x.Streams, y.Streams)
		}) &&
		a.Inbound.Cluster == b.Inbound.Cluster && a.Inbound.Stream == b.Inbound.Stream &&
		equalAttachments(a.Inbound.Routes, b.Inbound.Routes) && equalAttachments(a.Inbound.Streams, b.Inbound.Streams)
}
