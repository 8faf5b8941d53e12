package compile

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// resolvedRef is a backendRef after its object was looked up.
type resolvedRef struct {
	key     store.Key
	backend *backend
	weight  uint32
	problem string // why it cannot be used
}

// resolveBackends looks up the backendRefs of a rule.
func (s *routeScope) resolveBackends(field string, rule *gwv1.HTTPRouteRule) (fields []string, out []resolvedRef) {
	for j := range rule.BackendRefs {
		b := &rule.BackendRefs[j]
		at := fmt.Sprintf("%s.backendRefs[%d]", field, j)
		r := s.resolveBackend(at, b.BackendObjectReference)
		r.weight = uint32(deref(b.Weight, 1))
		fields, out = append(fields, at), append(out, r)
	}
	return fields, out
}

// resolveBackend looks up one reference.
func (s *routeScope) resolveBackend(field string, r gwv1.BackendObjectReference) resolvedRef {
	lookUp := s.lookUp
	if s.mesh && deref(r.Kind, "Service") == "Service" {
		lookUp = s.find // GEP-1426: whose clients call Services anyway needs no grant for them
	}
	out, f := lookUp(s.object, r, s.stream, s.grpc())
	if out.backend != nil {
		s.depend(out.backend)
	}
	if f != nil {
		s.fail(field+f.field, gwv1.RouteConditionReason(f.reason), f.message, f.remedy)
		out.backend, out.problem = nil, f.message
	}
	return out
}

// lookUp finds what an object refers to, or says what is wrong. Whether it is
// permitted is asked before whether it exists, so that nothing is told of other
// namespaces.
func (c *compiler) lookUp(from *store.Object, r gwv1.BackendObjectReference, stream streamUse, grpc bool) (resolvedRef, *fault) {
	key := resolveKey(from, r.Group, "", r.Kind, "Service", r.Namespace, r.Name)
	if backendKind(key) && !c.grants.permits(from.Key, key) {
		reason := string(gwv1.RouteReasonRefNotPermitted)
		return resolvedRef{key: key}, &fault{
			field: ".namespace", code: reason, reason: reason,
			message: key.String() + " is in another namespace, and no ReferenceGrant allows it", remedy: grantRemedy(from.Key, key),
		}
	}
	return c.find(from, r, stream, grpc)
}

// backendKind tells whether objects of the key's kind can be backends.
func backendKind(key store.Key) bool {
	return key.Group == ownGroup && key.Kind == v1alpha1.KindBackend || key.Group == "" && key.Kind == "Service"
}

// find is lookUp for who needs no permission.
func (c *compiler) find(from *store.Object, r gwv1.BackendObjectReference, stream streamUse, grpc bool) (resolvedRef, *fault) {
	key := resolveKey(from, r.Group, "", r.Kind, "Service", r.Namespace, r.Name)
	out := resolvedRef{key: key}
	fail := func(field string, reason gwv1.RouteConditionReason, message, remedy string) (resolvedRef, *fault) {
		return out, &fault{field: field, code: string(reason), reason: string(reason), message: message, remedy: remedy}
	}
	own := key.Kind == v1alpha1.KindBackend
	switch {
	case !backendKind(key):
		return fail(".kind", gwv1.RouteReasonInvalidKind,
			fmt.Sprintf("kind %s of group %q is not a backend", key.Kind, key.Group), backendKindRemedy(key))
	case !own && r.Port == nil && c.set.Get(key) != nil:
		return fail(".port", gwv1.RouteReasonBackendNotFound, "a reference to a Service needs a port", c.portRemedy(key))
	}
	k := backendKey{key: key, stream: stream, grpc: grpc}
	if !own {
		k.port = deref(r.Port, 0)
	}
	out.backend = c.backendOf(k)
	if b := out.backend; b.reason != "" {
		where := ".name"
		if b.object != nil && !own {
			where = ""
		}
		return fail(where, gwv1.RouteConditionReason(b.reason), b.message, b.remedy)
	}
	return out, nil
}

func backendKindRemedy(key store.Key) string {
	if key.Kind == "ServiceImport" {
		return "kind ServiceImport is not built yet"
	}
	if key.Kind == v1alpha1.KindBackend {
		return "a Backend is of group " + ownGroup
	}
	return "use a Service, or a Backend of group " + ownGroup
}

func (c *compiler) portRemedy(key store.Key) string {
	if svc, ok := serviceOf(c.set.Get(key)); ok {
		return "its ports are " + portList(svc)
	}
	return ""
}

// depend records that the route was compiled from a backend.
func (s *routeScope) depend(b *backend) {
	for _, d := range b.deps {
		if !slices.Contains(s.state.deps, d) {
			s.state.deps = append(s.state.deps, d)
		}
	}
	s.state.missing = s.state.missing || b.missing
	s.state.shared = append(s.state.shared, b.problems...)
}

// agreedPolicies are the policies on the backends of a rule as far as they can
// speak for the whole exchange: all backends must have the same.
func (s *routeScope) agreedPolicies(field string, refs []resolvedRef, ctx *policyContext) []bound {
	var common []bound
	first := true
	for _, r := range refs {
		if r.backend == nil || r.weight == 0 {
			continue
		}
		if first {
			common, first = r.backend.policies, false
			continue
		}
		if !slices.EqualFunc(common, r.backend.policies, func(a, b bound) bool { return a.policy == b.policy }) {
			s.warnDisagreement(field, refs, ctx)
			return nil
		}
	}
	return common
}

func (s *routeScope) warnDisagreement(field string, refs []resolvedRef, ctx *policyContext) {
	for _, r := range refs {
		if r.backend == nil {
			continue
		}
		for _, b := range r.backend.policies {
			if !speaksOfExchange(b.policy.spec) || slices.ContainsFunc(ctx.chain, func(own bound) bool { return own.policy == b.policy }) {
				continue
			}
			p := problemAt(s.object, field, store.Warning, "PolicyNotApplied",
				fmt.Sprintf("%s is on %s, which shares this rule with other backends: its timeouts, retries and the like do not apply here",
					b.policy.object.Key, b.target), "attach it to the route or the rule")
			if !slices.Contains(s.state.problems, p) {
				s.state.problems = append(s.state.problems, p)
			}
		}
	}
}

// speaksOfExchange tells whether a policy has more than settings of a cluster.
func speaksOfExchange(spec *v1alpha1.TrafficPolicySpec) bool {
	t := spec.Timeouts
	return t != nil && (t.Request != nil || t.BackendRequest != nil || t.Idle != nil || t.MaxStream != nil) ||
		spec.Retry != nil || spec.Hedge != nil || spec.Admission != nil || spec.Fault != nil ||
		spec.SessionPersistence != nil || spec.Compression != nil || spec.Buffer != nil || spec.Bridge != nil || spec.Transcoding != nil || spec.MaxBodyBytes != nil
}

// clusterName compiles the cluster of a backend for this rule and returns its name.
func (s *filterScope) clusterName(b *backend) string {
	if s.unserved {
		return b.base.Name
	}
	full := append(append(slices.Clip(s.chain), b.policies...), s.ctx.chain...)
	merged := s.merge(full)
	s.note(merged)
	cs := s.cluster(b, merged, s.ctx.certificate)
	s.count[cs] = true
	return cs.ir.Name
}

// backends compiles the shares of a rule's traffic.
func (s *filterScope) backends(field string, rule *gwv1.HTTPRouteRule, fields []string, refs []resolvedRef, out *ir.Rule) []ir.BackendRef {
	var list []ir.BackendRef
	total := uint32(0)
	for j, r := range refs {
		// What cannot be used is shown where it is named.
		x := ir.BackendRef{Weight: r.weight, Problem: r.problem, Ref: ref(s.object, fields[j])}
		x.Ref.Kind, x.Ref.Namespace, x.Ref.Name = r.key.Kind, r.key.Namespace, r.key.Name
		if r.backend != nil {
			x.Ref = r.backend.base.Ref
			for _, p := range policyRefs(s.merge(r.backend.policies).winners) {
				if !slices.Contains(out.Policies, p) {
					out.Policies = append(out.Policies, p)
				}
			}
			var broken string
			x.Filters, broken = s.filters(fields[j]+".filters", rule.BackendRefs[j].Filters, out.Matches)
			if broken != "" {
				x.Filters, x.Problem = ir.Filters{}, broken
			} else {
				x.Cluster = s.clusterName(r.backend)
			}
		}
		total += x.Weight
		list = append(list, x)
	}
	switch {
	case len(list) == 0 && s.stream != "":
		list = s.nowhere(field, "the rule has no backendRefs", "NoBackendRefs")
	case len(list) == 0:
		list = s.nowhere(field, "the rule has no backendRefs, redirect or direct response", "NoBackendRefs")
	case total == 0:
		list = append(list, s.nowhere(field+".backendRefs", "the weight of every backendRef is 0", "NoWeight")...)
	}
	return list
}

// nowhere answers the whole rule with 500.
func (s *filterScope) nowhere(field, why, code string) []ir.BackendRef {
	what := "; requests are answered 500"
	if s.stream != "" {
		what = "; everything is refused"
	} else if s.grpc() {
		what = "; calls are answered UNAVAILABLE"
	}
	p := problemAt(s.object, field, store.Warning, code, why+what, "")
	if !slices.Contains(s.state.problems, p) {
		s.state.problems = append(s.state.problems, p)
	}
	return []ir.BackendRef{{Weight: 1, Problem: why, Ref: ref(s.object, field)}}
}
