// Package dns is the source of endpoints that are found by DNS names. It
// resolves the names of ir.Discovery (A and AAAA, or SRV), again when their
// TTL ends. A discovery.Hub joins and delivers what it finds.
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
// A resolver that does not answer keeps no name of another resolver waiting.
//
// Run is the one goroutine that owns all names; it starts a bounded number of
// short-lived ones for lookups and waits for them. Package app uses this
// package, nothing else does; it imports internal/ir, discovery and miekg/dns.
package dns

import (
	"context"
	"log/slog"
	"net/netip"
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

// Options of a Source. None is needed.
type Options struct {
	// ResolvConf and Hosts are the system's files; empty means those in /etc.
	ResolvConf, Hosts string
	// Grace is how long a name that exists no more keeps its endpoints.
	Grace time.Duration
	// Lookups bounds how many run at a time for each resolver.
	Lookups int
	// First is how long the first answer to a name is worth waiting for.
	First time.Duration
	// Log is told when a name begins to fail and when it recovers; nil discards.
	Log *slog.Logger
	// Reachable reports whether this machine has a route to an address; nil
	// asks the kernel. Addresses without are left out while others have one.
	Reachable func(netip.Addr) bool
}

// Source resolves names; it is a discovery.Source. Make it with New and start it
// with Run.
type Source struct {
	opts     Options
	resolver *resolver
	wake     chan struct{}
	results  chan result

	mu    sync.Mutex // guards all below, and what it points to
	names map[key]*name
	lanes map[string]*lane // by resolver
}

// key is what makes two names one lookup.
type key struct {
	name           string
	srv            bool
	resolver       string
	port           uint16 // distinguishes names of the local host only
	minTTL, maxTTL time.Duration
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
	failing  time.Time
	failures int // attempts without an answer in a row
	denials  int // negative answers in a row
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
		names:    map[key]*name{},
		lanes:    map[string]*lane{},
	}
}

// Follow has the names of clusters looked up, those that are new at once.
func (s *Source) Follow(clusters []*ir.Cluster) {
	s.mu.Lock()
	known := len(s.names)
	for _, c := range clusters {
		for _, d := range c.Discovery.DNS {
			s.follow(keyOf(d))
		}
	}
	more := len(s.names) > known
	s.mu.Unlock()
	if more {
		poke(s.wake)
	}
}

// Keep follows the names of these clusters and no others. Names that were followed
// before keep their answers and times.
func (s *Source) Keep(clusters []*ir.Cluster) {
	s.mu.Lock()
	for _, n := range s.names {
		n.clusters = nil
	}
	for _, c := range clusters {
		for _, d := range c.Discovery.DNS {
			if n := s.follow(keyOf(d)); !slices.Contains(n.clusters, c.Name) {
				n.clusters = append(n.clusters, c.Name)
			}
		}
	}
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
func (s *Source) Run(ctx context.Context, news func(clusters []string)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	running := 0
	for {
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
			news(s.settle(r))
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
