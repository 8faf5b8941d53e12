// Package peering is between the control planes of two meshes: one tells the other which
// of its Services it may use, and by which east-west edges; the other makes workloads of
// its own registry of them. Control planes prove to each other who they are by their
// SVIDs. Nothing of proxies goes this way.
//
// Importer.Run owns the goroutines of the asking side, one for each peer, and waits for
// them; the answering side has those of grpc-go. The package may be imported by app.
package peering

import (
	"fmt"
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/registry"
)

const (
	// maxOffer bounds what a peer may say, in bytes.
	maxOffer = 16 << 20
	// maxServices, maxEdges and maxPorts bound what is in it.
	maxServices = 10_000
	maxEdges    = 64
	maxPorts    = 64
	// maxProtocol is in bytes.
	maxProtocol = 253
)

// offer is what a peer has said, read and found good.
type offer struct {
	services []service
	edges    []netip.AddrPort
}

type service struct {
	namespace, name string
	weight          uint32
	ports           []distrib.Port
}

// readOffer refuses what is not of the peer's trust domain, and what cannot be.
func readOffer(td identity.TrustDomain, o *meshpb.Offer) (*offer, error) {
	if len(o.GetServices()) > maxServices || len(o.GetEdges()) > maxEdges {
		return nil, fmt.Errorf("it offers more than %d services or %d edges", maxServices, maxEdges)
	}
	out := &offer{}
	for _, text := range o.GetEdges() {
		a, err := netip.ParseAddrPort(text)
		if err != nil || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Addr().Zone() != "" {
			return nil, fmt.Errorf("the address of an edge, %.60q, is not IP:PORT", text)
		}
		out.edges = append(out.edges, a)
	}
	for _, s := range o.GetServices() {
		if err := identity.CheckWorkload(s.GetNamespace(), s.GetName()); err != nil {
			return nil, fmt.Errorf("a service that it offers: %w", err)
		}
		if want := identity.Workload(td, s.GetNamespace(), s.GetName()).String(); s.GetIdentity() != want {
			return nil, fmt.Errorf("the service %s/%s is offered as %.120q, and would have to be %s", s.GetNamespace(), s.GetName(), s.GetIdentity(), want)
		}
		x := service{namespace: s.GetNamespace(), name: s.GetName(), weight: s.GetWeight()}
		if len(s.GetPorts()) > maxPorts {
			return nil, fmt.Errorf("the service %s/%s has more than %d ports", x.namespace, x.name, maxPorts)
		}
		for _, p := range s.GetPorts() {
			if p.GetNumber() == 0 || p.GetNumber() > 65535 || len(p.GetName()) > maxProtocol || len(p.GetProtocol()) > maxProtocol {
				return nil, fmt.Errorf("the service %s/%s has a port that cannot be", x.namespace, x.name)
			}
			x.ports = append(x.ports, distrib.Port{Name: p.GetName(), Number: uint16(p.GetNumber()), Protocol: p.GetProtocol()})
		}
		out.services = append(out.services, x)
	}
	return out, nil
}

// instances are what we use of an offer, as a MeshPeer says: each service once behind
// each edge, with its share of the service's weight.
func instances(p *ir.MeshPeer, td identity.TrustDomain, o *offer) (out []*registry.Instance) {
	if o == nil {
		return nil
	}
	for _, m := range p.Imports {
		for _, s := range o.services {
			if !m.Has(s.namespace, s.name) || identity.CheckWorkload(m.Into, s.name+m.Suffix) != nil {
				continue
			}
			for _, edge := range o.edges {
				out = append(out, &registry.Instance{
					Workload: distrib.Workload{
						// A service may be imported under the name of another one, too.
						Name: s.namespace + "/" + s.name + "@" + edge.String(), Namespace: m.Into, Service: s.name + m.Suffix,
						Address: edge.Addr().String(), MeshPort: edge.Port(), Ports: s.ports,
						Weight: max(s.weight/uint32(len(o.edges)), 1), Healthy: s.weight > 0,
					},
					Identity: identity.Workload(td, s.namespace, s.name).String(),
					Peer:     &registry.Peer{Name: p.Name, Namespace: s.namespace, Service: s.name, Priority: m.Priority},
				})
			}
		}
	}
	return dedupe(out)
}

// dedupe leaves out what two imports of a MeshPeer both mean: the first holds.
func dedupe(list []*registry.Instance) []*registry.Instance {
	seen, out := map[string]bool{}, list[:0]
	for _, i := range list {
		if id := i.ID(); !seen[id] {
			seen[id] = true
			out = append(out, i)
		}
	}
	return out
}
