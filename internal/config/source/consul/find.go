package consul

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
)

// Find lists the endpoints of the services of a cluster, in the order of its
// configuration, and those of one service by address. Known is false as long as no
// agent has said anything of any of them.
func (s *Source) Find(c *ir.Cluster) (endpoints []ir.Endpoint, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.queries[c.Discovery] {
		w := s.watches[q]
		if w == nil || !w.known {
			continue
		}
		known = true
		endpoints = append(endpoints, endpointsOf(&c.Discovery.Consul[i], w.answer)...)
	}
	return endpoints, known
}

// endpointsOf turns instances into endpoints: the first so many that have an
// address, in the order in which the agent gave them.
func endpointsOf(c *ir.ConsulService, instances []instance) []ir.Endpoint {
	limit := cmp.Or(c.Limit, maxInstances)
	list := make([]ir.Endpoint, 0, min(limit, len(instances)))
	for i := range instances {
		if len(list) == limit {
			break
		}
		if e, ok := instances[i].endpoint(c); ok {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b ir.Endpoint) int { return strings.Compare(a.Address, b.Address) })
	return list
}

// Missing lists the services of which no agent has said anything, and how long one
// of them is still worth waiting for.
func (s *Source) Missing(clusters []*ir.Cluster) (names []string, wait time.Duration) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range clusters {
		for _, q := range s.queries[c.Discovery] {
			if w := s.watches[q]; w != nil && !w.known {
				names = append(names, q.service)
				wait = max(wait, w.since.Add(s.opts.First).Sub(now))
			}
		}
	}
	return names, wait
}

// States lists all services, ordered.
func (s *Source) States() []discovery.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]discovery.State, 0, len(s.watches))
	for q, w := range s.watches {
		st := discovery.State{
			Kind: discovery.Consul, Name: q.name(), Place: w.agent.address, Clusters: slices.Sorted(slices.Values(w.clusters)),
			Endpoints: len(w.answer), Answered: w.answered, Next: w.next, Failures: w.failures,
		}
		if w.err != nil {
			st.Err, st.Since = w.err.Error(), w.failing
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b discovery.State) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Place, b.Place), slices.Compare(a.Clusters, b.Clusters))
	})
	return list
}

// name is what people are shown: SERVICE, or SERVICE@DATACENTER.
func (q query) name() string {
	name := q.service
	if q.tags != "" {
		name = strings.ReplaceAll(q.tags, "\x00", ".") + "." + name
	}
	if q.datacenter != "" {
		name += "@" + q.datacenter
	}
	return name
}
