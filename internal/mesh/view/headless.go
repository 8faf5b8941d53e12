package view

import (
	"net/netip"

	"github.com/gridway/gridway/internal/ir"
)

// maxHeadless bounds the workloads of a headless service that have sections of their
// own. Clients of the address of another one are given any.
const maxHeadless = 256

// headlessSections are one for each workload of a headless service: who calls one by
// its address means that one, as with the primary and the replicas of a database.
func (w *proxyScope) headlessSections(s *ir.MeshService, p *ir.MeshPort) (out []*ir.Section) {
	o := p.OutboundFor(w.namespace)
	of := w.content.outboundBag(s, p, o)
	own := func(cluster string) bool {
		m, ok := w.content.members[cluster]
		return ok && m.Namespace == s.Namespace && m.Service == s.Name
	}
	seen := map[netip.AddrPort]bool{}
	for _, i := range w.views.opt.Registry.Instances(s.Namespace, s.Name) {
		at := portOf(&i.Workload, s, p)
		address, err := netip.ParseAddr(i.Address)
		if at == nil || err != nil || !i.Healthy || i.Peer != nil || len(out) == maxHeadless {
			continue
		}
		to := netip.AddrPortFrom(address, at.Number)
		if seen[to] {
			continue
		}
		seen[to] = true
		suffix := "@" + to.String()
		one := of.renamed(suffix, own)
		for k, cl := range one.Clusters {
			if own(cl.Name[:max(0, len(cl.Name)-len(suffix))]) {
				n := *cl
				n.Endpoints = []ir.Endpoint{endpointOf(i, at, p)}
				one.Clusters[k] = &n
			}
		}
		w.out.add(one)
		out = append(out, &ir.Section{
			Name: sectionName(s, p) + suffix, Protocol: spoken(o.Protocol), Destinations: []netip.AddrPort{to},
			Routes: renamed(o.Routes, suffix), Streams: renamed(o.Streams, suffix), Ref: s.Ref,
		})
	}
	return out
}
