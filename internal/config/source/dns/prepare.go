package dns

import (
	"context"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Prepare is called before clusters are put in service, so that their endpoints
// are known when the first request comes. It has names that are new looked up,
// and waits until each has an answer, but for none longer than Options.First
// since it was first heard of. It returns the endpoints of the clusters that
// are new or changed, as far as they are known. Run must be running, and Set
// must follow; one goroutine calls both.
func (s *Source) Prepare(ctx context.Context, clusters []*ir.Cluster) []ir.EndpointUpdate {
	s.mu.Lock()
	var fresh []*cluster
	var names []*name
	for _, config := range clusters {
		if config.Discovery == nil || len(config.Discovery.DNS) == 0 {
			continue
		}
		if c := s.clusters[config.Name]; c != nil && sameConfig(c.config, config) {
			continue
		}
		c := &cluster{config: config}
		for _, d := range config.Discovery.DNS {
			k := keyOf(d)
			c.keys = append(c.keys, k)
			if n := s.follow(k); !n.answered() {
				names = append(names, n)
			}
		}
		fresh = append(fresh, c)
	}
	s.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	if len(names) > 0 {
		poke(s.wake)
		s.await(ctx, names)
	}
	return s.found(fresh)
}

// await returns when all names are answered or have had their time.
func (s *Source) await(ctx context.Context, names []*name) {
	timer := time.NewTimer(s.opts.First)
	defer timer.Stop()
	for {
		wait := s.patience(names)
		if wait <= 0 {
			return
		}
		timer.Reset(wait)
		select {
		case <-s.settled:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// patience is how long there is still something to wait for.
func (s *Source) patience(names []*name) (wait time.Duration) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range names {
		if !n.answered() {
			wait = max(wait, n.since.Add(s.opts.First).Sub(now))
		}
	}
	return wait
}

// answered tells whether a resolver has said something about the name.
func (n *name) answered() bool { return n.known || n.denials > 0 }

// found lists what is known of clusters, and logs what is not.
func (s *Source) found(fresh []*cluster) (list []ir.EndpointUpdate) {
	var missing []string
	s.mu.Lock()
	for _, c := range fresh {
		if endpoints, known := s.merge(c); known {
			list = append(list, ir.EndpointUpdate{Cluster: c.config.Name, Endpoints: endpoints})
		}
		for _, k := range c.keys {
			if n := s.names[k]; !n.answered() && !slices.Contains(missing, k.name) {
				missing = append(missing, k.name)
			}
		}
	}
	s.mu.Unlock()
	if len(missing) > 0 {
		slices.Sort(missing)
		s.opts.Log.Warn("no resolver has answered in time; the configuration serves without these names for now",
			"names", missing[:min(len(missing), maxNamed)], "count", len(missing))
	}
	return list
}

// maxNamed bounds the names in a line of the log.
const maxNamed = 8
