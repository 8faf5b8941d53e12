// Package metric counts what a proxy does: rate, errors and duration per rule
// and per cluster, connections per listener, and the life of configurations.
// Labels come from configuration and from fixed lists only, never from clients,
// and of each kind only so many have series of their own; the others count
// together (place.go).
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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/signal"
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
	// PolicyKinds, Questions and Answers name kinds of policies, what servers are asked
	// for, and what becomes of that, by the numbers that Decided and Asked are given.
	PolicyKinds, Questions, Answers []string
	// Build is shown by gridway_build_info.
	Build Build
	// Settings are the operator's.
	Settings
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Settings are what operators choose.
type Settings struct {
	// Limit is how many things of a kind (rules, clusters, policies and so on) have
	// series of their own, from MinLimit to MaxLimit; 0 is DefaultLimit.
	Limit int
	// Native keeps exponential buckets of durations, too: native histograms of
	// Prometheus, exponential histograms of OTLP.
	Native bool
}

// Build says which program this is.
type Build struct{ Version, Commit, GoVersion string }

// Registry holds every counter of a process. Its methods may be called at any time.
type Registry struct {
	opt     Options
	stripes *stripe.Chooser
	process process
	born    time.Time
	// gatherer is made when somebody asks.
	gatherer func() prometheus.Gatherer
	// kinds are how many of each there may be, beyond what counts the others.
	kinds struct {
		rule, stream, cluster, listener, policy, rateLimit, limitStore, call places
		// Of these only the state is shown.
		state map[string]*places
	}
	beyond struct {
		route      *Route
		stream     *Stream
		cluster    *Cluster
		listener   *Listener
		policy     *Policy
		rateLimit  *RateLimit
		limitStore *RateLimitStore
	}

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
	deciding     deciding
	records      func() Records
	gauges       func(yield func(cluster string, g ClusterGauges))
	accessLog    func() LogStats
	sinks        func(yield func(Sink))
	loops        func() []Loop
	log          func() LogStats
	admission    func(yield func(scope string, a Admission))
	certs        func(yield func(Certificate))
	mesh         func() Mesh
	edges        func() ([]signal.Edge, uint64)
	kept         *ir.Config // by the last Keep
	leaves       leaves
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
		born:        opt.Now(),
		routes:      map[string]*Route{},
		streams:     map[string]*Stream{},
		clusters:    map[string]*Cluster{},
		listeners:   map[string]*Listener{},
		policies:    map[string]*Policy{},
		rateLimits:  map[string]*RateLimit{},
		limitStores: map[string]*RateLimitStore{},
	}
	r.gatherer = sync.OnceValue(r.newGatherer)
	r.calls.begin(r)
	r.deciding.begin(r)
	r.limit()
	return r
}

// limit makes what bounds the series.
func (r *Registry) limit() {
	limit := r.opt.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	k, b := &r.kinds, &r.beyond
	b.route, b.stream, b.cluster = newRoute(r, overflow+"/rules/"+overflow), newStream(r, overflow+"/rules/"+overflow), newCluster(r, overflow)
	b.listener, b.policy, b.limitStore = newListener(r, overflow), newPolicy(r, overflow), newRateLimitStore(r, overflow)
	b.rateLimit = newRateLimit(r, overflow, overflow)
	for _, h := range []interface{ lifetime() *life }{b.route, b.stream, b.cluster, b.listener, b.policy, b.rateLimit, b.limitStore} {
		h.lifetime().place.of = nil
	}
	for i, p := range r.places() {
		p.kind, p.limit = kindNames[i], int64(limit)
	}
	k.call.limit = min(k.call.limit, maxCalls)
	k.state = map[string]*places{}
	for _, kind := range stateKinds {
		k.state[kind] = &places{kind: kind, limit: int64(limit)}
	}
}

var (
	kindNames = [...]string{"rule", "stream_rule", "cluster", "listener", "policy", "rate_limit", "rate_limit_store", "grpc_method"}
	// stateKinds have no counters of their own here: what there is of them now is
	// asked for at each scrape.
	stateKinds = [...]string{"admission", "certificate", "cluster_limit", "cluster_state", "crl", "dependency", "discovery", "issued_certificate", "issuer", "limit_keys", "listener_limit", "login", "sink", "token_issuer"}
)

// places are the kinds that count, in the order of kindNames.
func (r *Registry) places() [len(kindNames)]*places {
	k := &r.kinds
	return [...]*places{&k.rule, &k.stream, &k.cluster, &k.listener, &k.policy, &k.rateLimit, &k.limitStore, &k.call}
}

// Build is that of Options.
func (r *Registry) Build() Build { return r.opt.Build }

// life is what handles have in common: when they began to count, when they left
// the configuration, and whether they have series of their own.
type life struct {
	born, gone time.Time
	place      place
}

func (l *life) begin(r *Registry, of *places) { l.born, l.place.of = r.opt.Now(), of }

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
		return bury(l, now)
	})
}

// bury tells whether something is to be forgotten, and gives its place back then.
func bury(l *life, now time.Time) bool {
	if !expired(l, now) {
		return false
	}
	l.place.leave()
	return true
}

func expired(l *life, now time.Time) bool { return !l.gone.IsZero() && now.Sub(l.gone) >= Grace }

// expire forgets what has been gone for the grace period.
func (r *Registry) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.routes, func(_ string, h *Route) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.streams, func(_ string, h *Stream) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.clusters, func(_ string, h *Cluster) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.listeners, func(_ string, h *Listener) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.policies, func(_ string, h *Policy) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.rateLimits, func(_ string, h *RateLimit) bool { return bury(&h.life, now) })
	maps.DeleteFunc(r.limitStores, func(_ string, h *RateLimitStore) bool { return bury(&h.life, now) })
}

// SetClusterGauges names the function that reads the present state of clusters
// at each scrape. It calls yield once per cluster.
func (r *Registry) SetClusterGauges(read func(yield func(cluster string, g ClusterGauges))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gauges = read
}

// sorted returns a map's handles in the order of their names, and then the one
// that counts what has no series of its own.
func sorted[H any](r *Registry, m map[string]H, beyond H) []H {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]H, 0, len(m)+1)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[name])
	}
	return append(out, beyond)
}
