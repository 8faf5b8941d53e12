package authorization

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// maxReasons bounds the rules of a policy for which it is said why they do not
// match.
const maxReasons = 32

// Finding is what a policy makes of a request.
type Finding struct {
	// Policy is "namespace/name".
	Policy string                 `json:"policy"`
	Ref    ir.Ref                 `json:"ref,omitzero"`
	Action ir.AuthorizationAction `json:"action,omitempty"`
	DryRun bool                   `json:"dryRun,omitempty"`
	Broken bool                   `json:"broken,omitempty"`
	// Rule is one that matches; empty for none.
	Rule    string `json:"rule,omitempty"`
	RuleRef ir.Ref `json:"ruleRef,omitzero"`
	// Fails says for the rules that do not match, where none does, which field is not met.
	Fails []Failure `json:"fails,omitempty"`
	// Omitted counts rules of which that is not said.
	Omitted int `json:"omitted,omitempty"`
}

// Failure is a field of a rule that a request does not meet.
type Failure struct {
	Rule  string `json:"rule"`
	Field string `json:"field"`
	Ref   ir.Ref `json:"ref,omitzero"`
}

// Explain says what each policy makes of the request.
func (a *Authorization) Explain(x *filter.Exchange) []Finding {
	x.CallPathOf = a.deps.CallPath
	var out []Finding
	for _, p := range a.all {
		f := Finding{Policy: p.cfg.Policy, Ref: p.cfg.Ref, Action: p.cfg.Action, DryRun: p.cfg.DryRun, Broken: p.broken}
		if i := p.match(x); i >= 0 && !p.broken {
			f.Rule, f.RuleRef = p.rules[i].name, p.cfg.Rules[i].Ref
		} else if !p.broken {
			f.why(p, x)
		}
		out = append(out, f)
	}
	return out
}

func (f *Finding) why(p *Policy, x *filter.Exchange) {
	for i := range p.rules {
		if i == maxReasons {
			f.Omitted = len(p.rules) - i
			return
		}
		f.Fails = append(f.Fails, Failure{p.rules[i].name, p.rules[i].fails(x), p.cfg.Rules[i].Ref})
	}
}
