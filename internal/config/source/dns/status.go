package dns

import (
	"cmp"
	"slices"
	"time"
)

// Status is the state of one name.
type Status struct {
	Name     string   `json:"name"`
	SRV      bool     `json:"srv,omitempty"`
	Resolver string   `json:"resolver,omitempty"` // empty is the system's
	Clusters []string `json:"clusters"`
	// Addresses are in use, even if the last lookup failed.
	Addresses []string `json:"addresses,omitempty"`
	// Resolved is when the last good answer came, Next when the next lookup is
	// due; zero if there was none, or while one is under way.
	Resolved time.Time `json:"resolved,omitzero"`
	Next     time.Time `json:"next,omitzero"`
	// Error is what the last lookup failed with, and Failures counts those that
	// failed in a row, denials included.
	Error    string `json:"error,omitempty"`
	Failures int    `json:"failures,omitempty"`
}

// Status lists all names, ordered.
func (s *Source) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.names))
	for k, n := range s.names {
		st := Status{
			Name: k.name, SRV: k.srv, Resolver: k.resolver, Clusters: slices.Sorted(slices.Values(n.clusters)),
			Resolved: n.resolved, Failures: n.failures + n.denials,
		}
		if n.index >= 0 {
			st.Next = n.next
		}
		if n.err != nil {
			st.Error = n.err.Error()
		}
		for _, h := range n.answer.hosts {
			st.Addresses = append(st.Addresses, h.addr.String())
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Resolver, b.Resolver), slices.Compare(a.Clusters, b.Clusters))
	})
	return list
}

// Pending tells whether a name was never asked about yet, or whether an answer
// is on its way to Update.
func (s *Source) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.names {
		if n.resolved.IsZero() && n.err == nil {
			return true
		}
	}
	return s.delivering || len(s.changed) > 0
}
