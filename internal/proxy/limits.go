package proxy

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// rateLimitDeps are what the limits of rules need, which outlives snapshots.
func rateLimitDeps(set *limit.Set, metrics *metric.Registry) ratelimit.Deps {
	return ratelimit.Deps{
		Get: set.Get,
		Condition: func(matches []ir.Match) ratelimit.Condition {
			c, err := route.NewConditions(matches)
			if err != nil {
				return nil // compile has judged them
			}
			return c
		},
		Counts: func(l *ir.RateLimit) ratelimit.Counts { return metrics.RateLimit(l.Policy, l.Name) },
	}
}

// keepLimits has the counters of limits forgotten that are not configured any more.
func keepLimits(set *limit.Set, cfg *ir.Config) {
	configured := make(map[string]bool, len(cfg.RateLimits))
	for _, l := range cfg.RateLimits {
		configured[l.State] = true
	}
	set.Keep(configured, time.Now())
}

// RateLimitKeys reads the counters of all limits, for metrics.
func (p *Proxy) RateLimitKeys(yield func(policy, limit string, k metric.RateLimitKeys)) {
	now := limit.At(time.Now())
	p.limits.Each(func(cfg *ir.RateLimit, l *limit.Limit) {
		s := l.Stats(now)
		yield(cfg.Policy, cfg.Name, metric.RateLimitKeys{Keys: s.Keys, Shared: s.Shared})
	})
}
