package view

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/hostname"
	"github.com/gridway/gridway/internal/mesh/registry"
)

// endpoints are the workloads behind a port of a Service, the healthy ones alone.
func (v *Views) endpoints(m ir.MeshMember) []ir.Endpoint {
	svc := v.content.services[m.Namespace+"/"+m.Service]
	if svc == nil {
		return nil
	}
	port := svc.Port(m.Port)
	if port == nil {
		return nil
	}
	if m.Passage {
		return v.passage(svc, port)
	}
	var out []ir.Endpoint
	seen := map[ir.Endpoint]bool{}
	for _, i := range v.opt.Registry.Instances(m.Namespace, m.Service) {
		if i.Peer != nil {
			if e := imported(i, svc, port); e != nil && i.Healthy && !seen[*e] {
				seen[*e] = true
				out = append(out, *e)
			}
			continue
		}
		at := portOf(&i.Workload, svc, port)
		if at == nil || !i.Healthy {
			continue
		}
		e := endpointOf(i, at, port)
		if seen[e] {
			continue // two proxies say that they are before the same
		}
		seen[e] = true
		out = append(out, e)
	}
	return out
}

// endpointOf is a workload as others reach a port of its Service, at one of its own:
// by its proxy, if it has one.
func endpointOf(i *registry.Instance, at *distrib.Port, port *ir.MeshPort) ir.Endpoint {
	e := ir.Endpoint{Weight: cmp.Or(i.Weight, 1), Zone: i.Zone, Address: hostPort(i.Address, at.Number)}
	if i.MeshPort != 0 {
		e.Address = hostPort(i.Address, i.MeshPort)
		e.Identity, e.ServerName = i.Identity, serverName(&i.Workload, port.Port)
	}
	return e
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// portOf is the port of a workload that a port of its Service leads to; nil is none.
func portOf(w *distrib.Workload, svc *ir.MeshService, port *ir.MeshPort) *distrib.Port {
	number, name := port.Port, ""
	if t := port.TargetPort; t != "" {
		if n, err := strconv.ParseUint(t, 10, 16); err == nil {
			number = uint16(n)
		} else {
			number, name = 0, t
		}
	}
	for i := range w.Ports {
		if p := &w.Ports[i]; p.Number == number || name != "" && p.Name == name {
			return p
		}
	}
	for i := range w.Ports {
		if p := &w.Ports[i]; p.Name != "" && p.Name == port.Name {
			return p
		}
	}
	if len(w.Ports) == 1 && (len(svc.Ports) == 1 || w.Ports[0].Name == "" && onlyNameless(svc) == port) {
		return &w.Ports[0]
	}
	return nil
}

// onlyNameless is the one port of a service that has no name; nil is none or several.
func onlyNameless(svc *ir.MeshService) (only *ir.MeshPort) {
	for _, p := range svc.Ports {
		if p.Name != "" {
			continue
		}
		if only != nil {
			return nil
		}
		only = p
	}
	return only
}

// serverName is what the proxy of a workload is asked for: of workloads with a name,
// of which there may be several of a service behind one proxy, each has its own.
func serverName(w *distrib.Workload, port uint16) string {
	name := hostname.Server(w.Namespace, w.Service, port)
	if w.Name == "" {
		return name
	}
	return label(w.Name) + "." + name
}

// label is a name as a label of a server name, or what stands for it.
func label(name string) string {
	plain := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' }
	if name != "" && len(name) <= 63 && strings.Trim(name, "-") == name && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return fmt.Sprintf("x%016x", h.Sum64())
}
