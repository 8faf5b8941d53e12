// Package filters lists the filters of a rule and of a backend ref in the order
// in which they act, which is fixed here and not up to the user. It owns no
// goroutines; the snapshot imports it.
package filters

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/proxy/filters/bridge"
	"github.com/gridway/gridway/internal/proxy/filters/compress"
	"github.com/gridway/gridway/internal/proxy/filters/cors"
	"github.com/gridway/gridway/internal/proxy/filters/decompress"
	"github.com/gridway/gridway/internal/proxy/filters/direct"
	"github.com/gridway/gridway/internal/proxy/filters/externalauth"
	"github.com/gridway/gridway/internal/proxy/filters/fault"
	"github.com/gridway/gridway/internal/proxy/filters/headers"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/filters/redirect"
	"github.com/gridway/gridway/internal/proxy/filters/rewrite"
	"github.com/gridway/gridway/internal/proxy/filters/shield"
	"github.com/gridway/gridway/internal/proxy/filters/tokenissuer"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/proxy/login"
)

// Chain is what acts on an exchange, each list in the order in which it is
// called. Session persistence, buffering, mirrors and admission are the
// pipeline's own.
type Chain struct {
	// Recognize comes before all others; it is nil where nothing is to be recognized.
	Recognize filter.Recognizer
	// Guard says whether the request may go on. It comes before admission.
	Guard []filter.RequestFilter
	// Kinds are what those of Guard stand for.
	Kinds    []filter.PolicyKind
	Request  []filter.RequestFilter
	Response []filter.ResponseFilter
}

// Schemas finds descriptors for rules that need them.
type Schemas interface {
	For(r *ir.Rule) transcode.Source
}

// Deps is what filters need beside their rule. Fields may be nil where no rule
// needs them.
type Deps struct {
	Schemas Schemas
	// Consumers are those who may call.
	Consumers *consumer.Directory
	// Passwords bounds the work on passwords.
	Passwords *password.Verifier
	// Tokens verifies tokens.
	Tokens authentication.Tokens
	// Logins finds logins by their names.
	Logins func(name string) *login.Handle
	// Issuers finds issuers of tokens by their names.
	Issuers func(name string) *issuing.Handle
	// Certificates remembers what was read of clients' certificates.
	Certificates *clientcert.Cache
	// Revocations finds lists of revoked certificates.
	Revocations *clientcert.Revocations
	// Answers remembers what servers have said about requests.
	Answers *extauthz.Caches
	// Lists are of addresses and User-Agents, for rules with shields.
	Lists shield.Lists
	// Policy counts the decisions of a policy, which is named "Kind/namespace/name".
	Policy func(name string) filter.Decisions
	// Method counts what a method of an AuthenticationPolicy does; nil counts nothing.
	Method func(policy, method string) authentication.Counts
	// Authorization compiles a policy once for all rules; nil compiles it for each.
	Authorization func(*ir.Authorization) *authorization.Policy
	// RateLimits are for rules with limits.
	RateLimits ratelimit.Deps
}

// decisions is for a policy of a kind.
func (d *Deps) decisions(kind, policy string) filter.Decisions {
	if d.Policy == nil {
		return uncounted{}
	}
	return d.Policy(kind + "/" + policy)
}

// authorization is a policy that is compiled.
func (d *Deps) authorization(cfg *ir.Authorization) *authorization.Policy {
	if d.Authorization != nil {
		return d.Authorization(cfg)
	}
	p, _ := authorization.Compile(cfg, d.decisions("AuthorizationPolicy", cfg.Policy)) // a broken one lets nothing through
	return p
}

type uncounted struct{}

func (uncounted) Decided(int) {}

// shields is what shields need beside their policies.
func (d *Deps) shields() shield.Deps {
	return shield.Deps{Lists: d.Lists, Policy: func(name string) filter.Decisions { return d.decisions("ShieldPolicy", name) }}
}

// ShieldOf is that of a route without requests; nil where there is none.
func (d *Deps) ShieldOf(s *ir.Shield) *shield.Connections {
	if d.Lists == nil {
		return nil
	}
	return shield.NewConnections(s, d.shields())
}

// AuthorizationOf is what policies say of connections without requests; nil is that
// there are none.
func (d *Deps) AuthorizationOf(list []*ir.Authorization) *authorization.Authorization {
	if len(list) == 0 {
		return nil
	}
	compiled := make([]*authorization.Policy, len(list))
	for i, one := range list {
		compiled[i] = d.authorization(one)
	}
	return authorization.New(compiled, authorization.Deps{})
}

func (c *Chain) guard(k filter.PolicyKind, f filter.RequestFilter) {
	c.Guard, c.Kinds = append(c.Guard, f), append(c.Kinds, k)
}

// ForRule returns the filters of a rule.
func ForRule(r *ir.Rule, d Deps) Chain {
	f, p := &r.Filters, &r.Policy
	var c Chain
	var crossOrigin *cors.CORS
	var coding *compress.Compress

	// A preflight carries no credentials and meets no fault: CORS is first.
	if f.CORS != nil {
		crossOrigin = cors.New(f.CORS)
		c.guard(filter.NoPolicy, crossOrigin)
	}
	var body *shield.Body
	if p.Shield != nil && d.Lists != nil {
		deps := d.shields()
		deps.CORS = f.CORS
		if s := shield.New(p.Shield, deps); s != nil {
			c.guard(filter.ShieldPolicy, s)
		}
		if b := p.Shield.Body; b != nil && b.JSON != nil {
			body = shield.NewBody(b, deps)
		}
	}
	var limits *ratelimit.Limits
	if len(p.RateLimits) > 0 && d.RateLimits.Get != nil {
		route, _, _ := strings.Cut(r.ID, "/rules/")
		deps := d.RateLimits
		for _, s := range p.RateLimitServers {
			if deps.Servers == nil {
				deps.Servers = map[string]string{}
			}
			deps.Servers[s.Store] = s.Cluster
		}
		limits = ratelimit.New(p.RateLimits, route, deps)
	}
	// What needs not to know who calls bounds those who try to find out, too.
	if limits != nil && limits.Before != nil {
		c.guard(filter.RateLimitPolicy, limits.Before)
	}
	var documents *transcode.Transcode
	if p.Transcoding != nil {
		documents = transcode.New(p.Transcoding, p.Bridge, d.Schemas.For(r))
	}
	var who authorization.Deps
	if p.Authentication != nil {
		deps := authentication.Deps{
			Consumers: d.Consumers, Passwords: d.Passwords, Tokens: d.Tokens, Logins: d.Logins, Certificates: d.Certificates, Revocations: d.Revocations, Answers: d.Answers, Decisions: d.decisions("AuthenticationPolicy", p.Authentication.Policy),
		}
		if d.Method != nil {
			deps.Counts = func(method string) authentication.Counts { return d.Method(p.Authentication.Policy, method) }
		}
		a := authentication.New(p.Authentication, deps)
		c.guard(filter.AuthenticationPolicy, a)
		if a.Responds() {
			c.Response = append(c.Response, a)
		}
		if len(p.Authentication.AnyOf) > 0 {
			who.Ask = a.Ask
		}
	}
	for _, e := range f.ExternalAuth {
		c.guard(filter.ExternalAuth, externalauth.New(e))
	}
	if len(p.Authorization) > 0 {
		if documents != nil {
			who.CallPath = documents.CallPath
		}
		list := make([]*authorization.Policy, len(p.Authorization))
		for i, one := range p.Authorization {
			list[i] = d.authorization(one)
		}
		c.guard(filter.AuthorizationPolicy, authorization.New(list, who))
	}
	if limits != nil && limits.After != nil {
		c.guard(filter.RateLimitPolicy, limits.After)
	}
	// Bodies are looked at as clients send them, before they become messages.
	translated := documents != nil || p.Bridge != nil
	if body != nil && translated {
		c.Request = append(c.Request, body)
	}
	// What follows sees a call of gRPC.
	var recognizers recognizers
	if documents != nil {
		c.Request, recognizers = append(c.Request, documents), append(recognizers, documents)
	}
	var protocols *bridge.Bridge
	if p.Bridge != nil {
		protocols = bridge.New(p.Bridge)
		c.Request, recognizers = append(c.Request, protocols), append(recognizers, protocols)
	}
	// The bridge's messages of JSON, for endpoints that do not know it.
	var messages *transcode.Recode
	if documents != nil && protocols != nil {
		messages = documents.Recode()
		c.Request = append(c.Request, messages)
	}
	if recognizers != nil {
		c.Recognize = recognizers
	}
	// What the client accepts is read before anything changes it.
	if p.Compression != nil && len(p.Compression.Algorithms) > 0 {
		coding = compress.New(p.Compression)
		c.Request = append(c.Request, coding)
	}
	if p.Fault != nil {
		c.Request = append(c.Request, fault.New(p.Fault, nil))
	}
	if f.Redirect != nil {
		c.Request = append(c.Request, redirect.New(f.Redirect))
	}
	if p.Direct != nil {
		c.Request = append(c.Request, direct.New(p.Direct))
	}
	if f.TokenIssuer != "" {
		c.Request = append(c.Request, tokenissuer.New(f.TokenIssuer, tokenissuer.Deps{Issuers: d.Issuers, Consumers: d.Consumers}))
	}
	// The coding is undone by what the client said, before headers are modified.
	if p.Compression != nil && p.Compression.DecompressRequests {
		c.Request = append(c.Request, decompress.NewRequest(p.Compression))
	}
	if body != nil && !translated {
		c.Request = append(c.Request, body)
	}
	c.modifyRequest(f)

	// Responses go the other way: what the client gets is decided last.
	if limits != nil && limits.Costs != nil {
		c.Response = append(c.Response, limits.Costs)
	}
	if documents != nil {
		c.Response = append(c.Response, documents)
	}
	if messages != nil {
		c.Response = append(c.Response, messages)
	}
	if protocols != nil {
		c.Response = append(c.Response, protocols)
	}
	if p.Compression != nil && p.Compression.DecompressResponses {
		c.Response = append(c.Response, decompress.NewResponse(p.Compression))
	}
	if asksServers(r) {
		c.Response = append(c.Response, extauthz.Responses{})
	}
	if f.ResponseHeaders != nil {
		c.Response = append(c.Response, headers.NewResponse(f.ResponseHeaders))
	}
	if p.Shield != nil && p.Shield.Headers != nil {
		c.Response = append(c.Response, shield.NewHeaders(p.Shield.Headers))
	}
	if crossOrigin != nil {
		c.Response = append(c.Response, crossOrigin)
	}
	if coding != nil {
		c.Response = append(c.Response, coding)
	}
	if limits != nil {
		c.Response = append(c.Response, limits)
	}
	return c
}

// asksServers tells whether servers say who sends the rule's requests.
func asksServers(r *ir.Rule) bool {
	a := r.Policy.Authentication
	return len(r.Filters.ExternalAuth) > 0 || a != nil && slices.ContainsFunc(a.AnyOf, func(m ir.AuthenticationMethod) bool { return m.External != nil })
}

// recognizers asks one after the other until one has recognized the request.
type recognizers []filter.Recognizer

func (r recognizers) Recognize(x *filter.Exchange) {
	for _, one := range r {
		if one.Recognize(x); x.Replier != nil {
			return
		}
	}
}

// ForBackend returns the filters of a backend ref, which act on requests after
// the rule's and on responses before them.
func ForBackend(f *ir.Filters) Chain {
	var c Chain
	var crossOrigin *cors.CORS
	if f.CORS != nil {
		crossOrigin = cors.New(f.CORS)
		c.Request = append(c.Request, crossOrigin)
	}
	if f.Redirect != nil {
		c.Request = append(c.Request, redirect.New(f.Redirect))
	}
	c.modifyRequest(f)
	if f.ResponseHeaders != nil {
		c.Response = append(c.Response, headers.NewResponse(f.ResponseHeaders))
	}
	if crossOrigin != nil {
		c.Response = append(c.Response, crossOrigin)
	}
	return c
}

// modifyRequest adds the header modifier, then the rewrite, whose host wins.
func (c *Chain) modifyRequest(f *ir.Filters) {
	if f.RequestHeaders != nil {
		c.Request = append(c.Request, headers.NewRequest(f.RequestHeaders))
	}
	if f.Rewrite != nil {
		c.Request = append(c.Request, rewrite.New(f.Rewrite))
	}
}
