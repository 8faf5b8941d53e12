// Package metric counts what a proxy does: rate, errors and duration per rule
// and per cluster, connections per listener, and the life of configurations.
// Labels come from configuration and from fixed lists only, never from clients,
// so the number of series is bounded by the configuration.
//
// Writers take handles (Route, Cluster, Listener) when a snapshot is built and
// keep them; recording on a handle neither allocates nor shares cache lines
// between processors. Readers add the copies up. The registry starts no
// goroutine; Run is one that its caller owns. Any package may import metric.
package metric

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/stripe"
)

const (
	maxReasons = 64
	// Grace is how long the series of something that left the configuration
	// are still exposed, so that a last scrape sees their final values.
	Grace = 5 * time.Minute
)

// Options of a Registry.
type Options struct {
	// Reasons names the bits of the flags that Observe is given: bit i is
	// counted under Reasons[i]. At most 64; bits without a name are not exposed.
	Reasons []string
	// Decisions names what policies decide: number i is counted under Decisions[i].
	Decisions []string
	// Faults names what is wrong with credentials: number i is counted under Faults[i].
	Faults []string
	// Build is shown by gridway_build_info.
	Build Build
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Build says which program this is.
type Build struct{ Version, Commit, GoVersion string }

// Registry holds every counter of a process. Its methods may be called at any time.
type Registry struct {
	opt     Options
	stripes *stripe.Chooser
	process process

	mu           sync.RWMutex // guards the maps and gauges
	routes       map[string]*Route
	streams      map[string]*Stream
	clusters     map[string]*Cluster
	listeners    map[string]*Listener
	policies     map[string]*Policy
	rateLimits   map[string]*RateLimit
	limitStores  map[string]*RateLimitStore
	limitKeys    func(yield func(policy, limit string, k RateLimitKeys))
	keySets      func(yield func(policy, issuer string, k KeySet))
	logins       func(yield func(policy, issuer string, l Login))
	tokenIssuers func(yield func(issuer string, t TokenIssuer))
	callerTokens func(yield func(result string, n uint64))
	// discovery tells what endpoints are looked for by.
	discovery func(yield func(source, name, place string, d Discovery))
	// election tells whether the process is elected for periodic work.
	election func() (self bool, term int64)
	// dependencies tells what is needed of others.
	dependencies func(yield func(kind, owner, name string, up bool))
	calls        Calls
	gauges       func(yield func(cluster string, g ClusterGauges))
	accessLog    func() LogStats
	sinks        func(yield func(Sink))
	log          func() LogStats
	admission    func(yield func(scope string, a Admission))
	certs        func(yield func(Certificate))
	mesh         func() Mesh
	kept         *ir.Config // by the last Keep
}

// New returns an empty Registry.
func New(opt Options) *Registry {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if len(opt.Reasons) > maxReasons {
		opt.Reasons = opt.Reasons[:maxReasons]
	}
	r := &Registry{
		opt:         opt,
		stripes:     stripe.New(),
		routes:      map[string]*Route{},
		streams:     map[string]*Stream{},
		clusters:    map[string]*Cluster{},
		listeners:   map[string]*Listener{},
		policies:    map[string]*Policy{},
		rateLimits:  map[string]*RateLimit{},
		limitStores: map[string]*RateLimitStore{},
	}
	r.calls.unknown.codes.cells.stripes = r.stripes
	return r
}

// life is what handles have in common: when they left the configuration.
type life struct{ gone time.Time }

func (l *life) lifetime() *life { return l }

// handle finds or makes the handle called name. Asking for it revives it.
func handle[H interface{ lifetime() *life }](r *Registry, m map[string]H, name string, make func() H) H {
	r.mu.RLock()
	h, ok := m[name]
	ok = ok && h.lifetime().gone.IsZero()
	r.mu.RUnlock()
	if ok {
		return h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h, ok = m[name]; !ok {
		h = make()
		m[name] = h
	}
	h.lifetime().gone = time.Time{}
	return h
}

// Route returns the handle of a rule by its ID ("HTTPRoute/namespace/name/rules/INDEX").
// The same ID gives the same handle, so counters go on across snapshots.
func (r *Registry) Route(id string) *Route {
	return handle(r, r.routes, id, func() *Route { return newRoute(r, id) })
}

// Cluster returns the handle of a cluster by its name.
func (r *Registry) Cluster(name string) *Cluster {
	return handle(r, r.clusters, name, func() *Cluster { return newCluster(r, name) })
}

// Listener returns the handle of a listener by its name.
func (r *Registry) Listener(name string) *Listener {
	return handle(r, r.listeners, name, func() *Listener { return newListener(r, name) })
}

// Keep says what the configuration holds now. The series of all else are
// exposed for Grace and then removed; whatever comes back within that time
// goes on counting where it was. Handles that are still held stay usable.
func (r *Registry) Keep(cfg *ir.Config) {
	listeners := map[string]bool{}
	var outside []string // rules that no route has
	for _, l := range cfg.Listeners {
		listeners[l.Name] = true
		if l.Egress == ir.EgressAllow {
			outside = append(outside, l.EgressRule())
		}
	}
	now := r.opt.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.kept
	if before == nil {
		before = &ir.Config{}
	}
	r.kept = cfg
	// Nearly every configuration differs from the one before in a route or two.
	if sameNames(before.Routes, cfg.Routes, func(x *ir.Route) string { return x.Name }) {
		for i, is := range cfg.Routes {
			if was := before.Routes[i]; was != is {
				eachRule(was, func(id string) { leave(r.routes, id, now) })
				eachRule(is, func(id string) { stay(r.routes, id) })
			}
		}
	} else {
		rules := make(map[string]bool, len(cfg.Routes))
		for _, route := range cfg.Routes {
			eachRule(route, func(id string) { rules[id] = true })
		}
		keep(r.routes, rules, now)
	}
	for _, id := range outside {
		stay(r.routes, id)
	}
	if !sameNames(before.Clusters, cfg.Clusters, func(x *ir.Cluster) string { return x.Name }) {
		clusters := make(map[string]bool, len(cfg.Clusters))
		for _, c := range cfg.Clusters {
			clusters[c.Name] = true
		}
		clusters[ir.EgressCluster] = len(outside) > 0
		keep(r.clusters, clusters, now)
	}
	keep(r.listeners, listeners, now)
	streams := make(map[string]bool, len(cfg.Streams))
	for _, s := range cfg.Streams {
		streams[s.ID] = true
	}
	for _, id := range outside {
		streams[id] = true
	}
	keep(r.streams, streams, now)
	keep(r.policies, policiesOf(cfg), now)
	keep(r.rateLimits, rateLimitsOf(cfg), now)
	keep(r.limitStores, limitStoresOf(cfg), now)
}

func eachRule(route *ir.Route, do func(id string)) {
	for _, rule := range route.Rules {
		do(rule.ID)
	}
}

// sameNames tells whether two lists name the same things in the same order.
func sameNames[T any](before, now []*T, name func(*T) string) bool {
	return len(before) > 0 && slices.EqualFunc(before, now, func(a, b *T) bool { return a == b || name(a) == name(b) })
}

func leave[H interface{ lifetime() *life }](m map[string]H, name string, now time.Time) {
	if h, ok := m[name]; ok && h.lifetime().gone.IsZero() {
		h.lifetime().gone = now
	}
}

func stay[H interface{ lifetime() *life }](m map[string]H, name string) {
	if h, ok := m[name]; ok {
		h.lifetime().gone = time.Time{}
	}
}

func keep[H interface{ lifetime() *life }](m map[string]H, live map[string]bool, now time.Time) {
	maps.DeleteFunc(m, func(name string, h H) bool {
		l := h.lifetime()
		switch {
		case live[name]:
			l.gone = time.Time{}
		case l.gone.IsZero():
			l.gone = now
		}
		return expired(l, now)
	})
}

func expired(l *life, now time.Time) bool { return !l.gone.IsZero() && now.Sub(l.gone) >= Grace }

// expire forgets what has been gone for the grace period.
func (r *Registry) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.routes, func(_ string, h *Route) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.streams, func(_ string, h *Stream) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.clusters, func(_ string, h *Cluster) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.listeners, func(_ string, h *Listener) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.policies, func(_ string, h *Policy) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.rateLimits, func(_ string, h *RateLimit) bool { return expired(&h.life, now) })
	maps.DeleteFunc(r.limitStores, func(_ string, h *RateLimitStore) bool { return expired(&h.life, now) })
}

// SetClusterGauges names the function that reads the present state of clusters
// at each scrape. It calls yield once per cluster.
func (r *Registry) SetClusterGauges(read func(yield func(cluster string, g ClusterGauges))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gauges = read
}

// sorted returns a map's handles in the order of their names.
func sorted[H any](r *Registry, m map[string]H) []H {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]H, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return out
}
