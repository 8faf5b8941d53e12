package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultExternalTimeout = time.Second
	leastExternalTimeout   = time.Millisecond
	mostExternalTimeout    = time.Minute
	defaultExternalTTL     = 10 * time.Second
	leastExternalTTL       = time.Second
	mostExternalTTL        = time.Hour
	defaultExternalBody    = 8192
	// everyHeader stands for all headers in a list.
	everyHeader = "*"
)

// judgeExternal finds what is wrong with a method that asks a server.
func judgeExternal(e *v1alpha1.ExternalAuthentication, field string, add func(field, message, remedy string)) {
	if (e.GRPC == nil) == (e.HTTP == nil) {
		add(field, "exactly one of grpc and http must be given", "for example: grpc: {}")
	}
	if d := duration(e.Timeout, defaultExternalTimeout); d < leastExternalTimeout || d > mostExternalTimeout {
		add(field+".timeout", fmt.Sprintf("%s is not between %s and %s", d, leastExternalTimeout, mostExternalTimeout), "")
	}
	judgeHeaderList(e.RequestHeaders, field+".requestHeaders", add)
	judgeHeaderList(e.UpstreamHeaders, field+".upstreamHeaders", add)
	if e.HTTP != nil {
		judgeHeaderList(e.HTTP.DeniedHeaders, field+".http.deniedHeaders", add)
		judgeHeaderList(e.HTTP.AllowedHeaders, field+".http.allowedHeaders", add)
		if slices.Contains(e.UpstreamHeaders, everyHeader) {
			add(field+".upstreamHeaders", "an answer by http has headers of its own, which endpoints must not take for the client's", "name those that the server says something of the caller in")
		}
	}
	if e.Body != nil {
		if e.Cache != nil {
			add(field+".cache", "an answer about a body is not one about others", "remove cache or body")
		}
		if e.HTTP != nil && deref(e.HTTP.Method, "") == "GET" {
			add(field+".body", "a question by GET has no body", "remove body, or http.method")
		}
	}
	if c := e.Cache; c != nil {
		if d := duration(c.TTL, defaultExternalTTL); d < leastExternalTTL || d > mostExternalTTL {
			add(field+".cache.ttl", fmt.Sprintf("%s is not between %s and %s", d, leastExternalTTL, mostExternalTTL), "")
		}
		if len(c.Key) == 0 {
			add(field+".cache.key", "at least one part is needed", "for example: [{type: Header, name: Authorization}, {type: Method}, {type: Path}]")
		}
		for i, k := range c.Key {
			if (k.Name != nil) != (ir.CacheKeyType(k.Type) == ir.CacheByHeader) {
				add(fmt.Sprintf("%s.cache.key[%d]", field, i), "name goes with type Header, which needs it", "")
			}
		}
	}
	if e.Consumer == nil {
		return
	}
	if e.GRPC == nil {
		add(field+".consumer", "an answer by http has no claims", "use grpc, whose answers have dynamic_metadata")
	}
	if _, err := ir.ParseClaim(e.Consumer.Claim); err != nil {
		add(field+".consumer.claim", err.Error(), "")
	}
}

func judgeHeaderList(list []gwv1.HTTPHeaderName, field string, add func(field, message, remedy string)) {
	for i, name := range list {
		lower := strings.ToLower(string(name))
		switch at := fmt.Sprintf("%s[%d]", field, i); {
		case name == everyHeader && len(list) > 1:
			add(at, "* is every header: no other can stand beside it", "remove the others, or *")
		case !isToken(string(name)):
			add(at, fmt.Sprintf("%q is not a header name", name), "")
		case slices.Contains(framing, lower) || lower == "host":
			add(at, fmt.Sprintf("header %s is the proxy's own and cannot be passed on", name), "")
		}
	}
}

// externalOf compiles a method, apart from who is asked.
func externalOf(e *v1alpha1.ExternalAuthentication) *ir.ExternalAuth {
	out := &ir.ExternalAuth{
		GRPC: e.GRPC != nil, Timeout: duration(e.Timeout, defaultExternalTimeout), FailOpen: deref(e.FailOpen, false),
		Send: headerSet(e.RequestHeaders), Take: headerSet(e.UpstreamHeaders),
		Replace: len(e.UpstreamHeaders) > 0,
	}
	if c := e.Consumer; c != nil {
		out.Consumer, _ = ir.ParseClaim(c.Claim) // it was judged
		out.ConsumerRequired = deref(c.Required, false)
	}
	if b := e.Body; b != nil {
		out.MaxBody, out.PartialBody = int(deref(b.MaxBytes, defaultExternalBody)), deref(b.AllowPartial, false)
	}
	if c := e.Cache; c != nil {
		out.Cache = &ir.ExternalCache{TTL: duration(c.TTL, defaultExternalTTL)}
		for _, k := range c.Key {
			out.Cache.Key = append(out.Cache.Key, ir.CacheKeyPart{Type: ir.CacheKeyType(k.Type), Name: strings.ToLower(string(deref(k.Name, "")))})
		}
	}
	if g := e.GRPC; g != nil {
		out.Send.All = out.Send.All || len(e.RequestHeaders) == 0
		out.Take.All = out.Take.All || len(e.UpstreamHeaders) == 0
		for _, name := range slices.Sorted(maps.Keys(g.Context)) {
			out.Context = append(out.Context, ir.Header{Name: name, Value: g.Context[name]})
		}
	}
	if h := e.HTTP; h != nil {
		out.Prefix, out.Get = deref(h.Path, ""), deref(h.Method, "") == "GET"
		out.Denied, out.Allowed = headerSet(h.DeniedHeaders), headerSet(h.AllowedHeaders)
		out.Denied.All = out.Denied.All || len(h.DeniedHeaders) == 0
	}
	return out
}

func headerSet(list []gwv1.HTTPHeaderName) (out ir.HeaderSet) {
	for _, name := range list {
		if name == everyHeader {
			return ir.HeaderSet{All: true}
		}
		out.Names = append(out.Names, strings.ToLower(string(name)))
	}
	return out
}

// askExternal compiles the cluster of who is asked, for an object that says so. Its
// settings are those of the policies on the backend.
func (s *routeScope) askExternal(e *ir.ExternalAuth, ctx *policyContext, from *store.Object, r gwv1.BackendObjectReference) *fault {
	found, f := s.lookUp(from, r, "", e.GRPC)
	e.Backend = found.key.String()
	if found.backend != nil {
		s.depend(found.backend)
	} else {
		s.state.missing = true // a grant, or the object, may come
	}
	if f != nil {
		e.Problem = f.message
		return f
	}
	if s.unserved {
		return nil
	}
	own := s.merge(found.backend.policies)
	s.note(own)
	cs := s.cluster(found.backend, own, ctx.certificate)
	s.count[cs] = true
	e.Cluster = cs.ir.Name
	return nil
}

// finishExternals says of a policy whether those whom it asks are there.
func (c *compiler) finishExternals(p *authenticationPolicy) {
	for i := range p.spec.AnyOf {
		e := p.spec.AnyOf[i].External
		if e == nil {
			continue
		}
		field := fmt.Sprintf("spec.anyOf[%d].external", i)
		if i+1 < len(p.spec.AnyOf) {
			c.report(problemAt(p.source(), field, store.Warning, "NotLast",
				"external has an answer for every request: the methods after it are tried only where it lets nobody through", "put it last"))
		}
		if e.Cache != nil && !slices.ContainsFunc(e.Cache.Key, tellsCallers) {
			c.report(problemAt(p.source(), field+".cache.key", store.Warning, "SharedByAll",
				"no part of the key tells callers apart: what one may do, all others may for as long", "add the header with the credential: {type: Header, name: Authorization}"))
		}
		if p.resolved == nil {
			p.resolved = &status.Condition{
				Type: string(gwv1.RouteConditionResolvedRefs), Status: status.True,
				Reason: string(gwv1.RouteReasonResolvedRefs), Generation: meta(p.object).GetGeneration(),
			}
		}
		if _, f := c.lookUp(p.source(), e.BackendRef, "", e.GRPC != nil); f != nil {
			c.report(problemAt(p.source(), field+".backendRef"+f.field, store.Warning, f.code, f.message+"; requests are answered 503", f.remedy))
			if p.resolved.Status == status.True {
				p.resolved.Status, p.resolved.Reason, p.resolved.Message = status.False, f.reason, f.message
			}
		}
	}
}

// tellsCallers tells whether a part of a key may be another for another caller.
func tellsCallers(k v1alpha1.ExternalCacheKey) bool {
	t := ir.CacheKeyType(k.Type)
	return t == ir.CacheByHeader || t == ir.CacheByClientIP || t == ir.CacheByQuery
}

// externalAuth judges a filter of the Gateway API.
func (j *ruleJudge) externalAuth(at string, e *gwv1.HTTPExternalAuthFilter) {
	add := func(field, message, remedy string) {
		j.add(at+".externalAuth"+field, "InvalidValue", "", message, remedy)
	}
	list := func(names []string, field string) {
		for i, name := range names {
			if !isToken(name) {
				add(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%q is not a header name", name), "")
			}
		}
	}
	if strings.Contains(at, ".backendRefs[") {
		j.add(at+".type", "UnsupportedValue", "", "filter ExternalAuth is for rules, not for backendRefs", "put it under the rule's filters")
	}
	switch e.ExternalAuthProtocol {
	case gwv1.HTTPRouteExternalAuthGRPCProtocol:
		if e.HTTPAuthConfig != nil {
			add(".http", "protocol is GRPC", "remove http")
		}
	case gwv1.HTTPRouteExternalAuthHTTPProtocol:
		if e.GRPCAuthConfig != nil {
			add(".grpc", "protocol is HTTP", "remove grpc")
		}
	default:
		add(".protocol", fmt.Sprintf("protocol %q is not known", e.ExternalAuthProtocol), "use GRPC or HTTP")
	}
	if g := e.GRPCAuthConfig; g != nil {
		list(g.AllowedRequestHeaders, ".grpc.allowedHeaders")
	}
	if h := e.HTTPAuthConfig; h != nil {
		list(h.AllowedRequestHeaders, ".http.allowedHeaders")
		list(h.AllowedResponseHeaders, ".http.allowedResponseHeaders")
		if h.Path != "" && h.Path[0] != '/' {
			add(".http.path", fmt.Sprintf("path %q does not begin with a slash", h.Path), "")
		}
	}
}

// externalAuthOf compiles the filter, apart from who is asked.
func externalAuthOf(e *gwv1.HTTPExternalAuthFilter) *ir.ExternalAuth {
	out := &ir.ExternalAuth{GRPC: e.ExternalAuthProtocol == gwv1.HTTPRouteExternalAuthGRPCProtocol, Timeout: defaultExternalTimeout}
	if b := e.ForwardBody; b != nil {
		out.MaxBody = int(b.MaxSize) // what is longer is refused, as the filter's own comment has it
	}
	if out.GRPC {
		out.Send, out.Take = ir.HeaderSet{All: true}, ir.HeaderSet{All: true}
		if g := e.GRPCAuthConfig; g != nil && len(g.AllowedRequestHeaders) > 0 {
			out.Send = lowered(g.AllowedRequestHeaders)
		}
		return out
	}
	out.OnlyOK, out.Denied, out.Take = true, ir.HeaderSet{All: true}, ir.HeaderSet{All: true}
	if h := e.HTTPAuthConfig; h != nil {
		out.Prefix, out.Send = h.Path, lowered(h.AllowedRequestHeaders)
		if len(h.AllowedResponseHeaders) > 0 {
			out.Take, out.Replace = lowered(h.AllowedResponseHeaders), true
		}
	}
	return out
}

func lowered(names []string) (out ir.HeaderSet) {
	for _, name := range names {
		out.Names = append(out.Names, strings.ToLower(name))
	}
	return out
}
