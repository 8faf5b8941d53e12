package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
)

// authorizedStreams are the routes of streams that each AuthorizationPolicy reaches.
func (c *compiler) authorizedStreams() map[*ir.Authorization][]*ir.StreamRoute {
	out := map[*ir.Authorization][]*ir.StreamRoute{}
	add := func(list []*ir.StreamRoute) {
		for _, r := range list {
			for _, a := range r.Authorization {
				out[a] = append(out[a], r)
			}
		}
	}
	for _, rs := range c.next.streams {
		add(rs.streams)
	}
	for _, ss := range c.next.services {
		add(ss.streams)
	}
	return out
}

// warnRequestsOnly names rules that ask for what connections without requests do not
// have, where the policy reaches some.
func (c *compiler) warnRequestsOnly(p *authorizationPolicy, reached []*ir.StreamRoute, reach map[string]certificates) {
	if len(reached) == 0 {
		return
	}
	where := streamPlaces(reached)
	a := c.authorizationFrom(p)
	for i := range a.Rules {
		r := &a.Rules[i]
		fields := r.RequestFields()
		if r.CEL != "" {
			if names, err := expression.Check(r.CEL, expression.Condition); err == nil && !expression.OfConnections(names) {
				fields = append(fields, "cel")
			}
		}
		if len(fields) == 0 {
			continue
		}
		what := "it lets none of those through"
		if p.spec.Action != v1alpha1.AuthorizationAllow {
			what = "those are held to the rest of the rule"
		}
		c.report(problemAt(p.source(), fmt.Sprintf("spec.rules[%d].%s", i, fields[0]), store.Warning, "RequestsOnly",
			fmt.Sprintf("rule %q asks for what only requests have (%s), and the policy reaches connections that carry none, of %s: %s", r.Name, strings.Join(fields, ", "), where, what),
			"give connections a rule or a policy of their own, or say by appProtocol that the port speaks HTTP"))
	}
	c.warnUnproven(p, reached, reach)
}

// warnUnproven names rules about identities where no listener verifies certificates.
func (c *compiler) warnUnproven(p *authorizationPolicy, reached []*ir.StreamRoute, reach map[string]certificates) {
	without := slices.DeleteFunc(slices.Clone(reached), func(r *ir.StreamRoute) bool {
		return strings.HasSuffix(r.Name, inboundSuffix) || reach[r.Name].verified
	})
	if len(without) == 0 {
		return
	}
	for i := range p.spec.Rules {
		r := &p.spec.Rules[i]
		var field string
		switch {
		case len(r.Identities) > 0:
			field = "identities"
		case r.Not != nil && len(r.Not.Identities) > 0:
			field = "not.identities"
		default:
			continue
		}
		c.report(problemAt(p.source(), fmt.Sprintf("spec.rules[%d].%s", i, field), store.Warning, "FactNotKnown",
			"the identity of a client's certificate is not known of connections of "+streamPlaces(without),
			"terminate TLS at the listener, with validation of clients' certificates"))
		return
	}
}

// streamPlaces names what connections go to, each once and a few of many.
func streamPlaces(list []*ir.StreamRoute) string {
	var out []string
	for _, r := range list {
		name, _, _ := strings.Cut(strings.TrimSuffix(r.Name, inboundSuffix), "~")
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if more := len(out) - maxNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(out[:maxNamed], ", "), more)
	}
	return strings.Join(out, ", ")
}
