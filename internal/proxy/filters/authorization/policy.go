package authorization

import (
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Policy is a compiled AuthorizationPolicy.
type Policy struct {
	cfg       *ir.Authorization
	decisions filter.Decisions
	rules     []rule
	index     *index // nil where a look at each rule is cheaper
	asks      bool   // some rule asks who calls
	broken    bool
}

// rule matches where all of yes hold and none of no.
type rule struct {
	name string
	asks bool // who calls
	yes  []named
	no   []named
	cel  *formula // nil for none
	// lacks is the first thing asked that connections without requests do not have.
	lacks string
	// strict: what is not known is not met.
	strict bool
}

// named is a condition and the field that it is of.
type named struct {
	condition
	field string
	// request: only a request can meet it.
	request bool
}

// condition is a fact about a request.
type condition interface{ holds(x *filter.Exchange) bool }

// Compile makes a policy. One that cannot be compiled lets nothing through, and
// the error says why.
func Compile(cfg *ir.Authorization, decisions filter.Decisions) (*Policy, error) {
	p := &Policy{cfg: cfg, decisions: decisions, broken: cfg.Broken}
	for i := range cfg.Rules {
		r, err := compileRule(&cfg.Rules[i], cfg.Action)
		if err != nil {
			p.broken, p.rules = true, nil
			return p, fmt.Errorf("AuthorizationPolicy %s, rule %s: %w", cfg.Policy, cfg.Rules[i].Name, err)
		}
		p.asks = p.asks || r.asks
		p.rules = append(p.rules, r)
	}
	if len(p.rules) >= indexFrom {
		p.index = newIndex(cfg.Rules)
	}
	return p, nil
}

func compileRule(cfg *ir.AuthorizationRule, action ir.AuthorizationAction) (rule, error) {
	r := rule{name: cfg.Name, asks: cfg.AsksCaller(), strict: action == ir.AuthorizationAllow}
	var err error
	if cfg.CEL != "" {
		if r.cel, err = newFormula(cfg.CEL, action); err != nil {
			return r, fmt.Errorf("cel: %w", err)
		}
		r.asks = r.asks || r.cel.program.Names("caller.")
	}
	fields := cfg.RequestFields()
	if len(fields) > 0 {
		r.lacks = fields[0]
	} else if r.cel != nil && !r.cel.program.ForConnections() {
		r.lacks = celField
	}
	if r.yes, err = conditions(&cfg.AuthorizationConditions, ""); err == nil && cfg.Not != nil {
		r.no, err = conditions(cfg.Not, "not.")
	}
	for _, list := range [][]named{r.yes, r.no} {
		for i := range list {
			list[i].request = slices.Contains(fields, list[i].field)
		}
	}
	return r, err
}

const celField = "cel"

// match is a rule that matches, -1 for none.
func (p *Policy) match(x *filter.Exchange) int {
	if p.index != nil && x.Connection == nil {
		return p.index.find(p, x)
	}
	for i := range p.rules {
		if p.rules[i].matches(x) {
			return i
		}
	}
	return -1
}

func (r *rule) matches(x *filter.Exchange) bool {
	if x.Connection != nil {
		return r.connectionFails(x) == ""
	}
	for i := range r.yes {
		if !r.yes[i].holds(x) {
			return false
		}
	}
	for i := range r.no {
		if r.no[i].holds(x) {
			return false
		}
	}
	return r.cel == nil || r.cel.holds(x)
}

// fails is the field of the first condition that is not met, empty if the rule
// matches.
func (r *rule) fails(x *filter.Exchange) string {
	if x.Connection != nil {
		return r.connectionFails(x)
	}
	for i := range r.yes {
		if !r.yes[i].holds(x) {
			return r.yes[i].field
		}
	}
	for i := range r.no {
		if r.no[i].holds(x) {
			return r.no[i].field
		}
	}
	if r.cel != nil && !r.cel.holds(x) {
		return celField
	}
	return ""
}

// connectionFails is fails for a connection without requests. What it cannot have keeps
// a rule that allows from matching, and other rules are held to the rest: nothing is
// allowed by what is not known, and nothing escapes being denied or recorded.
func (r *rule) connectionFails(x *filter.Exchange) string {
	if r.strict && r.lacks != "" {
		return r.lacks
	}
	for i := range r.yes {
		if !r.yes[i].request && !r.yes[i].holds(x) {
			return r.yes[i].field
		}
	}
	for i := range r.no {
		if !r.no[i].request && r.no[i].holds(x) {
			return r.no[i].field
		}
	}
	if r.cel != nil && r.cel.program.ForConnections() && !r.cel.holds(x) {
		return celField
	}
	return ""
}

// conditions compiles what is given, what is cheap to look at first. Lists of
// which one element must hold become one condition, others one for each element.
func conditions(c *ir.AuthorizationConditions, prefix string) ([]named, error) {
	var out []named
	add := func(field string, given bool, make func() (condition, error)) error {
		if !given {
			return nil
		}
		one, err := make()
		if err != nil {
			return fmt.Errorf("%s%s: %w", prefix, field, err)
		}
		out = append(out, named{condition: one, field: prefix + field})
		return nil
	}
	plain := func(field string, n int, one condition) {
		if n > 0 {
			out = append(out, named{condition: one, field: prefix + field})
		}
	}
	plain("methods", len(c.Methods), method{newTexts(c.Methods)})
	plain("hosts", len(c.Hosts), newHosts(c.Hosts))
	plain("consumers", len(c.Consumers), newConsumers(c.Consumers))
	plain("groups", len(c.Groups), groups{newTexts(c.Groups)})
	plain("plans", len(c.Plans), plan{newTexts(c.Plans)})
	plain("authenticationMethods", len(c.AuthenticationMethods), newAuthenticationMethods(c.AuthenticationMethods))
	for _, s := range c.Scopes {
		plain("scopes", 1, scope(s))
	}
	for i := range c.Labels {
		plain("labels", 1, label{c.Labels[i].Name, c.Labels[i].Values})
	}
	plain("identities", len(c.Identities), newIdentities(c.Identities))
	plain("namespaces", len(c.Namespaces), namespaces{newTexts(c.Namespaces)})
	plain("ports", len(c.Ports), ports(c.Ports))
	plain("serverNames", len(c.ServerNames), serverNames{newHosts(c.ServerNames)})
	plain("clientIPs", len(c.ClientIPs), newNetworks(c.ClientIPs))
	plain("grpcMethods", len(c.GRPCMethods), grpcMethods(c.GRPCMethods))
	if err := add("paths", len(c.Paths) > 0, func() (condition, error) { return newPaths(c.Paths) }); err != nil {
		return nil, err
	}
	for i := range c.Headers {
		if err := add("headers", true, func() (condition, error) { return newHeader(&c.Headers[i]) }); err != nil {
			return nil, err
		}
	}
	for i := range c.Claims {
		if err := add("claims", true, func() (condition, error) { return newClaim(&c.Claims[i]) }); err != nil {
			return nil, err
		}
	}
	if err := add("times", len(c.Times) > 0, func() (condition, error) { return newWindows(c.Times) }); err != nil {
		return nil, err
	}
	return out, nil
}
