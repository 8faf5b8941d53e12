package compile

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// compileMeshPeers reads the MeshPeers, ordered by name. One that is invalid goes on in
// its last good version; one that never was valid neither exports nor imports.
func (c *compiler) compileMeshPeers() []*ir.MeshPeer {
	var out []*ir.MeshPeer
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindMeshPeer) {
		v, ok := o.Value.(*v1alpha1.MeshPeer)
		if !ok {
			continue
		}
		accepted := status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: meta(o).GetGeneration()}
		faults := judgeMeshPeer(&v.Spec)
		for _, f := range faults {
			c.report(f.problem(o))
		}
		used, spec := o, &v.Spec
		if len(faults) > 0 {
			accepted.Status, accepted.Reason, accepted.Message = status.False, "Invalid", faults[0].message
			used, spec = c.goodMeshPeer(o)
			if spec != nil {
				c.next.fallback[o.Key] = used
				accepted.Message = "the last good version is in force, because this one is invalid: " + accepted.Message
				c.report(keepsServing(o))
			}
		}
		if !c.in.Mesh {
			c.report(problemAt(o, "", store.Warning, "NoEffect", "there is no mesh here that could have a peer", "give it to a control plane: gridway control, or gridway run --mesh"))
		}
		if spec != nil {
			out = append(out, c.samePeer(meshPeer(used, spec)))
		}
		c.say(status.Object{Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate(""), Conditions: []status.Condition{accepted}})
	}
	return out
}

// goodMeshPeer is the last good version of a MeshPeer; nil is none.
func (c *compiler) goodMeshPeer(o *store.Object) (*store.Object, *v1alpha1.MeshPeerSpec) {
	if good := c.lastGood(o); good != nil {
		if v, ok := good.Value.(*v1alpha1.MeshPeer); ok && len(judgeMeshPeer(&v.Spec)) == 0 {
			return good, &v.Spec
		}
	}
	return nil, nil
}

// judgeMeshPeer finds what the schema says, too, for objects that no schema has seen.
func judgeMeshPeer(s *v1alpha1.MeshPeerSpec) []fault {
	var out []fault
	add := func(field, message, remedy string) {
		out = append(out, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	if s.TrustDomain == "" || strings.Trim(s.TrustDomain, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		add("trustDomain", fmt.Sprintf("%q is not a trust domain", s.TrustDomain), "write it like west.example")
	}
	for i, a := range s.Addresses {
		if why := checkHostPort(a); why != "" {
			add(fmt.Sprintf("addresses[%d]", i), fmt.Sprintf("%q %s", a, why), "write HOST:PORT, for example control.west.internal:15010")
		}
	}
	switch {
	case len(s.Import) > 0 && len(s.Addresses) == 0:
		add("import", "import needs addresses: those of the other mesh's control planes", "add addresses, or leave out import")
	case len(s.Import)+len(s.Export) == 0:
		add("", "at least one of export and import must be given", "")
		out[len(out)-1].field = "spec"
	}
	for i, m := range s.Import {
		for _, name := range m.Services {
			if long := name + deref(m.Suffix, ""); len(long) > 253 {
				add(fmt.Sprintf("import[%d].suffix", i), fmt.Sprintf("%s has more than 253 characters with the suffix", name), "make the suffix shorter")
			}
		}
		if p := deref(m.Priority, 1); p < 0 || p > 127 {
			add(fmt.Sprintf("import[%d].priority", i), fmt.Sprintf("%d is not from 0 to 127", p), "")
		}
	}
	return out
}

func meshPeer(o *store.Object, s *v1alpha1.MeshPeerSpec) *ir.MeshPeer {
	out := &ir.MeshPeer{Name: o.Key.Name, TrustDomain: s.TrustDomain, Addresses: s.Addresses, Ref: ref(o, "")}
	for _, e := range s.Export {
		out.Exports = append(out.Exports, ir.MeshExport{Namespace: e.Namespace, Services: e.Services})
	}
	for _, m := range s.Import {
		out.Imports = append(out.Imports, ir.MeshImport{
			Namespace: m.Namespace, Services: m.Services, Into: deref(m.IntoNamespace, m.Namespace), Suffix: deref(m.Suffix, ""), Priority: int(deref(m.Priority, 1)),
		})
	}
	return out
}

// samePeer is the one of the configuration before, if nothing changed.
func (c *compiler) samePeer(p *ir.MeshPeer) *ir.MeshPeer {
	if c.prevMesh != nil {
		for _, was := range c.prevMesh.Peers {
			if was.Name == p.Name && reflect.DeepEqual(was, p) {
				return was
			}
		}
	}
	return p
}

// passages puts into m how east-west edges reach the ports of Services that peers may use.
func (c *compiler) passages(m *ir.Mesh) {
	if len(m.Peers) == 0 {
		return
	}
	clusters, streams := c.passagesBefore()
	for _, s := range m.Services {
		if !slices.ContainsFunc(m.Peers, func(p *ir.MeshPeer) bool { return p.ExportsService(s.Namespace, s.Name) }) {
			continue
		}
		for _, p := range s.Ports {
			name := fmt.Sprintf("EastWest/%s/%s:%d", s.Namespace, s.Name, p.Port)
			cl := &ir.Cluster{Name: name, Ref: s.Ref, Protocol: ir.TCP}
			useTLS.apply(cl)
			applySettings(cl, &v1alpha1.TrafficPolicySpec{})
			cl.Hash = hashCluster(cl)
			rule := &ir.Rule{ID: name, Matches: matches(nil), Ref: s.Ref, Backends: []ir.BackendRef{{Cluster: cl.Name, Weight: 1, Ref: s.Ref}}}
			rule.Policy.Timeouts = streamTimeouts(nil, useTLS)
			rule.Policy.Retry = ptr(defaultRetry()) // an endpoint that does not answer is no reason to refuse
			f := &ir.Route{Name: name, Ref: s.Ref, Rules: []*ir.Rule{rule}}
			f.Hash = hashRoute(f)
			r := streamOf(f)
			if was := clusters[cl.Name]; was != nil && was.Hash == cl.Hash && was.Ref == cl.Ref {
				cl = was
			}
			if was := streams[r.Name]; was != nil && was.Hash == r.Hash && was.Ref == r.Ref {
				r = was
			}
			m.Clusters, m.Streams = append(m.Clusters, cl), append(m.Streams, r)
			m.Members = append(m.Members, ir.MeshMember{Cluster: cl.Name, Namespace: s.Namespace, Service: s.Name, Port: p.Port, Passage: true})
			m.Passages = append(m.Passages, ir.MeshPassage{Namespace: s.Namespace, Service: s.Name, Port: p.Port, Stream: r.Name, Ref: s.Ref})
		}
	}
	slices.SortStableFunc(m.Members, func(a, b ir.MeshMember) int { return cmp.Compare(a.Cluster, b.Cluster) })
}

// passagesBefore are the clusters and streams of passages of the configuration before, by name.
func (c *compiler) passagesBefore() (clusters map[string]*ir.Cluster, streams map[string]*ir.StreamRoute) {
	clusters, streams = map[string]*ir.Cluster{}, map[string]*ir.StreamRoute{}
	if c.prevMesh == nil || len(c.prevMesh.Passages) == 0 {
		return clusters, streams
	}
	for _, cl := range c.prevMesh.Clusters {
		clusters[cl.Name] = cl
	}
	for _, r := range c.prevMesh.Streams {
		streams[r.Name] = r
	}
	return clusters, streams
}
