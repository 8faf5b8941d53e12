package view

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// View is what a proxy is to have, as it is sent: items that proxies share are encoded
// once for all of them.
func (v *Views) View(p *distrib.Proxy) (distrib.View, error) {
	v.takeIn()
	v.mu.Lock()
	defer v.mu.Unlock()
	c, err := v.config(p)
	if err != nil {
		return distrib.View{}, err
	}
	w := &viewScope{Views: v}
	collect(w, c.Listeners, &w.own.Listeners)
	collect(w, c.Routes, &w.own.Routes)
	collect(w, c.Streams, &w.own.Streams)
	for _, cl := range c.Clusters {
		w.cluster(cl)
	}
	collect(w, c.Schemas, &w.own.Schemas)
	collect(w, c.Consumers, &w.own.Consumers)
	collect(w, c.KeySets, &w.own.KeySets)
	collect(w, c.Logins, &w.own.Logins)
	collect(w, c.TokenIssuers, &w.own.TokenIssuers)
	collect(w, c.Authorizations, &w.own.Authorizations)
	collect(w, c.RateLimits, &w.own.RateLimits)
	collect(w, c.RateLimitStores, &w.own.RateLimitStores)
	collect(w, c.TelemetrySinks, &w.own.TelemetrySinks)
	collect(w, c.AddressLists, &w.own.AddressLists)
	collect(w, c.UserAgentLists, &w.own.UserAgentLists)
	collect(w, c.RevocationLists, &w.own.RevocationLists)
	w.own.Policies = c.Policies
	if err := w.encodeOwn(c.Config); err != nil {
		return distrib.View{}, err
	}
	slices.SortFunc(w.out, distrib.Compare)
	return distrib.View{
		Number: v.changes.moment, Epoch: v.opt.Epoch, Hash: distrib.Sum(w.out), Resources: w.out, Services: c.Services, Unknown: c.Unknown,
	}, nil
}

// viewScope is the work on one view.
type viewScope struct {
	*Views
	out []*distrib.Resource
	// own are the items that no other proxy has.
	own ir.Config
}

// collect takes the resources of items that are shared, and leaves the others for
// encodeOwn.
func collect[T any](w *viewScope, list []*T, own *[]*T) {
	for _, item := range list {
		if r := w.encoder.Of(item); r != nil {
			w.out = append(w.out, r)
		} else {
			*own = append(*own, item)
		}
	}
}

// cluster takes a cluster, of which proxies share all but the endpoints of their own
// workloads.
func (w *viewScope) cluster(cl *ir.Cluster) {
	shared := w.content.clusters[cl.Name]
	if shared == nil {
		w.own.Clusters = append(w.own.Clusters, cl)
		return
	}
	w.out = append(w.out, w.encoder.Of(shared))
	switch {
	case cl == shared:
		w.out = append(w.out, w.encoder.OfEndpoints(cl))
	case w.live[cl.Name] == cl:
		if r := w.liveEndpoints(cl); r != nil {
			w.out = append(w.out, r)
		}
	default:
		r, err := distrib.EncodeEndpoints(cl.Name, cl.Endpoints)
		if err == nil { // it is one, of this machine
			w.out = append(w.out, r)
		}
	}
}

// liveEndpoints are those of now, encoded once. More than can be sent stay what they
// were. v.mu is held.
func (v *Views) liveEndpoints(cl *ir.Cluster) *distrib.Resource {
	if r := v.liveResources[cl.Name]; r != nil {
		return r
	}
	r, err := distrib.EncodeEndpoints(cl.Name, cl.Endpoints)
	if err != nil {
		return v.encoder.OfEndpoints(v.content.clusters[cl.Name])
	}
	v.liveResources[cl.Name] = r
	return r
}

// encodeOwn encodes what is the proxy's alone.
func (w *viewScope) encodeOwn(c *ir.Config) error {
	shared := w.own
	if len(w.own.Routes)+len(w.own.Streams) > 0 { // routes have these by their names
		shared.Authorizations, shared.RateLimits = c.Authorizations, c.RateLimits
	}
	list, err := distrib.Split(&shared)
	if err != nil {
		return err
	}
	have := map[distrib.Key]bool{}
	for _, r := range w.out {
		have[r.Key()] = true
	}
	for i := range list {
		if r := &list[i]; !have[r.Key()] {
			w.out = append(w.out, r)
		}
	}
	return nil
}

// pool is everything that views are made of, each item once.
func (c *content) pool() *ir.Config {
	out := *c.config
	out.Routes, out.Streams, out.Clusters = values(c.routes), values(c.streams), values(c.clusters)
	return &out
}

func values[T any](m map[string]*T) []*T {
	out := make([]*T, 0, len(m))
	for _, x := range m {
		out = append(out, x)
	}
	return out
}

// Since tells what changed after a moment that it returned before; 0 is the beginning.
func (v *Views) Since(moment uint64) distrib.Change {
	v.takeIn()
	v.mu.Lock()
	defer v.mu.Unlock()
	out := distrib.Change{Moment: v.changes.moment}
	n := v.changes.moment - moment
	if moment > v.changes.moment || n > uint64(len(v.changes.list)) {
		out.All = true
		return out
	}
	clusters := map[string]bool{}
	for _, d := range v.changes.list[len(v.changes.list)-int(n):] {
		out.All = out.All || d.all
		out.Services = append(out.Services, d.services...)
		for _, name := range d.clusters {
			clusters[name] = true
		}
	}
	slices.Sort(out.Services)
	out.Services = slices.Compact(out.Services)
	if out.All {
		return out
	}
	for name := range clusters {
		if cl := v.content.clusters[name]; cl != nil {
			if r := v.liveEndpoints(v.liveCluster(cl)); r != nil {
				out.Endpoints = append(out.Endpoints, r)
			}
		}
	}
	slices.SortFunc(out.Endpoints, distrib.Compare)
	return out
}
