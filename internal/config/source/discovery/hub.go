package discovery

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/gridway/gridway/internal/ir"
)

// Options of a Hub.
type Options struct {
	// Sources are asked in this order, in which their endpoints come, too.
	Sources []Source
	// Update is told about each change, from one goroutine at a time. The endpoints
	// are all of the cluster's: those that are written down come first.
	Update func(ir.EndpointUpdate)
	// Log is told what has no answer when it is put in service; nil discards.
	Log *slog.Logger
}

// Hub brings together what sources find. Make it with New and start it with Run.
type Hub struct {
	opts    Options
	wake    chan struct{} // wakes Run
	settled chan struct{} // wakes Prepare

	mu       sync.Mutex // guards clusters and what it points to; held when sources are asked
	clusters map[string]*cluster

	news struct {
		sync.Mutex                 // guards all below; nothing else is taken while it is held
		changed    map[string]bool // clusters whose endpoints have to be compared
		delivering bool            // Update is being told
	}
}

// cluster is one whose endpoints are not all written down.
type cluster struct {
	config    *ir.Cluster
	delivered []ir.Endpoint // nil until something was
}

// New makes a Hub.
func New(opts Options) *Hub {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		opts: opts, clusters: map[string]*cluster{},
		wake: make(chan struct{}, 1), settled: make(chan struct{}, 1),
	}
	h.news.changed = map[string]bool{}
	return h
}

// Set makes the sources follow these clusters and no others. What was followed
// before keeps its answers. Clusters that are new or changed are delivered again
// with what is known. It returns at once; call it after the clusters were applied,
// for updates name clusters.
func (h *Hub) Set(clusters []*ir.Cluster) {
	h.mu.Lock()
	next := make(map[string]*cluster, len(h.clusters))
	var list []*ir.Cluster
	var fresh []string
	for _, config := range clusters {
		if config.Discovery == nil {
			continue
		}
		c := h.clusters[config.Name]
		if c == nil || !sameConfig(c.config, config) {
			c = &cluster{}
			fresh = append(fresh, config.Name)
		}
		c.config = config
		next[config.Name] = c
		list = append(list, config)
	}
	h.clusters = next
	for _, s := range h.opts.Sources {
		s.Keep(list)
	}
	h.mu.Unlock()
	h.hear(fresh)
}

func sameConfig(a, b *ir.Cluster) bool {
	return a == b || a.Hash == b.Hash && reflect.DeepEqual(a.Discovery, b.Discovery) && slices.Equal(a.Endpoints, b.Endpoints)
}

// hear is told by sources what has changed.
func (h *Hub) hear(clusters []string) {
	h.news.Lock()
	for _, name := range clusters {
		h.news.changed[name] = true
	}
	h.news.Unlock()
	poke(h.wake)
	poke(h.settled)
}

// poke wakes who waits for c, now or when it looks the next time.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run has the sources look, and delivers what they find, until ctx ends and
// no goroutine is left.
func (h *Hub) Run(ctx context.Context) {
	var sources sync.WaitGroup
	for _, s := range h.opts.Sources {
		sources.Go(func() { s.Run(ctx, h.hear) })
	}
	for {
		select {
		case <-h.wake:
			h.deliver()
		case <-ctx.Done():
			sources.Wait()
			return
		}
	}
}

// deliver tells about the clusters whose endpoints changed.
func (h *Hub) deliver() {
	h.news.Lock()
	changed := h.news.changed
	h.news.changed, h.news.delivering = map[string]bool{}, true
	h.news.Unlock()
	for _, u := range h.updates(changed) {
		h.opts.Update(u)
	}
	h.news.Lock()
	h.news.delivering = false
	h.news.Unlock()
}

func (h *Hub) updates(changed map[string]bool) []ir.EndpointUpdate {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []ir.EndpointUpdate
	for name := range changed {
		c := h.clusters[name]
		if c == nil {
			continue
		}
		endpoints, known := h.join(c.config)
		// Nothing known is no reason to take away what the cluster may have.
		if !known && c.delivered == nil || c.delivered != nil && slices.Equal(c.delivered, endpoints) {
			continue
		}
		c.delivered = endpoints
		list = append(list, ir.EndpointUpdate{Cluster: name, Endpoints: slices.Clone(endpoints)})
	}
	slices.SortFunc(list, func(a, b ir.EndpointUpdate) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return list
}

// join lists the endpoints of a cluster: those written down, then those of each
// source. The first of equal addresses stays. Known is false as long as no source
// knows anything.
func (h *Hub) join(c *ir.Cluster) (endpoints []ir.Endpoint, known bool) {
	type place struct{ address, identity, serverName string }
	endpoints = make([]ir.Endpoint, 0, len(c.Endpoints))
	seen := make(map[place]bool)
	add := func(list []ir.Endpoint) {
		for _, e := range list {
			if at := (place{e.Address, e.Identity, e.ServerName}); !seen[at] {
				seen[at] = true
				endpoints = append(endpoints, e)
			}
		}
	}
	add(c.Endpoints)
	for _, s := range h.opts.Sources {
		found, some := s.Find(c)
		known = known || some
		add(found)
	}
	return endpoints, known
}

// Pending tells whether something was never asked for to an end yet, or whether an
// answer is on its way to Update.
func (h *Hub) Pending() bool {
	for _, s := range h.States() {
		if !s.Asked() {
			return true
		}
	}
	h.news.Lock()
	defer h.news.Unlock()
	return h.news.delivering || len(h.news.changed) > 0
}

// States lists what all sources look for.
func (h *Hub) States() []State {
	var list []State
	for _, s := range h.opts.Sources {
		list = append(list, s.States()...)
	}
	return list
}
