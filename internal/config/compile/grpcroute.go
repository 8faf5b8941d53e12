package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// requestKinds are the kinds of routes for requests, in the order of keys.
var requestKinds = []string{"GRPCRoute", "HTTPRoute"}

func requestKind(k store.Key) bool {
	return k.Group == gatewayGroup && slices.Contains(requestKinds, k.Kind)
}

// requestRoutes lists the objects of all such kinds, ordered by key.
func (c *compiler) requestRoutes() []*store.Object {
	grpc, http := c.set.Kind(gatewayGroup, "GRPCRoute"), c.set.Kind(gatewayGroup, "HTTPRoute")
	if len(grpc) == 0 {
		return http
	}
	return slices.Concat(grpc, http)
}

// grpcSpec is a GRPCRoute in the form of an HTTPRoute: all but the matches says
// the same in both, and those are for grpcMatches.
func grpcSpec(v *gwv1.GRPCRoute) *gwv1.HTTPRouteSpec {
	spec := &gwv1.HTTPRouteSpec{CommonRouteSpec: v.Spec.CommonRouteSpec, Hostnames: v.Spec.Hostnames}
	for i := range v.Spec.Rules {
		r := &v.Spec.Rules[i]
		rule := gwv1.HTTPRouteRule{Name: r.Name, Filters: grpcFilters(r.Filters), SessionPersistence: r.SessionPersistence}
		for _, b := range r.BackendRefs {
			rule.BackendRefs = append(rule.BackendRefs, gwv1.HTTPBackendRef{BackendRef: b.BackendRef, Filters: grpcFilters(b.Filters)})
		}
		spec.Rules = append(spec.Rules, rule)
	}
	return spec
}

func grpcFilters(list []gwv1.GRPCRouteFilter) []gwv1.HTTPRouteFilter {
	var out []gwv1.HTTPRouteFilter
	for _, f := range list {
		out = append(out, gwv1.HTTPRouteFilter{
			Type:                  gwv1.HTTPRouteFilterType(f.Type),
			RequestHeaderModifier: f.RequestHeaderModifier, ResponseHeaderModifier: f.ResponseHeaderModifier,
			RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef,
		})
	}
	return out
}

// grpc tells whether the route is one for calls.
func (s *routeScope) grpc() bool { return s.object.Key.Kind == "GRPCRoute" }

// ruleMatches compiles the matches of a rule of the version that is compiled.
func (s *routeScope) ruleMatches(i int, rule *gwv1.HTTPRouteRule) []ir.Match {
	v, ok := s.object.Value.(*gwv1.GRPCRoute)
	if !ok {
		return matches(rule.Matches)
	}
	if i >= len(v.Spec.Rules) { // the one of a route without any
		return grpcMatches(nil)
	}
	return grpcMatches(v.Spec.Rules[i].Matches)
}

// grpcMatches compiles matches that were judged. Without any the rule matches
// every call.
func grpcMatches(list []gwv1.GRPCRouteMatch) []ir.Match {
	if len(list) == 0 {
		list = []gwv1.GRPCRouteMatch{{}}
	}
	out := make([]ir.Match, len(list))
	for i, m := range list {
		out[i] = methodMatch(m.Method)
		seen := map[string]bool{}
		for _, h := range m.Headers {
			// Of entries with equivalent names only the first counts.
			if name := strings.ToLower(string(h.Name)); !seen[name] {
				seen[name] = true
				out[i].Headers = append(out[i].Headers, ir.ValueMatch{
					Name: string(h.Name), Type: valueType(string(deref(h.Type, gwv1.GRPCHeaderMatchExact))), Value: h.Value,
				})
			}
		}
	}
	return out
}

// methodMatch is the path that a call of the service and method has. All but a
// service with its method is an expression, so that the order among them is the
// specification's: by the length of the service, then of the method.
func methodMatch(m *gwv1.GRPCMethodMatch) ir.Match {
	if m == nil {
		return ir.Match{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}
	}
	service, method := deref(m.Service, ""), deref(m.Method, "")
	g := &ir.GRPCMatch{Type: ir.Exact, Service: service, Method: method}
	quote := regexp.QuoteMeta
	if deref(m.Type, gwv1.GRPCMethodMatchExact) == gwv1.GRPCMethodMatchRegularExpression {
		g.Type, quote = ir.Regex, func(s string) string { return "(?:" + s + ")" }
	} else if service != "" && method != "" {
		return ir.Match{Path: ir.PathMatch{Type: ir.Exact, Value: "/" + service + "/" + method}, GRPC: g}
	}
	first, second := "[^/]+", ".*" // what follows a known service needs no look
	if service != "" {
		first = quote(service)
	}
	if method != "" {
		second = quote(method)
	}
	return ir.Match{Path: ir.PathMatch{Type: ir.Regex, Value: "/" + first + "/" + second}, GRPC: g}
}

// judgeGRPCMatches finds the semantic errors of the matches of a GRPCRoute.
func judgeGRPCMatches(spec *gwv1.GRPCRouteSpec) []fault {
	var faults []fault
	for i := range spec.Rules {
		for k := range spec.Rules[i].Matches {
			prefix := fmt.Sprintf("spec.rules[%d].matches[%d]", i, k)
			judgeGRPCMatch(&spec.Rules[i].Matches[k], func(f, code, message, remedy string) {
				faults = append(faults, fault{field: prefix + f, code: code, message: message, remedy: remedy})
			})
		}
	}
	return faults
}

func judgeGRPCMatch(m *gwv1.GRPCRouteMatch, at func(field, code, message, remedy string)) {
	if m.Method != nil {
		judgeMethod(m.Method, at)
	}
	for i, h := range m.Headers {
		judgeValueMatch(fmt.Sprintf(".headers[%d]", i), string(h.Name), string(deref(h.Type, "Exact")), h.Value, at)
	}
}

func judgeMethod(m *gwv1.GRPCMethodMatch, at func(field, code, message, remedy string)) {
	parts := []struct{ name, value string }{{"service", deref(m.Service, "")}, {"method", deref(m.Method, "")}}
	if parts[0].value == "" && parts[1].value == "" {
		at(".method", "InvalidValue", "a method match needs a service or a method", "leave the match out to match every call")
	}
	for _, p := range parts {
		switch t := deref(m.Type, gwv1.GRPCMethodMatchExact); t {
		case gwv1.GRPCMethodMatchExact:
			if why := badPathText("/" + p.value); strings.Contains(p.value, "/") || strings.Contains(p.value, "%") || why != "" {
				at(".method."+p.name, "InvalidValue", fmt.Sprintf("%q is not the name of a %s", p.value, p.name),
					`write it like service "shop.v1.Catalog", method "Get"`)
			}
		case gwv1.GRPCMethodMatchRegularExpression:
			judgeRegex(".method."+p.name, p.value, at)
		default:
			at(".method.type", "UnsupportedValue", fmt.Sprintf("type %q is not known", t), "use Exact or RegularExpression")
			return
		}
	}
}
