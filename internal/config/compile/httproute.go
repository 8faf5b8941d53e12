package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// routeState is a compiled route and what it was compiled from.
type routeState struct {
	object      *store.Object
	fallback    *store.Object // the last good version, if that is what serves
	deps        []*store.Object
	missing     bool
	forms       []*ir.Route // one, or one for each policy context
	attachments []attachment
	mesh        []meshAttachment
	clusters    []*clusterState
	settings    []*settings
	losses      []boundLoss // of policies to the route's own fields
	parents     []status.Relation
	problems    []store.Problem
	shared      []store.Problem   // of other objects, told once however many routes find them
	streams     []*ir.StreamRoute // the forms of what is not an HTTPRoute
	accepted    []int             // sections by which the route counts as attached
	original    *routeState       // what it was before a route of another kind won a conflict
}

type attachment struct {
	section int
	ir      ir.Attachment
}

// routeScope is the work on one route.
type routeScope struct {
	*compiler
	object *store.Object // the version that is compiled
	spec   *gwv1.HTTPRouteSpec
	state  *routeState

	unresolved status.Condition // ResolvedRefs
	dropped    map[int]fault    // rules left out
	count      map[*clusterState]bool
	unserved   bool // no listener serves it, so it needs no clusters
	stream     streamUse
	mesh       bool   // the parent is a Service
	service    string // the port of a Service without routes: "Service/namespace/name:port"
}

// ruleID names a rule of the route, or the only one of a port without routes.
func (s *routeScope) ruleID(i int) string {
	if s.service != "" {
		return s.service
	}
	return fmt.Sprintf("%s/rules/%d", s.object.Key, i)
}

// routeSpec is the spec of an HTTPRoute, or what a route of another kind would be as one.
func routeSpec(o *store.Object) (*gwv1.HTTPRouteSpec, bool) {
	switch v := o.Value.(type) {
	case *gwv1.HTTPRoute:
		return &v.Spec, true
	case *gwv1.GRPCRoute:
		return grpcSpec(v), true
	}
	return streamSpec(o)
}

// compileRoutes compiles every route, or takes over what did not change.
func (c *compiler) compileRoutes() {
	var old []*routeState
	if c.prev != nil {
		old = unresolvedConflicts(c.prev.routes)
	}
	for _, kind := range requestKinds {
		c.next.routes = append(c.next.routes, c.compileKind(kind, old)...)
	}
	c.next.routes = c.resolveConflicts(c.next.routes)
	c.compileStreams()
	c.resolveMeshConflicts()
	c.compileServices()
}

// compileKind compiles the routes of one kind. Old are those before, in order.
func (c *compiler) compileKind(kind string, old []*routeState) []*routeState {
	objects := c.set.Kind(gatewayGroup, kind)
	out := make([]*routeState, 0, len(objects))
	for _, o := range objects {
		for len(old) > 0 && old[0].object != o && compareKeys(old[0].object.Key, o.Key) < 0 {
			old = old[1:]
		}
		var before *routeState
		if len(old) > 0 && (old[0].object == o || old[0].object.Key == o.Key) {
			before, old = old[0], old[1:]
		}
		rs := before
		if before == nil || before.object != o || !c.reusable(before) {
			if rs = c.compileRoute(o, before); rs == nil {
				continue
			}
		} else {
			rs = c.takeOverRoute(rs)
		}
		out = append(out, rs)
		if rs.fallback != nil {
			c.next.fallback[o.Key] = rs.fallback
		}
	}
	return out
}

// takeOverRoute keeps a route and its clusters.
func (c *compiler) takeOverRoute(rs *routeState) *routeState {
	out := rs
	for i, cs := range rs.clusters {
		if now := c.takeOver(cs); now != cs {
			if out == rs {
				copied := *rs
				copied.clusters = slices.Clone(rs.clusters)
				out = &copied
			}
			out.clusters[i] = now
		}
	}
	return out
}

func (c *compiler) reusable(rs *routeState) bool {
	return !c.changes.structure && !(rs.missing && c.changes.any) && c.changes.fresh(rs.deps)
}

// compileRoute compiles a route, or its last good version if it is invalid.
func (c *compiler) compileRoute(o *store.Object, before *routeState) *routeState {
	spec, ok := routeSpec(o)
	if !ok {
		return nil
	}
	faults := c.judgeRoute(o, spec)
	rs := &routeState{object: o, deps: []*store.Object{o}}
	for _, f := range faults {
		rs.problems = append(rs.problems, f.problem(o))
	}
	scope := &routeScope{compiler: c, object: o, spec: spec, state: rs, dropped: map[int]fault{}, count: map[*clusterState]bool{}}
	if len(faults) > 0 {
		if good, goodSpec := c.lastGoodRoute(o); good != nil {
			rs.fallback = good
			scope.object, scope.spec = good, goodSpec
			rs.problems = append(rs.problems, keepsServing(o))
		} else {
			scope.drop(faults)
		}
	}
	scope.compile(faults)
	for i, r := range rs.forms {
		r.Hash = hashRoute(r)
		if before != nil {
			for _, old := range before.forms {
				if old.Name == r.Name && old.Hash == r.Hash && samePlaces(old, r) {
					rs.forms[i] = old
				}
			}
		}
	}
	if streamKind(o.Key.Kind) {
		rs.makeStreams(before)
	}
	return rs
}

func (c *compiler) lastGoodRoute(o *store.Object) (*store.Object, *gwv1.HTTPRouteSpec) {
	old := c.lastGood(o)
	if old == nil {
		return nil, nil
	}
	spec, ok := routeSpec(old)
	if !ok || len(c.judgeRoute(old, spec)) > 0 {
		return nil, nil
	}
	return old, spec
}

// drop leaves out the rules that have a fault; one that is of no rule drops all.
func (s *routeScope) drop(faults []fault) {
	for _, f := range faults {
		var i int
		if n, _ := fmt.Sscanf(f.field, "spec.rules[%d]", &i); n == 1 {
			if _, known := s.dropped[i]; !known {
				s.dropped[i] = f
			}
			continue
		}
		for i := range s.spec.Rules {
			s.dropped[i] = f
		}
	}
}

// compile attaches the route and compiles a form of it for each policy context.
func (s *routeScope) compile(faults []fault) {
	s.unresolved = status.Condition{
		Type: string(gwv1.RouteConditionResolvedRefs), Status: status.True,
		Reason: string(gwv1.RouteReasonResolvedRefs), Generation: meta(s.object).GetGeneration(),
	}
	parents := s.attach()
	served := len(s.spec.Rules) == 0 || len(s.dropped) < len(s.spec.Rules)
	forms := map[string]string{} // by the key of the context
	order := []*policyContext{}
	for _, p := range parents {
		for _, at := range p.sections {
			if _, known := forms[at.section.context.key]; !known && served && !at.section.refused {
				forms[at.section.context.key] = ""
				order = append(order, at.section.context)
			}
		}
		for _, at := range p.ports {
			if _, known := forms[at.context.key]; !known && served {
				forms[at.context.key] = ""
				order = append(order, at.context)
			}
		}
	}
	for i, ctx := range order {
		r := s.form(ctx)
		if i > 0 {
			r.Name = fmt.Sprintf("%s~%08x", r.Name, uint32(hashOf(ctx.key)))
		}
		forms[ctx.key] = r.Name
		s.state.forms = append(s.state.forms, r)
	}
	if len(order) == 0 && served && len(parents) > 0 {
		s.unserved = true
		s.form(&policyContext{}) // for what it refers to, and its problems
	}
	for _, p := range parents {
		for _, at := range p.sections {
			if name := forms[at.section.context.key]; name != "" && !s.attachedTo(at) {
				s.state.attachments = append(s.state.attachments, attachment{at.section.index, ir.Attachment{Route: name, Hostnames: at.hostnames}})
			}
			if served && !slices.Contains(s.state.accepted, at.section.index) {
				s.state.accepted = append(s.state.accepted, at.section.index)
			}
		}
		for _, at := range p.ports {
			if name := forms[at.context.key]; name != "" && !slices.ContainsFunc(s.state.mesh, func(a meshAttachment) bool { return a.place == at.place }) {
				s.state.mesh = append(s.state.mesh, meshAttachment{at.place, name, p.ref})
			}
		}
	}
	for cs := range s.count {
		s.state.clusters = append(s.state.clusters, cs)
	}
	s.writeStatus(parents, faults, served)
}

// attachedTo adds the hostnames to an attachment that another parentRef brought.
func (s *routeScope) attachedTo(at attachedSection) bool {
	for i := range s.state.attachments {
		if a := &s.state.attachments[i]; a.section == at.section.index {
			for _, h := range at.hostnames {
				if !slices.Contains(a.ir.Hostnames, h) {
					a.ir.Hostnames = append(a.ir.Hostnames, h)
				}
			}
			return true
		}
	}
	return false
}

// form compiles the route as listeners with these policies serve it.
func (s *routeScope) form(ctx *policyContext) *ir.Route {
	r := &ir.Route{
		Name: s.object.Key.String(), Ref: ref(s.object, ""),
		Created: meta(s.object).GetCreationTimestamp().UTC(), // as it comes back from JSON
		GRPC:    s.grpc(),
	}
	rules := s.spec.Rules
	if len(rules) == 0 {
		rules = []gwv1.HTTPRouteRule{{}}
	}
	s.stream, s.mesh = useOf(s.object.Key.Kind, ctx), ctx.mesh
	for i := range rules {
		if _, out := s.dropped[i]; !out {
			r.Rules = append(r.Rules, s.rule(ctx, i, &rules[i]))
		}
	}
	return r
}

func (s *routeScope) rule(ctx *policyContext, i int, rule *gwv1.HTTPRouteRule) *ir.Rule {
	field := fmt.Sprintf("spec.rules[%d]", i)
	id := s.ruleID(i)
	out := &ir.Rule{
		ID: id, Name: string(deref(rule.Name, "")),
		Matches: s.ruleMatches(i, rule), Ref: ref(s.object, field),
	}
	chain := s.traffic.onRule(s.state.object.Key, out.Name)
	backends, resolved := s.resolveBackends(field, rule)
	full := append(append(slices.Clip(chain), s.agreedPolicies(field, resolved, ctx)...), ctx.chain...)
	merged := s.merge(full)
	s.note(merged)
	out.Policy = s.rulePolicy(merged, rule, id)
	out.Policies = policyRefs(merged.winners)
	var from []ir.Ref
	if ctx.mesh {
		onServer(&out.Policy, merged)
	}
	guarded := s.service == "" // what guards a Service is at its workloads
	if guarded {
		out.Policy.Shield, from = s.shieldOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream == "" && guarded {
		out.Policy.Authentication, from = s.authenticationOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream != useUDP && guarded {
		out.Policy.Authorization, from = s.authorizationOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream == "" && guarded {
		out.Policy.RateLimits, from = s.rateLimitsOf(ctx, out.Name)
		out.Policy.RateLimitServers = s.rateLimitServers(ctx, out.Policy.RateLimits)
		out.Policies = append(out.Policies, from...)
	}
	if guarded || !s.mesh { // what a Service says is for its workloads
		out.Policy.Telemetry, from = s.telemetryOf(ctx, out.Name)
	} else {
		chain := s.telemetry.onNamespace(s.object.Key.Namespace)
		out.Policy.Telemetry, from = s.mergeTelemetry(chain), policyRefs(chain)
	}
	out.Policies = append(out.Policies, from...)
	s.noteOwnFields(merged, rule, id)
	s.noteIdleFields(merged, resolved)
	s.noteIdleForKind(merged, resolved)
	s.noteUnusedTLS(backends, resolved)
	if s.stream != "" {
		s.noteHTTPFields(merged)
		out.Policy.Direct = nil
		out.Policy.Timeouts = streamTimeouts(merged.spec.Timeouts, s.stream)
	}

	scope := filterScope{routeScope: s, ctx: ctx, chain: chain}
	var broken string
	out.Filters, broken = scope.filters(field+".filters", rule.Filters, out.Matches)
	switch {
	case broken != "":
		// The Gateway API: a filter that cannot be resolved must not be skipped;
		// the requests get an error instead.
		out.Filters = ir.Filters{}
		out.Backends = []ir.BackendRef{{Weight: 1, Problem: broken, Ref: out.Ref}}
	case out.Filters.Redirect != nil || out.Filters.TokenIssuer != "" || out.Policy.Direct != nil:
	default:
		out.Backends = scope.backends(field, rule, backends, resolved, out)
	}
	return out
}

func (s *routeScope) note(m *settings) {
	if len(m.origin) > 0 && !slices.Contains(s.state.settings, m) {
		s.state.settings = append(s.state.settings, m)
	}
}

// noteOwnFields records what policies lose to the rule's own fields, and names
// policies that ask for something incomplete.
func (s *routeScope) noteOwnFields(m *settings, rule *gwv1.HTTPRouteRule, id string) {
	own := map[string]bool{"sessionPersistence": rule.SessionPersistence != nil}
	if t := rule.Timeouts; t != nil {
		own["timeouts.request"], own["timeouts.backendRequest"] = t.Request != nil, t.BackendRequest != nil
	}
	if r := rule.Retry; r != nil {
		own["retry.statuses"], own["retry.attempts"] = r.Codes != nil, r.Attempts != nil
	}
	for path, set := range own {
		if b, ok := m.origin[path]; ok && set {
			s.state.losses = append(s.state.losses, boundLoss{b, loss{path: path, winner: id + " itself"}})
		}
	}
	if h := m.spec.Hedge; h != nil && h.Delay == nil && deref(h.MaxExtra, defaultHedgeExtra) > 0 {
		for _, b := range m.winners {
			if b.policy.spec.Hedge != nil {
				s.state.shared = append(s.state.shared, problemAt(b.policy.used, "spec.hedge.delay", store.Warning, "IncompleteHedge",
					"hedging needs a delay, and no policy gives one: nothing is hedged", "about the p95 latency of the backend is a good value"))
			}
		}
	}
}

// dropMessage is the start and list that the Gateway API asks for.
func (s *routeScope) dropMessage() string {
	var list []string
	for i := range s.spec.Rules {
		if f, ok := s.dropped[i]; ok {
			list = append(list, fmt.Sprintf("%d (%s)", i, f.message))
		}
	}
	return "Dropped Rule " + strings.Join(list, ", ")
}

// collectRoutes gathers what the routes came to.
func (c *compiler) collectRoutes() []*ir.Route {
	out := make([]*ir.Route, 0, len(c.next.routes))
	var last *settings
	c.collectStreams()
	for _, ss := range c.next.services {
		c.settleService(ss)
	}
	for i, x := range c.sections {
		if c.prev != nil && i < len(c.prev.attachments) {
			x.attachments = make([]ir.Attachment, 0, len(c.prev.attachments[i])+1)
		}
	}
	for _, rs := range c.next.routes {
		out = append(out, rs.forms...)
		for _, at := range rs.attachments {
			x := c.sections[at.section]
			x.attachments = append(x.attachments, at.ir)
		}
		last = c.collectRoute(rs, last)
	}
	for _, x := range c.sections {
		c.next.attachments = append(c.next.attachments, x.attachments)
		c.next.accepted = append(c.next.accepted, x.attached)
	}
	return out
}

// collectRoute gathers what a route of any kind has to say. Last are the
// settings of the one before, which are often the same.
func (c *compiler) collectRoute(rs *routeState, last *settings) *settings {
	c.next.plain = c.next.plain && rs.plain()
	for _, i := range rs.accepted {
		c.sections[i].attached++
	}
	for _, m := range rs.settings {
		if m != last && !c.traffic.settled[m] {
			c.settle(m)
			c.next.settled = append(c.next.settled, m)
		}
		last = m
	}
	for _, l := range rs.losses {
		c.loseTo(l)
	}
	c.problems = append(c.problems, rs.problems...)
	for _, p := range rs.shared {
		c.reportOnce(p)
	}
	return last
}
