package compile

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

// trafficPolicy is a TrafficPolicy while it is compiled, and bound one that was
// reached through a target.
type (
	trafficPolicy = policy[v1alpha1.TrafficPolicySpec]
	bound         = attached[v1alpha1.TrafficPolicySpec]
)

// trafficIndex finds policies by their target.
type trafficIndex struct {
	policyIndex[v1alpha1.TrafficPolicySpec]
	merged  map[string]*settings
	settled map[*settings]bool
}

var trafficKind = policyKind[v1alpha1.TrafficPolicySpec]{
	name: v1alpha1.KindTrafficPolicy,
	read: specOf(func(p *v1alpha1.TrafficPolicy) *v1alpha1.TrafficPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.TrafficPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeTraffic,
}

// indexPolicies judges every policy and attaches it to its targets.
func (c *compiler) indexPolicies() {
	c.traffic = trafficIndex{
		policyIndex: indexPolicies(c, &trafficKind),
		merged:      map[string]*settings{}, settled: map[*settings]bool{},
	}
	c.authentication = indexPolicies(c, &authenticationKind)
	c.authorization = indexPolicies(c, &authorizationKind)
	c.rateLimit = indexPolicies(c, &rateLimitKind)
	c.shield = indexPolicies(c, &shieldKind)
	c.indexTelemetry()
	c.indexMesh()
	c.indexBackendTLS()
}

// policyContext is what a listener gives to the routes attached to it. Routes
// see no difference between listeners whose contexts have equal keys.
type policyContext struct {
	key         string
	chain       []bound // most specific first, without those that speak of clients only
	full        []bound
	certificate *ir.Certificate
	// passthrough: the client's TLS reaches the endpoints.
	passthrough bool
	// mesh: the parent is a Service.
	mesh bool
	// authentication is the chain of AuthenticationPolicies.
	authentication []attached[v1alpha1.AuthenticationPolicySpec]
	// authorization are the AuthorizationPolicies, which all count.
	authorization []attached[v1alpha1.AuthorizationPolicySpec]
	// rateLimits are the RateLimitPolicies, which all hold.
	rateLimits []attached[v1alpha1.RateLimitPolicySpec]
	// shields are the ShieldPolicies, of which each section may be another's.
	shields []attached[v1alpha1.ShieldPolicySpec]
	// telemetry are the TelemetryPolicies, of which each field may be another's.
	telemetry []attachedTelemetry
}

// bindContexts gives each section the policies of its Gateway, ListenerSet and listener.
func (c *compiler) bindContexts() {
	for _, s := range c.sections {
		chain := c.traffic.onSection(s)
		s.context = &policyContext{
			chain: withoutClient(chain), full: chain, certificate: s.gateway.backend, passthrough: s.passesThrough(),
			authentication: c.authentication.onSection(s), authorization: c.authorization.onSection(s), rateLimits: c.rateLimit.onSection(s),
			shields: c.shield.onSection(s), telemetry: c.telemetry.onSection(s),
		}
		s.context.key = chainKey(s.context.chain)
		if len(s.context.authentication) > 0 {
			s.context.key += "|authentication " + chainKey(s.context.authentication)
		}
		if len(s.context.authorization) > 0 {
			s.context.key += "|authorization " + chainKey(s.context.authorization)
		}
		if len(s.context.rateLimits) > 0 {
			s.context.key += "|limits " + chainKey(s.context.rateLimits)
		}
		if len(s.context.shields) > 0 {
			s.context.key += "|shields " + chainKey(s.context.shields)
		}
		if len(s.context.telemetry) > 0 {
			s.context.key += "|telemetry " + chainKey(s.context.telemetry)
		}
		if s.context.passthrough {
			s.context.key += "|passthrough"
		}
		if s.gateway.backend != nil {
			s.context.key += fmt.Sprintf("|%x", hashOf(s.gateway.backend))
		}
		c.next.contexts = append(c.next.contexts, fmt.Sprintf("%s=%t %s", s.name(), s.refused, s.context.key))
	}
	if c.prev != nil && !slices.Equal(c.prev.contexts, c.next.contexts) {
		c.changes.structure = true
	}
}

// findDetection finds the listeners whose connections may begin in several ways.
func (c *compiler) findDetection(gw *gateway) {
	for _, s := range gw.everySection() {
		for _, b := range c.traffic.onSection(s) {
			if cl := b.policy.spec.Client; cl != nil && cl.ProtocolDetection != nil && s.transport() == "tcp" {
				s.detects = true
			}
		}
	}
}

// withoutClient leaves out policies that say nothing but how clients are treated.
func withoutClient(chain []bound) []bound {
	var out []bound
	for _, b := range chain {
		v := *b.policy.spec
		v.Client, v.TargetRefs = nil, nil
		if !isEmpty(&v) {
			out = append(out, b)
		}
	}
	return out
}
