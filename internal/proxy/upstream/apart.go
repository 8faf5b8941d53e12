package upstream

import (
	"errors"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Apart makes a cluster that no configuration has: Cluster does not find it, and
// Apply leaves it alone. The caller ends it with RetireApart; Close does too.
func (s *Set) Apart(cfg *ir.Cluster) (*Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("upstream: the set is closed")
	}
	c, err := newCluster(s, cfg, netx.Monotonic())
	if err != nil {
		return nil, err
	}
	s.start(c, nil, cfg, nil)
	if s.apart == nil {
		s.apart = map[*Cluster]struct{}{}
	}
	s.apart[c] = struct{}{}
	return c, nil
}

// UpdateApart replaces the endpoints of a cluster that Apart has made.
func (s *Set) UpdateApart(c *Cluster, endpoints []ir.Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ours := s.apart[c]; ours {
		c.setEndpoints(endpoints, false)
	}
}

// RetireApart ends such a cluster: exchanges that hold it go on, and its
// connections are closed as they become free.
func (s *Set) RetireApart(c *Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ours := s.apart[c]; ours {
		delete(s.apart, c)
		c.retire(nil)
	}
}
