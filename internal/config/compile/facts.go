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

// What a policy asks of a caller is known only where a method of authentication
// says it. Policies that ask for what cannot be known are named, with the rules of
// routes where that is so.

// fact is something about the caller that a method may know.
type fact uint8

const (
	factKnown    fact = iota // that somebody is known at all
	factConsumer             // which Consumer
	factClaims
	factIdentity // which service, by its certificate
	factCount
)

// unknowable says, for each fact, in how many rules of routes it cannot be known,
// of how many that a policy reaches, and names some of them.
type unknowable struct {
	reached int
	// workloads: the policy is one of Services.
	workloads bool
	rules     [factCount][]string
	count     [factCount]int
}

const maxNamed = 3

func (u *unknowable) add(rule *ir.Rule, verified bool) { u.note(rule, knownIn(rule), verified) }

// addTold is add for a rule at a workload, which is told facts by edges.
func (u *unknowable) addTold(rule *ir.Rule, verified bool, told [factCount]bool) {
	u.workloads = true
	knows := knownIn(rule)
	for f := range knows {
		knows[f] = knows[f] || told[f]
	}
	u.note(rule, knows, verified)
}

func (u *unknowable) note(rule *ir.Rule, knows [factCount]bool, verified bool) {
	u.reached++
	knows[factIdentity] = verified
	for f := range factCount {
		if knows[f] {
			continue
		}
		if u.count[f]++; u.count[f] <= maxNamed {
			u.rules[f] = append(u.rules[f], rule.ID)
		}
	}
}

func knownIn(rule *ir.Rule) (knows [factCount]bool) {
	for _, e := range rule.Filters.ExternalAuth {
		knows[factKnown] = true
		knows[factClaims] = knows[factClaims] || e.GRPC
	}
	a := rule.Policy.Authentication
	if a == nil {
		return knows
	}
	if a.Broken { // nothing gets through, and what will is not known
		return [factCount]bool{true, true, true, true}
	}
	for i := range a.AnyOf {
		consumer, claims := a.AnyOf[i].Knows()
		knows[factKnown] = true
		knows[factConsumer] = knows[factConsumer] || consumer
		knows[factClaims] = knows[factClaims] || claims
	}
	return knows
}

// where says of something that is known nowhere, or not everywhere.
func (u *unknowable) where(f fact) string {
	if u.count[f] == u.reached {
		return "known nowhere that the policy reaches"
	}
	text := "not known in " + strings.Join(u.rules[f], ", ")
	if more := u.count[f] - len(u.rules[f]); more > 0 {
		text += fmt.Sprintf(" and %d more rules", more)
	}
	return text
}

// warnUnknowable reports what a field asks for, if it cannot be known everywhere.
func (c *compiler) warnUnknowable(o *store.Object, u *unknowable, f fact, field string) {
	if u == nil || u.count[f] == 0 {
		return
	}
	message, remedy := "who calls is ", "attach an AuthenticationPolicy, or take this one away from there"
	switch f {
	case factConsumer:
		message = "which Consumer calls is "
	case factClaims:
		message, remedy = "claims are ", "attach an AuthenticationPolicy with a method that gives claims, or take this one away from there"
	case factIdentity:
		message, remedy = "the identity of a client's certificate is ", verifyRemedy
	}
	if u.workloads && f != factIdentity {
		remedy = "attach an AuthenticationPolicy to a Gateway or its routes, whose edge tells workloads who calls, or to the Service"
		if c.vouching == nil {
			remedy = "set callers.sign of the MeshPolicy in " + v1alpha1.MeshNamespace + " to WhenNeeded, so that edges tell who calls; or attach an AuthenticationPolicy to the Service"
		}
	}
	c.report(problemAt(o, field, store.Warning, "FactNotKnown", message+u.where(f), remedy))
}

// finishAuthorization writes the statuses of AuthorizationPolicies.
func (c *compiler) finishAuthorization() {
	if len(c.authorization.all) == 0 {
		return
	}
	of := map[*ir.Authorization]*unknowable{}
	reach := c.certificateReach()
	for _, rs := range c.next.routes {
		for _, form := range rs.forms {
			for _, rule := range form.Rules {
				for _, a := range rule.Policy.Authorization {
					if of[a] == nil {
						of[a] = &unknowable{}
					}
					of[a].add(rule, reach[form.Name].verified)
				}
			}
		}
	}
	told := c.told()
	for _, rule := range c.inboundRules() {
		for _, a := range rule.Policy.Authorization {
			if of[a] == nil {
				of[a] = &unknowable{}
			}
			of[a].addTold(rule, true, told)
		}
	}
	groups, streams := c.consumerGroups(), c.authorizedStreams()
	for _, p := range c.authorization.all {
		if p.spec == nil {
			continue
		}
		c.warnUnreached(p.source(), p.targets)
		c.warnRequestsOnly(p, streams[c.authorizationFrom(p)], reach)
		u := of[c.authorizationFrom(p)]
		var told [factCount]bool
		for i := range p.spec.Rules {
			r := &p.spec.Rules[i]
			at := fmt.Sprintf("spec.rules[%d]", i)
			c.warnFacts(p, u, &told, &r.AuthorizationConditions, at)
			c.warnGroups(p, groups, r.Groups, at)
			c.warnExpression(p, u, &told, r.CEL, at+".cel")
			if r.Not != nil {
				c.warnFacts(p, u, &told, r.Not, at+".not")
				c.warnGroups(p, groups, r.Not.Groups, at+".not")
			}
		}
	}
	finishKind(c, &c.authorization)
}

// warnFacts reports each fact once for a policy, where it is asked for first.
func (c *compiler) warnFacts(p *authorizationPolicy, u *unknowable, told *[factCount]bool, cond *v1alpha1.AuthorizationConditions, at string) {
	for _, asked := range []struct {
		fact  fact
		field string
		n     int
	}{
		{factConsumer, ".consumers", len(cond.Consumers)},
		{factConsumer, ".groups", len(cond.Groups)},
		{factConsumer, ".plans", len(cond.Plans)},
		{factConsumer, ".labels", len(cond.Labels)},
		{factKnown, ".authenticationMethods", len(cond.AuthenticationMethods)},
		{factClaims, ".scopes", len(cond.Scopes)},
		{factClaims, ".claims", len(cond.Claims)},
		{factIdentity, ".identities", len(cond.Identities)},
	} {
		if asked.n > 0 && !told[asked.fact] {
			told[asked.fact] = true
			c.warnUnknowable(p.source(), u, asked.fact, at+asked.field)
		}
	}
}

// warnExpression is warnFacts for the variables of an expression.
func (c *compiler) warnExpression(p *authorizationPolicy, u *unknowable, told *[factCount]bool, text *string, field string) {
	if text == nil {
		return
	}
	names, err := expression.Check(*text, expression.Condition)
	if err != nil {
		return // it is judged elsewhere
	}
	for _, name := range names {
		if f, asked := factOf(name); asked && !told[f] {
			told[f] = true
			c.warnUnknowable(p.source(), u, f, field)
		}
	}
}

// factOf is what a variable asks of the caller, if it asks anything.
func factOf(variable string) (f fact, asked bool) {
	switch variable {
	case expression.CallerConsumer, expression.CallerGroups, expression.CallerPlan, expression.CallerLabels:
		return factConsumer, true
	case expression.CallerClaims, expression.CallerScopes, expression.CallerSubject, expression.CallerIssuer:
		return factClaims, true
	case expression.SourceIdentity:
		return factIdentity, true
	case expression.CallerKnown, expression.CallerMethod:
		return factKnown, true
	}
	return 0, false
}

// consumerGroups are those that some Consumer is in.
func (c *compiler) consumerGroups() []string {
	known := map[string]bool{}
	var out []string
	for _, x := range c.next.consumers {
		if x.ir == nil {
			continue
		}
		for _, g := range x.ir.Groups {
			if !known[g] {
				known[g] = true
				out = append(out, g)
			}
		}
	}
	slices.Sort(out)
	return out
}

// warnGroups names groups that no Consumer is in, where there are some: Consumers
// may also come from elsewhere.
func (c *compiler) warnGroups(p *authorizationPolicy, known, groups []string, at string) {
	if len(known) == 0 {
		return
	}
	for i, g := range groups {
		if _, found := slices.BinarySearch(known, g); !found {
			remedy := didYouMean(g, known)
			if remedy == "" {
				remedy = "add it to the groups of a Consumer"
			}
			c.report(problemAt(p.source(), fmt.Sprintf("%s.groups[%d]", at, i), store.Warning, "UnknownGroup",
				fmt.Sprintf("no Consumer is in group %q", g), remedy))
		}
	}
}
