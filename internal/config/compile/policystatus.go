package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// conditionOverridden says which fields of a policy are not in force, and why.
const conditionOverridden = "Overridden"

// finishPolicies writes the statuses of policies, once every route was merged.
func (c *compiler) finishPolicies() {
	finishKind(c, &c.traffic.policyIndex)
	c.finishAuthentication()
	c.finishAuthorization()
	c.finishRateLimits()
	c.finishShields()
	c.finishTelemetry()
	c.finishMesh()
	c.finishBackendTLS()
}

// conditions are those for the i-th of the policy's targets.
func (p *policy[S]) conditions(c *compiler, i int, t target, generation int64) []status.Condition {
	accepted := status.Condition{
		Type: string(gwv1.PolicyConditionAccepted), Status: status.True,
		Reason: string(gwv1.PolicyReasonAccepted), Generation: generation,
	}
	lost := slices.Collect(maps.Keys(p.lost[t]))
	switch {
	case len(p.faults) > 0:
		accepted.Status, accepted.Reason = status.False, string(gwv1.PolicyReasonInvalid)
		accepted.Message = p.faults[0].field + ": " + p.faults[0].message
		if p.used != nil {
			accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
		}
	case p.refused[t] != "":
		accepted.Status, accepted.Reason, accepted.Message = status.False, string(gwv1.PolicyReasonTargetNotFound), p.refused[t]
	case len(lost) > 0 && !slices.Contains(p.matters, t) && !slices.ContainsFunc(lost, func(l loss) bool { return !l.equal }):
		accepted.Status, accepted.Reason = status.False, string(gwv1.PolicyReasonConflicted)
		accepted.Message = "an older policy on the same target holds: " + lossList(lost)
		if lost[0].path != "" {
			accepted.Message = "every field is set by an older policy on the same target: " + lossList(lost)
		}
		c.report(problemAt(p.object, fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, accepted.Reason, accepted.Message, "merge the policies"))
	}
	out := []status.Condition{accepted}
	if p.resolved != nil {
		out = append(out, *p.resolved)
	}
	if len(lost) > 0 && accepted.Status == status.True {
		reason := "MoreSpecificPolicy"
		if slices.ContainsFunc(lost, func(l loss) bool { return l.equal }) {
			reason = string(gwv1.PolicyReasonConflicted)
		}
		out = append(out, status.Condition{
			Type: conditionOverridden, Status: status.True, Reason: reason, Message: lossList(lost), Generation: generation,
		})
	}
	return out
}

// lossList names what was lost to whom, and stops where it would get long.
func lossList(lost []loss) string {
	const most = 8
	list := slices.Clone(lost)
	slices.SortFunc(list, func(a, b loss) int {
		if a.path != b.path {
			return strings.Compare(a.path, b.path)
		}
		return strings.Compare(a.winner, b.winner)
	})
	var out []string
	for _, l := range list[:min(len(list), most)] {
		if l.path == "" {
			out = append(out, l.winner)
			continue
		}
		out = append(out, fmt.Sprintf("%s is set by %s", l.path, l.winner))
	}
	if n := len(list) - most; n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, "; ")
}

// finishBackendTLS writes the statuses of BackendTLSPolicies. Their ancestors
// are the Gateways whose routes lead to the target.
func (c *compiler) finishBackendTLS() {
	for _, p := range c.backendTLS.all {
		st := status.Object{Key: p.object.Key, Generation: meta(p.object).GetGeneration(), Position: p.object.Locate("")}
		for _, t := range p.refs {
			conditions := c.backendTLSConditions(p, t, st.Generation)
			ancestors := c.gatewaysOf(t.key)
			if len(ancestors) == 0 {
				ancestors = []status.Reference{t.reference()}
			}
			for _, a := range ancestors {
				if !slices.ContainsFunc(st.Ancestors, func(r status.Relation) bool { return r.Ref == a }) {
					st.Ancestors = append(st.Ancestors, status.Relation{Ref: a, Conditions: conditions})
				}
			}
		}
		c.say(st)
	}
}

func (c *compiler) backendTLSConditions(p *backendTLSPolicy, t target, generation int64) []status.Condition {
	accepted := status.Condition{
		Type: string(gwv1.PolicyConditionAccepted), Status: status.True,
		Reason: string(gwv1.PolicyReasonAccepted), Generation: generation,
	}
	resolved := status.Condition{
		Type: string(gwv1.BackendTLSPolicyConditionResolvedRefs), Status: status.True,
		Reason: string(gwv1.BackendTLSPolicyReasonResolvedRefs), Generation: generation,
	}
	valid, kept := 0, 0 // kept: the last good content of what is not valid now
	owner := p.object
	for i, r := range p.spec.Validation.CACertificateRefs {
		key := resolveKey(owner, &r.Group, "", &r.Kind, "ConfigMap", nil, r.Name)
		pem, reason, message, remedy := c.caRef(owner, key)
		switch {
		case message == "":
			valid++
		case len(pem) > 0:
			kept++
		}
		if message != "" {
			c.reportOnce(problemAt(owner, fmt.Sprintf("spec.validation.caCertificateRefs[%d]", i), store.Warning, reason, message, remedy))
		}
		if message != "" && resolved.Status == status.True {
			if reason == string(gwv1.ListenerReasonInvalidCACertificateKind) {
				reason = string(gwv1.BackendTLSPolicyReasonInvalidKind)
			}
			resolved.Status, resolved.Reason, resolved.Message = status.False, reason, message
		}
	}
	switch refused, ok := p.refused[t]; {
	case len(p.faults) > 0:
		accepted.Status, accepted.Reason = status.False, string(gwv1.PolicyReasonInvalid)
		accepted.Message = p.faults[0].field + ": " + p.faults[0].message
		if p.used != nil {
			accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
		}
	case ok:
		accepted = refused
	case len(p.spec.Validation.CACertificateRefs) > 0 && valid == 0:
		accepted.Status, accepted.Reason = status.False, string(gwv1.BackendTLSPolicyReasonNoValidCACertificate)
		accepted.Message = "none of the caCertificateRefs is valid"
		if kept > 0 {
			accepted.Message += "; the last good certificates serve"
		}
	}
	return []status.Condition{accepted, resolved}
}

// gatewaysOf lists the Gateways with a route that leads to a backend.
func (c *compiler) gatewaysOf(backend store.Key) []status.Reference {
	o := c.set.Get(backend)
	if o == nil {
		return nil
	}
	var out []status.Reference
	for _, rs := range slices.Concat(c.next.routes, c.next.streams) {
		if !slices.Contains(rs.deps, o) {
			continue
		}
		for _, i := range rs.accepted {
			key := c.sections[i].gateway.object.Key
			r := status.Reference{Group: key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}
