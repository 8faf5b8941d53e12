package compile

import (
	"bytes"
	"fmt"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultIntrospectionTimeout = 2 * time.Second
	defaultIntrospectionTTL     = 30 * time.Second
	defaultNegativeTTL          = 5 * time.Second
	mostIntrospectionTTL        = time.Hour
	mostNegativeTTL             = time.Minute
	defaultTokenHint            = "access_token"
)

// judgeIntrospection finds what is wrong with a method that asks what tokens are.
func judgeIntrospection(m *v1alpha1.OAuth2IntrospectionAuthentication, field string, add func(field, message, remedy string)) {
	judgeSources(m.From, field, add)
	for i, r := range m.RequiredClaims {
		if _, err := ir.ParseClaim(r.Claim); err != nil {
			add(fmt.Sprintf("%s.requiredClaims[%d].claim", field, i), err.Error(), "")
		}
	}
	if c := m.Consumer; c != nil {
		if _, err := ir.ParseClaim(c.Claim); err != nil {
			add(field+".consumer.claim", err.Error(), "for example client_id")
		}
	}
	between := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			add(field+name, fmt.Sprintf("%s is not between %s and %s", d, least, most), "")
		}
	}
	between(".clockSkew", duration(m.ClockSkew, defaultClockSkew), 0, maxClockSkew)
	between(".timeout", duration(m.Timeout, defaultIntrospectionTimeout), leastExternalTimeout, mostExternalTimeout)
	if c := m.Cache; c != nil {
		between(".cache.ttl", duration(c.TTL, defaultIntrospectionTTL), 0, mostIntrospectionTTL)
		between(".cache.negativeTTL", duration(c.NegativeTTL, defaultNegativeTTL), 0, mostNegativeTTL)
	}
}

// introspectionOf compiles a method, apart from who is asked and the secret.
func introspectionOf(m *v1alpha1.OAuth2IntrospectionAuthentication) *ir.IntrospectionAuth {
	out := &ir.IntrospectionAuth{
		Path: m.Path, ClientID: m.Client.ID, Post: deref(m.Client.Method, "") == "Post",
		From: sources(m.From), Forward: deref(m.Forward, false), Hint: deref(m.TokenTypeHint, defaultTokenHint),
		Issuer: deref(m.Issuer, ""), Audiences: m.Audiences, ClockSkew: duration(m.ClockSkew, defaultClockSkew),
		Timeout: duration(m.Timeout, defaultIntrospectionTimeout), TTL: defaultIntrospectionTTL, NegativeTTL: defaultNegativeTTL,
	}
	if len(out.From) == 0 {
		out.From = []ir.CredentialSource{{Header: "Authorization", Prefix: "Bearer "}}
	}
	for _, r := range m.RequiredClaims {
		path, _ := ir.ParseClaim(r.Claim) // it was judged
		out.Required = append(out.Required, ir.JWTRequired{Claim: path, Values: r.Values})
	}
	if c := m.Consumer; c != nil {
		out.Consumer, _ = ir.ParseClaim(c.Claim)
		out.ConsumerRequired = deref(c.Required, false)
	}
	if c := m.Cache; c != nil {
		out.TTL, out.NegativeTTL = duration(c.TTL, defaultIntrospectionTTL), duration(c.NegativeTTL, defaultNegativeTTL)
	}
	return out
}

// askIntrospection completes a method with the cluster and the secret.
func (s *routeScope) askIntrospection(out *ir.IntrospectionAuth, ctx *policyContext, from *store.Object, m *v1alpha1.OAuth2IntrospectionAuthentication) {
	var server ir.ExternalAuth
	s.askExternal(&server, ctx, from, m.BackendRef) // what is wrong is the policy's matter
	out.Backend, out.Cluster, out.Problem = server.Backend, server.Cluster, server.Problem
	secret, o, message, _ := s.clientSecret(from, &m.Client)
	if o == nil {
		s.state.missing = true
	} else {
		s.state.deps = append(s.state.deps, o)
	}
	if message != "" {
		out.Problem = message
	}
	out.ClientSecret = secret
}

// clientSecret reads the secret of a client, or says why there is none.
func (c *compiler) clientSecret(owner *store.Object, client *v1alpha1.OAuth2Client) (secret string, o *store.Object, message, remedy string) {
	key := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: client.SecretRef.Name}
	if o = c.set.Get(key); o == nil {
		message, remedy = c.notFound(key)
		return "", nil, message, remedy
	}
	text := bytes.TrimRight(secretEntry(o, entryName(&client.SecretRef)), " \t\r\n")
	if len(text) == 0 {
		return "", o, fmt.Sprintf("%s has no entry %q", key, entryName(&client.SecretRef)), "put the client's secret there"
	}
	return string(text), o, "", ""
}

// finishIntrospections says of a policy whether those whom it asks, and its secrets,
// are there.
func (c *compiler) finishIntrospections(p *authenticationPolicy) {
	for i := range p.spec.AnyOf {
		m := p.spec.AnyOf[i].OAuth2Introspection
		if m == nil {
			continue
		}
		field := fmt.Sprintf("spec.anyOf[%d].oauth2Introspection", i)
		if p.resolved == nil {
			p.resolved = &status.Condition{
				Type: string(gwv1.RouteConditionResolvedRefs), Status: status.True,
				Reason: string(gwv1.RouteReasonResolvedRefs), Generation: meta(p.object).GetGeneration(),
			}
		}
		unresolved := func(at, code, reason, message, remedy string) {
			c.report(problemAt(p.source(), field+at, store.Warning, code, message+"; requests are answered 503", remedy))
			if p.resolved.Status == status.True {
				p.resolved.Status, p.resolved.Reason, p.resolved.Message = status.False, reason, message
			}
		}
		if _, f := c.lookUp(p.source(), m.BackendRef, "", false); f != nil {
			unresolved(".backendRef"+f.field, f.code, f.reason, f.message, f.remedy)
		}
		if _, _, message, remedy := c.clientSecret(p.source(), &m.Client); message != "" {
			unresolved(".client.secretRef", "InvalidReference", "InvalidReference", message, remedy)
		}
	}
}
