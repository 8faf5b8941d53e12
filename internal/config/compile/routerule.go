package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// ruleID names a rule of the route, or the only one of a port without routes.
func (s *routeScope) ruleID(i int) string {
	if s.service != "" {
		return s.service
	}
	return fmt.Sprintf("%s/rules/%d", s.object.Key, i)
}

// drop leaves out the rules that have a fault; one that is of no rule drops all.
func (s *routeScope) drop(faults []fault) {
	for _, f := range faults {
		var i int
		if n, _ := fmt.Sscanf(f.field, "spec.rules[%d]", &i); n == 1 {
			if _, known := s.dropped[i]; !known {
				s.dropped[i] = f
			}
			continue
		}
		for i := range s.spec.Rules {
			s.dropped[i] = f
		}
	}
}

func (s *routeScope) rule(ctx *policyContext, i int, rule *gwv1.HTTPRouteRule) *ir.Rule {
	field := fmt.Sprintf("spec.rules[%d]", i)
	id := s.ruleID(i)
	out := &ir.Rule{
		ID: id, Name: string(deref(rule.Name, "")),
		Matches: s.ruleMatches(i, rule), Ref: ref(s.object, field),
	}
	chain := s.traffic.onRule(s.state.object.Key, out.Name)
	backends, resolved := s.resolveBackends(field, rule)
	full := append(append(slices.Clip(chain), s.agreedPolicies(field, resolved, ctx)...), ctx.chain...)
	merged := s.merge(full)
	s.note(merged)
	out.Policy = s.rulePolicy(merged, rule, id)
	out.Policies = policyRefs(merged.winners)
	var from []ir.Ref
	if ctx.mesh {
		onServer(&out.Policy, merged)
	}
	guarded := s.service == "" // what guards a Service is at its workloads
	if guarded {
		out.Policy.Shield, from = s.shieldOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream == "" && guarded {
		out.Policy.Authentication, from = s.authenticationOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream != useUDP && guarded {
		out.Policy.Authorization, from = s.authorizationOf(ctx, out.Name)
		out.Policies = append(out.Policies, from...)
	}
	if s.stream == "" && guarded {
		out.Policy.RateLimits, from = s.rateLimitsOf(ctx, out.Name)
		out.Policy.RateLimitServers = s.rateLimitServers(ctx, out.Policy.RateLimits)
		out.Policies = append(out.Policies, from...)
	}
	if guarded || !s.mesh { // what a Service says is for its workloads
		out.Policy.Telemetry, from = s.telemetryOf(ctx, out.Name)
	} else {
		chain := s.telemetry.onNamespace(s.object.Key.Namespace)
		out.Policy.Telemetry, from = s.mergeTelemetry(chain), policyRefs(chain)
	}
	out.Policies = append(out.Policies, from...)
	s.noteOwnFields(merged, rule, id)
	s.noteIdleFields(merged, resolved)
	s.noteIdleForKind(merged, resolved)
	s.noteUnusedTLS(backends, resolved)
	if s.stream != "" {
		s.noteHTTPFields(merged)
		out.Policy.Direct = nil
		out.Policy.Timeouts = streamTimeouts(merged.spec.Timeouts, s.stream)
	}

	scope := filterScope{routeScope: s, ctx: ctx, chain: chain}
	var broken string
	out.Filters, broken = scope.filters(field+".filters", rule.Filters, out.Matches)
	switch {
	case broken != "":
		// The Gateway API: a filter that cannot be resolved must not be skipped;
		// the requests get an error instead.
		out.Filters = ir.Filters{}
		out.Backends = []ir.BackendRef{{Weight: 1, Problem: broken, Ref: out.Ref}}
	case out.Filters.Redirect != nil || out.Filters.TokenIssuer != "" || out.Policy.Direct != nil:
	default:
		out.Backends = scope.backends(field, rule, backends, resolved, out)
	}
	return out
}

func (s *routeScope) note(m *settings) {
	if len(m.origin) > 0 && !slices.Contains(s.state.settings, m) {
		s.state.settings = append(s.state.settings, m)
	}
}

// noteOwnFields records what policies lose to the rule's own fields, and names
// policies that ask for something incomplete.
func (s *routeScope) noteOwnFields(m *settings, rule *gwv1.HTTPRouteRule, id string) {
	own := map[string]bool{"sessionPersistence": rule.SessionPersistence != nil}
	if t := rule.Timeouts; t != nil {
		own["timeouts.request"], own["timeouts.backendRequest"] = t.Request != nil, t.BackendRequest != nil
	}
	if r := rule.Retry; r != nil {
		own["retry.statuses"], own["retry.attempts"] = r.Codes != nil, r.Attempts != nil
	}
	for path, set := range own {
		if b, ok := m.origin[path]; ok && set {
			s.state.losses = append(s.state.losses, boundLoss{b, loss{path: path, winner: id + " itself"}})
		}
	}
	if h := m.spec.Hedge; h != nil && h.Delay == nil && deref(h.MaxExtra, defaultHedgeExtra) > 0 {
		for _, b := range m.winners {
			if b.policy.spec.Hedge != nil {
				s.state.shared = append(s.state.shared, problemAt(b.policy.used, "spec.hedge.delay", store.Warning, "IncompleteHedge",
					"hedging needs a delay, and no policy gives one: nothing is hedged", "about the p95 latency of the backend is a good value"))
			}
		}
	}
}

// dropMessage is the start and list that the Gateway API asks for.
func (s *routeScope) dropMessage() string {
	var list []string
	for i := range s.spec.Rules {
		if f, ok := s.dropped[i]; ok {
			list = append(list, fmt.Sprintf("%d (%s)", i, f.message))
		}
	}
	return "Dropped Rule " + strings.Join(list, ", ")
}
