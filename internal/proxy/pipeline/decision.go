package pipeline

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// appendDecisions lists what policies have made of the exchange, each with the place of
// what decided.
func (x *Exchange) appendDecisions(out []trace.Decided) []trace.Decided {
	for i := range x.Notes {
		n := &x.Notes[i]
		out = append(out, x.decided(verdictOf(n.Kind), n.Policy, n.Rule, ""))
	}
	if x.PermittedBy != "" {
		out = append(out, x.decided(trace.Allowed, x.PermittedBy, x.PermittedByRule, kindAuthorization))
	}
	if x.Policy != "" && x.Local.Reason != filter.ReasonNone {
		kind := policyKind(x.Local.Reason)
		verdict := trace.Denied
		if kind == kindRateLimit {
			verdict = trace.Limited
		}
		out = append(out, x.decided(verdict, x.Policy, x.PolicyRule, kind))
	}
	return out
}

func verdictOf(n filter.NoteKind) trace.Verdict {
	switch n {
	case filter.NoteWouldDeny:
		return trace.WouldDeny
	case filter.NoteFailOpen:
		return trace.FailedOpen
	}
	return trace.Audited
}

// Kinds of policies that refuse requests.
const (
	kindAuthentication = "AuthenticationPolicy"
	kindAuthorization  = "AuthorizationPolicy"
	kindRateLimit      = "RateLimitPolicy"
	kindShield         = "ShieldPolicy"
)

// policyKind is the kind of the policy that refuses with a reason; empty is that several
// do.
func policyKind(r filter.Reason) string {
	switch r {
	case filter.AccessDenied, filter.AuthorizationUnavailable:
		return kindAuthorization
	case filter.RateLimited, filter.QuotaExceeded, filter.RateLimitKeyMissing, filter.RateLimitCost, filter.RateLimitUnavailable:
		return kindRateLimit
	case filter.AddressDenied, filter.UserAgentDenied, filter.CrossOriginRequest, filter.ShieldUnavailable, filter.ContentTypeDenied, filter.JSONLimit:
		return kindShield
	case filter.InvalidCredential, filter.IdentityUnavailable, filter.AuthenticationOverload, filter.LoginFailed:
		return kindAuthentication
	}
	return ""
}

// decided finds the place of a policy, "namespace/name", or of its part. Without a kind
// it is whichever of the rule's policies has that name.
func (x *Exchange) decided(v trace.Verdict, policy, part, kind string) trace.Decided {
	d := trace.Decided{Verdict: v, Kind: kind, Policy: policy, Rule: part}
	if x.Rule == nil {
		return d
	}
	ref := findPolicy(&x.Rule.Policy, kind, policy, part)
	for i := 0; ref == nil && i < len(x.Rule.Policies); i++ {
		if r := &x.Rule.Policies[i]; (kind == "" || r.Kind == kind) && isNamed(policy, r) {
			ref = r
		}
	}
	if ref != nil {
		d.Place = placeOf(ref)
		if kind == "" {
			d.Kind = ref.Kind
		}
	}
	return d
}

// findPolicy is the place of a part of a policy, as far as parts have places.
func findPolicy(p *ir.RoutePolicy, kind, policy, part string) *ir.Ref {
	if kind == "" || kind == kindAuthorization {
		if ref := findAuthorization(p.Authorization, policy, part); ref != nil {
			return ref
		}
	}
	if kind == "" || kind == kindRateLimit {
		for _, l := range p.RateLimits {
			if l.Policy == policy && l.Name == part {
				return &l.Ref
			}
		}
	}
	return nil
}

func findAuthorization(list []*ir.Authorization, policy, part string) *ir.Ref {
	for _, a := range list {
		if a.Policy != policy {
			continue
		}
		for i := range a.Rules {
			if part != "" && a.Rules[i].Name == part {
				return &a.Rules[i].Ref
			}
		}
		return &a.Ref
	}
	return nil
}

// isNamed tells whether r is of the object "namespace/name".
func isNamed(name string, r *ir.Ref) bool {
	n := len(r.Namespace)
	return len(name) == n+1+len(r.Name) && name[:n] == r.Namespace && name[n] == '/' && name[n+1:] == r.Name
}

func placeOf(r *ir.Ref) trace.Place { return trace.Place{File: r.File, Line: r.Line, Column: r.Column} }
