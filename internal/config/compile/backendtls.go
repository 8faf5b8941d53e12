package compile

import (
	"fmt"
	"maps"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// backendTLSPolicy is a BackendTLSPolicy while it is compiled.
type backendTLSPolicy struct {
	object *store.Object
	used   *store.Object // object, or its last good version; nil if there is none
	spec   gwv1.BackendTLSPolicySpec
	faults []fault
	refs   []target
	// refused has the condition of targets that the policy is not in force on.
	refused map[target]status.Condition
}

type backendTLSIndex struct {
	all      []*backendTLSPolicy
	byTarget map[target]*backendTLSPolicy
}

func backendTLSSpec(o *store.Object) (gwv1.BackendTLSPolicySpec, bool) {
	v, ok := o.Value.(*gwv1.BackendTLSPolicy)
	if !ok {
		return gwv1.BackendTLSPolicySpec{}, false
	}
	return v.Spec, true
}

// indexBackendTLS attaches BackendTLSPolicies to Services; of two on one target
// the older is in force.
func (c *compiler) indexBackendTLS() {
	c.backendTLS = backendTLSIndex{byTarget: map[target]*backendTLSPolicy{}}
	for _, o := range c.aged(gatewayGroup, "BackendTLSPolicy") {
		spec, ok := backendTLSSpec(o)
		if !ok {
			continue
		}
		p := &backendTLSPolicy{
			object: o, used: o, spec: spec, faults: judgeBackendTLSPolicy(spec),
			refs: targetsOf(o, spec.TargetRefs), refused: map[target]status.Condition{},
		}
		c.backendTLS.all = append(c.backendTLS.all, p)
		for _, name := range slices.Sorted(maps.Keys(spec.Options)) {
			if name != optionALPN {
				c.report(problemAt(o, "spec.options", store.Warning, "UnknownOption",
					fmt.Sprintf("option %q is not known and has no effect", name), ""))
			}
		}
		attach := p.refs
		if len(p.faults) > 0 {
			attach = c.lastGoodBackendTLS(p)
		}
		for i, t := range attach {
			c.attachBackendTLS(p, t, fmt.Sprintf("spec.targetRefs[%d]", i))
		}
	}
}

func (c *compiler) lastGoodBackendTLS(p *backendTLSPolicy) []target {
	for _, f := range p.faults {
		c.report(f.problem(p.object))
	}
	p.used = nil
	old := c.lastGood(p.object)
	if old == nil {
		return p.refs
	}
	spec, ok := backendTLSSpec(old)
	if !ok || len(judgeBackendTLSPolicy(spec)) > 0 {
		return p.refs
	}
	p.used, p.spec = old, spec
	c.next.fallback[p.object.Key] = old
	c.report(keepsServing(p.object))
	return targetsOf(old, spec.TargetRefs)
}

func (c *compiler) attachBackendTLS(p *backendTLSPolicy, t target, field string) {
	refuse := func(reason gwv1.PolicyConditionReason, severity store.Severity, message, remedy string) {
		p.refused[t] = status.Condition{
			Type: string(gwv1.PolicyConditionAccepted), Status: status.False, Reason: string(reason),
			Message: message, Generation: meta(p.object).GetGeneration(),
		}
		owner := p.used
		if owner == nil {
			owner = p.object
		}
		c.report(problemAt(owner, field, severity, string(reason), message, remedy))
	}
	if t.key.Group != "" || t.key.Kind != "Service" {
		refuse(gwv1.PolicyReasonInvalid, store.Error, fmt.Sprintf("kind %s of group %q cannot be targeted", t.key.Kind, t.key.Group),
			"target a Service; a Backend has tls of its own")
		return
	}
	if message, remedy := c.findTarget(t); message != "" {
		refuse(gwv1.PolicyReasonTargetNotFound, store.Warning, message, remedy)
		return
	}
	if older := c.backendTLS.byTarget[t]; older != nil {
		refuse(gwv1.PolicyReasonConflicted, store.Warning, fmt.Sprintf("%s targets %s too and is older", older.object.Key, t), "remove one of them")
		return
	}
	c.backendTLS.byTarget[t] = p
}

func judgeBackendTLSPolicy(spec gwv1.BackendTLSPolicySpec) []fault {
	var faults []fault
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	v := spec.Validation
	if len(spec.TargetRefs) == 0 {
		add("targetRefs", "a policy needs at least one target", "")
	}
	if why := checkHostname(string(v.Hostname), false); why != "" {
		add("validation.hostname", fmt.Sprintf("hostname %q %s", v.Hostname, why), "")
	}
	known := deref(v.WellKnownCACertificates, "")
	switch {
	case len(v.CACertificateRefs) > 0 && known != "":
		add("validation.wellKnownCACertificates", "caCertificateRefs and wellKnownCACertificates exclude each other", "remove one of them")
	case len(v.CACertificateRefs) == 0 && known == "":
		add("validation", "caCertificateRefs or wellKnownCACertificates must be given", "for example: wellKnownCACertificates: System")
	case known != "" && known != gwv1.WellKnownCACertificatesSystem:
		add("validation.wellKnownCACertificates", fmt.Sprintf("%q is not supported", known), "use System")
	}
	for i, s := range v.SubjectAltNames {
		if why := judgeSAN(s); why != "" {
			add(fmt.Sprintf("validation.subjectAltNames[%d]", i), why, "")
		}
	}
	for _, p := range listedProtocols(spec.Options) {
		if why, remedy := judgeALPN(p); why != "" {
			add("options", fmt.Sprintf("%s: %s", optionALPN, why), remedy)
		}
	}
	return faults
}

// applyBackendTLS gives the port of a Service the TLS that a policy asks for:
// the one on the port, or the one on the whole Service.
func (c *compiler) applyBackendTLS(b *backend) {
	p := c.backendTLS.byTarget[target{b.object.Key, b.service.port.Name}]
	if p == nil {
		p = c.backendTLS.byTarget[target{key: b.object.Key}]
	}
	if p == nil {
		return
	}
	b.deps = append(b.deps, p.object)
	if p.used == nil {
		// What was meant to be encrypted does not go out in clear.
		b.unusable(string(gwv1.PolicyReasonInvalid), p.object.Key.String()+" is invalid", "see the errors of that BackendTLSPolicy")
		return
	}
	v := p.spec.Validation
	t := &ir.UpstreamTLS{ServerName: string(v.Hostname), SANs: sans(v.SubjectAltNames), ALPN: protocols(listedProtocols(p.spec.Options))}
	b.base.Protocol, b.base.TLS = ir.HTTPS, t
	if v.WellKnownCACertificates != nil && *v.WellKnownCACertificates == gwv1.WellKnownCACertificatesSystem {
		t.System = true
		return
	}
	t.CA = c.upstreamCA(b, p.used, "spec.validation.caCertificateRefs", v.CACertificateRefs)
	if len(t.CA) == 0 {
		// Without a CA nothing can be verified: requests fail, they do not go out unverified.
		b.unusable(string(gwv1.BackendTLSPolicyReasonNoValidCACertificate),
			fmt.Sprintf("none of the caCertificateRefs of %s is valid", p.object.Key), "see that BackendTLSPolicy")
	}
}
