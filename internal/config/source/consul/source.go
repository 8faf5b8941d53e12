// Package consul is the source of endpoints that Consul knows. It asks agents for
// the healthy instances of services (GET /v1/health/service/NAME) by blocking
// queries, which an agent answers when something has changed, so that a change is
// known within milliseconds and an agent that has nothing new has little to do.
//
// What is done with answers that are not good:
//   - an agent that cannot be reached, or answers with an error, says nothing about
//     a service: the last good answer goes on serving, and the question is asked
//     again after 1 s, then 2 s, up to 30 s, or when a Retry-After says.
//   - so does an answer from servers that know no leader, and an empty one that is
//     empty because the token may not read the service.
//   - that a service has no instances is an answer, unless the Backend asks to keep
//     the last ones.
//
// Each service that is asked for in one way is one watch, whichever clusters ask for
// it. A watch has a goroutine, which Run owns. Watches of one agent share its
// connections, of which there are not more than its bound; if there are more watches,
// they take turns. Package app uses this package, nothing else does; it imports
// internal/ir and discovery.
package consul

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const defaultFirst = 2 * time.Second

// Options of a Source. None is needed.
type Options struct {
	// First is how long the first answer about a service is worth waiting for.
	First time.Duration
	// Log is told when a service cannot be asked for any more and when it can be
	// again; nil discards.
	Log *slog.Logger
	// Transport makes connections to an agent; nil makes them as it says.
	Transport func(*ir.ConsulAgent) (http.RoundTripper, error)
}

// Source watches services; it is a discovery.Source. Make it with New and start
// it with Run.
type Source struct {
	opts Options
	wake chan struct{}

	mu       sync.Mutex // guards all below, and what watches say that it guards
	watches  map[query]*watch
	agents   map[string]*agent
	queries  map[*ir.Discovery][]query // of what is followed
	starting []*watch                  // without a goroutine yet
}

// query is what makes two entries of clusters one watch.
type query struct {
	agent                            string // its key
	service, tags                    string // tags are sorted, with NUL between them
	datacenter, namespace, partition string
	near, filter                     string
	consistency                      ir.ConsulConsistency
	warning, keepLast                bool
}

// New makes a Source.
func New(opts Options) *Source {
	if opts.First <= 0 {
		opts.First = defaultFirst
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Transport == nil {
		opts.Transport = transport
	}
	return &Source{
		opts: opts, wake: make(chan struct{}, 1),
		watches: map[query]*watch{}, agents: map[string]*agent{}, queries: map[*ir.Discovery][]query{},
	}
}

// Follow has the services of clusters watched.
func (s *Source) Follow(clusters []*ir.Cluster) {
	s.mu.Lock()
	for _, c := range clusters {
		s.follow(c)
	}
	s.mu.Unlock()
	s.poke()
}

// Keep follows the services of these clusters and no others. Services that were
// followed before keep their answers.
func (s *Source) Keep(clusters []*ir.Cluster) {
	s.mu.Lock()
	known := s.queries
	s.queries = make(map[*ir.Discovery][]query, len(known))
	for _, w := range s.watches {
		w.clusters = nil
	}
	for _, c := range clusters {
		if list, ok := known[c.Discovery]; ok {
			s.queries[c.Discovery] = list
		}
		for _, w := range s.follow(c) {
			if !slices.Contains(w.clusters, c.Name) {
				w.clusters = append(w.clusters, c.Name)
			}
		}
	}
	for k, w := range s.watches {
		if len(w.clusters) == 0 {
			delete(s.watches, k)
			s.drop(w)
		}
	}
	s.mu.Unlock()
	s.poke()
}

// follow finds or makes the watches of a cluster. The caller holds mu.
func (s *Source) follow(c *ir.Cluster) []*watch {
	if len(c.Discovery.Consul) == 0 {
		return nil
	}
	list, known := s.queries[c.Discovery]
	if !known {
		for i := range c.Discovery.Consul {
			list = append(list, queryOf(&c.Discovery.Consul[i]))
		}
		s.queries[c.Discovery] = list
	}
	watches := make([]*watch, len(list))
	for i, q := range list {
		w := s.watches[q]
		if w == nil {
			w = &watch{query: q, agent: s.agentOf(q.agent, c.Discovery.Consul[i].Agent), since: time.Now()}
			if was := s.before(q, w.agent); was != nil {
				w.answer, w.known, w.answered = was.answer, true, was.answered
			}
			w.agent.watches.Add(1)
			s.watches[q] = w
			s.starting = append(s.starting, w)
		}
		watches[i] = w
	}
	return watches
}

// before finds who watches the same at the same address in another way: with a token
// or certificates that are about to be replaced. What it knows holds until there is
// a new answer. The caller holds mu.
func (s *Source) before(q query, a *agent) *watch {
	for key, other := range s.agents {
		if other.address != a.address || key == a.key {
			continue
		}
		q.agent = key
		if w := s.watches[q]; w != nil && w.known {
			return w
		}
	}
	return nil
}

// drop ends a watch that nobody asks for any more. The caller holds mu.
func (s *Source) drop(w *watch) {
	w.dropped = true
	if w.cancel != nil {
		w.cancel()
	}
	a := w.agent
	if a.watches.Add(-1) == 0 {
		delete(s.agents, a.key)
		a.close()
	}
}

// agentOf finds or makes an agent. The caller holds mu.
func (s *Source) agentOf(key string, config *ir.ConsulAgent) *agent {
	a := s.agents[key]
	if a == nil {
		a = newAgent(key, config, s.opts.Transport)
		s.agents[key] = a
	}
	return a
}

func queryOf(c *ir.ConsulService) query {
	tags := slices.Clone(c.Tags)
	slices.Sort(tags)
	return query{
		agent: keyOf(c.Agent), service: c.Service, tags: strings.Join(slices.Compact(tags), "\x00"),
		datacenter: c.Datacenter, namespace: c.Namespace, partition: c.Partition,
		near: c.Near, filter: c.Filter, consistency: c.Consistency, warning: c.Warning, keepLast: c.KeepLast,
	}
}

// keyOf tells agents apart: what is the same is one agent.
func keyOf(a *ir.ConsulAgent) string {
	key := a.Address + "\x00" + a.Token + "\x00" + strconv.Itoa(a.MaxQueries)
	if a.TLS == nil {
		return key
	}
	text, _ := json.Marshal(a.TLS) // plain data, of which all can be written
	sum := sha256.Sum256(text)
	return key + "\x00" + string(sum[:])
}

func (s *Source) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run watches until ctx ends, and returns when no goroutine is left.
func (s *Source) Run(ctx context.Context, news func(clusters []string)) {
	var watches sync.WaitGroup
	for {
		s.mu.Lock()
		for _, w := range s.starting {
			if w.dropped {
				continue
			}
			watching, cancel := context.WithCancel(ctx)
			w.cancel = cancel
			watches.Go(func() {
				defer cancel()
				s.watch(watching, w, news)
			})
		}
		s.starting = nil
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			watches.Wait()
			s.mu.Lock()
			for _, a := range s.agents {
				a.close()
			}
			s.mu.Unlock()
			return
		}
	}
}
