package view

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/hostname"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// proxyScope is the work on the configuration of one proxy.
type proxyScope struct {
	views   *Views
	content *content
	proxy   *distrib.Proxy
	// namespace is that of its clients, and name its service; both are empty for a
	// node proxy.
	namespace, name string

	out     *bag
	local   []*ir.Cluster // of its own workloads
	depends map[string]bool
	unknown []string
	// apart: it has sections that no other proxy has.
	apart bool
}

// identify finds out who the proxy is.
func (w *proxyScope) identify() error {
	id, err := identity.Parse(w.proxy.Identity)
	if err != nil {
		return err
	}
	name := identity.NameOf(id)
	if id.TrustDomain() != w.views.opt.TrustDomain || name.Role != identity.RoleWorkload && name.Role != identity.RoleNode {
		return fmt.Errorf("%.120s is no proxy of this mesh", w.proxy.Identity)
	}
	w.namespace, w.name = name.Namespace, name.Service
	return nil
}

// service finds one by "namespace/name", on which the view depends from then on.
func (w *proxyScope) service(name string) *ir.MeshService {
	w.depends[name] = true
	return w.content.services[name]
}

// edge has the listeners of Gateways.
func (w *proxyScope) edge() error {
	if !w.views.opt.Edges(w.namespace, w.name) {
		return fmt.Errorf("%.120s may not be an edge", w.proxy.Identity)
	}
	w.depends[edgeService] = true
	only := gateways(w.proxy)
	for _, l := range w.content.config.Listeners {
		n := *l
		n.Sections = nil
		for _, s := range l.Sections {
			if only == nil || only[gatewayOf(s.Name)] {
				n.Sections = append(n.Sections, s)
				w.out.add(w.content.sectionBag(s))
			}
		}
		if len(n.Sections) == len(l.Sections) {
			take(w.out, &w.out.Listeners, l)
		} else if len(n.Sections) > 0 {
			take(w.out, &w.out.Listeners, &n)
		}
	}
	return w.eastWest()
}

// gatewayOf is "namespace/name" of a section's Gateway or ListenerSet.
func gatewayOf(section string) string {
	parts := strings.SplitN(section, "/", 4)
	if len(parts) < 3 {
		return ""
	}
	return parts[1] + "/" + parts[2]
}

func (c *content) outboundBag(s *ir.MeshService, p *ir.MeshPort, o *ir.MeshOutbound) *bag {
	return c.bagOf(fmt.Sprintf("outbound %s/%s:%d %s", s.Namespace, s.Name, p.Port, o.Namespace), o.Routes, o.Streams)
}

// uses are the services that the proxy has clients of, "namespace/name", sorted.
func (w *proxyScope) uses() []string {
	out := slices.Clone(w.proxy.Services)
	for _, l := range w.proxy.Listeners {
		out = append(out, l.Service)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// outbound has the sections of services that the proxy uses, on the sockets that
// applications come to.
func (w *proxyScope) outbound() error {
	if w.proxy.Role == distrib.RoleNode {
		return w.nodeOutbound()
	}
	captured, err := sockets(w.proxy, distrib.LabelCaptured)
	if err != nil {
		return err
	}
	asProxy, err := sockets(w.proxy, distrib.LabelProxy)
	if err != nil {
		return err
	}
	c := &client{namespace: w.namespace}
	sections := w.outboundSections(c)
	for _, at := range captured {
		l := w.listener(at, w.content.mesh.Outbound)
		l.Captured, l.Egress, l.Sections = true, w.content.mesh.EgressFor(w.namespace), sections
		l.ClusterDomain = w.content.mesh.ClusterDomain
		w.out.Listeners = append(w.out.Listeners, w.sharedListener(l))
	}
	for _, at := range asProxy {
		l := w.listener(at, w.content.mesh.Outbound)
		l.Egress, l.Sections = w.content.mesh.EgressFor(w.namespace), sections
		l.ClusterDomain = w.content.mesh.ClusterDomain
		w.out.Listeners = append(w.out.Listeners, w.sharedListener(l))
	}
	return w.upstreams(c)
}

// outboundSections are those of all services that the proxy uses, for a client.
func (w *proxyScope) outboundSections(c *client) (sections []*ir.Section) {
	for _, name := range w.uses() {
		s := w.service(name)
		if s == nil {
			w.unknown = append(w.unknown, name)
			continue
		}
		for _, p := range s.Ports {
			if s.Headless {
				sections = append(sections, w.headlessSections(c, s, p)...)
			}
			sections = append(sections, w.outboundSection(c, s, p))
		}
	}
	return sections
}

// listener is one whose sections say what they speak.
func (w *proxyScope) listener(at netip.AddrPort, client ir.ClientPolicy) *ir.Listener {
	return &ir.Listener{
		Name: at.String(), Address: at.Addr().String(), Port: at.Port(), Protocol: ir.HTTP, Client: client, Local: true,
	}
}

// outboundSection is a port of a service for a client. Nobody may change it.
func (w *proxyScope) outboundSection(c *client, s *ir.MeshService, p *ir.MeshPort) *ir.Section {
	if c.suffix != "" || s.Headless { // of this client alone, or of the workloads of now
		w.apart = true
		o := p.OutboundFor(c.namespace)
		w.out.add(w.own(c, w.content.outboundBag(s, p, o)))
		return w.makeSection(c, s, p, o)
	}
	k := outboundKey{p, c.namespace}
	part := w.content.outbounds[k]
	if part == nil {
		o := p.OutboundFor(c.namespace)
		part = &outboundPart{w.content.outboundBag(s, p, o), w.makeSection(c, s, p, o)}
		w.content.outbounds[k] = part
	}
	w.out.add(part.bag)
	return part.section
}

func (w *proxyScope) makeSection(c *client, s *ir.MeshService, p *ir.MeshPort, o *ir.MeshOutbound) *ir.Section {
	x := &ir.Section{
		Name: sectionName(s, p) + c.suffix, Protocol: spoken(o.Protocol), Routes: renamed(o.Routes, c.suffix), Streams: renamed(o.Streams, c.suffix), ServicePort: p.Port, Ref: s.Ref,
	}
	for _, a := range w.views.addresses(s, p) {
		if !slices.Contains(x.Destinations, a) {
			x.Destinations = append(x.Destinations, a)
		}
	}
	bare := p.Port != 80 && x.Protocol != ir.TCP && s.Port(80) == nil && onlyRequests(s) == p
	for _, h := range hostname.Of(s.Namespace, s.Name, c.namespace, w.content.mesh.ClusterDomain) {
		x.Authorities = append(x.Authorities, hostPort(h, p.Port))
		if bare {
			x.Authorities = append(x.Authorities, h+":80") // who names no port means the only one
		}
	}
	for _, a := range s.Addresses {
		x.Authorities = append(x.Authorities, netip.AddrPortFrom(a, p.Port).String())
	}
	return x
}

// onlyRequests is the one port of a service that takes requests; nil is none or several.
func onlyRequests(s *ir.MeshService) (only *ir.MeshPort) {
	for _, p := range s.Ports {
		if p.Protocol != ir.HTTP && p.Protocol != ir.Detect {
			continue
		}
		if only != nil {
			return nil
		}
		only = p
	}
	return only
}

func sectionName(s *ir.MeshService, p *ir.MeshPort) string {
	return fmt.Sprintf("Service/%s/%s:%d", s.Namespace, s.Name, p.Port)
}

// spoken is the protocol of a section: TLS of applications passes as bytes do.
func spoken(p ir.Protocol) ir.Protocol {
	if p == ir.TLS {
		return ir.TCP
	}
	return p
}

// addresses are where clients go for a port of a service: its own addresses, or those
// of its endpoints if it is headless. v.mu is held.
func (v *Views) addresses(s *ir.MeshService, p *ir.MeshPort) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range s.Addresses {
		out = append(out, netip.AddrPortFrom(a, p.Port))
	}
	if !s.Headless {
		return out
	}
	for _, i := range v.opt.Registry.Instances(s.Namespace, s.Name) {
		if at := portOf(&i.Workload, s, p); at != nil && i.Peer == nil {
			if a, err := netip.ParseAddr(i.Address); err == nil {
				out = append(out, netip.AddrPortFrom(a, at.Number))
			}
		}
	}
	return out
}

// upstreams are the sockets for one service each.
func (w *proxyScope) upstreams(c *client) error {
	for _, l := range w.proxy.Listeners {
		a, err := netip.ParseAddr(l.Address)
		if err != nil || a.Zone() != "" || l.Port == 0 {
			return fmt.Errorf("listener %.60q port %d for %s: it needs an IP address and a port", l.Address, l.Port, l.Service)
		}
		s := w.service(l.Service)
		if s == nil {
			continue // it is among the unknown
		}
		p := s.Port(l.ServicePort)
		if l.ServicePort == 0 && len(s.Ports) > 0 {
			p = s.Ports[0]
		}
		if p == nil {
			w.unknown = append(w.unknown, fmt.Sprintf("%s:%d", l.Service, l.ServicePort))
			continue
		}
		x := *w.outboundSection(c, s, p)
		x.Destinations, x.Authorities = nil, nil
		out := w.listener(netip.AddrPortFrom(a, l.Port), w.content.mesh.Outbound)
		out.Protocol, out.Sections = x.Protocol, []*ir.Section{&x}
		w.out.Listeners = append(w.out.Listeners, out)
	}
	return nil
}
