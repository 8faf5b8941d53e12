package compile

import (
	"fmt"
	"slices"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// trafficPolicy is a TrafficPolicy while it is compiled.
type trafficPolicy struct {
	object *store.Object // as the user wrote it now
	used   *store.Object // object, or its last good version; nil if there is none
	spec   *v1alpha1.TrafficPolicySpec
	faults []fault
	// targets are those of the object as it is now; refused has a reason for
	// each that it could not attach to.
	targets []target
	refused map[target]string
	// lost has the fields that did not come into force, by the target.
	lost map[target]map[loss]bool
	// matters are the targets through which at least one field is in force.
	matters []target
}

// loss says that a field lost to another object's.
type loss struct {
	path   string
	winner string
	equal  bool // the winner has the same target, not a more specific one
}

// trafficIndex finds policies by their target.
type trafficIndex struct {
	all      []*trafficPolicy
	byTarget map[target][]*trafficPolicy
	byKey    map[store.Key]*trafficPolicy
	merged   map[string]*settings
	settled  map[*settings]bool
}

// indexPolicies judges every policy and attaches it to its targets.
func (c *compiler) indexPolicies() {
	c.traffic = trafficIndex{
		byTarget: map[target][]*trafficPolicy{}, byKey: map[store.Key]*trafficPolicy{},
		merged: map[string]*settings{}, settled: map[*settings]bool{},
	}
	for _, o := range c.aged(ownGroup, "TrafficPolicy") {
		v, ok := o.Value.(*v1alpha1.TrafficPolicy)
		if !ok {
			continue
		}
		p := c.newTrafficPolicy(o, v)
		c.traffic.all = append(c.traffic.all, p)
		c.traffic.byKey[o.Key] = p
	}
	c.indexBackendTLS()
}

func (c *compiler) newTrafficPolicy(o *store.Object, v *v1alpha1.TrafficPolicy) *trafficPolicy {
	p := &trafficPolicy{
		object: o, used: o, spec: &v.Spec, faults: c.judgeTrafficOnce(o, v),
		targets: targetsOf(o, v.Spec.TargetRefs),
	}
	attach := p.targets
	if len(p.faults) > 0 {
		p.used, p.spec, attach = nil, nil, nil
		for _, f := range p.faults {
			c.report(f.problem(o))
		}
		if old := c.lastGood(o); old != nil {
			if good, ok := old.Value.(*v1alpha1.TrafficPolicy); ok && len(judgeTraffic(&good.Spec)) == 0 {
				p.used, p.spec, attach = old, &good.Spec, targetsOf(old, good.Spec.TargetRefs)
				c.next.fallback[o.Key] = old
				c.report(keepsServing(o))
			}
		}
	}
	for i, t := range attach {
		if message, remedy := c.findTarget(t); message != "" {
			if p.refused == nil {
				p.refused = map[target]string{}
			}
			p.refused[t] = message
			c.report(problemAt(p.used, fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, "TargetNotFound", message, remedy))
			continue
		}
		c.traffic.byTarget[t] = append(c.traffic.byTarget[t], p)
	}
	return p
}

// judgeTrafficOnce remembers the judgement for later runs.
func (c *compiler) judgeTrafficOnce(o *store.Object, v *v1alpha1.TrafficPolicy) []fault {
	var faults []fault
	known := false
	if c.prev != nil {
		faults, known = c.prev.traffic[o]
	}
	if !known {
		faults = judgeTraffic(&v.Spec)
	}
	c.next.traffic[o] = faults
	return faults
}

// bound is a policy together with the target through which it was reached.
type bound struct {
	policy *trafficPolicy
	target target
}

// at lists the policies of a target, the winner first.
func (x *trafficIndex) at(t target) []bound {
	list := x.byTarget[t]
	if len(list) == 0 {
		return nil
	}
	out := make([]bound, len(list))
	for i, p := range list {
		out[i] = bound{p, t}
	}
	return out
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
}

// bindContexts gives each section the policies of its Gateway, ListenerSet and listener.
func (c *compiler) bindContexts() {
	for _, s := range c.sections {
		chain := c.sectionChain(s)
		s.context = &policyContext{
			chain: withoutClient(chain), full: chain, certificate: s.gateway.backend, passthrough: s.passesThrough(),
		}
		s.context.key = chainKey(s.context.chain)
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

// sectionChain lists the policies on a section and what it belongs to.
func (c *compiler) sectionChain(s *section) []bound {
	var chain []bound
	chain = append(chain, c.traffic.at(target{s.owner.Key, string(s.spec.Name)})...)
	chain = append(chain, c.traffic.at(target{key: s.owner.Key})...)
	if s.owner.Key != s.gateway.object.Key {
		chain = append(chain, c.traffic.at(target{key: s.gateway.object.Key})...)
	}
	return chain
}

// findDetection finds the listeners whose connections may begin in several ways.
func (c *compiler) findDetection(gw *gateway) {
	for _, s := range gw.everySection() {
		for _, b := range c.sectionChain(s) {
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

func chainKey(chain []bound) string {
	key := ""
	for _, b := range chain {
		key += b.policy.object.Key.Namespace + "/" + b.policy.object.Key.Name + "@" + b.target.String() + ";"
	}
	return key
}
