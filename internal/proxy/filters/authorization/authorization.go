// Package authorization asks the AuthorizationPolicies of a rule whether a request
// may go on, once it is known who calls. All policies that reach the rule count,
// and their order never matters: one that denies wins and, where some allow, one
// of those must.
//
// Policies are compiled once and shared by all rules and exchanges. Matching
// allocates nothing. The package owns no goroutines; package filters imports it.
package authorization

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Deps is what the policies of a rule need beside themselves.
type Deps struct {
	// Ask adds challenges to the reply of a request without a credential; nil
	// where no credential is taken.
	Ask func(*filter.Exchange)
	// CallPath is the path of the method of gRPC that a request is for, if that is
	// not its own; nil where it always is.
	CallPath func(*filter.Exchange) []byte
}

// Authorization is the policies of a rule.
type Authorization struct {
	deps Deps
	all  []*Policy
	// allow and deny are in force; trials are dry, records are for the log only.
	allow, deny, trials, records []*Policy
	// broken is a policy that lets nothing through.
	broken *Policy
	// asks: a rule of allow asks who calls.
	asks bool
}

// New makes the filter of a rule.
func New(list []*Policy, d Deps) *Authorization {
	a := &Authorization{deps: d, all: list}
	for _, p := range list {
		switch {
		case p.broken:
			if a.broken == nil {
				a.broken = p
			}
		case p.cfg.Action == ir.AuthorizationAudit:
			a.records = append(a.records, p)
		case p.cfg.DryRun:
			a.trials = append(a.trials, p)
		case p.cfg.Action == ir.AuthorizationDeny:
			a.deny = append(a.deny, p)
		default:
			a.allow = append(a.allow, p)
			a.asks = a.asks || p.asks
		}
	}
	return a
}

const (
	denied          = "access is denied"
	needsCredential = "this request needs a credential"
	cannotTell      = "whether this request is allowed cannot be found out now; try again later"
)

// OnRequest lets the request go on, or answers it.
func (a *Authorization) OnRequest(x *filter.Exchange) filter.Verdict {
	if a.broken != nil {
		a.broken.decisions.Decided(int(filter.Unavailable))
		return x.Refuse(503, filter.AuthorizationUnavailable, cannotTell, a.broken.cfg.Policy, "")
	}
	x.CallPathOf = a.deps.CallPath
	if r := a.decide(x); r.by != nil {
		return a.refuse(x, r.by, r.rule, r.asks)
	}
	return filter.Continue
}

// refusal is a policy that refuses, and its rule; nothing is refused where it is nil.
type refusal struct {
	by   *Policy
	rule string
	asks bool // who calls
}

// decide asks all policies, and counts what they say.
func (a *Authorization) decide(x *filter.Exchange) refusal {
	if a.records != nil {
		a.record(x)
	}
	if a.trials != nil {
		a.try(x)
	}
	for _, p := range a.deny {
		if i := p.match(x); i >= 0 {
			p.decisions.Decided(int(filter.Denied))
			return refusal{p, p.rules[i].name, p.rules[i].asks}
		}
		p.decisions.Decided(int(filter.Allowed))
	}
	if a.allow == nil {
		return refusal{}
	}
	for _, p := range a.allow {
		if i := p.match(x); i >= 0 {
			p.decisions.Decided(int(filter.Allowed))
			x.PermittedBy, x.PermittedByRule = p.cfg.Policy, p.rules[i].name
			return refusal{}
		}
	}
	for _, p := range a.allow {
		p.decisions.Decided(int(filter.Denied))
	}
	return refusal{a.allow[0], "", a.asks}
}

// refuse answers for a policy. Where a credential could change the decision, the
// client is asked for one (RFC 9110 §15.5.2), and told what it may prove itself
// with; who has given one is told that it is not enough (§15.5.4).
func (a *Authorization) refuse(x *filter.Exchange, p *Policy, rule string, asks bool) filter.Verdict {
	if asks && a.deps.Ask != nil && !x.Caller.Known() {
		a.deps.Ask(x)
		return x.Refuse(401, filter.Unauthenticated, needsCredential, p.cfg.Policy, rule)
	}
	return x.Refuse(403, filter.AccessDenied, denied, p.cfg.Policy, rule)
}

// record notes what policies for the log match.
func (a *Authorization) record(x *filter.Exchange) {
	for _, p := range a.records {
		if i := p.match(x); i >= 0 {
			p.decisions.Decided(int(filter.Audited))
			x.Note(filter.NoteAudit, p.cfg.Policy, p.rules[i].name)
		}
	}
}

// try notes what dry policies would refuse if they were in force, beside those
// that are.
func (a *Authorization) try(x *filter.Exchange) {
	var first *Policy
	allowed := false
	for _, p := range a.trials {
		i := p.match(x)
		if p.cfg.Action == ir.AuthorizationAllow {
			if first == nil {
				first = p
			}
			allowed = allowed || i >= 0
			continue
		}
		a.tried(x, p, i, i >= 0)
	}
	if first == nil {
		return
	}
	for _, p := range a.allow {
		allowed = allowed || p.match(x) >= 0
	}
	for _, p := range a.trials {
		if p.cfg.Action == ir.AuthorizationAllow {
			a.tried(x, p, -1, !allowed)
		}
	}
}

func (a *Authorization) tried(x *filter.Exchange, p *Policy, rule int, would bool) {
	if !would {
		p.decisions.Decided(int(filter.Allowed))
		return
	}
	p.decisions.Decided(int(filter.WouldDeny))
	name := ""
	if rule >= 0 {
		name = p.rules[rule].name
	}
	x.Note(filter.NoteWouldDeny, p.cfg.Policy, name)
}
