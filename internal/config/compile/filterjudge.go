package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
)

// filters finds the semantic errors of a list of filters.
func (j *ruleJudge) filters(field string, list []gwv1.HTTPRouteFilter) {
	seen := map[gwv1.HTTPRouteFilterType]bool{}
	for i := range list {
		f := &list[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		repeatable := f.Type == gwv1.HTTPRouteFilterRequestMirror || f.Type == gwv1.HTTPRouteFilterExtensionRef || f.Type == gwv1.HTTPRouteFilterExternalAuth
		if seen[f.Type] && !repeatable {
			j.add(at+".type", "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
				fmt.Sprintf("filter %s is given twice", f.Type), "put both into one")
		}
		seen[f.Type] = true
		j.filter(at, f)
	}
	if n := countTokenIssuers(list); n > 1 || n > 0 && seen[gwv1.HTTPRouteFilterRequestRedirect] {
		j.add(field, "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
			"a rule has one TokenIssuer, and no RequestRedirect beside it: one of them would never answer", "write a rule for each")
	}
	if seen[gwv1.HTTPRouteFilterRequestRedirect] && seen[gwv1.HTTPRouteFilterURLRewrite] {
		j.add(field, "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
			"RequestRedirect and URLRewrite exclude each other", "remove one of them")
	}
}

// servesTokens tells whether a filter is a TokenIssuer.
func servesTokens(f *gwv1.HTTPRouteFilter) bool {
	r := f.ExtensionRef
	return f.Type == gwv1.HTTPRouteFilterExtensionRef && r != nil && r.Group == ownGroup && r.Kind == v1alpha1.KindTokenIssuer
}

func countTokenIssuers(list []gwv1.HTTPRouteFilter) (n int) {
	for i := range list {
		if servesTokens(&list[i]) {
			n++
		}
	}
	return n
}

func (j *ruleJudge) filter(at string, f *gwv1.HTTPRouteFilter) {
	missing := func(field string) {
		j.add(at+"."+field, "FieldMissing", "", fmt.Sprintf("filter %s needs %s", f.Type, field), "")
	}
	switch f.Type {
	case gwv1.HTTPRouteFilterRequestHeaderModifier:
		if f.RequestHeaderModifier == nil {
			missing("requestHeaderModifier")
			return
		}
		j.headerFilter(at+".requestHeaderModifier", f.RequestHeaderModifier, true)
	case gwv1.HTTPRouteFilterResponseHeaderModifier:
		if f.ResponseHeaderModifier == nil {
			missing("responseHeaderModifier")
			return
		}
		j.headerFilter(at+".responseHeaderModifier", f.ResponseHeaderModifier, false)
	case gwv1.HTTPRouteFilterRequestRedirect:
		if f.RequestRedirect == nil {
			missing("requestRedirect")
			return
		}
		j.redirect(at+".requestRedirect", f.RequestRedirect)
	case gwv1.HTTPRouteFilterURLRewrite:
		if f.URLRewrite == nil {
			missing("urlRewrite")
			return
		}
		j.hostname(at+".urlRewrite.hostname", f.URLRewrite.Hostname)
		j.pathModifier(at+".urlRewrite.path", f.URLRewrite.Path)
	case gwv1.HTTPRouteFilterRequestMirror:
		if f.RequestMirror == nil {
			missing("requestMirror")
			return
		}
		j.mirror(at+".requestMirror", f.RequestMirror)
	case gwv1.HTTPRouteFilterCORS:
		if f.CORS == nil {
			missing("cors")
			return
		}
		j.cors(at+".cors", f.CORS)
	case gwv1.HTTPRouteFilterExtensionRef:
		if f.ExtensionRef == nil {
			missing("extensionRef")
		}
	case gwv1.HTTPRouteFilterExternalAuth:
		if f.ExternalAuth == nil {
			missing("externalAuth")
			return
		}
		j.externalAuth(at, f.ExternalAuth)
	default:
		j.add(at+".type", "UnsupportedValue", "", fmt.Sprintf("filter type %q is not known", f.Type), "")
	}
}

// framing headers belong to the proxy: a filter that set one could make two
// ends disagree where a message ends.
var framing = []string{
	"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

func (j *ruleJudge) headerFilter(at string, f *gwv1.HTTPHeaderFilter, request bool) {
	name := func(field, n string) {
		lower := strings.ToLower(n)
		switch {
		case !isToken(n):
			j.add(field, "InvalidHeader", "", fmt.Sprintf("%q is not a header name", n), "")
		case slices.Contains(framing, lower):
			j.add(field, "InvalidHeader", "", fmt.Sprintf("header %s is the proxy's own and cannot be changed", n), "")
		case lower == "host" && request:
			j.add(field, "InvalidHeader", "", "the Host header cannot be changed by this filter", "use URLRewrite with a hostname")
		}
	}
	list := func(field string, hs []gwv1.HTTPHeader) {
		for i, h := range hs {
			x := fmt.Sprintf("%s.%s[%d]", at, field, i)
			name(x+".name", string(h.Name))
			if strings.ContainsAny(h.Value, "\r\n\x00") {
				j.add(x+".value", "InvalidHeader", "", "a header value cannot contain line breaks or NUL", "")
			}
		}
	}
	list("set", f.Set)
	list("add", f.Add)
	for i, n := range f.Remove {
		name(fmt.Sprintf("%s.remove[%d]", at, i), n)
	}
}

func (j *ruleJudge) hostname(at string, h *gwv1.PreciseHostname) {
	if h != nil {
		if why := checkHostname(string(*h), false); why != "" {
			j.add(at, "InvalidHostname", "", fmt.Sprintf("hostname %q %s", *h, why), "")
		}
	}
}

func (j *ruleJudge) redirect(at string, r *gwv1.HTTPRequestRedirectFilter) {
	if s := deref(r.Scheme, "http"); s != "http" && s != "https" {
		j.add(at+".scheme", "UnsupportedValue", "", fmt.Sprintf("scheme %q is not known", s), "use http or https")
	}
	j.hostname(at+".hostname", r.Hostname)
	j.pathModifier(at+".path", r.Path)
	if p := deref(r.Port, 80); p < 1 || p > 65535 {
		j.add(at+".port", "InvalidPort", "", fmt.Sprintf("port %d is not between 1 and 65535", p), "")
	}
	if s := deref(r.StatusCode, defaultRedirect); !slices.Contains([]int{301, 302, 303, 307, 308}, s) {
		j.add(at+".statusCode", "UnsupportedValue", "", fmt.Sprintf("status %d is not a redirect", s), "use 301, 302, 303, 307 or 308")
	}
}

func (j *ruleJudge) pathModifier(at string, p *gwv1.HTTPPathModifier) {
	if p == nil {
		return
	}
	value, field := p.ReplaceFullPath, ".replaceFullPath"
	switch p.Type {
	case gwv1.FullPathHTTPPathModifier:
	case gwv1.PrefixMatchHTTPPathModifier:
		value, field = p.ReplacePrefixMatch, ".replacePrefixMatch"
		for _, m := range j.rule.Matches {
			if m.Path != nil && deref(m.Path.Type, gwv1.PathMatchPathPrefix) != gwv1.PathMatchPathPrefix {
				j.add(at+".type", "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
					"ReplacePrefixMatch needs matches of type PathPrefix", "use ReplaceFullPath, or match by PathPrefix")
				break
			}
		}
	default:
		j.add(at+".type", "UnsupportedValue", "", fmt.Sprintf("type %q is not known", p.Type), "use ReplaceFullPath or ReplacePrefixMatch")
		return
	}
	if value == nil {
		j.add(at+field, "FieldMissing", "", fmt.Sprintf("type %s needs %s", p.Type, field[1:]), "")
	} else if why := badReplacement(*value); why != "" {
		j.add(at+field, "InvalidPath", "", fmt.Sprintf("path %q %s", *value, why), "")
	}
}

func (j *ruleJudge) mirror(at string, m *gwv1.HTTPRequestMirrorFilter) {
	if m.Percent != nil && m.Fraction != nil {
		j.add(at+".fraction", "InvalidValue", "", "percent and fraction exclude each other", "remove one of them")
	}
	if p := deref(m.Percent, 100); p < 0 || p > 100 {
		j.add(at+".percent", "InvalidValue", "", fmt.Sprintf("%d is not between 0 and 100", p), "")
	}
	if f := m.Fraction; f != nil {
		if d := deref(f.Denominator, 100); f.Numerator < 0 || d < 1 || f.Numerator > d {
			j.add(at+".fraction", "InvalidValue", "", fmt.Sprintf("%d/%d is not between 0 and 1", f.Numerator, d), "")
		}
	}
}

func (j *ruleJudge) cors(at string, c *gwv1.HTTPCORSFilter) {
	for i, o := range c.AllowOrigins {
		scheme, host, ok := strings.Cut(string(o), "://")
		switch {
		case o == "*" && len(c.AllowOrigins) > 1:
			j.add(fmt.Sprintf("%s.allowOrigins[%d]", at, i), "InvalidValue", "", `"*" cannot stand beside other origins`, "")
		case o != "*" && (!ok || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?# ")):
			j.add(fmt.Sprintf("%s.allowOrigins[%d]", at, i), "InvalidValue", "", fmt.Sprintf("%q is not an origin", o),
				`write it like "https://www.example.com", "https://*.example.com" or "*"`)
		}
	}
	tokens := func(field, v string) {
		if !isToken(v) {
			j.add(at+field, "InvalidValue", "", fmt.Sprintf("%q is not a name", v), "")
		}
	}
	for i, m := range c.AllowMethods {
		tokens(fmt.Sprintf(".allowMethods[%d]", i), string(m))
	}
	for i, h := range c.AllowHeaders {
		tokens(fmt.Sprintf(".allowHeaders[%d]", i), string(h))
	}
	for i, h := range c.ExposeHeaders {
		tokens(fmt.Sprintf(".exposeHeaders[%d]", i), string(h))
	}
	if c.MaxAge < 0 {
		j.add(at+".maxAge", "InvalidValue", "", "maxAge cannot be negative", "")
	}
}
