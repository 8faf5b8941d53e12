package compile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultVouching = 30 * time.Second
	minVouching     = time.Second
	maxVouching     = time.Minute
)

// judgeCallers finds what the schema says, too.
func judgeCallers(m *v1alpha1.MeshCallers, add func(field, message, remedy string)) {
	switch s := deref(m.Sign, v1alpha1.CallerSigningWhenNeeded); s {
	case v1alpha1.CallerSigningWhenNeeded, v1alpha1.CallerSigningAlways, v1alpha1.CallerSigningNever:
	default:
		add("callers.sign", fmt.Sprintf("%q is not known", s), "use WhenNeeded, Always or Never")
	}
	if d := duration(m.Lifetime, defaultVouching); d < minVouching || d > maxVouching {
		add("callers.lifetime", fmt.Sprintf("%s is not from 1s to 60s", *m.Lifetime), "write it like 30s")
	}
	if len(m.Claims) > 1 && slices.Contains(m.Claims, "*") {
		add("callers.claims", "* is all claims, and stands alone", "leave out the others")
	}
}

// callers is what the mesh's policy says of tokens about callers.
func (c *compiler) callers() v1alpha1.MeshCallers {
	m, _ := chosen(c.meshChain(v1alpha1.MeshNamespace, "", ""), func(s *v1alpha1.MeshPolicySpec) *v1alpha1.MeshCallers { return s.Callers },
		v1alpha1.MeshCallers{}, v1alpha1.MeshCallers{})
	return m
}

// vouch has listeners of Gateways tell workloads of the mesh who calls, where that is
// wanted.
func (c *compiler) vouch(listeners []*ir.Listener) {
	if !c.in.Mesh {
		return
	}
	m := c.callers()
	needs := needsOf(c.inboundRules())
	switch deref(m.Sign, v1alpha1.CallerSigningWhenNeeded) {
	case v1alpha1.CallerSigningNever:
		return
	case v1alpha1.CallerSigningWhenNeeded:
		if !needs.caller {
			return
		}
	}
	claims := needs.claims
	if slices.Contains(m.Claims, "*") {
		claims = m.Claims
	} else {
		claims = append(claims, m.Claims...)
		slices.Sort(claims)
		claims = slices.Compact(claims)
	}
	c.vouching = &ir.Vouching{Lifetime: duration(m.Lifetime, defaultVouching), Claims: claims}
	for _, l := range listeners {
		if l.Protocol != ir.TCP && l.Protocol != ir.UDP {
			l.Vouching = c.vouching
		}
	}
}

// needs is what policies at workloads ask of a caller, beside what the service finds
// out itself.
type needs struct {
	caller bool
	// claims are the names of those that are asked for.
	claims []string
	seen   map[*ir.Authorization]bool
}

func needsOf(rules []*ir.Rule) *needs {
	n := &needs{seen: map[*ir.Authorization]bool{}}
	for _, r := range rules {
		n.rule(&r.Policy)
	}
	return n
}

func (n *needs) rule(p *ir.RoutePolicy) {
	if p.Authentication != nil {
		for _, h := range p.Authentication.Headers {
			n.caller = true
			n.claim(h.Claim)
		}
	}
	for _, l := range p.RateLimits {
		n.caller = n.caller || l.NeedsCaller()
		for _, k := range l.Key {
			n.claim(k.Claim)
			n.expression(k.Expression)
		}
		n.expression(l.When)
		n.expression(l.CostExpression)
	}
	for _, a := range p.Authorization {
		if n.seen[a] {
			continue
		}
		n.seen[a] = true
		for i := range a.Rules {
			r := &a.Rules[i]
			n.caller = n.caller || r.AsksCaller()
			n.conditions(&r.AuthorizationConditions)
			if r.Not != nil {
				n.conditions(r.Not)
			}
			n.expression(r.CEL)
		}
	}
}

func (n *needs) conditions(c *ir.AuthorizationConditions) {
	for _, v := range c.Claims {
		if path, err := ir.ParseClaim(v.Name); err == nil {
			n.claim(path)
		}
	}
}

func (n *needs) claim(path []string) {
	if len(path) > 0 {
		n.claims = append(n.claims, path[0])
	}
}

// expression finds what an expression asks for by its text: what is found too much
// costs little.
func (n *needs) expression(text string) {
	if !strings.Contains(text, "caller.") {
		return
	}
	n.caller = true
	for _, m := range claimInExpression.FindAllStringSubmatch(text, -1) {
		n.claims = append(n.claims, m[1]+m[2]+m[3])
	}
}

var claimInExpression = regexp.MustCompile(`caller\.claims(?:\.\??([A-Za-z_]\w*)|\[\??"([^"]+)"\]|\[\??'([^']+)'\])`)

// told are the facts that edges find out and tell workloads.
func (c *compiler) told() (knows [factCount]bool) {
	if c.vouching == nil {
		return knows
	}
	for _, rs := range c.next.routes {
		if len(rs.attachments) == 0 {
			continue
		}
		for _, form := range rs.forms {
			for _, rule := range form.Rules {
				for f, is := range knownIn(rule) {
					knows[f] = knows[f] || is
				}
			}
		}
	}
	return knows
}

// warnCallers tells of a policy that does not hold: tokens are the whole mesh's.
func (c *compiler) warnCallers(p *meshPolicy) {
	if s := p.spec; s != nil && s.Callers != nil && p.object.Key.Namespace != v1alpha1.MeshNamespace {
		c.report(problemAt(p.used, "spec.callers", store.Warning, "NoEffect",
			"how callers are told is the whole mesh's, and is said in the namespace "+v1alpha1.MeshNamespace+" alone", "move it there"))
	}
}
