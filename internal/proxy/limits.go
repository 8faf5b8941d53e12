package proxy

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/route"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// rateLimitDeps are what the limits of rules need, which outlives snapshots.
func rateLimitDeps(set *limit.Set, stores *stores, formulas *formulas, metrics *metric.Registry) ratelimit.Deps {
	return ratelimit.Deps{
		Get: set.Get,
		Condition: func(matches []ir.Match) ratelimit.Condition {
			c, err := route.NewConditions(matches)
			if err != nil {
				return nil // compile has judged them
			}
			return c
		},
		Formulas: formulas.get,
		Store:    stores.get,
		Places:   stores.inProgress,
		Counts:   func(l *ir.RateLimit) ratelimit.Counts { return metrics.RateLimit(l.Policy, l.Name) },
	}
}

// formulas are the compiled expressions of limits, each limit's once however many
// rules and snapshots it is in.
type formulas struct {
	log *slog.Logger

	mu       sync.Mutex // guards compiled
	compiled map[*ir.RateLimit]*ratelimit.Formulas
}

func (f *formulas) get(cfg *ir.RateLimit) *ratelimit.Formulas {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.compiled[cfg]; one != nil {
		return one
	}
	one, err := ratelimit.Compile(cfg)
	if err != nil {
		f.log.Error("an expression of a limit cannot be compiled, and is taken to be one that cannot be evaluated", "error", err)
	}
	if f.compiled == nil {
		f.compiled = map[*ir.RateLimit]*ratelimit.Formulas{}
	}
	f.compiled[cfg] = one
	return one
}

// keep forgets limits that no configuration in service has any more.
func (f *formulas) keep(cfg *ir.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	configured := make(map[*ir.RateLimit]bool, len(cfg.RateLimits))
	for _, l := range cfg.RateLimits {
		configured[l] = true
	}
	maps.DeleteFunc(f.compiled, func(l *ir.RateLimit, _ *ratelimit.Formulas) bool { return !configured[l] })
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
