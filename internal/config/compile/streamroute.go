package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// streamKinds are the kinds of routes for what is not HTTP.
var streamKinds = []string{"TCPRoute", "TLSRoute", "UDPRoute"}

func streamKind(kind string) bool { return slices.Contains(streamKinds, kind) }

// streamSpec is a route of streams in the form of an HTTPRoute: parents,
// hostnames and backends are the same, and there is nothing else.
func streamSpec(o *store.Object) (*gwv1.HTTPRouteSpec, bool) {
	spec := &gwv1.HTTPRouteSpec{}
	rule := func(name *gwv1.SectionName, refs []gwv1.BackendRef) {
		r := gwv1.HTTPRouteRule{Name: name, BackendRefs: make([]gwv1.HTTPBackendRef, len(refs))}
		for i := range refs {
			r.BackendRefs[i].BackendRef = refs[i]
		}
		spec.Rules = append(spec.Rules, r)
	}
	switch v := o.Value.(type) {
	case *gwv1.TCPRoute:
		spec.CommonRouteSpec = v.Spec.CommonRouteSpec
		for _, r := range v.Spec.Rules {
			rule(r.Name, r.BackendRefs)
		}
	case *gwv1.TLSRoute:
		spec.CommonRouteSpec, spec.Hostnames = v.Spec.CommonRouteSpec, v.Spec.Hostnames
		for _, r := range v.Spec.Rules {
			rule(r.Name, r.BackendRefs)
		}
	case *gwv1.UDPRoute:
		spec.CommonRouteSpec = v.Spec.CommonRouteSpec
		for _, r := range v.Spec.Rules {
			rule(r.Name, r.BackendRefs)
		}
	default:
		return nil, false
	}
	return spec, true
}

// streamUse is how streams use a backend; empty is HTTP's use.
type streamUse string

const (
	useTCP streamUse = "tcp"
	useTLS streamUse = "tls" // the client's own TLS
	useUDP streamUse = "udp"
)

// useOf is how a route of the kind uses its backends under a listener.
func useOf(kind string, ctx *policyContext) streamUse {
	switch {
	case !streamKind(kind):
		return ""
	case kind == "UDPRoute":
		return useUDP
	case ctx.passthrough:
		return useTLS
	}
	return useTCP
}

// opaque tells whether nothing may be put around what clients send.
func (u streamUse) opaque() bool { return u == useTLS || u == useUDP }

func (u streamUse) transport() corev1.Protocol {
	if u == useUDP {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

// apply makes a cluster one of streams.
func (u streamUse) apply(cl *ir.Cluster) {
	if u == "" {
		return
	}
	cl.Name += "/" + string(u)
	cl.Protocol, cl.Host, cl.HTTP2 = ir.TCP, "", false
	if u == useUDP {
		cl.Protocol = ir.UDP
	}
	if u.opaque() {
		cl.TLS = nil
	}
}

// streamTimeouts are those that streams have.
func streamTimeouts(t *v1alpha1.Timeouts, use streamUse) ir.Timeouts {
	out := ir.Timeouts{Idle: defaultStreamIdle}
	if use == useUDP {
		out.Idle = defaultDatagramIdle
	}
	if t != nil {
		out.Idle, out.MaxStream = duration(t.Idle, out.Idle), duration(t.MaxStream, 0)
	}
	if use == useUDP && out.Idle == 0 {
		out.Idle = 24 * time.Hour // sessions of UDP have no other end
	}
	return out
}

// compileStreams compiles the routes of streams, or takes over what did not change.
func (c *compiler) compileStreams() {
	for _, kind := range streamKinds {
		var old []*routeState
		if c.prev != nil {
			old = slices.DeleteFunc(slices.Clone(unresolvedConflicts(c.prev.streams)), func(rs *routeState) bool { return rs.object.Key.Kind != kind })
		}
		c.next.streams = append(c.next.streams, c.compileKind(kind, old)...)
	}
}

// makeStreams turns the compiled forms into routes of streams.
func (rs *routeState) makeStreams(before *routeState) {
	for _, f := range rs.forms {
		if len(f.Rules) == 0 {
			continue
		}
		if before != nil {
			if at := slices.Index(before.forms, f); at >= 0 && at < len(before.streams) {
				rs.streams = append(rs.streams, before.streams[at])
				continue
			}
		}
		rs.streams = append(rs.streams, streamOf(f))
	}
}

// streamOf is a compiled form with one rule as a route of streams.
func streamOf(f *ir.Route) *ir.StreamRoute {
	rule := f.Rules[0]
	r := &ir.StreamRoute{
		Name: f.Name, Ref: f.Ref, Created: f.Created, ID: rule.ID, Rule: rule.Name, Backends: rule.Backends,
		Idle: rule.Policy.Timeouts.Idle, MaxStream: rule.Policy.Timeouts.MaxStream, Policies: rule.Policies, Hash: f.Hash,
		Shield: streamShield(rule.Policy.Shield), Authorization: rule.Policy.Authorization, Telemetry: rule.Policy.Telemetry,
	}
	if retry := rule.Policy.Retry; retry != nil && retry.ConnectFailure {
		r.Attempts = retry.Attempts
	}
	return r
}

// collectStreams gathers what the routes of streams came to, the oldest first
// where they share a listener.
func (c *compiler) collectStreams() {
	c.next.plain = true
	for _, rs := range c.next.streams {
		c.collectRoute(rs, nil)
		c.say(rs.status())
	}
	aged := slices.Clone(c.next.streams)
	slices.SortStableFunc(aged, func(a, b *routeState) int { return byAge(a.object, b.object) })
	for _, rs := range aged {
		for _, at := range rs.attachments {
			x := c.sections[at.section]
			if rs.object.Key.Kind == "TCPRoute" {
				at.ir.Hostnames = []string{""} // takes what no TLSRoute of the listener does
			}
			c.noteShadowed(rs, at.ir, x)
			x.streams = append(x.streams, at.ir)
		}
	}
	for _, x := range c.sections {
		c.next.streamed = append(c.next.streamed, x.streams)
	}
}

// noteShadowed tells when older routes leave nothing to a route.
func (c *compiler) noteShadowed(rs *routeState, a ir.Attachment, x *section) {
	taken := map[string]string{}
	for _, older := range x.streams {
		for _, h := range hostnamesOf(older) {
			taken[h] = older.Route
		}
	}
	var by string
	for _, h := range hostnamesOf(a) {
		if by = taken[h]; by == "" {
			return
		}
	}
	c.next.plain = false
	c.report(problemAt(rs.object, "spec", store.Warning, "ShadowedRoute",
		fmt.Sprintf("nothing reaches this route on listener %q: %s is older and takes it all", x.spec.Name, by),
		"attach it to another listener, or remove one of the two"))
}

// hostnamesOf lists the hostnames of an attachment, of which it has at least one.
func hostnamesOf(a ir.Attachment) []string {
	if len(a.Hostnames) == 0 {
		return []string{""}
	}
	return a.Hostnames
}

// streamRoutes are the routes of streams in service, in order.
func (s *state) streamRoutes() []*ir.StreamRoute {
	var out []*ir.StreamRoute
	for _, rs := range s.streams {
		out = append(out, rs.streams...)
	}
	return out
}

// noteHTTPFields warns of fields that mean nothing to a stream, on policies
// that name this route. Policies on what it shares with others may have them.
func (s *routeScope) noteHTTPFields(m *settings) {
	for path, b := range m.origin {
		if i := strings.LastIndexByte(path, '.'); i >= 0 && !appliesToStreams(path[:i], m, s.stream) {
			continue // the whole is named
		}
		if b.target.key == s.state.object.Key && !appliesToStreams(path, m, s.stream) {
			s.state.shared = append(s.state.shared, problemAt(b.policy.used, "spec."+path, store.Warning, "NoEffect",
				fmt.Sprintf("does not apply to a %s", s.object.Key.Kind), "leave it out, or attach it to an HTTPRoute"))
		}
	}
	slices.SortFunc(s.state.shared, func(a, b store.Problem) int { return strings.Compare(a.Field+a.Message, b.Field+b.Message) })
}

// appliesToStreams tells whether a field of a policy means something without requests.
func appliesToStreams(path string, m *settings, use streamUse) bool {
	field, _, _ := strings.Cut(path, ".")
	switch field {
	case "timeouts":
		return path != "timeouts.request" && path != "timeouts.backendRequest"
	case "retry":
		return path == "retry" || path == "retry.attempts" || path == "retry.retryOn" || path == "retry.budget" || strings.HasPrefix(path, "retry.budget.")
	case "loadBalancer":
		return path != "loadBalancer.hashOn" || slices.ContainsFunc(m.spec.LoadBalancer.HashOn, func(k v1alpha1.HashKey) bool { return deref(k.SourceIP, false) })
	case "circuitBreaker", "outlierDetection", "healthCheck":
		return true
	case "connectionPool":
		return path == "connectionPool" || path == "connectionPool.keepAlive"
	case "proxyProtocol":
		return use != useUDP
	}
	return false
}
