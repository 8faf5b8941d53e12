package compile

import (
	"slices"

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
