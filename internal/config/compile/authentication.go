package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// authenticationPolicy is an AuthenticationPolicy while it is compiled.
type authenticationPolicy = policy[v1alpha1.AuthenticationPolicySpec]

var authenticationKind = policyKind[v1alpha1.AuthenticationPolicySpec]{
	name: v1alpha1.KindAuthenticationPolicy,
	read: specOf(func(p *v1alpha1.AuthenticationPolicy) *v1alpha1.AuthenticationPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.AuthenticationPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeAuthentication,
}

const (
	defaultKeyHeader = "X-API-Key"
	defaultRealm     = "gridway"
)

// judgeAuthentication finds the semantic errors of an AuthenticationPolicy.
func judgeAuthentication(spec *v1alpha1.AuthenticationPolicySpec) []fault {
	faults := judgeTargets(v1alpha1.KindAuthenticationPolicy, spec.TargetRefs, v1alpha1.RequestTargets()...)
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	anonymous := spec.Mode == v1alpha1.AuthenticationAnonymous
	if anonymous != (len(spec.AnyOf) == 0) {
		add("anyOf", "methods are needed, unless mode is Anonymous, which has none", "")
	}
	names := map[string]bool{}
	for i := range spec.AnyOf {
		m := &spec.AnyOf[i]
		field := fmt.Sprintf("anyOf[%d]", i)
		if name := methodName(m); names[name] {
			add(field+".name", fmt.Sprintf("%q is the name of another method of this policy", name), "give it another name")
		} else {
			names[name] = true
		}
		if len(methodKinds(m)) != 1 {
			add(field, "exactly one method must be given", "for example: apiKey: {}")
		}
		if m.APIKey != nil {
			judgeSources(m.APIKey.From, field+".apiKey", add)
		}
		if m.JWT != nil {
			judgeSources(m.JWT.From, field+".jwt", add)
			judgeJWT(m.JWT, field+".jwt", add)
		}
		if m.OIDC != nil {
			judgeOIDC(m.OIDC, field+".oidc", add)
		}
		if m.ClientCertificate != nil {
			judgeClientCertificate(m.ClientCertificate, field+".clientCertificate", add)
		}
		if m.OAuth2Introspection != nil {
			judgeIntrospection(m.OAuth2Introspection, field+".oauth2Introspection", add)
		}
		if m.HMAC != nil {
			judgeHMAC(m.HMAC, field+".hmac", add)
		}
		if m.External != nil {
			judgeExternal(m.External, field+".external", add)
		}
	}
	for i, h := range spec.RequestHeaders {
		if (h.Value == nil) == (h.Claim == nil) {
			add(fmt.Sprintf("requestHeaders[%d]", i), "exactly one of value and claim must be given", "")
		} else if h.Claim != nil {
			if _, err := ir.ParseClaim(*h.Claim); err != nil {
				add(fmt.Sprintf("requestHeaders[%d].claim", i), err.Error(), "")
			}
		}
		if lower := strings.ToLower(string(h.Name)); slices.Contains(framing, lower) || lower == "host" {
			add(fmt.Sprintf("requestHeaders[%d].name", i), fmt.Sprintf("header %s is the proxy's own and cannot be changed", h.Name), "use another name")
		}
	}
	return faults
}

func judgeSources(list []v1alpha1.CredentialSource, field string, add func(field, message, remedy string)) {
	for i, s := range list {
		if message, remedy := judgeSource(s); message != "" {
			add(fmt.Sprintf("%s.from[%d]", field, i), message, remedy)
		}
	}
}

func judgeSource(s v1alpha1.CredentialSource) (message, remedy string) {
	given := 0
	for _, is := range []bool{s.Header != nil, s.Query != nil, s.Cookie != nil} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return "exactly one of header, query and cookie must be given", ""
	case s.Prefix != nil && s.Header == nil:
		return "prefix goes with header only", ""
	case s.Header == nil:
		return "", ""
	}
	switch lower := strings.ToLower(string(*s.Header)); {
	case slices.Contains(framing, lower) || lower == "host":
		return fmt.Sprintf("header %s is the proxy's own and holds no credential", *s.Header), ""
	case lower == "cookie":
		return "the header Cookie holds many things", "name the cookie: cookie: NAME"
	}
	return "", ""
}

// methodKinds are the fields of a method that are given.
func methodKinds(m *v1alpha1.AuthenticationMethod) (kinds []string) {
	for _, k := range []struct {
		name  string
		given bool
	}{{"apiKey", m.APIKey != nil}, {"basic", m.Basic != nil}, {"jwt", m.JWT != nil}, {"oidc", m.OIDC != nil}, {"clientCertificate", m.ClientCertificate != nil}, {"oauth2Introspection", m.OAuth2Introspection != nil}, {"hmac", m.HMAC != nil}, {"external", m.External != nil}} {
		if k.given {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

func methodName(m *v1alpha1.AuthenticationMethod) string {
	if kinds := methodKinds(m); len(kinds) > 0 {
		return deref(m.Name, kinds[0])
	}
	return deref(m.Name, "")
}

// authenticationOf is what the most specific policy on a rule says; the chain is
// that of the rule and its route, then that of the listener.
func (s *routeScope) authenticationOf(ctx *policyContext, rule string) (*ir.Authentication, []ir.Ref) {
	chain := append(s.authentication.onRule(s.state.object.Key, rule), ctx.authentication...)
	if len(chain) == 0 {
		return nil, nil
	}
	p := chain[0].policy
	out := s.authenticationBy(p)
	for i := range out.AnyOf {
		if in := out.AnyOf[i].Introspection; in != nil {
			s.askIntrospection(in, ctx, p.used, p.spec.AnyOf[i].OAuth2Introspection)
		}
		if e := out.AnyOf[i].External; e != nil {
			s.askExternal(e, ctx, p.used, p.spec.AnyOf[i].External.BackendRef) // what is wrong is the policy's matter
		}
	}
	return out, policyRefs(chain[:1])
}

func (c *compiler) authenticationBy(p *authenticationPolicy) *ir.Authentication {
	key := p.object.Key
	out := &ir.Authentication{Policy: key.Namespace + "/" + key.Name, Namespace: key.Namespace}
	if p.spec == nil {
		out.Broken = true
		return out
	}
	spec := p.spec
	out.Optional = spec.Mode == v1alpha1.AuthenticationOptional
	out.Realm = deref(spec.Realm, defaultRealm)
	out.EveryNamespace = spec.Consumers != nil && deref(spec.Consumers.From, "Same") == "All"
	for i := range spec.AnyOf {
		m := &spec.AnyOf[i]
		method := ir.AuthenticationMethod{Name: methodName(m), APIKey: apiKey(m.APIKey), ClientCertificate: clientCertificate(m.ClientCertificate)}
		if method.ClientCertificate != nil {
			method.ClientCertificate.Revocation = revocationOf(m.ClientCertificate.Revocation, revocationName(p, i))
		}
		if m.Basic != nil {
			method.Basic = &ir.BasicAuth{Forward: deref(m.Basic.Forward, false)}
		}
		if m.JWT != nil {
			method.JWT = c.jwtOf(m.JWT, key.Namespace, func(issuer int) string { return keySetName(p, i, issuer) })
		}
		if m.OIDC != nil {
			method.OIDC = oidcOf(m.OIDC, key.Namespace, loginName(p, i), keySetName(p, i, 0))
		}
		if m.OAuth2Introspection != nil {
			method.Introspection = introspectionOf(m.OAuth2Introspection)
		}
		if m.HMAC != nil {
			method.HMAC = hmacOf(m.HMAC)
		}
		if m.External != nil {
			method.External = externalOf(m.External)
		}
		out.AnyOf = append(out.AnyOf, method)
	}
	for _, h := range spec.RequestHeaders {
		one := ir.CallerHeader{Name: string(h.Name), Value: ir.CallerFact(deref(h.Value, ""))}
		if h.Claim != nil {
			one.Claim, _ = ir.ParseClaim(*h.Claim) // it was judged
		}
		out.Headers = append(out.Headers, one)
	}
	return out
}

func apiKey(k *v1alpha1.APIKeyAuthentication) *ir.APIKeyAuth {
	if k == nil {
		return nil
	}
	out := &ir.APIKeyAuth{From: sources(k.From), Forward: deref(k.Forward, false)}
	if len(out.From) == 0 {
		out.From = []ir.CredentialSource{{Header: defaultKeyHeader}}
	}
	return out
}

func sources(list []v1alpha1.CredentialSource) []ir.CredentialSource {
	var out []ir.CredentialSource
	for _, s := range list {
		out = append(out, ir.CredentialSource{
			Header: string(deref(s.Header, "")), Prefix: deref(s.Prefix, ""), Query: deref(s.Query, ""), Cookie: deref(s.Cookie, ""),
		})
	}
	return out
}

// finishAuthentication writes the statuses of AuthenticationPolicies.
func (c *compiler) finishAuthentication() {
	overrule(c, &c.authentication)
	reached := c.certificateReach()
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		c.warnUnreached(p.source(), p.targets)
		c.warnNoConsumers(p)
		c.warnNoCertificates(p, reached)
		c.warnUnsigned(p)
		c.finishIntrospections(p)
		c.finishExternals(p)
	}
	finishKind(c, &c.authentication)
}

// warnNoConsumers names policies with keys that nobody has.
func (c *compiler) warnNoConsumers(p *authenticationPolicy) {
	if !slices.ContainsFunc(p.spec.AnyOf, func(m v1alpha1.AuthenticationMethod) bool {
		cert := m.ClientCertificate
		return m.APIKey != nil || m.Basic != nil || m.HMAC != nil || cert != nil && cert.Consumer != nil && deref(cert.Consumer.Required, false)
	}) {
		return
	}
	every := p.spec.Consumers != nil && deref(p.spec.Consumers.From, "Same") == "All"
	namespace := p.object.Key.Namespace
	// Ordered by namespace.
	at, _ := slices.BinarySearchFunc(c.next.consumers, namespace, func(x *consumer, ns string) int {
		return strings.Compare(x.object.Key.Namespace, ns)
	})
	if every && len(c.next.consumers) > 0 || at < len(c.next.consumers) && c.next.consumers[at].object.Key.Namespace == namespace {
		return
	}
	for k := range c.in.Refused {
		if k.Kind == "Consumer" && (every || k.Namespace == namespace) {
			return // there will be one, once it is correct
		}
	}
	c.report(problemAt(p.source(), "spec.anyOf[0]", store.Note, "NoConsumers",
		fmt.Sprintf("there is no Consumer in namespace %q: nobody has a credential, unless a state store has one", namespace),
		"add a Consumer, or make one with \"gridway consumer create\""))
}
