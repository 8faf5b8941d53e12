package view

import (
	"net/netip"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/hostname"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/registry"
)

// eastWest has the listeners to which peers come, other meshes: they ask for a Service by
// server name, and get through to its workloads without their TLS being ended. What is not
// exported has no section there.
func (w *proxyScope) eastWest() error {
	at, err := sockets(w.proxy, distrib.LabelEastWest)
	if err != nil || len(at) == 0 {
		return err
	}
	var sections []*ir.Section
	for i := range w.content.mesh.Passages {
		p := &w.content.mesh.Passages[i]
		w.service(p.Namespace + "/" + p.Service)
		name := hostname.Server(p.Namespace, p.Service, p.Port)
		x := &ir.Section{
			Name: p.Stream, Hostname: name, Protocol: ir.TLS, Passthrough: true, Streams: []ir.Attachment{{Route: p.Stream, Hostnames: []string{name}}}, Ref: p.Ref,
		}
		sections = append(sections, x)
		w.out.add(w.content.bagOf("passage "+p.Stream, nil, x.Streams))
	}
	for _, a := range at {
		l := w.listener(a, w.content.mesh.Inbound)
		l.Protocol, l.Sections = ir.TLS, sections
		if a.Addr().IsUnspecified() {
			l.Name, l.Address = hostPort("", a.Port()), ""
		}
		w.out.Listeners = append(w.out.Listeners, l)
	}
	return nil
}

// Exported is what a trust domain may use of this mesh.
type Exported struct {
	Services []ExportedService
	// Edges are the addresses of east-west edges, sorted.
	Edges []netip.AddrPort
}

// ExportedService is a Service with all that is needed to use it.
type ExportedService struct {
	Namespace, Name string
	// Identity is what its workloads prove.
	Identity string
	// Weight is that of the healthy workloads together; 0 is that there are none.
	Weight uint32
	Ports  []distrib.Port
}

// Exported is what a trust domain may use now; ok is whether it may use anything at all,
// by a MeshPeer.
func (v *Views) Exported(td identity.TrustDomain) (out Exported, ok bool) {
	v.takeIn()
	v.mu.Lock()
	defer v.mu.Unlock()
	var peers []*ir.MeshPeer
	for _, p := range v.content.mesh.Peers {
		if p.TrustDomain == td.Name() && len(p.Exports) > 0 {
			peers = append(peers, p)
		}
	}
	if len(peers) == 0 {
		return out, false
	}
	for _, s := range v.content.mesh.Services {
		if slices.ContainsFunc(peers, func(p *ir.MeshPeer) bool { return p.ExportsService(s.Namespace, s.Name) }) {
			out.Services = append(out.Services, v.exported(s))
		}
	}
	for _, i := range v.opt.Registry.Find(v.opt.Edges) {
		a, err := netip.ParseAddrPort(i.Labels[distrib.LabelEastWestAddress])
		if err == nil && i.Healthy && i.Peer == nil && !slices.Contains(out.Edges, a) {
			out.Edges = append(out.Edges, a)
		}
	}
	slices.SortFunc(out.Edges, netip.AddrPort.Compare)
	return out, true
}

func (v *Views) exported(s *ir.MeshService) ExportedService {
	x := ExportedService{Namespace: s.Namespace, Name: s.Name, Identity: identity.Workload(v.opt.TrustDomain, s.Namespace, s.Name).String()}
	for _, p := range s.Ports {
		d := distrib.Port{Name: p.Name, Number: p.Port}
		switch p.Protocol { // as an appProtocol
		case ir.HTTP:
			d.Protocol = "http"
		case ir.TLS:
			d.Protocol = "tls"
		case ir.TCP:
			d.Protocol = "tcp"
		}
		x.Ports = append(x.Ports, d)
	}
	for _, i := range v.opt.Registry.Instances(s.Namespace, s.Name) {
		if passes(i) {
			x.Weight += max(i.Weight, 1)
		}
	}
	return x
}

// passes tells whether a workload may be reached through an east-west edge: it proves
// itself who it is, and is of this mesh.
func passes(i *registry.Instance) bool { return i.Healthy && i.MeshPort != 0 && i.Peer == nil }

// passage are the endpoints behind an east-west edge, which sends them bytes.
func (v *Views) passage(svc *ir.MeshService, port *ir.MeshPort) (out []ir.Endpoint) {
	seen := map[string]bool{}
	for _, i := range v.opt.Registry.Instances(svc.Namespace, svc.Name) {
		if at := hostPort(i.Address, i.MeshPort); passes(i) && !seen[at] && portOf(&i.Workload, svc, port) != nil {
			seen[at] = true
			out = append(out, ir.Endpoint{Address: at, Weight: max(i.Weight, 1), Zone: i.Zone})
		}
	}
	return out
}

// imported is a port of a Service of a peer, at one of its east-west edges; nil is that it
// has no such port.
func imported(i *registry.Instance, svc *ir.MeshService, port *ir.MeshPort) *ir.Endpoint {
	at := func() *distrib.Port {
		for k := range i.Ports {
			if p := &i.Ports[k]; p.Number == port.Port || p.Name != "" && p.Name == port.Name {
				return p
			}
		}
		if len(i.Ports) == 1 && len(svc.Ports) == 1 {
			return &i.Ports[0]
		}
		return nil
	}()
	if at == nil {
		return nil
	}
	return &ir.Endpoint{
		Address: hostPort(i.Address, i.MeshPort), Weight: max(i.Weight, 1), Priority: i.Peer.Priority, Origin: "MeshPeer " + i.Peer.Name,
		Identity: i.Identity, ServerName: hostname.Server(i.Peer.Namespace, i.Peer.Service, at.Number),
	}
}
