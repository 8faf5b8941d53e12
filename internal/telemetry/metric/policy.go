package metric

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Policy counts what one policy decides.
type Policy struct {
	life
	name    string
	events  events
	methods methods
}

// Policy returns the handle of a policy by "Kind/namespace/name".
func (r *Registry) Policy(name string) *Policy {
	return handle(r, r.policies, name, func() *Policy {
		h := &Policy{name: name}
		h.events.cells.stripes = r.stripes
		return h
	})
}

// Decided counts a decision by its number in Options.Decisions.
func (h *Policy) Decided(d int) { h.events.add(d) }

var policyFamily = define("gridway_policy_decisions_total", counter,
	"What policies have decided about requests: allowed, anonymous (nobody is known, and nobody need be), unidentified (no credential where one is needed), denied, unavailable (what the decision needs is not there), would_deny (by a policy that is dry), audited (by one that only records).",
	"policy", "decision")

func (e *emitter) policy(h *Policy, names, faults []string) {
	if policy, ok := strings.CutPrefix(h.name, "AuthenticationPolicy/"); ok {
		e.methods(policy, &h.methods, faults)
	}
	if h.events.cells.used() {
		t := h.events.totals()
		e.named(&policyFamily, &t, 0, names, h.name)
	}
}

func policiesOf(cfg *ir.Config) map[string]bool {
	names := make(map[string]bool, len(cfg.Policies))
	for _, name := range cfg.Policies {
		names[name] = true
	}
	return names
}
