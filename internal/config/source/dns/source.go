// Package dns is the source of endpoints that are found by DNS names. It
// resolves the names of ir.Discovery (A and AAAA, or SRV), again when their
// TTL ends, and delivers an ir.EndpointUpdate when the answer of a cluster
// changed.
//
// What is done with answers that are not good:
//   - no answer, SERVFAIL, REFUSED and the like say nothing about the name: the
//     last good answer goes on serving, however long that lasts, and the
//     question is asked again after 1 s, then 2 s, up to 30 s.
//   - NXDOMAIN, or a name without addresses, is an answer, but often a passing
//     mistake: the last good answer serves until the same was said at least
//     three times in a row over 30 s (Options.Grace); then the name is empty.
//   - if one family, or one SRV target, fails while others succeed, its part of
//     the last good answer is kept.
//
// Prepare has the names of a configuration looked up before it serves. A
// resolver that does not answer keeps no name of another resolver waiting.
//
// Run is the one goroutine that owns all names; it starts a bounded number of
// short-lived ones for lookups and waits for them. Package app uses this
// package, nothing else does; it imports internal/ir and miekg/dns.
package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultMinTTL  = 5 * time.Second
	defaultMaxTTL  = 5 * time.Minute
	defaultGrace   = 30 * time.Second
	graceAnswers   = 3
	backoffFirst   = time.Second
	backoffMax     = 30 * time.Second
	defaultLookups = 16
	defaultFirst   = 2 * time.Second
)

// Options of a Source. Only Update is needed.
type Options struct {
	// Update is told about each change, from one goroutine at a time. The
	// endpoints are all of the cluster's: those that are static come first.
	Update func(ir.EndpointUpdate)
	// ResolvConf and Hosts are the system's files; empty means those in /etc.
	ResolvConf, Hosts string
	// Grace is how long a name that exists no more keeps its endpoints.
	Grace time.Duration
	// Lookups bounds how many run at a time for each resolver.
	Lookups int
	// First is how long Prepare waits for the first answer to a name.
	First time.Duration
	// Log is told when a name begins to fail and when it recovers; nil discards.
	Log *slog.Logger
	// Reachable reports whether this machine has a route to an address; nil
	// asks the kernel. Addresses without are left out while others have one.
	Reachable func(netip.Addr) bool
}

// Source resolves names. Make it with New and start it with Run.
type Source struct {
	opts     Options
	resolver *resolver
	wake     chan struct{}
	results  chan result
	settled  chan struct{} // wakes Prepare

	mu       sync.Mutex // guards all below, and what it points to
	clusters map[string]*cluster
	names    map[key]*name
	lanes    map[string]*lane // by resolver
	changed  map[string]bool  // clusters whose endpoints have to be compared
	// delivering: Update is being told.
	delivering bool
}

// key is what makes two names one lookup.
type key struct {
	name           string
	srv            bool
	resolver       string
	port           uint16 // distinguishes names of the local host only
	minTTL, maxTTL time.Duration
}

// cluster is one that has names.
type cluster struct {
	config    *ir.Cluster
	keys      []key         // one for each of config.Discovery.DNS
	delivered []ir.Endpoint // nil until something was
}

// name is one lookup that is repeated.
type name struct {
	key      key
	clusters []string

	since   time.Time // followed since then
	next    time.Time
	index   int  // in the queue; -1 while being looked up
	dropped bool // while being looked up

	answer   answer // last good one
	known    bool   // answer is one, or the name was denied for the grace
	resolved time.Time
	err      error // of the last attempt
	failures int   // attempts without an answer in a row
	denials  int   // negative answers in a row
	denied   time.Time
}

// result is what a lookup brings back to the owner.
type result struct {
	n      *name
	answer answer
	err    error
}

// New makes a Source.
func New(opts Options) *Source {
	if opts.Grace <= 0 {
		opts.Grace = defaultGrace
	}
	if opts.Lookups <= 0 {
		opts.Lookups = defaultLookups
	}
	if opts.First <= 0 {
		opts.First = defaultFirst
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Reachable == nil {
		opts.Reachable = routed
	}
	return &Source{
		opts:     opts,
		resolver: newResolver(opts),
		wake:     make(chan struct{}, 1),
		results:  make(chan result),
		settled:  make(chan struct{}, 1),
		clusters: map[string]*cluster{},
		names:    map[key]*name{},
		lanes:    map[string]*lane{},
		changed:  map[string]bool{},
	}
}

// Set makes the Source follow the names of these clusters and no others. Names
// that were followed before keep their answers and times. Clusters that are new
// or changed are delivered again with what is known. It returns at once; call
// it after the clusters were applied, for updates name clusters.
func (s *Source) Set(clusters []*ir.Cluster) {
	s.mu.Lock()
	next := make(map[string]*cluster, len(clusters))
	for _, n := range s.names {
		n.clusters = nil
	}
	for _, config := range clusters {
		if config.Discovery == nil || len(config.Discovery.DNS) == 0 {
			continue
		}
		c := s.clusters[config.Name]
		if c == nil || !sameConfig(c.config, config) {
			c = &cluster{}
			s.changed[config.Name] = true
		}
		c.config, c.keys = config, c.keys[:0]
		for _, d := range config.Discovery.DNS {
			k := keyOf(d)
			c.keys = append(c.keys, k)
			n := s.follow(k)
			if !slices.Contains(n.clusters, config.Name) {
				n.clusters = append(n.clusters, config.Name)
			}
		}
		next[config.Name] = c
	}
	s.clusters = next
	for k, n := range s.names {
		if len(n.clusters) == 0 {
			s.lanes[k.resolver].queue.remove(n)
			n.dropped = true
			delete(s.names, k)
		}
	}
	s.mu.Unlock()
	poke(s.wake)
}

// poke wakes who waits for c, now or when it looks the next time.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func sameConfig(a, b *ir.Cluster) bool {
	return a.Hash == b.Hash && reflect.DeepEqual(a.Discovery, b.Discovery) && slices.Equal(a.Endpoints, b.Endpoints)
}

func keyOf(d ir.DNSName) key {
	k := key{name: d.Name, srv: d.SRV, resolver: d.Resolver, minTTL: d.MinTTL, maxTTL: d.MaxTTL}
	if isLocalhost(d.Name) {
		k.port = d.Port
	}
	if k.minTTL <= 0 {
		k.minTTL = defaultMinTTL
	}
	if k.maxTTL <= 0 {
		k.maxTTL = defaultMaxTTL
	}
	k.maxTTL = max(k.maxTTL, k.minTTL)
	return k
}

// follow finds a name, which is looked up at once if it is new.
func (s *Source) follow(k key) *name {
	n := s.names[k]
	if n == nil {
		n = &name{key: k, index: -1, since: time.Now()}
		s.names[k] = n
		s.enqueue(n, n.since)
	}
	return n
}

// Run resolves names until ctx ends, and returns when no goroutine is left.
func (s *Source) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	running := 0
	for {
		s.deliver()
		due, wait := s.due()
		for _, n := range due {
			running++
			go s.lookup(ctx, n)
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case r := <-s.results:
			running--
			s.settle(r)
			poke(s.settled)
		case <-ctx.Done():
			for ; running > 0; running-- {
				<-s.results
			}
			return
		}
	}
}

func (s *Source) lookup(ctx context.Context, n *name) {
	s.mu.Lock()
	last := n.answer
	s.mu.Unlock()
	a, err := s.resolver.lookup(ctx, n.key, last)
	s.results <- result{n, a, err}
}
