package dns

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Find lists the endpoints of the names of a cluster, in the order of its
// configuration. Known is false as long as nothing is known of any of them.
func (s *Source) Find(c *ir.Cluster) (endpoints []ir.Endpoint, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range c.Discovery.DNS {
		n := s.names[keyOf(d)]
		if n == nil {
			continue
		}
		known = known || n.known
		for _, h := range n.answer.hosts {
			endpoints = append(endpoints, h.endpoint(d))
		}
	}
	return endpoints, known
}

// Missing lists the names that no resolver has said anything of, and how long one
// of them is still worth waiting for.
func (s *Source) Missing(clusters []*ir.Cluster) (names []string, wait time.Duration) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range clusters {
		for _, d := range c.Discovery.DNS {
			if n := s.names[keyOf(d)]; n != nil && !n.answered() {
				names = append(names, n.key.name)
				wait = max(wait, n.since.Add(s.opts.First).Sub(now))
			}
		}
	}
	return names, wait
}

// answered tells whether a resolver has said something about the name.
func (n *name) answered() bool { return n.known || n.denials > 0 }
