package compile

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
)

// clientAffinity adds what a Service's sessionAffinity asks for to the settings
// of its cluster: the client's address chooses the endpoint. Policies that name
// an algorithm know better. affine tells whether it is in force.
func clientAffinity(b *backend, spec *v1alpha1.TrafficPolicySpec) (with *v1alpha1.TrafficPolicySpec, affine bool) {
	if b.service == nil || b.service.service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return spec, false
	}
	lb := v1alpha1.LoadBalancer{}
	if spec.LoadBalancer != nil {
		lb = *spec.LoadBalancer
	}
	if lb.Algorithm != nil {
		return spec, false
	}
	ring, yes := v1alpha1.RingHash, true
	lb.Algorithm = &ring
	if lb.HashOn == nil {
		lb.HashOn = []v1alpha1.HashKey{{SourceIP: &yes}}
	}
	out := *spec
	out.LoadBalancer = &lb
	return &out, true
}

// defaultAffinitySeconds is what Kubernetes fills in.
const defaultAffinitySeconds = 10800

// judgeAffinity tells where a Service's sessionAffinity is not what it says.
func judgeAffinity(p *servicePort, affine bool) []store.Problem {
	spec := &p.service.Spec
	switch spec.SessionAffinity {
	case "", corev1.ServiceAffinityNone:
		return nil
	case corev1.ServiceAffinityClientIP:
	default:
		return []store.Problem{problemAt(p.object, "spec.sessionAffinity", store.Warning, "UnknownAffinity",
			fmt.Sprintf("%q is neither None nor ClientIP and has no effect", spec.SessionAffinity), "")}
	}
	if !affine {
		return []store.Problem{problemAt(p.object, "spec.sessionAffinity", store.Note, "AffinityOverridden",
			"a TrafficPolicy names a load balancing algorithm, which is used instead of the affinity to clients' addresses",
			"with RingHash or Maglev and hashOn sourceIP it has the same effect")}
	}
	config := spec.SessionAffinityConfig
	if config == nil || config.ClientIP == nil || deref(config.ClientIP.TimeoutSeconds, defaultAffinitySeconds) == defaultAffinitySeconds {
		return nil
	}
	return []store.Problem{problemAt(p.object, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", store.Note, "AffinityWithoutTimeout",
		"has no effect: the endpoint is computed from the client's address, and stays the same as long as it is there",
		"sessionPersistence with an idleTimeout ends sessions")}
}
