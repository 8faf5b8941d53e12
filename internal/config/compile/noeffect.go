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
		for path, set := range map[string]bool{"loadBalancer.slowStart": lb.SlowStart != nil && duration(lb.SlowStart, 0) > 0, "loadBalancer.zoneAware": deref(lb.ZoneAware, false)} {
			add(set && (algorithm == v1alpha1.RingHash || algorithm == v1alpha1.Maglev), path,
				fmt.Sprintf("is not used by %s: it would move keys", algorithm), "leave it out, or use another algorithm")
		}
		add(lb.Decay != nil && algorithm != v1alpha1.PeakEWMA, "loadBalancer.decay",
			fmt.Sprintf("is used by PeakEWMA only, and the algorithm is %s", algorithm), "leave it out")
	}
	for _, r := range backends {
		if r.backend != nil && r.backend.base.HTTP3 && deref(spec.ProxyProtocol, v1alpha1.UpstreamProxyProtocolNone) != v1alpha1.UpstreamProxyProtocolNone {
			add(true, "proxyProtocol", fmt.Sprintf("is not sent to %s, which is spoken to by HTTP/3: UDP carries no PROXY header", r.backend.base.Name),
				"leave it out, or use another protocol")
			break
		}
	}
	for path, set := range map[string]bool{"bridge": bridge(spec.Bridge) != nil, "transcoding": spec.Transcoding != nil} {
		for _, r := range backends {
			if set && r.backend != nil && r.backend.speaksHTTP1() {
				add(true, path, fmt.Sprintf("%s is spoken to by HTTP/1.1, and gRPC needs HTTP/2", r.backend.base.Name),
					"set protocol h2c or h2 of the Backend, appProtocol kubernetes.io/h2c of a Service, or use a GRPCRoute")
				break
			}
		}
	}
	if b := spec.CircuitBreaker; b != nil {
		add(b.MaxPending != nil && b.MaxConnections == nil, "circuitBreaker.maxPending",
			"nobody waits for a connection without maxConnections", "set maxConnections")
	}
	if r := spec.Retry; r != nil && deref(r.Attempts, int32(defaultRetry().Attempts)) > 0 {
		add(r.RetryOn != nil && len(r.RetryOn) == 0 && len(r.Statuses) == 0, "retry.retryOn",
			"is empty, and no statuses are given: nothing is tried again", "name conditions, or set attempts to 0")
		if b := r.Budget; b != nil {
			d := defaultRetryBudget()
			add(deref(b.Percent, int32(d.Percent)) == 0 && deref(b.MinPerSecond, int32(d.MinPerSecond)) == 0, "retry.budget.percent",
				"is 0, and so is minPerSecond: nothing is tried again or hedged", "raise one of them, or set attempts to 0")
		}
	}
	if h, t := spec.Hedge, spec.Timeouts; h != nil && t != nil {
		most := duration(t.Request, 0)
		if try := duration(t.BackendRequest, 0); try > 0 && (most == 0 || try < most) {
			most = try
		}
		add(most > 0 && duration(h.Delay, 0) >= most, "hedge.delay",
			fmt.Sprintf("is not shorter than the request's time, %s: nothing is hedged", most), "make it shorter")
	}
	out = append(out, idleOutlier(spec.OutlierDetection)...)
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

// idleOutlier finds rules of outlier detection that can never eject.
func idleOutlier(o *v1alpha1.OutlierDetection) []idleField {
	if o == nil {
		return nil
	}
	var out []idleField
	d := outlier(o)
	if d.Consecutive5xx == 0 && d.ConsecutiveGateway == 0 && o.SuccessRate == nil {
		out = append(out, idleField{"outlierDetection.consecutive5xx", "is 0, and there is no other rule: nothing is ejected", "set consecutiveGatewayErrors or successRate"})
	}
	// Of n endpoints, one that fails alone is sqrt(n-1) deviations below the mean.
	if s := o.SuccessRate; s != nil && s.MinHosts != nil {
		factor := float64(d.SuccessRateStdev) / 100
		if least := int(factor*factor) + 2; d.SuccessRateMinHosts < least {
			out = append(out, idleField{
				"outlierDetection.successRate.minHosts",
				fmt.Sprintf("of fewer than %d endpoints none can be %v standard deviations below the mean", least, factor),
				"lower stdevFactor, or raise minHosts",
			})
		}
	}
	return out
}
