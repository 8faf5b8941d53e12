package proxy

import (
	"maps"
	"slices"
	"time"
)

// RateLimitStoreState says whether a store of limits answers.
type RateLimitStoreState struct {
	// Name is "namespace/name" of the RateLimitStore, Kind its kind: redis or
	// stateStore. Servers of Envoy's protocol are endpoints, and not among these.
	Name, Kind string
	Up         bool
	// Error is why it does not answer, since Since; empty while it does.
	Error string
	Since time.Time
}

// RateLimitStores are the states of the stores that are configured, by name.
func (p *Proxy) RateLimitStores() []RateLimitStoreState { return p.stores.states() }

func (s *stores) states() []RateLimitStoreState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []RateLimitStoreState
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		h := s.byName[name]
		one := RateLimitStoreState{Name: name, Up: true}
		switch {
		case h.redis != nil:
			one.Kind = "redis"
			if t := h.redis.Trouble(); t != nil {
				one.Up, one.Error, one.Since = false, t.Error, t.Since
			}
		case h.cfg != nil && h.cfg.StateStore:
			one.Kind = "stateStore"
			if s.leases == nil {
				one.Up, one.Error = false, "this gateway has no state store; start it with --state"
			} else if t := s.leases.Trouble(); t != nil {
				one.Up, one.Error, one.Since = false, t.Error, t.Since
			}
		default:
			continue
		}
		out = append(out, one)
	}
	return out
}
