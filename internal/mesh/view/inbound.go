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

func (c *content) inboundBag(s *ir.MeshService, p *ir.MeshPort) *bag {
	return c.bagOf(fmt.Sprintf("inbound %s/%s:%d", s.Namespace, s.Name, p.Port), p.Inbound.Routes, p.Inbound.Streams)
}

// inbound has a section for each port of each workload that the proxy stands before:
// on the listeners of the mesh, and on those that take what comes without its TLS, which
// say whether clients outside of the mesh are let in.
func (w *proxyScope) inbound() error {
	plain, err := sockets(w.proxy, distrib.LabelInbound)
	if err != nil {
		return err
	}
	mesh := map[uint16]*ir.Listener{}
	var open []*ir.Section
	seen := map[string]bool{}
	for i := range w.proxy.Workloads {
		load := &w.proxy.Workloads[i]
		s := w.service(load.Namespace + "/" + load.Service)
		if s == nil {
			continue // it has not been compiled yet
		}
		for _, p := range s.Ports {
			at := portOf(load, s, p)
			if at == nil {
				continue
			}
			x := w.inboundSection(load, s, p, at)
			if seen[x.Name] {
				return fmt.Errorf("proxy %.80q has two workloads of %s/%s with the same name %.60q", w.proxy.Name, load.Namespace, load.Service, load.Name)
			}
			seen[x.Name] = true
			if load.MeshPort != 0 {
				l := mesh[load.MeshPort]
				if l == nil {
					l = &ir.Listener{Port: load.MeshPort, Protocol: ir.HTTPS, Mesh: true, Client: w.content.mesh.Inbound}
					mesh[load.MeshPort] = l
					if local(load) {
						l.Address = load.Address
					}
					w.out.Listeners = append(w.out.Listeners, l)
				}
				if !local(load) {
					l.Address = ""
				}
				l.Sections = append(l.Sections, x)
			}
			if len(plain) > 0 {
				open = append(open, plaintextSection(x, at, p.Plaintext))
			}
		}
	}
	for port, l := range mesh {
		l.Name = hostPort(l.Address, port)
	}
	for _, at := range plain {
		l := w.listener(at, w.content.mesh.Inbound)
		l.Captured, l.Inbound, l.Sections = true, true, open
		l.Client.DetectTimeout = w.content.mesh.Outbound.DetectTimeout
		// Whoever comes is a stranger: nothing of what it says of others is believed.
		l.Client.TrustedHops, l.Client.KeepRequestID = 0, false
		w.out.Listeners = append(w.out.Listeners, l)
	}
	return nil
}

// plaintextSection is the section of the port at for those who come without the mesh's
// TLS: like x where they are let in.
func plaintextSection(x *ir.Section, at *distrib.Port, let bool) *ir.Section {
	out := &ir.Section{Name: x.Name, Protocol: x.Protocol, Plaintext: let, ServicePort: x.ServicePort, Ref: x.Ref, Destinations: []netip.AddrPort{
		netip.AddrPortFrom(netip.IPv4Unspecified(), at.Number), netip.AddrPortFrom(netip.IPv6Unspecified(), at.Number),
	}}
	if let {
		out.Routes, out.Streams = x.Routes, x.Streams
	}
	return out
}

// local tells whether only this host can reach a workload.
func local(w *distrib.Workload) bool {
	a, err := netip.ParseAddr(w.Address)
	return err == nil && a.IsLoopback()
}

// inboundSection is a port of a workload.
func (w *proxyScope) inboundSection(load *distrib.Workload, s *ir.MeshService, p *ir.MeshPort, at *distrib.Port) *ir.Section {
	x := &ir.Section{
		Name: sectionName(s, p), Protocol: spoken(p.Protocol), Routes: p.Inbound.Routes, Streams: p.Inbound.Streams,
		ServerNames: []string{serverName(load, p.Port)},
		Identity:    identity.Workload(w.views.opt.TrustDomain, load.Namespace, load.Service).String(),
		ServicePort: p.Port,
		Ref:         s.Ref,
	}
	of := w.content.inboundBag(s, p)
	suffix := ""
	if load.Name != "" {
		// Other meshes know the Service alone: the first workload of several gets them.
		x.ServerNames = append(x.ServerNames, hostname.Server(load.Namespace, load.Service, p.Port))
		suffix = "~" + label(load.Name)
		x.Name += suffix
		of = of.renamed(suffix, isLocal)
		x.Routes, x.Streams = renamed(x.Routes, suffix), renamed(x.Streams, suffix)
	}
	// The clusters of the workload itself have an endpoint here alone.
	own := newBag()
	own.add(of)
	for i, cl := range own.Clusters {
		if name := cl.Name; name == p.Inbound.Cluster+suffix || name == p.Inbound.Stream+suffix {
			n := *cl
			n.Endpoints = []ir.Endpoint{{Address: hostPort("127.0.0.1", at.Number), Weight: 1}}
			w.local = append(w.local, &n)
			own.Clusters[i] = nil
		}
	}
	own.Clusters = slices.DeleteFunc(own.Clusters, func(c *ir.Cluster) bool { return c == nil })
	w.out.add(own)
	return x
}

// renamed are routes, and the clusters that are meant, of a workload that is one of
// several: each has its own, with the suffix.
func (b *bag) renamed(suffix string, meant func(cluster string) bool) *bag {
	out := newBag()
	out.add(b)
	local := map[string]bool{}
	for i, cl := range out.Clusters {
		if meant(cl.Name) {
			n := *cl
			n.Name += suffix
			out.Clusters[i] = &n
			local[cl.Name] = true
		}
	}
	backends := func(list []ir.BackendRef) []ir.BackendRef {
		list = slices.Clone(list)
		for i := range list {
			if local[list[i].Cluster] {
				list[i].Cluster += suffix
			}
		}
		return list
	}
	for i, r := range out.Routes {
		n := *r
		n.Name, n.Rules = r.Name+suffix, slices.Clone(r.Rules)
		for k, rule := range n.Rules {
			x := *rule
			x.Backends = backends(rule.Backends)
			n.Rules[k] = &x
		}
		out.Routes[i] = &n
	}
	for i, r := range out.Streams {
		n := *r
		n.Name, n.Backends = r.Name+suffix, backends(r.Backends)
		out.Streams[i] = &n
	}
	return out
}

func renamed(list []ir.Attachment, suffix string) []ir.Attachment {
	out := slices.Clone(list)
	for i := range out {
		out[i].Route += suffix
	}
	return out
}

// isLocal tells whether a cluster is that of a workload itself.
func isLocal(name string) bool { return strings.HasPrefix(name, "Workload/") }
