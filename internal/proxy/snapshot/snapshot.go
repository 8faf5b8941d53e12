// Package snapshot is the running form of one IR: route tables whose rules hold
// their filters, clusters, limiters and metrics. A snapshot is built whole, is
// immutable, and is swapped by one atomic pointer; an exchange pins the
// listener it arrived on. Rules of unchanged routes are shared between
// snapshots. It owns no goroutines. The pipeline and listen import it.
package snapshot

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/session"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Snapshot is one running configuration.
type Snapshot struct {
	Config    *ir.Config
	Listeners map[string]*Listener // by ir.Listener.Name
	routes    []*builtRoute        // parallel to Config.Routes
	streams   map[string]*Stream   // by name
	// tracing are the policies of sections, which live as long as this does.
	tracing []*tracing.Policy
	// clusters is the generation of the set that rules hold clusters of.
	clusters uint64
}

// Listener is what serves the connections of one socket.
type Listener struct {
	IR *ir.Listener
	// Table routes the requests of sections without TLS on a listener that
	// detects protocols; on others, those of all its sections that speak HTTP.
	Table *route.Table[*Rule]
	// Secure is the listener as requests inside TLS see it, on a listener that
	// detects protocols. On others it is the listener itself.
	Secure *Listener
	// TLS: the requests come inside TLS.
	TLS bool
	// Doors are the sections, for what comes before the first request and for
	// what is not HTTP.
	Doors *Doors
	// CertificateURIs are the alternative names of kind URI of the listener's own
	// certificate, if it has one alone.
	CertificateURIs []string
	// RequestIDHeader is the name as bytes, "X-Request-Id" if none is configured.
	RequestIDHeader []byte
	Metrics         *metric.Listener
	Clock           *Clock
	Revision        uint64
	// Door changes with what a connection has to pass to come in.
	Door uint64
	// AltSvc is the announcement of HTTP/3 in answers inside TLS; nil for none. Who
	// listens sets it: only then is HTTP/3 spoken.
	AltSvc *atomic.Pointer[[]byte]
	// Section is what every request belongs to, on a part of a listener (see Part).
	Section *ir.Section
	// parts are by server name, and bySection by the name of the section.
	parts, bySection map[string]*Listener
	// Outbound are the sections of a listener beside applications, which has no table
	// of its own; nil on others, and on the outlets of such a listener.
	Outbound *Outbound
	// MeshOnly: what comes here came without the mesh's TLS, and is refused.
	MeshOnly bool
	// Closed is the section that MeshOnly holds for; nil is none.
	Closed *ir.Section
	// sections are those that Table is about, and attached the routes of each, as
	// places in Config.Routes.
	sections []*ir.Section
	attached [][]int32
	ends     ends
}

// Rule is a rule with everything that it needs at run time.
type Rule struct {
	IR          *ir.Rule
	Filters     filters.Chain
	Backends    []Backend
	TotalWeight uint32
	Mirrors     []Mirror
	Limiter     *admission.Limiter
	Session     *session.Session
	Metrics     *metric.Route
	// SignalRoute is its route in the service graph.
	SignalRoute signal.Route
	Tracing     *tracing.Policy
	// Outside: the backend is the authority that the request names.
	Outside bool
}

// Backend is a share of a rule's traffic. Cluster is nil for a backend that
// could not be resolved.
type Backend struct {
	IR      *ir.BackendRef
	Cluster *upstream.Cluster
	Filters filters.Chain
	Mirrors []Mirror
	Metrics *metric.Cluster
	// Party is what it is in the service graph.
	Party signal.Who
}

// Mirror is a copy's target.
type Mirror struct {
	IR      *ir.Mirror
	Cluster *upstream.Cluster
	Metrics *metric.Cluster
}

// builtRoute remembers what was built for a route, for the next snapshot.
type builtRoute struct {
	route *ir.Route
	rules []*Rule
}

// Deps is what outlives snapshots.
type Deps struct {
	Upstreams *upstream.Set
	Admission *admission.Set
	Metrics   *metric.Registry
	Clock     *Clock
	// Signals may be nil: nothing is counted by edge.
	Signals *signal.Observer
	Tracing *tracing.Set
	Filters filters.Deps
}

// Build makes the running form of cfg. The clusters were applied to
// d.Upstreams before. prev may be nil.
func Build(cfg *ir.Config, prev *Snapshot, d Deps) (*Snapshot, error) {
	s := &Snapshot{Config: cfg, Listeners: make(map[string]*Listener, len(cfg.Listeners)), clusters: d.Upstreams.Generation()}
	b := builder{Snapshot: s, prev: prev, changed: s.buildRoutes(prev, d), deps: d}
	s.buildStreams(d)
	var errs []error
	for _, l := range cfg.Listeners {
		for _, section := range l.Sections {
			if section.Telemetry != nil && d.Tracing != nil {
				s.tracing = append(s.tracing, d.Tracing.Get(section.Telemetry))
			}
		}
		var before *Listener
		if prev != nil {
			before = prev.Listeners[l.Name]
		}
		built, err := b.listener(l, before)
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", l.Name, err))
			continue
		}
		s.Listeners[l.Name] = built
	}
	return s, errors.Join(errs...)
}

// builder is the work on the listeners of one snapshot.
type builder struct {
	*Snapshot
	prev    *Snapshot
	changed []int32
	names   map[string]int32 // of routes, made when a listener needs it
	deps    Deps
}

func (b *builder) listener(l *ir.Listener, before *Listener) (*Listener, error) {
	header := l.Client.RequestIDHeader
	if header == "" {
		header = "X-Request-Id"
	}
	built := &Listener{
		IR: l, Metrics: b.deps.Metrics.Listener(l.Name), Clock: b.deps.Clock, Revision: b.Config.Revision, Door: door(l),
		CertificateURIs: certificateURIs(l), RequestIDHeader: []byte(header), Doors: b.buildDoors(l), AltSvc: new(atomic.Pointer[[]byte]),
	}
	built.Secure = built
	if !l.Mesh && !l.Outbound() { // those have one for each section
		built.ends = endsOf(b.deps.Signals, l, l.Sections)
	}
	if l.Mesh {
		built.TLS = true
		return built, b.parts(built, before)
	}
	if l.Outbound() {
		return built, b.outbound(built, before)
	}
	if l.Protocol == ir.Detect {
		secure := *built
		built.Secure, secure.sections, secure.TLS = &secure, speaking(l, ir.HTTPS), true
		built.sections = speaking(l, ir.HTTP)
		var was *Listener
		if before != nil && before.Secure != before {
			was = before.Secure
		}
		secure.Secure = &secure
		if err := b.table(&secure, was); err != nil {
			return nil, err
		}
	} else if built.sections = l.Sections; l.Protocol != ir.HTTP {
		built.sections, built.TLS = speaking(l, ir.HTTPS), true
	}
	return built, b.table(built, before)
}

// table gives the listener its route table.
func (b *builder) table(l, before *Listener) error {
	if b.changeTable(l, before, b.prev, b.changed) {
		return nil
	}
	if b.names == nil {
		b.names = indexRoutes(b.Config.Routes)
	}
	return b.buildTable(l, before, b.names)
}

func indexRoutes(routes []*ir.Route) map[string]int32 {
	names := make(map[string]int32, len(routes))
	for i, r := range routes {
		names[r.Name] = int32(i)
	}
	return names
}

// buildRoutes builds the rules, or takes them over. If the routes have the
// names of those before, in the same order, it returns the places of the routes
// that are not what they were, and otherwise nil.
func (s *Snapshot) buildRoutes(prev *Snapshot, d Deps) (changed []int32) {
	routes := s.Config.Routes
	s.routes = make([]*builtRoute, len(routes))
	var before []*ir.Route
	sameClusters := false
	if prev != nil {
		before, sameClusters = prev.Config.Routes, prev.clusters == s.clusters
	}
	aligned := len(before) == len(routes)
	var names map[string]int32 // of the routes before, made when order alone does not help
	changed = []int32{}
	for i, r := range routes {
		var old *builtRoute
		switch {
		case i < len(before) && (before[i] == r || before[i].Name == r.Name):
			old = prev.routes[i]
		case prev != nil:
			aligned = false
			if names == nil {
				names = indexRoutes(before)
			}
			if j, known := names[r.Name]; known {
				old = prev.routes[j]
			}
		}
		switch {
		case old == nil || !old.same(r) || !sameClusters && !old.current(d.Upstreams):
			s.routes[i] = buildRoute(r, d)
		case old.route != r: // the same in another place of its file
			s.routes[i] = &builtRoute{route: r, rules: old.rules}
		default:
			s.routes[i] = old
			continue
		}
		changed = append(changed, int32(i))
	}
	if !aligned {
		return nil
	}
	return changed
}

// same tells whether r is what b was built from, but for its place in a file.
func (b *builtRoute) same(r *ir.Route) bool {
	return b.route == r || b.route.Hash == r.Hash && r.Hash != 0
}

// current tells whether the clusters of b still run.
func (b *builtRoute) current(set *upstream.Set) bool {
	for _, rule := range b.rules {
		for i := range rule.Backends {
			if be := &rule.Backends[i]; !sameCluster(be.Cluster, be.IR.Cluster, set) || !sameMirrors(be.Mirrors, set) {
				return false
			}
		}
		if !sameMirrors(rule.Mirrors, set) {
			return false
		}
	}
	return true
}

func sameCluster(c *upstream.Cluster, name string, set *upstream.Set) bool {
	return name == "" || set.Cluster(name) == c
}

func sameMirrors(ms []Mirror, set *upstream.Set) bool {
	for i := range ms {
		if !sameCluster(ms[i].Cluster, ms[i].IR.Cluster, set) {
			return false
		}
	}
	return true
}

func buildRoute(r *ir.Route, d Deps) *builtRoute {
	b := &builtRoute{route: r, rules: make([]*Rule, len(r.Rules))}
	for i, rule := range r.Rules {
		b.rules[i] = buildRule(rule, d)
	}
	return b
}

func buildRule(rule *ir.Rule, d Deps) *Rule {
	built := &Rule{
		IR:      rule,
		Filters: filters.ForRule(rule, d.Filters),
		Mirrors: buildMirrors(rule.Filters.Mirrors, d),
		Metrics: d.Metrics.Route(rule.ID), SignalRoute: signal.RouteOf(rule.ID),
	}
	if d.Tracing != nil {
		built.Tracing = d.Tracing.Get(rule.Policy.Telemetry)
	}
	if rule.Policy.Admission != nil {
		built.Limiter = d.Admission.Get(rule.Policy.Admission)
	}
	if rule.Policy.Session != nil {
		built.Session = session.New(rule.Policy.Session)
	}
	built.Backends = make([]Backend, len(rule.Backends))
	for i := range rule.Backends {
		ref := &rule.Backends[i]
		built.TotalWeight += ref.Weight
		be := Backend{IR: ref, Filters: filters.ForBackend(&ref.Filters), Mirrors: buildMirrors(ref.Filters.Mirrors, d), Party: destination(ref.Ref)}
		if ref.Cluster != "" {
			be.Cluster = d.Upstreams.Cluster(ref.Cluster)
			be.Metrics = d.Metrics.Cluster(ref.Cluster)
		}
		built.Backends[i] = be
	}
	return built
}

func buildMirrors(ms []ir.Mirror, d Deps) []Mirror {
	if len(ms) == 0 {
		return nil
	}
	built := make([]Mirror, len(ms))
	for i := range ms {
		built[i] = Mirror{IR: &ms[i], Cluster: d.Upstreams.Cluster(ms[i].Cluster)}
		if ms[i].Cluster != "" {
			built[i].Metrics = d.Metrics.Cluster(ms[i].Cluster)
		}
	}
	return built
}
