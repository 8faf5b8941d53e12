package declared

import (
	"net/netip"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// MaxExceptions bounds the networks and the ports of other hosts that a workload excepts:
// each connection that it opens has to pass them.
const MaxExceptions = 256

// Except is what the kernel leaves as it is of a workload's connections.
type Except struct {
	// Ports are some of the workload's own, which other hosts may open past the node.
	Ports []uint16
	// Networks and OutboundPorts are of other hosts: what the workload opens to them goes
	// there past the node, without identity, routes or policies.
	Networks      []netip.Prefix
	OutboundPorts []uint16
}

// except reads what is left as it is. The workload has its ports already.
func (r *reader) except(w *Workload, n *yaml.Node) {
	e := &w.Except
	r.fields("except", n, map[string]func(*yaml.Node){
		"ports": func(n *yaml.Node) {
			e.Ports = items(r, "except.ports", n, func(n *yaml.Node) (uint16, bool) { return r.ownPort(w, n) })
		},
		"networks":      func(n *yaml.Node) { e.Networks = items(r, "except.networks", n, r.network) },
		"outboundPorts": func(n *yaml.Node) { e.OutboundPorts = items(r, "except.outboundPorts", n, r.port) },
	})
	if found := len(e.Networks) + len(e.OutboundPorts); found > MaxExceptions {
		r.fail(n, "except: %d networks and ports, of which each connection passes all: %d are the most; name larger networks", found, MaxExceptions)
	}
}

// items reads a list of which no two are the same.
func items[T comparable](r *reader, what string, n *yaml.Node, read func(*yaml.Node) (T, bool)) (out []T) {
	if n.Kind != yaml.SequenceNode || len(n.Content) > MaxExceptions {
		r.fail(n, "%s must be a list of %d at most", what, MaxExceptions)
		return nil
	}
	for _, item := range n.Content {
		x, ok := read(item)
		switch {
		case !ok:
		case slices.Contains(out, x):
			r.fail(item, "%s: %.60q is there twice", what, item.Value)
		default:
			out = append(out, x)
		}
	}
	return out
}

func (r *reader) port(n *yaml.Node) (port uint16, ok bool) {
	r.number("port", 65535, func(x uint64) { port, ok = uint16(x), true })(n)
	return port, ok
}

// ownPort is one of the workload's ports, by its number or its name.
func (r *reader) ownPort(w *Workload, n *yaml.Node) (uint16, bool) {
	if n.Kind == yaml.ScalarNode {
		for _, p := range w.Ports {
			if n.Value == strconv.Itoa(int(p.Number)) || p.Name != "" && n.Value == p.Name {
				return p.Number, true
			}
		}
	}
	r.fail(n, "except.ports %.60q: must be the number or the name of one of the workload's ports; nothing is taken at others. Ports of other hosts are except.outboundPorts", n.Value)
	return 0, false
}

// network reads a network, or one address.
func (r *reader) network(n *yaml.Node) (netip.Prefix, bool) {
	if n.Kind == yaml.ScalarNode {
		if a, err := netip.ParseAddr(n.Value); err == nil && a.Zone() == "" {
			return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
		}
		if p, err := netip.ParsePrefix(n.Value); err == nil && !p.Addr().Is4In6() {
			return p.Masked(), true
		}
	}
	r.fail(n, "except.networks %.60q: must be a network or an address, such as 10.9.0.0/16 or fd00:9::1", n.Value)
	return netip.Prefix{}, false
}
