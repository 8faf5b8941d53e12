package compile

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// shieldPolicy is a ShieldPolicy while it is compiled.
type shieldPolicy = policy[v1alpha1.ShieldPolicySpec]

var shieldKind = policyKind[v1alpha1.ShieldPolicySpec]{
	name: v1alpha1.KindShieldPolicy,
	read: specOf(func(p *v1alpha1.ShieldPolicy) *v1alpha1.ShieldPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.ShieldPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeShield,
}

// judgeShield finds the semantic errors of a ShieldPolicy.
func judgeShield(spec *v1alpha1.ShieldPolicySpec) []fault {
	faults := judgeTargets(v1alpha1.KindShieldPolicy, spec.TargetRefs, v1alpha1.ShieldTargets()...)
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	if a := spec.Addresses; a != nil {
		for name, list := range byName(a.Allow, a.Deny) {
			for i, s := range list {
				judgeAddresses(fmt.Sprintf("addresses.%s[%d]", name, i), s, add)
			}
		}
	}
	if u := spec.UserAgents; u != nil {
		for name, list := range byName(u.Allow, u.Deny) {
			for i, s := range list {
				judgeUserAgents(fmt.Sprintf("userAgents.%s[%d]", name, i), s, add)
			}
		}
	}
	if v := spec.CSRF; v != nil {
		for i, o := range v.TrustedOrigins {
			if !isOrigin(o) {
				add(fmt.Sprintf("csrf.trustedOrigins[%d]", i), fmt.Sprintf("%q is not an origin", o), `write it like "https://www.example.com" or "https://*.example.com"`)
			}
		}
	}
	if h := spec.SecurityHeaders; h != nil {
		for i, name := range h.Remove {
			if lower := strings.ToLower(string(name)); slices.Contains(framing, lower) {
				add(fmt.Sprintf("securityHeaders.remove[%d]", i), fmt.Sprintf("header %s is the proxy's own and cannot be changed", name), "")
			}
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return strings.Compare(a.field, b.field) })
	return faults
}

func byName[T any](allow, deny []T) map[string][]T {
	return map[string][]T{"allow": allow, "deny": deny}
}

func judgeAddresses(field string, s v1alpha1.AddressSource, add func(field, message, remedy string)) {
	if (len(s.CIDRs) > 0) == (s.ConfigMapRef != nil) {
		add(field, "exactly one of cidrs and configMapRef must be given", "")
	}
	for i, v := range s.CIDRs {
		if _, err := parsePrefix(v); err != nil {
			add(fmt.Sprintf("%s.cidrs[%d]", field, i), fmt.Sprintf("%q is not an IP address or prefix", v), "")
		}
	}
}

func judgeUserAgents(field string, s v1alpha1.UserAgentSource, add func(field, message, remedy string)) {
	if (len(s.Values) > 0) == (s.ConfigMapRef != nil) {
		add(field, "exactly one of values and configMapRef must be given", "")
	}
	if deref(s.Type, "") != v1alpha1.UserAgentRegularExpression {
		return
	}
	for i, v := range s.Values {
		if _, err := regexp.Compile(v); err != nil {
			add(fmt.Sprintf("%s.values[%d]", field, i), fmt.Sprintf("%q is not a regular expression (RE2): %s", v, err), "")
		}
	}
}

// isOrigin tells whether s is "scheme://host[:port]", or with "*." before the host.
func isOrigin(s string) bool {
	scheme, host, ok := strings.Cut(s, "://")
	host = strings.TrimPrefix(host, "*.")
	return ok && (scheme == "http" || scheme == "https") && host != "" && !strings.ContainsAny(host, "*/?#@\\ ")
}

// shieldOf is what the policies on a rule and above it come to: of each section
// the most specific, and all of what is denied.
func (s *routeScope) shieldOf(ctx *policyContext, rule string) (*ir.Shield, []ir.Ref) {
	chain := append(s.shield.onRule(s.state.object.Key, rule), ctx.shields...)
	if len(chain) == 0 {
		return nil, nil
	}
	out := &ir.Shield{}
	var csrf, body, headers *v1alpha1.ShieldMode
	noAgent := ""
	for _, b := range chain {
		name, spec := policyName(b.policy.object), b.policy.spec
		if spec == nil {
			out.Broken = name
			continue
		}
		if a := spec.Addresses; a != nil {
			if len(a.Deny) > 0 {
				out.DenyAddresses = appendOnce(out.DenyAddresses, name+denyAddresses)
			}
			if len(a.Allow) > 0 && out.AllowAddresses == "" {
				out.AllowAddresses = name + allowAddresses
			}
		}
		if u := spec.UserAgents; u != nil {
			if len(u.Deny) > 0 {
				out.DenyUserAgents = appendOnce(out.DenyUserAgents, name+denyUserAgents)
			}
			if len(u.Allow) > 0 && out.AllowUserAgents == "" {
				out.AllowUserAgents = name + allowUserAgents
			}
			if u.Missing != nil && noAgent == "" {
				noAgent = string(*u.Missing)
				out.NoUserAgent = name
			}
		}
		if v := spec.CSRF; v != nil && csrf == nil {
			mode := deref(v.Mode, v1alpha1.ShieldOn)
			if csrf = &mode; mode == v1alpha1.ShieldOn {
				out.CSRF = csrfOf(name, v)
			}
		}
		if v := spec.Body; v != nil && body == nil {
			mode := deref(v.Mode, v1alpha1.ShieldOn)
			if body = &mode; mode == v1alpha1.ShieldOn {
				out.Body = bodyShield(name, v)
			}
		}
		if h := spec.SecurityHeaders; h != nil && headers == nil {
			mode := deref(h.Mode, v1alpha1.ShieldOn)
			if headers = &mode; mode == v1alpha1.ShieldOn {
				out.Headers = securityHeaders(name, h)
			}
		}
	}
	switch {
	case noAgent == string(v1alpha1.MissingUserAgentAllow):
		out.NoUserAgent = ""
	case noAgent == "" && out.AllowUserAgents != "":
		out.NoUserAgent = strings.TrimSuffix(out.AllowUserAgents, allowUserAgents)
	}
	return out, policyRefs(chain)
}

func policyName(o *store.Object) string { return o.Key.Namespace + "/" + o.Key.Name }

func appendOnce(list []string, v string) []string {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func csrfOf(policy string, v *v1alpha1.CSRFShield) *ir.CSRF {
	out := &ir.CSRF{Policy: policy}
	for _, o := range v.TrustedOrigins {
		out.TrustedOrigins = append(out.TrustedOrigins, strings.ToLower(o))
	}
	for _, p := range v.ExemptPaths {
		t := ir.Prefix
		if deref(p.Type, gwv1.PathMatchPathPrefix) == gwv1.PathMatchExact {
			t = ir.Exact
		}
		out.ExemptPaths = append(out.ExemptPaths, ir.PathMatch{Type: t, Value: p.Value})
	}
	return out
}

func bodyShield(policy string, v *v1alpha1.BodyShield) *ir.BodyShield {
	out := &ir.BodyShield{Policy: policy}
	for _, t := range v.ContentTypes {
		out.ContentTypes = append(out.ContentTypes, strings.ToLower(string(t)))
	}
	if j := v.JSON; j != nil {
		out.JSON = &ir.JSONLimits{
			Bytes: deref(j.MaxBytes, 0), Depth: int(deref(j.MaxDepth, defaultJSONDepth)), Members: int(deref(j.MaxMembers, 0)),
			Elements: int(deref(j.MaxElements, 0)), Values: int(deref(j.MaxValues, 0)), NameBytes: int(deref(j.MaxNameBytes, 0)),
			StringBytes: int(deref(j.MaxStringBytes, 0)), NumberBytes: int(deref(j.MaxNumberBytes, 0)),
			UniqueNames: deref(j.DuplicateNames, v1alpha1.DuplicateNamesDeny) == v1alpha1.DuplicateNamesDeny,
		}
	}
	return out
}

const defaultJSONDepth = 64

const defaultHSTS = "max-age=31536000"

func securityHeaders(policy string, h *v1alpha1.SecurityHeaders) *ir.SecurityHeaders {
	out := &ir.SecurityHeaders{
		Policy: policy, Replace: deref(h.WhenPresent, v1alpha1.WhenPresentKeep) == v1alpha1.WhenPresentReplace,
		StrictTransportSecurity: string(deref(h.StrictTransportSecurity, defaultHSTS)),
	}
	for _, one := range []struct {
		name     string
		value    *v1alpha1.HeaderText
		standard v1alpha1.HeaderText
	}{
		{"X-Content-Type-Options", h.ContentTypeOptions, "nosniff"},
		{"X-Frame-Options", h.FrameOptions, "SAMEORIGIN"},
		{"Referrer-Policy", h.ReferrerPolicy, "strict-origin-when-cross-origin"},
		{"Permissions-Policy", h.PermissionsPolicy, "camera=(), geolocation=(), microphone=()"},
		{"Cross-Origin-Opener-Policy", h.CrossOriginOpenerPolicy, "same-origin"},
		{"Cross-Origin-Resource-Policy", h.CrossOriginResourcePolicy, "same-origin"},
		{"Cross-Origin-Embedder-Policy", h.CrossOriginEmbedderPolicy, ""},
		{"Content-Security-Policy", h.ContentSecurityPolicy, ""},
		{"Content-Security-Policy-Report-Only", h.ContentSecurityPolicyReportOnly, ""},
	} {
		if v := deref(one.value, one.standard); v != "" {
			out.Set = append(out.Set, ir.Header{Name: one.name, Value: string(v)})
		}
	}
	for _, name := range h.Remove {
		out.Remove = append(out.Remove, string(name))
	}
	return out
}

// finishShields writes the statuses of ShieldPolicies.
func (c *compiler) finishShields() {
	for _, section := range []struct {
		path string
		has  func(*v1alpha1.ShieldPolicySpec) bool
	}{
		{"addresses.allow", func(s *v1alpha1.ShieldPolicySpec) bool { return s.Addresses != nil && len(s.Addresses.Allow) > 0 }},
		{"userAgents.allow", func(s *v1alpha1.ShieldPolicySpec) bool { return s.UserAgents != nil && len(s.UserAgents.Allow) > 0 }},
		{"userAgents.missing", func(s *v1alpha1.ShieldPolicySpec) bool { return s.UserAgents != nil && s.UserAgents.Missing != nil }},
		{"csrf", func(s *v1alpha1.ShieldPolicySpec) bool { return s.CSRF != nil }},
		{"body", func(s *v1alpha1.ShieldPolicySpec) bool { return s.Body != nil }},
		{"securityHeaders", func(s *v1alpha1.ShieldPolicySpec) bool { return s.SecurityHeaders != nil }},
	} {
		overruleField(c, c.shield.having(section.has), section.path)
	}
	for _, p := range c.shield.all {
		if p.spec == nil {
			continue
		}
		if p.spec.Addresses == nil {
			c.warnUnreached(p.source(), p.targets)
		}
		c.warnStreamTargets(p)
		if a, u := p.spec.Addresses, p.spec.UserAgents; a != nil && len(a.Deny) > 0 || u != nil && len(u.Deny) > 0 {
			p.matters = append(p.matters, p.targets...) // what is denied adds up
		}
	}
	finishKind(c, &c.shield)
}

// warnStreamTargets names sections that mean nothing to the routes that a policy
// names.
func (c *compiler) warnStreamTargets(p *shieldPolicy) {
	i := slices.IndexFunc(p.targets, func(t target) bool { return streamKind(t.key.Kind) })
	if i < 0 {
		return
	}
	for _, section := range []struct {
		name  string
		given bool
	}{
		{"userAgents", p.spec.UserAgents != nil},
		{"csrf", p.spec.CSRF != nil},
		{"body", p.spec.Body != nil},
		{"securityHeaders", p.spec.SecurityHeaders != nil},
	} {
		if section.given {
			c.report(problemAt(p.source(), "spec."+section.name, store.Warning, "NoEffect",
				fmt.Sprintf("is about requests, and a %s has none", p.targets[i].key.Kind), "leave it out, or attach it to an HTTPRoute"))
		}
	}
}

// streamShield is what a shield says of connections: addresses.
func streamShield(s *ir.Shield) *ir.Shield {
	if s == nil || s.Broken == "" && s.DenyAddresses == nil && s.AllowAddresses == "" {
		return nil
	}
	return &ir.Shield{Broken: s.Broken, DenyAddresses: s.DenyAddresses, AllowAddresses: s.AllowAddresses}
}

// having is the index of the policies that say something in particular.
func (x *policyIndex[S]) having(has func(*S) bool) *policyIndex[S] {
	out := &policyIndex[S]{byTarget: map[target][]*policy[S]{}}
	for t, list := range x.byTarget {
		for _, p := range list {
			if p.spec != nil && has(p.spec) {
				out.byTarget[t] = append(out.byTarget[t], p)
			}
		}
	}
	return out
}

// cidr reads what was judged.
func cidr(v v1alpha1.CIDR) netip.Prefix {
	p, _ := parsePrefix(v)
	return p
}
