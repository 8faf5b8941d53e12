package metric

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Policy counts what one policy decides.
type Policy struct {
	life
	beyond  *Policy
	name    string
	events  events
	methods methods
}

// Policy returns the handle of a policy by "Kind/namespace/name".
func (r *Registry) Policy(name string) *Policy {
	return handle(r, r.policies, name, func() *Policy {
		return newPolicy(r, name)
	})
}

func newPolicy(r *Registry, name string) *Policy {
	h := &Policy{beyond: r.beyond.policy, name: name}
	h.begin(r, &r.kinds.policy)
	h.events.cells.stripes = r.stripes
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *Policy) self() *Policy {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Decided counts a decision by its number in Options.Decisions.
func (h *Policy) Decided(d int) { h.self().events.add(d) }

var policyFamily = define("gridway_policy_decisions_total", counter,
	"What policies have decided about requests: allowed, anonymous (nobody is known, and nobody need be), unidentified (no credential where one is needed), denied, unavailable (what the decision needs is not there), would_deny (by a policy that is dry), audited (by one that only records).",
	"policy", "decision")

func (e *emitter) policy(h *Policy, names, faults []string) {
	e.born = h.born
	if policy, ok := strings.CutPrefix(h.name, "AuthenticationPolicy/"); ok || h.name == overflow {
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
