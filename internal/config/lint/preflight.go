package lint

import (
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// preflights names rules with a CORS filter that no preflight request gets to.
func (l *linter) preflights() {
	for _, r := range l.cfg.Routes {
		var deaf []*ir.Rule
		heard := false
		for _, rule := range r.Rules {
			if rule.Filters.CORS == nil {
				continue
			}
			if takesOptions(rule) {
				heard = true
			} else {
				deaf = append(deaf, rule)
			}
		}
		for _, rule := range deaf {
			if !heard {
				l.problem(r.Ref, "gateway.networking.k8s.io", ruleField(rule), store.Note, "NoPreflight",
					"the rule has a CORS filter, and no match that takes the OPTIONS requests by which browsers ask first",
					"leave the methods out, or add a match with method OPTIONS")
			}
		}
	}
}

func takesOptions(r *ir.Rule) bool {
	for _, m := range r.Matches {
		if m.Method == "" || m.Method == "OPTIONS" {
			return true
		}
	}
	return false
}
