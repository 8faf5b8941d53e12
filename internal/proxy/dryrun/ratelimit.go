package dryrun

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/route"
)

// RateLimit is a limit that reaches the rule, and what it means for the request.
type RateLimit struct {
	// Policy is "namespace/name", Name the limit's.
	Policy string `json:"policy"`
	Name   string `json:"name"`
	Ref    ir.Ref `json:"ref,omitzero"`
	// Limit is what is allowed, for people.
	Limit string `json:"limit"`
	// Key is what the request is counted by; empty for a counter that all share.
	Key string `json:"key,omitempty"`
	// Cost is what the limit's expression says that the request costs.
	Cost *int64 `json:"cost,omitempty"`
	// Applies: the limit is for the request. Note says why not, or what is special.
	Applies bool   `json:"applies"`
	Note    string `json:"note,omitempty"`
}

// rateLimits says which limits would count the request, and by which key. What
// they have left is known to a running gateway alone.
func rateLimits(rule *ir.Rule, x *filter.Exchange) []RateLimit {
	var out []RateLimit
	name, _, _ := strings.Cut(rule.ID, "/rules/")
	for _, l := range rule.Policy.RateLimits {
		r := RateLimit{Policy: l.Policy, Name: l.Name, Ref: l.Ref, Limit: ratelimit.Text(l), Applies: true}
		if len(l.Matches) > 0 {
			if c, err := route.NewConditions(l.Matches); err == nil && !c.Hold(&x.Req) {
				r.Applies, r.Note = false, "none of its matches holds"
				out = append(out, r)
				continue
			}
		}
		if l.Callers != nil && !l.Callers.Include(x.Caller.Consumer, x.Caller.Known()) {
			r.Applies, r.Note = false, "not for this caller"
			out = append(out, r)
			continue
		}
		if !ratelimit.Applies(l, x) {
			r.Applies, r.Note = false, "its expression does not hold"
			out = append(out, r)
			continue
		}
		if l.CostExpression != "" {
			n := ratelimit.Cost(l, x)
			r.Cost = &n
		}
		var missing []string
		if r.Key, missing = ratelimit.KeyText(l, name, x); len(missing) > 0 {
			r.Note = "the request has no " + strings.Join(missing, ", no ")
			switch l.OnMissingKey {
			case ir.MissingKeySkip:
				r.Applies = false
			case ir.MissingKeyDeny:
				r.Note += ": it is refused with 403"
			default:
				r.Note += ": it shares a counter with others like it"
			}
		}
		out = append(out, r)
	}
	return out
}
