package compile

import (
	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

// applySettings puts what policies say about a cluster onto it.
func applySettings(cl *ir.Cluster, spec *v1alpha1.TrafficPolicySpec) {
	cl.ConnectTimeout = defaultConnectTimeout
	if t := spec.Timeouts; t != nil {
		if cl.ConnectTimeout = duration(t.Connect, defaultConnectTimeout); cl.ConnectTimeout == 0 {
			cl.ConnectTimeout = noConnectTimeout
		}
	}
	cl.Balance = balance(spec.LoadBalancer)
	cl.Pool = pool(spec.ConnectionPool)
	cl.Breaker = breaker(spec.CircuitBreaker)
	cl.RetryBudget = retryBudget(spec.Retry)
	cl.Outlier = outlier(spec.OutlierDetection)
	cl.Health = health(spec.HealthCheck)
	switch deref(spec.ProxyProtocol, v1alpha1.UpstreamProxyProtocolNone) {
	case v1alpha1.UpstreamProxyProtocolV1:
		cl.ProxyProtocol = 1
	case v1alpha1.UpstreamProxyProtocolV2:
		cl.ProxyProtocol = 2
	}
}

func balance(lb *v1alpha1.LoadBalancer) ir.Balance {
	b := defaultBalance()
	if lb == nil {
		return b
	}
	b.Algorithm = ir.BalanceAlgorithm(deref(lb.Algorithm, v1alpha1.LoadBalancerAlgorithm(b.Algorithm)))
	b.Choices = int(deref(lb.Choices, int32(b.Choices)))
	b.Decay = duration(lb.Decay, b.Decay)
	b.ZoneAware = deref(lb.ZoneAware, false)
	b.PanicThreshold = int(deref(lb.PanicThreshold, int32(b.PanicThreshold)))
	b.Overprovisioning = int(deref(lb.Overprovisioning, int32(b.Overprovisioning)))
	b.SlowStart = duration(lb.SlowStart, 0)
	if b.Algorithm != ir.RingHash && b.Algorithm != ir.Maglev {
		return b
	}
	b.BoundedLoad = int(deref(lb.BoundedLoad, 0))
	if b.Algorithm == ir.RingHash {
		b.RingSize = int(deref(lb.TableSize, 0))
	} else {
		b.RingSize = nextPrime(int(deref(lb.TableSize, defaultMaglevSize)))
	}
	for _, k := range lb.HashOn {
		b.HashOn = append(b.HashOn, ir.HashKey{
			Header: string(deref(k.Header, "")), Cookie: deref(k.Cookie, ""), Query: deref(k.Query, ""),
			SourceIP: deref(k.SourceIP, false),
		})
	}
	if len(b.HashOn) == 0 {
		b.HashOn = []ir.HashKey{{SourceIP: true}}
	}
	return b
}

// nextPrime is the smallest prime that is not less than n: Maglev's
// permutations cover the table only if its size is one.
func nextPrime(n int) int {
	for n = max(n, 2); ; n++ {
		prime := true
		for d := 2; d*d <= n; d++ {
			if n%d == 0 {
				prime = false
				break
			}
		}
		if prime {
			return n
		}
	}
}

func pool(p *v1alpha1.ConnectionPool) ir.Pool {
	out := defaultPool()
	if p == nil {
		return out
	}
	out.MaxIdle = int(deref(p.MaxIdle, int32(out.MaxIdle)))
	out.IdleTimeout = duration(p.IdleTimeout, out.IdleTimeout)
	out.MaxLifetime = duration(p.MaxLifetime, 0)
	out.MaxRequests = int(deref(p.MaxRequests, 0))
	out.KeepAlive = duration(p.KeepAlive, out.KeepAlive)
	out.HTTP2KeepAlive = duration(p.HTTP2KeepAlive, 0)
	out.HeaderBytes = int(deref(p.HeaderBytes, int32(out.HeaderBytes)))
	out.DisablePooling = deref(p.Disabled, false) || out.MaxIdle == 0
	return out
}

func breaker(b *v1alpha1.CircuitBreaker) *ir.Breaker {
	if b == nil {
		return nil
	}
	out := &ir.Breaker{
		MaxConnections: int(deref(b.MaxConnections, 0)), MaxPending: int(deref(b.MaxPending, 0)),
		MaxRequests: int(deref(b.MaxRequests, 0)), MaxRetries: int(deref(b.MaxRetries, 0)),
	}
	if f := b.FailureRate; f != nil {
		r := defaultFailureRate()
		out.Failure = &ir.FailureRate{
			Percent:     int(deref(f.Percent, int32(r.Percent))),
			MinRequests: int(deref(f.MinRequests, int32(r.MinRequests))),
			Window:      duration(f.Window, r.Window),
			OpenFor:     duration(f.OpenFor, r.OpenFor),
			HalfOpen:    int(deref(f.HalfOpenRequests, int32(r.HalfOpen))),
		}
	}
	return out
}

func retryBudget(r *v1alpha1.Retry) *ir.RetryBudget {
	out := defaultRetryBudget()
	if r != nil && r.Budget != nil {
		out.Percent = int(deref(r.Budget.Percent, int32(out.Percent)))
		out.MinPerSecond = int(deref(r.Budget.MinPerSecond, int32(out.MinPerSecond)))
		out.Window = duration(r.Budget.Window, out.Window)
	}
	return &out
}

func outlier(o *v1alpha1.OutlierDetection) *ir.Outlier {
	if o == nil {
		return nil
	}
	out := defaultOutlier()
	out.Consecutive5xx = int(deref(o.Consecutive5xx, int32(out.Consecutive5xx)))
	out.ConsecutiveGateway = int(deref(o.ConsecutiveGatewayErrors, 0))
	out.Interval = duration(o.Interval, out.Interval)
	out.BaseEjection = duration(o.BaseEjection, out.BaseEjection)
	out.MaxEjection = max(duration(o.MaxEjection, out.MaxEjection), out.BaseEjection)
	out.MaxPercent = int(deref(o.MaxPercent, int32(out.MaxPercent)))
	if s := o.SuccessRate; s != nil {
		out.SuccessRateMinHosts = int(deref(s.MinHosts, defaultSuccessRateHosts))
		out.SuccessRateMinRequests = int(deref(s.MinRequests, defaultSuccessRateRequests))
		out.SuccessRateStdev = int(deref(s.StdevFactor, defaultSuccessRateStdev))
	}
	return &out
}

func health(h *v1alpha1.HealthCheck) *ir.Health {
	if h == nil {
		return nil
	}
	out := defaultHealth()
	out.Interval = duration(h.Interval, out.Interval)
	out.Timeout = duration(h.Timeout, out.Timeout)
	out.HealthyThreshold = int(deref(h.HealthyThreshold, int32(out.HealthyThreshold)))
	out.UnhealthyThreshold = int(deref(h.UnhealthyThreshold, int32(out.UnhealthyThreshold)))
	out.Port = uint16(deref(h.Port, 0))
	if h.GRPC != nil {
		out.GRPC = &ir.GRPCHealth{Service: deref(h.GRPC.Service, ""), Host: deref(h.GRPC.Host, "")}
		return &out
	}
	if h.HTTP == nil {
		return &out
	}
	check := defaultHTTPHealth()
	check.Method = string(deref(h.HTTP.Method, "GET"))
	check.Path = deref(h.HTTP.Path, check.Path)
	check.Host = deref(h.HTTP.Host, "")
	if len(h.HTTP.Statuses) > 0 {
		check.Statuses = nil
	}
	for _, s := range h.HTTP.Statuses {
		if from, to, err := v1alpha1.StatusCodes(s); err == nil {
			check.Statuses = append(check.Statuses, ir.StatusRange{From: from, To: to})
		}
	}
	check.Headers = headers(h.HTTP.Headers)
	out.HTTP = &check
	return &out
}
