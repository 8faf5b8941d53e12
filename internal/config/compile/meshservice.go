package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// serviceState is what a Service comes to without routes, and what that was
// compiled from.
type serviceState struct {
	// routeState has its default and inbound routes as forms and streams, the
	// clusters, and what became of policies.
	*routeState
	ports  []*ir.MeshPort
	locals []*ir.Cluster
	// own are the addresses that the object gives itself; headless, that it wants none.
	own      []netip.Addr
	headless bool
	// warnings are about the Service, whoever uses it.
	warnings []store.Problem
}

// compileServices compiles what each Service is without routes, or takes it over.
func (c *compiler) compileServices() {
	if !c.in.Mesh {
		return
	}
	var old []*serviceState
	if c.prev != nil {
		old = c.prev.services
	}
	objects := c.set.Kind("", "Service")
	c.next.services = make([]*serviceState, 0, len(objects))
	for _, o := range objects {
		for len(old) > 0 && compareKeys(old[0].object.Key, o.Key) < 0 {
			old = old[1:]
		}
		var before *serviceState
		if len(old) > 0 && old[0].object.Key == o.Key {
			before = old[0]
		}
		if before != nil && before.object == o && c.reusable(before.routeState) {
			if rs := c.takeOverRoute(before.routeState); rs != before.routeState {
				copied := *before
				copied.routeState, before = rs, &copied
			}
			c.next.services = append(c.next.services, before)
			continue
		}
		if svc, ok := serviceOf(o); ok && svc.Spec.Type != corev1.ServiceTypeExternalName {
			w := &serviceScope{compiler: c, service: svc, before: before, into: &serviceState{
				routeState: &routeState{object: o, deps: []*store.Object{o}}, headless: headless(svc), own: clusterAddresses(svc),
			}}
			c.next.services = append(c.next.services, w.compile())
		}
	}
}

// inboundRules are those that the proxies of workloads hold. Who calls is known
// there by its certificate.
func (c *compiler) inboundRules() (out []*ir.Rule) {
	for _, ss := range c.next.services {
		for _, f := range ss.forms {
			if strings.HasSuffix(f.Name, inboundSuffix) {
				out = append(out, f.Rules...)
			}
		}
	}
	return out
}

// inboundSuffix ends the names of routes at workloads.
const inboundSuffix = "/inbound"

// settleService tells policies what became of them on a Service.
func (c *compiler) settleService(ss *serviceState) {
	for _, m := range ss.settings {
		c.settle(m)
	}
	for _, p := range ss.warnings {
		c.report(p)
	}
}

// clusterAddresses are the addresses that a Service has of its own.
func clusterAddresses(svc *corev1.Service) []netip.Addr {
	list := svc.Spec.ClusterIPs
	if len(list) == 0 {
		list = []string{svc.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			out = append(out, a)
		}
	}
	return out
}

// serviceScope is the work on one Service.
type serviceScope struct {
	*compiler
	service *corev1.Service
	into    *serviceState
	before  *serviceState
}

func (w *serviceScope) compile() *serviceState {
	ss, count := w.into, map[*clusterState]bool{}
	for i := range w.service.Spec.Ports {
		p := &w.service.Spec.Ports[i]
		if !overTCP(p) || slices.ContainsFunc(ss.ports, func(x *ir.MeshPort) bool { return int32(x.Port) == p.Port }) {
			continue
		}
		ps := &portScope{serviceScope: w, port: p, field: fmt.Sprintf("spec.ports[%d]", i), route: routeScope{
			compiler: w.compiler, object: ss.object, spec: &gwv1.HTTPRouteSpec{}, state: ss.routeState,
			dropped: map[int]fault{}, count: count, mesh: true, service: fmt.Sprintf("%s:%d", ss.object.Key, p.Port),
		}}
		ss.ports = append(ss.ports, ps.compile())
	}
	for cs := range count {
		ss.clusters = append(ss.clusters, cs)
	}
	// What a Service lacks is told where a route names it.
	ss.problems, ss.shared = nil, nil
	return ss
}

// portScope is the work on one port of a Service.
type portScope struct {
	*serviceScope
	port  *corev1.ServicePort
	field string
	route routeScope
}

func (w *portScope) compile() *ir.MeshPort {
	protocol, http2 := portProtocol(w.port)
	out := &ir.MeshPort{
		Name: w.port.Name, Port: uint16(w.port.Port), Protocol: protocol,
		Plaintext: plaintext(w.meshChain(w.into.object.Key.Namespace, w.into.object.Key.Name, w.port.Name)),
		Outbound:  []ir.MeshOutbound{{Protocol: protocol}},
	}
	if t := w.port.TargetPort; t.StrVal != "" || t.IntVal != 0 && t.IntVal != w.port.Port {
		out.TargetPort = t.String()
	}
	name := w.route.service
	if protocol == ir.HTTP || protocol == ir.Detect {
		w.addRoute(name, w.outbound(""))
		out.Outbound[0].Routes = []ir.Attachment{anyHost(name)}
	}
	switch protocol {
	case ir.TLS:
		w.addStream(name, w.outbound(useTLS))
	case ir.TCP, ir.Detect:
		w.addStream(name, w.outbound(useTCP))
	}
	if protocol != ir.HTTP {
		out.Outbound[0].Streams = []ir.Attachment{anyHost(name)}
	}
	out.Inbound = w.inbound(protocol, http2)
	return out
}

func anyHost(route string) ir.Attachment { return ir.Attachment{Route: route, Hostnames: []string{""}} }

// outbound is the rule by which a client's proxy reaches the port.
func (w *portScope) outbound(stream streamUse) *ir.Rule {
	w.route.stream = stream
	ctx := w.meshContext(w.into.object.Key, w.port.Name, "")
	rule := w.route.rule(ctx, 0, &gwv1.HTTPRouteRule{
		Name: sectionName(w.port.Name),
		BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{BackendObjectReference: gwv1.BackendObjectReference{
			Name: gwv1.ObjectName(w.into.object.Key.Name), Port: &w.port.Port,
		}}}},
	})
	rule.Ref = ref(w.into.object, w.field)
	return rule
}

func sectionName(s string) *gwv1.SectionName {
	if s == "" {
		return nil
	}
	return ptr(gwv1.SectionName(s))
}

// inbound is what a workload's proxy does for the port: what guards the Service is
// there, since a client's proxy is the client's.
func (w *portScope) inbound(protocol ir.Protocol, http2 bool) ir.MeshInbound {
	name, place := w.route.service+inboundSuffix, ref(w.into.object, w.field)
	rule := &ir.Rule{ID: name, Name: w.port.Name, Matches: matches(nil), Ref: place}
	policies := w.meshChain(w.into.object.Key.Namespace, w.into.object.Key.Name, w.port.Name)
	w.guard(rule)
	if a := w.denying(policies, rule.Policy.Authorization); a != nil {
		rule.Policy.Authorization = append(slices.Clip(rule.Policy.Authorization), a)
		rule.Policies = append(rule.Policies, a.Ref)
	}
	var out ir.MeshInbound
	local := func(stream string, p ir.Protocol) string {
		cl := &ir.Cluster{
			Name: fmt.Sprintf("Workload/%s/%s:%d%s", w.into.object.Key.Namespace, w.into.object.Key.Name, w.port.Port, stream),
			Ref:  place, Protocol: p, HTTP2: http2 && p == ir.HTTP,
		}
		applySettings(cl, &v1alpha1.TrafficPolicySpec{})
		cl.Hash = hashCluster(cl)
		w.into.locals = append(w.into.locals, w.sameLocal(cl))
		return cl.Name
	}
	to := func(cluster string) []ir.BackendRef {
		return []ir.BackendRef{{Cluster: cluster, Weight: 1, Ref: place}}
	}
	if protocol == ir.HTTP || protocol == ir.Detect {
		out.Cluster = local("", ir.HTTP)
		r := *rule
		r.Backends = to(out.Cluster)
		w.addRoute(name, &r)
		out.Routes = []ir.Attachment{anyHost(name)}
	}
	if protocol != ir.HTTP {
		out.Stream = local("/tcp", ir.TCP)
		rule.Backends = to(out.Stream)
		if why := onlyRequests(rule); why != "" {
			rule.Backends = []ir.BackendRef{{Weight: 1, Problem: why, Ref: place}}
			what, remedy := "no connection gets through", "attach the policy to the ports that speak HTTP, by sectionName"
			if protocol == ir.Detect {
				what, remedy = "connections that are not HTTP are refused", "say what the port speaks, by appProtocol"
			}
			w.into.warnings = append(w.into.warnings, problemAt(w.into.object, w.field, store.Warning, "ClosedPort",
				fmt.Sprintf("%s, and port %d is %s: %s", why, w.port.Port, protocol, what), remedy))
		}
		rule.Policy.Timeouts = streamTimeouts(nil, useTCP)
		w.addStream(name, rule)
		out.Streams = []ir.Attachment{anyHost(name)}
	}
	return out
}

// onlyRequests says why bytes must not pass: a policy asks who calls by what only
// requests carry.
func onlyRequests(rule *ir.Rule) string {
	if a := rule.Policy.Authentication; a != nil {
		return v1alpha1.KindAuthenticationPolicy + " " + a.Policy + " is about requests"
	}
	return ""
}

// guard gives a rule what policies on the Service let through.
func (w *portScope) guard(rule *ir.Rule) {
	ctx, p := &policyContext{mesh: true}, &rule.Policy
	var from []ir.Ref
	add := func(refs []ir.Ref) {
		for _, r := range refs {
			if !slices.Contains(rule.Policies, r) {
				rule.Policies = append(rule.Policies, r)
			}
		}
	}
	merged := w.merge(w.meshContext(w.into.object.Key, w.port.Name, "").chain)
	if a := merged.spec.Admission; a != nil {
		p.Admission = admission(a, admissionScope(merged))
		add(policyRefs([]bound{merged.origin["admission"]}))
	}
	if n := merged.spec.MaxBodyBytes; n != nil {
		p.MaxBodyBytes = *n
		add(policyRefs([]bound{merged.origin["maxBodyBytes"]}))
	}
	w.route.note(merged)
	p.Shield, from = w.route.shieldOf(ctx, w.port.Name)
	add(from)
	p.Authentication, from = w.route.authenticationOf(ctx, w.port.Name)
	add(from)
	p.Authorization, from = w.route.authorizationOf(ctx, w.port.Name)
	add(from)
	p.RateLimits, from = w.route.rateLimitsOf(ctx, w.port.Name)
	p.RateLimitServers = w.route.rateLimitServers(ctx, p.RateLimits)
	add(from)
	p.Telemetry, from = w.route.telemetryOf(ctx, w.port.Name)
	add(from)
}

func (w *portScope) form(name string, rule *ir.Rule) *ir.Route {
	o := w.into.object
	f := &ir.Route{Name: name, Ref: ref(o, w.field), Created: meta(o).GetCreationTimestamp().Time, Rules: []*ir.Rule{rule}}
	f.Hash = hashRoute(f)
	return f
}

func (w *portScope) addRoute(name string, rule *ir.Rule) {
	f := w.form(name, rule)
	if w.before != nil {
		for _, old := range w.before.forms {
			if old.Name == f.Name && old.Hash == f.Hash && samePlaces(old, f) {
				f = old
			}
		}
	}
	w.into.forms = append(w.into.forms, f)
}

func (w *portScope) addStream(name string, rule *ir.Rule) {
	r := streamOf(w.form(name, rule))
	if w.before != nil {
		for _, old := range w.before.streams {
			if old.Name == r.Name && old.Hash == r.Hash && old.Ref == r.Ref && slices.Equal(old.Policies, r.Policies) {
				r = old
			}
		}
	}
	w.into.streams = append(w.into.streams, r)
}

func (w *portScope) sameLocal(cl *ir.Cluster) *ir.Cluster {
	if w.before != nil {
		for _, old := range w.before.locals {
			if old.Name == cl.Name && old.Hash == cl.Hash && old.Ref == cl.Ref {
				return old
			}
		}
	}
	return cl
}

// HasMesh tells whether objects are about a mesh: they have a MeshPolicy, a MeshPeer, or a route or
// a policy about requests on a Service.
func HasMesh(set *store.Set) bool {
	if len(set.Kind(ownGroup, v1alpha1.KindMeshPolicy))+len(set.Kind(ownGroup, v1alpha1.KindMeshPeer)) > 0 {
		return true
	}
	for _, kind := range meshKinds {
		for _, o := range set.Kind(gatewayGroup, kind) {
			spec, ok := routeSpec(o)
			if ok && slices.ContainsFunc(spec.ParentRefs, func(r gwv1.ParentReference) bool { return deref(r.Kind, "Gateway") == "Service" }) {
				return true
			}
		}
	}
	for _, kind := range []string{v1alpha1.KindAuthenticationPolicy, v1alpha1.KindAuthorizationPolicy, v1alpha1.KindRateLimitPolicy, v1alpha1.KindShieldPolicy, v1alpha1.KindTelemetryPolicy} {
		for _, o := range set.Kind(ownGroup, kind) {
			if slices.ContainsFunc(policyTargets(o), func(t target) bool { return t.key.Kind == "Service" }) {
				return true
			}
		}
	}
	return false
}
