package compile

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// filterScope compiles the filters and backends of one rule.
type filterScope struct {
	*routeScope
	ctx   *policyContext
	chain []bound // policies on the rule and the route
}

// filters compiles filters that were judged. broken says why requests cannot
// be let through, and is empty if they can.
func (s *filterScope) filters(field string, list []gwv1.HTTPRouteFilter, match []ir.Match) (out ir.Filters, broken string) {
	for i := range list {
		f := &list[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		switch f.Type {
		case gwv1.HTTPRouteFilterRequestHeaderModifier:
			out.RequestHeaders = headerMods(f.RequestHeaderModifier)
		case gwv1.HTTPRouteFilterResponseHeaderModifier:
			out.ResponseHeaders = headerMods(f.ResponseHeaderModifier)
		case gwv1.HTTPRouteFilterRequestRedirect:
			out.Redirect = redirect(f.RequestRedirect)
		case gwv1.HTTPRouteFilterURLRewrite:
			out.Rewrite = &ir.Rewrite{Hostname: string(deref(f.URLRewrite.Hostname, "")), Path: pathModifier(f.URLRewrite.Path)}
		case gwv1.HTTPRouteFilterRequestMirror:
			if m, ok := s.mirror(at+".requestMirror", f.RequestMirror); ok {
				out.Mirrors = append(out.Mirrors, m)
			}
		case gwv1.HTTPRouteFilterCORS:
			out.CORS = cors(f.CORS)
		case gwv1.HTTPRouteFilterExtensionRef:
			if r := f.ExtensionRef; r.Group == ownGroup && r.Kind == v1alpha1.KindTokenIssuer {
				if out.TokenIssuer, broken = s.servedIssuer(field, string(r.Name)); broken != "" {
					s.fail(at+".extensionRef", gwv1.RouteReasonInvalidKind, broken, "requests of this rule are answered 500 until it is corrected")
				}
				continue
			}
			broken = fmt.Sprintf("extensionRef names kind %s of group %q, which is not a filter", f.ExtensionRef.Kind, f.ExtensionRef.Group)
			s.fail(at+".extensionRef", gwv1.RouteReasonInvalidKind, broken, "requests of this rule are answered 500 until it is removed")
		case gwv1.HTTPRouteFilterExternalAuth:
			e := externalAuthOf(f.ExternalAuth)
			if fault := s.askExternal(e, s.ctx, s.object, f.ExternalAuth.BackendRef); fault != nil {
				broken = "who is asked by filter ExternalAuth: " + fault.message
				s.fail(at+".externalAuth.backendRef"+fault.field, gwv1.RouteConditionReason(fault.reason), fault.message,
					cmp.Or(fault.remedy, "correct it")+"; until then requests are answered 500: authorization is not skipped")
			}
			out.ExternalAuth = append(out.ExternalAuth, e)
		}
	}
	return out, broken
}

// servedIssuer is the name of a TokenIssuer that a rule names, or why it has none.
func (s *filterScope) servedIssuer(field, name string) (served, broken string) {
	key := store.Key{Group: ownGroup, Kind: v1alpha1.KindTokenIssuer, Namespace: s.object.Key.Namespace, Name: name}
	switch {
	case s.grpc():
		return "", "a TokenIssuer is served by HTTPRoutes, and this is a " + s.object.Key.Kind
	case strings.Contains(field, ".backendRefs["):
		return "", "a TokenIssuer answers requests itself: it is a filter of a rule, not of a backendRef"
	case s.set.Get(key) == nil:
		message, _ := s.notFound(key)
		return "", message
	}
	return key.Namespace + "/" + name, ""
}

// fail reports a reference that does not resolve.
func (s *routeScope) fail(field string, reason gwv1.RouteConditionReason, message, remedy string) {
	s.unresolve(string(reason), message)
	p := problemAt(s.object, field, store.Warning, string(reason), message, remedy)
	for _, q := range s.state.problems {
		if q == p {
			return
		}
	}
	s.state.problems = append(s.state.problems, p)
}

// unresolve sets ResolvedRefs to False; the first reason stays.
func (s *routeScope) unresolve(reason, message string) {
	if s.unresolved.Status == "True" {
		s.unresolved.Status, s.unresolved.Reason, s.unresolved.Message = "False", reason, message
	}
}

func headerMods(f *gwv1.HTTPHeaderFilter) *ir.HeaderMods {
	return &ir.HeaderMods{Set: firstOfEach(f.Set), Add: firstOfEach(f.Add), Remove: f.Remove}
}

// firstOfEach drops entries whose name came before: only the first counts.
func firstOfEach(list []gwv1.HTTPHeader) []ir.Header {
	var out []ir.Header
	seen := map[string]bool{}
	for _, h := range headers(list) {
		if lower := strings.ToLower(h.Name); !seen[lower] {
			seen[lower] = true
			out = append(out, h)
		}
	}
	return out
}

func redirect(r *gwv1.HTTPRequestRedirectFilter) *ir.Redirect {
	return &ir.Redirect{
		Scheme: deref(r.Scheme, ""), Hostname: string(deref(r.Hostname, "")), Path: pathModifier(r.Path),
		Port: uint16(deref(r.Port, 0)), Status: deref(r.StatusCode, defaultRedirect),
	}
}

func pathModifier(p *gwv1.HTTPPathModifier) *ir.PathModifier {
	switch {
	case p == nil:
		return nil
	case p.Type == gwv1.PrefixMatchHTTPPathModifier:
		return &ir.PathModifier{Type: ir.Prefix, Value: deref(p.ReplacePrefixMatch, "/")}
	}
	return &ir.PathModifier{Type: ir.Exact, Value: deref(p.ReplaceFullPath, "/")}
}

func cors(c *gwv1.HTTPCORSFilter) *ir.CORS {
	out := &ir.CORS{AllowCredentials: deref(c.AllowCredentials, false), MaxAge: defaultCORSMaxAge}
	if c.MaxAge > 0 {
		out.MaxAge = time.Duration(c.MaxAge) * time.Second
	}
	for _, o := range c.AllowOrigins {
		out.AllowOrigins = append(out.AllowOrigins, strings.ToLower(string(o)))
	}
	for _, m := range c.AllowMethods {
		out.AllowMethods = append(out.AllowMethods, string(m))
	}
	for _, h := range c.AllowHeaders {
		out.AllowHeaders = append(out.AllowHeaders, string(h))
	}
	for _, h := range c.ExposeHeaders {
		out.ExposeHeaders = append(out.ExposeHeaders, string(h))
	}
	return out
}

// mirror compiles a RequestMirror. One whose backend does not resolve is left
// out, as the Gateway API says.
func (s *filterScope) mirror(field string, m *gwv1.HTTPRequestMirrorFilter) (ir.Mirror, bool) {
	out := ir.Mirror{Numerator: 100, Denominator: 100}
	if m.Percent != nil {
		out.Numerator = int(*m.Percent)
	}
	if f := m.Fraction; f != nil {
		out.Numerator, out.Denominator = int(f.Numerator), int(deref(f.Denominator, 100))
	}
	r := s.resolveBackend(field+".backendRef", m.BackendRef)
	if r.problem != "" {
		return ir.Mirror{}, false
	}
	out.Cluster = s.clusterName(r.backend)
	return out, true
}
