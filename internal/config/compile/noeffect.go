package compile

import (
	"fmt"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
)

// idleField is a field that does nothing beside what else is in force, which
// may come from other policies.
type idleField struct{ path, message, remedy string }

// noteIdleFields warns of fields of policies that do nothing.
func (s *routeScope) noteIdleFields(m *settings, backends []resolvedRef) {
	for _, f := range idleFields(&m.spec, backends) {
		if b, ok := m.origin[f.path]; ok {
			s.state.shared = append(s.state.shared,
				problemAt(b.policy.used, "spec."+f.path, store.Warning, "NoEffect", f.message, f.remedy))
		}
	}
}

func idleFields(spec *v1alpha1.TrafficPolicySpec, backends []resolvedRef) []idleField {
	var out []idleField
	add := func(idle bool, path, message, remedy string) {
		if idle {
			out = append(out, idleField{path, message, remedy})
		}
	}
	if lb := spec.LoadBalancer; lb != nil {
		algorithm := deref(lb.Algorithm, v1alpha1.LoadBalancerAlgorithm(defaultBalance().Algorithm))
		hashes := algorithm == v1alpha1.RingHash || algorithm == v1alpha1.Maglev
		for _, r := range backends {
			if r.backend != nil {
				_, affine := clientAffinity(r.backend, spec)
				hashes = hashes || affine
			}
		}
		for path, set := range map[string]bool{
			"loadBalancer.hashOn": len(lb.HashOn) > 0, "loadBalancer.boundedLoad": lb.BoundedLoad != nil, "loadBalancer.tableSize": lb.TableSize != nil,
		} {
			add(set && !hashes, path, fmt.Sprintf("is used by RingHash and Maglev only, and the algorithm is %s", algorithm), "set algorithm, or leave it out")
		}
		add(lb.Choices != nil && algorithm != v1alpha1.LeastRequest, "loadBalancer.choices",
			fmt.Sprintf("is used by LeastRequest only, and the algorithm is %s", algorithm), "leave it out")
		add(lb.Decay != nil && algorithm != v1alpha1.PeakEWMA, "loadBalancer.decay",
			fmt.Sprintf("is used by PeakEWMA only, and the algorithm is %s", algorithm), "leave it out")
	}
	if b := spec.CircuitBreaker; b != nil {
		add(b.MaxPending != nil && b.MaxConnections == nil, "circuitBreaker.maxPending",
			"nobody waits for a connection without maxConnections", "set maxConnections")
	}
	if f := spec.Fault; f != nil {
		add(f.Delay != nil && f.Delay.Duration == nil, "fault.delay", "has no duration: nothing is delayed", "set duration")
		add(f.Delay == nil && f.Abort == nil, "fault", "has neither delay nor abort: nothing happens", "")
	}
	if a := spec.Admission; a != nil {
		d := defaultAdmission()
		low, first, high := deref(a.MinConcurrency, int32(d.MinConcurrency)), deref(a.InitialConcurrency, int32(d.Initial)), deref(a.MaxConcurrency, int32(d.MaxConcurrency))
		add(low > high, "admission.minConcurrency", fmt.Sprintf("%d is above maxConcurrency, %d, which holds", low, high), "")
		add(first > high, "admission.initialConcurrency", fmt.Sprintf("%d is above maxConcurrency, %d, which holds", first, high), "")
	}
	return out
}
