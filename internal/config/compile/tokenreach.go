package compile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// tokenReach is what of a TokenIssuer listeners serve.
type tokenReach struct {
	served bool
	paths  [3]bool
	// plain are sections where secrets and tokens pass unencrypted; guarded are
	// policies that ask clients for another credential first.
	plain, guarded []string
}

var tokenMethods = [3]string{"POST", "GET", "GET"}

// warnTokenIssuers says what of TokenIssuers clients do not reach, or should not reach
// as they do.
func (c *compiler) warnTokenIssuers(listeners []*ir.Listener, routes []*ir.Route) {
	if len(c.tokenIssuers) == 0 {
		return
	}
	byName := make(map[string]*ir.Route)
	for _, r := range routes {
		if slices.ContainsFunc(r.Rules, func(rule *ir.Rule) bool { return rule.Filters.TokenIssuer != "" }) {
			byName[r.Name] = r
		}
	}
	reach := map[string]*tokenReach{}
	for _, x := range c.tokenIssuers {
		reach[x.ir.Name] = &tokenReach{}
	}
	for _, l := range listeners {
		for _, s := range l.Sections {
			for _, at := range s.Routes {
				if r := byName[at.Route]; r != nil {
					c.reachTokens(reach, l, s, r, at.Hostnames)
				}
			}
		}
	}
	keys := make([]store.Key, 0, len(c.tokenIssuers))
	for key := range c.tokenIssuers {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compareKeys)
	for _, key := range keys {
		x := c.tokenIssuers[key]
		c.tellTokenReach(x, reach[x.ir.Name])
	}
}

func (c *compiler) reachTokens(reach map[string]*tokenReach, l *ir.Listener, s *ir.Section, r *ir.Route, hostnames []string) {
	for _, rule := range r.Rules {
		at := reach[rule.Filters.TokenIssuer]
		if at == nil {
			continue
		}
		namespace, name, _ := strings.Cut(rule.Filters.TokenIssuer, "/")
		x := c.tokenIssuers[store.Key{Group: ownGroup, Kind: "TokenIssuer", Namespace: namespace, Name: name}]
		u, _ := url.Parse(x.ir.Issuer) // it was judged
		at.served = true
		if l.ProtocolOf(s) == ir.HTTP && u.Scheme == "https" && !slices.Contains(at.plain, s.Name) {
			at.plain = append(at.plain, s.Name)
		}
		if a := rule.Policy.Authentication; a != nil && !a.Optional && !slices.Contains(at.guarded, a.Policy) && len(a.AnyOf) > 0 {
			at.guarded = append(at.guarded, a.Policy)
		}
		if len(hostnames) > 0 && !slices.ContainsFunc(hostnames, func(h string) bool { return h == "" || covers(h, strings.ToLower(u.Hostname())) }) {
			continue
		}
		for i, path := range x.ir.Paths() {
			at.paths[i] = at.paths[i] || takesPath(rule, tokenMethods[i], path)
		}
	}
}

func (c *compiler) tellTokenReach(x *tokenIssuer, at *tokenReach) {
	say := func(field string, severity store.Severity, code, message, remedy string) {
		c.report(problemAt(x.object, field, severity, code, message, remedy))
	}
	if !at.served {
		say("spec.issuer", store.Note, "IssuerUnserved", "no rule serves this issuer here: clients get no tokens of it from this gateway",
			"write an HTTPRoute rule with filters: [{type: ExtensionRef, extensionRef: {group: gridway.dev, kind: TokenIssuer, name: "+x.object.Key.Name+"}}]")
		return
	}
	var missing []string
	for i, path := range x.ir.Paths() {
		if !at.paths[i] {
			missing = append(missing, tokenMethods[i]+" "+path)
		}
	}
	if len(missing) > 0 {
		u, _ := url.Parse(x.ir.Issuer) // it was judged
		say("spec.issuer", store.Warning, "IssuerUnreached",
			fmt.Sprintf("of host %s no rule with this issuer takes %s", u.Hostname(), strings.Join(missing, ", ")),
			"give such a rule matches for these paths, and its route the hostname")
	}
	if len(at.plain) > 0 {
		say("spec.issuer", store.Warning, "IssuerUnprotected",
			fmt.Sprintf("%s serves it by plain HTTP: whoever is on the path reads secrets and tokens", strings.Join(at.plain, ", ")),
			"attach the route to a listener of protocol HTTPS, unless a proxy before this one ends TLS")
	}
	for _, policy := range at.guarded {
		say("spec.issuer", store.Warning, "IssuerGuarded",
			fmt.Sprintf("AuthenticationPolicy %s holds for its rules: clients need another credential before they can ask for a token", policy),
			"give the route an AuthenticationPolicy of its own with mode: Anonymous")
	}
}
