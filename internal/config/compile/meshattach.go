package compile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// A route whose parent is a Service is one of the mesh (GEP-1426). It takes the
// place of what clients of the Service would do without it: in all namespaces if
// its own is the Service's, and otherwise in its own.

// meshPlace is a port of a Service.
type meshPlace struct {
	service store.Key
	port    int32
}

// meshAttachment is a form of a route on a port.
type meshAttachment struct {
	place meshPlace
	form  string
	// parent is the place of the parentRef among the route's.
	parent status.Reference
}

// attachedPort is a port that a parentRef names, while the route is compiled.
type attachedPort struct {
	place   meshPlace
	context *policyContext
}

// reasonConflicted is of routes that one of another kind leaves nothing (GEP-1426).
const reasonConflicted = "Conflicted"

// attachService finds the ports that a parentRef to a Service means.
func (s *routeScope) attachService(p *parent, key store.Key) {
	refuse := func(message, remedy string) { s.refuseParent(p, gwv1.RouteReasonNoMatchingParent, message, remedy) }
	kind := s.object.Key.Kind
	if !slices.Contains(meshKinds, kind) {
		refuse(fmt.Sprintf("routes of kind %s cannot have a Service as their parent: the mesh carries TCP", kind), "use "+strings.Join(meshKinds, ", ")+", or a Gateway")
		return
	}
	o := s.set.Get(key)
	if o == nil {
		s.state.missing = true
		refuse(s.notFound(key))
		return
	}
	if !slices.Contains(s.state.deps, o) {
		s.state.deps = append(s.state.deps, o)
	}
	svc, ok := serviceOf(o)
	switch {
	case !ok:
		refuse(key.String()+" is not a Service", "")
		return
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		refuse(key.String()+" is of type ExternalName, which has no traffic of its own in the mesh", "use a Service with ports, and a Backend with that name under dns in backendRefs")
		return
	case headless(svc):
		refuse(key.String()+" is headless: it has no address of its own that a route could stand for", "leave out clusterIP: None")
		return
	}
	var named, unsuited []string
	for i := range svc.Spec.Ports {
		port := &svc.Spec.Ports[i]
		if p.ref.SectionName != "" && port.Name != p.ref.SectionName || p.ref.Port != 0 && port.Port != p.ref.Port || !overTCP(port) {
			continue
		}
		named = append(named, port.Name)
		if is, _ := portProtocol(port); !suits(kind, is) {
			unsuited = append(unsuited, fmt.Sprintf("%d is %s", port.Port, is))
			continue
		}
		p.ports = append(p.ports, attachedPort{meshPlace{key, port.Port}, s.meshContext(key, port.Name, kind)})
	}
	switch {
	case len(p.ports) > 0:
		s.warnMeshHostnames(p)
	case len(named) == 0:
		what := "no TCP port"
		if p.ref.SectionName != "" {
			what += fmt.Sprintf(" named %q", p.ref.SectionName)
		}
		if p.ref.Port != 0 {
			what += fmt.Sprintf(" %d", p.ref.Port)
		}
		refuse(fmt.Sprintf("%s has %s", key, what), "its ports are "+portList(svc))
	default:
		refuse(fmt.Sprintf("no port of %s is for routes of kind %s: %s, by its appProtocol or name", key, kind, strings.Join(unsuited, ", ")),
			"name another port, or correct the port's appProtocol")
	}
}

// warnMeshHostnames: what a client asks a Service for is the Service's matter, so
// the specification gives hostnames no meaning there.
func (s *routeScope) warnMeshHostnames(p *parent) {
	gateways := slices.ContainsFunc(s.spec.ParentRefs, func(r gwv1.ParentReference) bool { return deref(r.Kind, "Gateway") != "Service" })
	if len(s.spec.Hostnames) == 0 || gateways {
		return
	}
	w := problemAt(s.object, "spec.hostnames", store.Warning, "NoEffect",
		"hostnames have no effect on routes of a Service: "+p.ref.String(), "leave them out, or match the header Host")
	if !slices.Contains(s.state.problems, w) {
		s.state.problems = append(s.state.problems, w)
	}
}

// meshContext is what a Service gives to the routes of one of its ports: what
// TrafficPolicies on it say of the client's side.
func (c *compiler) meshContext(service store.Key, port, kind string) *policyContext {
	ctx := &policyContext{mesh: true, passthrough: kind == "TLSRoute"}
	if port != "" {
		ctx.chain = c.traffic.at(target{service, port})
	}
	ctx.chain = withoutClient(append(ctx.chain, c.traffic.at(target{key: service})...))
	ctx.key = "mesh " + chainKey(ctx.chain)
	return ctx
}

// onServer leaves out what a TrafficPolicy on a Service says that the proxies of
// its workloads do themselves, so that it is done once.
func onServer(p *ir.RoutePolicy, m *settings) {
	if b, ok := m.origin["admission"]; ok && b.target.key.Kind == "Service" {
		p.Admission = nil
	}
	if b, ok := m.origin["maxBodyBytes"]; ok && b.target.key.Kind == "Service" {
		p.MaxBodyBytes = 0
	}
}

// heldByClients tells whether a policy says who may call, on a route that clients'
// proxies have.
func (c *compiler) heldByClients(policy *store.Object, t target) bool {
	k := policy.Key.Kind
	if k == v1alpha1.KindAuthorizationPolicy && streamKind(t.key.Kind) {
		i := slices.IndexFunc(c.next.streams, func(rs *routeState) bool { return rs.object.Key == t.key })
		return i >= 0 && len(c.next.streams[i].mesh) > 0
	}
	if k != v1alpha1.KindAuthenticationPolicy && k != v1alpha1.KindAuthorizationPolicy || !requestKind(t.key) {
		return false
	}
	i, found := slices.BinarySearchFunc(c.next.routes, t.key, func(rs *routeState, k store.Key) int { return compareKeys(rs.object.Key, k) })
	return found && len(c.next.routes[i].mesh) > 0
}

// roleOf is the namespace whose clients a route on the port is for; empty is all.
func roleOf(route store.Key, place meshPlace) string {
	if route.Namespace == place.service.Namespace {
		return ""
	}
	return route.Namespace
}

// resolveMeshConflicts leaves one kind of routes to each port and namespace of
// clients. States of routes that lose are copies, as in resolveConflicts.
func (c *compiler) resolveMeshConflicts() {
	taken := map[meshShare]string{}
	each := func(kind string, do func(list []*routeState, i int)) {
		for _, list := range [][]*routeState{c.next.routes, c.next.streams} {
			for i, rs := range list {
				if len(rs.mesh) > 0 && rs.object.Key.Kind == kind {
					c.next.meshRoutes = true
					do(list, i)
				}
			}
		}
	}
	for _, kind := range meshKinds {
		each(kind, func(list []*routeState, i int) {
			rs := list[i]
			var lost []meshPlace
			for _, a := range rs.mesh {
				if by := taken[meshShare{a.place, roleOf(rs.object.Key, a.place)}]; by != "" {
					lost = append(lost, a.place)
				}
			}
			if len(lost) > 0 {
				list[i] = withoutPlaces(rs, lost, taken[meshShare{lost[0], roleOf(rs.object.Key, lost[0])}])
			}
		})
		each(kind, func(list []*routeState, i int) {
			for _, a := range list[i].mesh {
				k := meshShare{a.place, roleOf(list[i].object.Key, a.place)}
				if taken[k] == "" {
					taken[k] = list[i].object.Key.String()
				}
			}
		})
	}
}

// withoutPlaces is a route that has lost ports of Services to a route of another kind.
func withoutPlaces(rs *routeState, lost []meshPlace, winner string) *routeState {
	out := *rs
	if out.original == nil {
		out.original = rs
	}
	out.mesh = slices.DeleteFunc(slices.Clone(rs.mesh), func(a meshAttachment) bool { return slices.Contains(lost, a.place) })
	out.forms = slices.DeleteFunc(slices.Clone(rs.forms), func(f *ir.Route) bool { return !out.edge(f.Name) && !out.ofService(f.Name) })
	out.streams = slices.DeleteFunc(slices.Clone(rs.streams), func(r *ir.StreamRoute) bool { return !out.edge(r.Name) && !out.ofService(r.Name) })
	var names []string
	for _, p := range lost {
		names = append(names, fmt.Sprintf("port %d of %s", p.port, p.service))
	}
	message := fmt.Sprintf("%s is attached to %s, too, and routes of its kind go before: those of kind %s serve only where there is none of %s",
		winner, strings.Join(names, ", "), rs.object.Key.Kind, strings.Join(meshKinds[:slices.Index(meshKinds, rs.object.Key.Kind)], ", "))
	out.problems = append(slices.Clone(rs.problems), problemAt(rs.object, "spec.parentRefs", store.Warning, reasonConflicted, message,
		"name another port of the Service, or keep to one kind of routes"))
	out.parents = slices.Clone(rs.parents)
	for i := range out.parents {
		p := &out.parents[i]
		of := func(a meshAttachment) bool { return a.parent == p.Ref }
		if !slices.ContainsFunc(rs.mesh, of) || slices.ContainsFunc(out.mesh, of) {
			continue
		}
		p.Conditions = slices.Clone(p.Conditions)
		for k := range p.Conditions {
			if x := &p.Conditions[k]; x.Type == string(gwv1.RouteConditionAccepted) {
				x.Status, x.Reason, x.Message = status.False, reasonConflicted, message
			}
		}
	}
	return &out
}
