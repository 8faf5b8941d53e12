package dns

import (
	"cmp"
	"slices"

	"github.com/gridway/gridway/internal/config/source/discovery"
)

// States lists all names, ordered.
func (s *Source) States() []discovery.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]discovery.State, 0, len(s.names))
	for k, n := range s.names {
		st := discovery.State{
			Kind: discovery.DNS, Name: k.name, Place: k.resolver, Clusters: slices.Sorted(slices.Values(n.clusters)),
			Endpoints: len(n.answer.hosts), Answered: n.resolved, Failures: n.failures + n.denials,
		}
		if k.srv {
			st.Name += " SRV"
		}
		if n.index >= 0 {
			st.Next = n.next
		}
		if n.err != nil {
			st.Err, st.Since = n.err.Error(), n.failing
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b discovery.State) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Place, b.Place), slices.Compare(a.Clusters, b.Clusters))
	})
	return list
}
