package dns

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// settle notes what a lookup brought and when the next one is.
func (s *Source) settle(r result) {
	now := time.Now()
	n := r.n
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[n.key.resolver].running--
	if n.dropped {
		return
	}
	was := n.err
	n.err = r.err
	var wait time.Duration
	switch {
	case r.err == nil:
		n.failures, n.denials = 0, 0
		wait = jitter(n.lifetime(r.answer.ttl))
		n.resolved = now
		s.accept(n, r.answer)
	case errors.Is(r.err, errPartial):
		// What did answer may change when its time is over, however long the
		// rest fails.
		n.denials = 0
		wait = min(n.backoff(), jitter(n.lifetime(r.answer.ttl)))
		n.resolved = now
		s.accept(n, r.answer)
	case errors.Is(r.err, errDenied):
		n.failures = 0
		wait = s.deny(n, r.answer.ttl, now)
	default:
		n.denials = 0
		wait = n.backoff()
	}
	s.enqueue(n, now.Add(wait))
	switch {
	case was == nil && r.err != nil:
		s.opts.Log.Warn("name cannot be resolved", "name", n.key.name, "error", r.err,
			"keeps", len(n.answer.hosts), "retry", wait)
	case was != nil && r.err == nil:
		s.opts.Log.Info("name is resolved again", "name", n.key.name, "hosts", len(n.answer.hosts))
	}
}

// accept makes a the answer of n.
func (s *Source) accept(n *name, a answer) {
	if !n.known || !slices.Equal(n.answer.hosts, a.hosts) {
		for _, c := range n.clusters {
			s.changed[c] = true
		}
	}
	n.answer, n.known = a, true
}

// deny counts a negative answer, and empties the name after the grace.
func (s *Source) deny(n *name, ttl time.Duration, now time.Time) time.Duration {
	if n.denials == 0 {
		n.denied = now
	}
	n.denials++
	if len(n.answer.hosts) > 0 || !n.known {
		if n.denials < graceAnswers || now.Sub(n.denied) < s.opts.Grace {
			return jitter(min(n.key.minTTL, s.opts.Grace/graceAnswers))
		}
		if n.known {
			s.opts.Log.Warn("name lost its endpoints", "name", n.key.name, "error", n.err, "denials", n.denials)
		}
		s.accept(n, answer{})
	}
	return jitter(n.lifetime(ttl))
}

// lifetime is how long an answer is believed.
func (n *name) lifetime(ttl time.Duration) time.Duration {
	return min(max(ttl, n.key.minTTL), n.key.maxTTL)
}

// backoff counts a failure and returns the wait until the next attempt.
func (n *name) backoff() time.Duration {
	wait := min(backoffMax, backoffFirst<<min(n.failures, 10))
	n.failures++
	return jitter(wait)
}

// jitter adds up to a tenth, so that names that came together part, and a
// resolver's cache has let go of its answer.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1))
}

// deliver tells about the clusters whose endpoints changed.
func (s *Source) deliver() {
	for _, u := range s.updates() {
		s.opts.Update(u)
	}
	s.mu.Lock()
	s.delivering = false
	s.mu.Unlock()
}

func (s *Source) updates() []ir.EndpointUpdate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ir.EndpointUpdate
	s.delivering = true
	for name := range s.changed {
		c := s.clusters[name]
		if c == nil {
			continue
		}
		endpoints, known := s.merge(c)
		// Nothing known is no reason to take away what the cluster may have.
		if !known && c.delivered == nil || c.delivered != nil && slices.Equal(c.delivered, endpoints) {
			continue
		}
		c.delivered = endpoints
		list = append(list, ir.EndpointUpdate{Cluster: name, Endpoints: slices.Clone(endpoints)})
	}
	clear(s.changed)
	slices.SortFunc(list, func(a, b ir.EndpointUpdate) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return list
}

// merge lists the endpoints of a cluster: the static ones, then those of each
// name in the order of the configuration. The first of equal addresses stays.
// Known is false as long as nothing is known of any of the names.
func (s *Source) merge(c *cluster) (endpoints []ir.Endpoint, known bool) {
	endpoints = make([]ir.Endpoint, 0, len(c.config.Endpoints)+len(c.keys))
	seen := make(map[string]bool)
	add := func(e ir.Endpoint) {
		if !seen[e.Address] {
			seen[e.Address] = true
			endpoints = append(endpoints, e)
		}
	}
	for _, e := range c.config.Endpoints {
		add(e)
	}
	for i, k := range c.keys {
		n := s.names[k]
		known = known || n.known
		for _, h := range n.answer.hosts {
			add(h.endpoint(c.config.Discovery.DNS[i]))
		}
	}
	return endpoints, known
}
