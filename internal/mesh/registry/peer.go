package registry

import (
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

// Peer says of an instance that it is of another mesh: a Service there, behind one of its
// east-west edges, whose address and port are the instance's.
type Peer struct {
	// Name is that of the MeshPeer.
	Name string
	// Namespace and Service are its names there.
	Namespace, Service string
	// Priority is that of its endpoints.
	Priority int
}

// peerPrefix begins what stands for a peer among the names of proxies.
const peerPrefix = "peer:"

// isPeer tells whether a proxy has a name that is a peer's.
func isPeer(proxy string) bool { return strings.HasPrefix(proxy, peerPrefix) }

// refusePeer leaves out all workloads of a proxy that has the name of a peer.
func (r *Registry) refusePeer(p *distrib.Proxy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[p.Name] = fmt.Sprintf("a proxy must not be called %.80q: that is the name of another mesh", p.Name)
	r.opt.Log.Warn("a proxy's workloads are refused", "proxy", p.Name, "reason", r.refused[p.Name])
}

// Import replaces what is used of a peer; nothing is that it is used no more. Other
// control planes are not told: each has it from the peer itself.
func (r *Registry) Import(peer string, list []*Instance) {
	name, now := peerPrefix+peer, r.opt.Now()
	for _, i := range list {
		i.Proxy, i.Since = name, now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replace(name, list)
}

// Find lists the instances of services that are meant, in no order.
func (r *Registry) Find(meant func(namespace, service string) bool) (out []*Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, s := range r.services {
		if meant(k.namespace, k.name) {
			out = append(out, s.instances...)
		}
	}
	return out
}
