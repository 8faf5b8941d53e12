package compile

import (
	"fmt"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
)

// placed is an expression of a limit.
type placed struct {
	field, text string
	kind        expression.Kind
}

func expressionsOf(l *v1alpha1.RateLimit) []placed {
	var out []placed
	add := func(field string, text *string, kind expression.Kind) {
		if text != nil {
			out = append(out, placed{field, *text, kind})
		}
	}
	for i := range l.Key {
		add(fmt.Sprintf(".key[%d].expression", i), l.Key[i].Expression, expression.Text)
	}
	add(".when", l.When, expression.Condition)
	if l.Cost != nil {
		add(".cost.expression", l.Cost.Expression, expression.Number)
	}
	return out
}

// limitsReach says of limits that ask who calls where that cannot be known.
func (c *compiler) limitsReach() map[*ir.RateLimit]*unknowable {
	asking := map[*ir.RateLimit]*unknowable{}
	reach := c.certificateReach()
	for _, l := range c.rateLimits() {
		if l.NeedsCaller() {
			asking[l] = &unknowable{}
		}
	}
	if len(asking) == 0 {
		return nil
	}
	for _, rs := range c.next.routes {
		for _, form := range rs.forms {
			for _, rule := range form.Rules {
				for _, l := range rule.Policy.RateLimits {
					if u := asking[l]; u != nil {
						u.add(rule, reach[form.Name].verified)
					}
				}
			}
		}
	}
	told := c.told()
	for _, rule := range c.inboundRules() {
		for _, l := range rule.Policy.RateLimits {
			if u := asking[l]; u != nil {
				u.addTold(rule, true, told)
			}
		}
	}
	return asking
}

// warnLimitFacts reports, for each limit, the first field that asks for what is
// known nowhere that the limit reaches. A claim that a key is made of should be
// known everywhere, unless the limit is said to skip who lacks it.
func (c *compiler) warnLimitFacts(p *rateLimitPolicy, reach map[*ir.RateLimit]*unknowable) {
	for i, l := range c.limitsOf(p) {
		u := reach[l]
		if u == nil || u.reached == 0 {
			continue
		}
		spec := &p.spec.Limits[i]
		var told [factCount]bool
		ask := func(f fact, field string, everywhere bool) {
			if told[f] || u.count[f] == 0 || !everywhere && u.count[f] < u.reached {
				return
			}
			told[f] = true
			c.warnUnknowable(p.source(), u, f, fmt.Sprintf("spec.limits[%d]%s", i, field))
		}
		for n, k := range spec.Key {
			field := fmt.Sprintf(".key[%d]", n)
			switch k.Type {
			case v1alpha1.KeyConsumer, v1alpha1.KeyPlan, v1alpha1.KeyCredential:
				ask(factConsumer, field+".type", false)
			case v1alpha1.KeyClaim:
				ask(factClaims, field+".claim", l.OnMissingKey != ir.MissingKeySkip)
			}
		}
		if who := spec.Callers; who != nil && len(who.Plans)+len(who.Groups)+len(who.Consumers) > 0 {
			ask(factConsumer, ".callers", false)
		}
		for _, e := range expressionsOf(spec) {
			names, _ := expression.Check(e.text, e.kind) // it was judged
			for _, name := range names {
				if f, asked := factOf(name); asked {
					ask(f, e.field, false)
				}
			}
		}
	}
}
