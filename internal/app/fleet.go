package app

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// ownFleet is what the proxies of this control plane serve. What was written is looked at
// before what they have: an object's version is never newer than what is said of it.
func (g *Gateway) ownFleet() *fleet.Report {
	g.mu.Lock()
	set := g.state.set
	g.mu.Unlock()
	c := g.control
	proxies := c.distrib.Proxies()
	r := fleet.NewReport(processName(), proxies, c.distrib.Objects(g.since(set)), c.versions.of(set))
	r.Troubles = g.seenTroubles(proxies)
	return g.ownReport(r)
}

// versions are the digests of objects, as all control planes that read the same files have
// them.
type versions struct {
	mu   sync.Mutex
	set  *store.Set           // guarded by mu
	hash map[string]uint64    // guarded by mu, of set
	keys map[string]store.Key // guarded by mu, of set
}

// since returns what gives the number of views from which on an object is what it is.
func (g *Gateway) since(set *store.Set) func(object string) uint64 {
	v := &g.control.versions
	v.mu.Lock()
	v.index(set)
	keys := v.keys
	v.mu.Unlock()
	return func(object string) uint64 { return g.accepted(set, keys[object]).moment }
}

// of returns what gives the version of an object in a set: none for those that are not
// in files, as control planes do not have these at the same time, and for those with
// secrets, of which no digest leaves the process.
func (v *versions) of(set *store.Set) func(object string) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.index(set)
	hash := v.hash
	return func(object string) uint64 { return hash[object] }
}

// index finds the objects of a set by their names. The caller holds v.mu.
func (v *versions) index(set *store.Set) {
	if set == v.set && v.hash != nil {
		return
	}
	v.set, v.hash, v.keys = set, map[string]uint64{}, map[string]store.Key{}
	if set == nil {
		return
	}
	for _, gk := range set.Kinds() {
		for _, o := range set.Kind(gk.Group, gk.Kind) {
			name := o.Key.String()
			v.keys[name] = o.Key
			if o.Source == "file" && gk.Kind != "Secret" && gk.Kind != "Consumer" {
				v.hash[name] = o.Hash
			}
		}
	}
}

// fleet is what all proxies of the mesh serve.
func (g *Gateway) fleet() *fleet.Fleet {
	return fleet.Merge(g.ownFleet(), g.control.shared.Others()...)
}

// progressIn adds to the progress of the process's own proxy that of others.
func (g *Gateway) progressIn(p status.Progress, f *fleet.Fleet, cfg *ir.Config) status.Progress {
	p.Mesh = make(map[string]status.Reach, len(f.Objects))
	for object, r := range f.Objects {
		reach := status.Reach{Serving: r.Serving, Total: r.Proxies}
		for _, o := range r.Others {
			reach.Others = append(reach.Others, o.Proxy+": "+o.Why)
			reach.Refused = reach.Refused || o.State == distrib.StateRefused
		}
		p.Mesh[object] = reach
	}
	if g.opt.ControlOnly {
		p.Serving, p.Total = 0, 0
		return p
	}
	for object := range distrib.MadeOf(cfg) {
		r := p.Mesh[object]
		r.Serving, r.Total = r.Serving+1, r.Total+1
		p.Mesh[object] = r
	}
	return p
}

// served adds to the statuses those of objects that are not judged but are sent to
// proxies: Services, for one.
func served(list []status.Object, p status.Progress, set *store.Set) []status.Object {
	if p.Mesh == nil {
		return list
	}
	judged := make(map[store.Key]bool, len(list))
	for i := range list {
		judged[list[i].Key] = true
	}
	for _, gk := range set.Kinds() {
		for _, o := range set.Kind(gk.Group, gk.Kind) {
			if _, sent := p.Mesh[o.Key.String()]; sent && !judged[o.Key] {
				list = append(list, status.Object{Key: o.Key, Generation: generation(o.Value), Position: o.Locate("")})
			}
		}
	}
	return list
}

func generation(o any) int64 {
	if m, ok := o.(metav1.Object); ok {
		return m.GetGeneration()
	}
	return 0
}

// meshStatus is how the mesh stands.
func (c *control) meshStatus(m *Mesh, f *fleet.Fleet) *adminapi.MeshStatus {
	out := &adminapi.MeshStatus{TrustDomain: m.TrustDomain.Name(), Address: c.listener.Addr().String(), Control: processName(), Proxies: []adminapi.MeshProxy{}}
	for _, p := range f.Proxies {
		x := adminapi.MeshProxy{
			Name: p.Name, Identity: p.Identity, Role: string(p.Role), Zone: p.Zone, Version: p.Version, State: string(p.State), Why: p.Why(),
			Control: p.Control, Since: p.Since, Revision: p.Serving.Number, Wanted: p.Wanted.Number, Services: append([]string{}, p.Services...),
		}
		for i := range p.Workloads {
			w := &p.Workloads[i]
			x.Workloads = append(x.Workloads, adminapi.MeshWorkload{Namespace: w.Namespace, Service: w.Service, Name: w.Name, Healthy: w.Healthy})
		}
		for _, w := range p.Withheld {
			x.Withheld = append(x.Withheld, adminapi.WithheldWorkload{Workload: w.String(), Reason: w.Reason})
		}
		for _, r := range p.Refusals {
			x.Refusals = append(x.Refusals, adminapi.MeshRefusal{Kind: r.Kind, Name: r.Name, Reason: r.Reason})
		}
		out.Proxies = append(out.Proxies, x)
		if p.Control == out.Control {
			out.Revision = max(out.Revision, p.Wanted.Number)
		}
		if p.State == distrib.StateServing {
			out.Serving++
		}
	}
	for _, p := range c.importer.States() {
		out.Peers = append(out.Peers, adminapi.MeshPeer(p))
	}
	if m.SVIDs != nil {
		s := adminapi.MeshSVIDJoins(m.SVIDs.State())
		out.SVIDJoins = &s
	}
	for _, f := range c.federation.States() {
		out.Federation = append(out.Federation, adminapi.MeshFederation(f))
	}
	return out
}
