package proxy

import (
	"log/slog"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// authorizations are compiled AuthorizationPolicies, each once however many rules
// and snapshots it is in.
type authorizations struct {
	metrics *metric.Registry
	log     *slog.Logger

	mu       sync.Mutex // guards compiled
	compiled map[*ir.Authorization]*authorization.Policy
}

func (a *authorizations) get(cfg *ir.Authorization) *authorization.Policy {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.compiled[cfg]; p != nil {
		return p
	}
	p, err := authorization.Compile(cfg, a.metrics.Policy("AuthorizationPolicy/"+cfg.Policy))
	if err != nil {
		a.log.Error("a policy cannot be compiled: nothing gets through where it is in force", "error", err)
	}
	if a.compiled == nil {
		a.compiled = map[*ir.Authorization]*authorization.Policy{}
	}
	a.compiled[cfg] = p
	return p
}

// keep forgets policies that no configuration in service has any more.
func (a *authorizations) keep(cfg *ir.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.compiled) == 0 {
		return
	}
	configured := make(map[*ir.Authorization]bool, len(cfg.Authorizations))
	for _, one := range cfg.Authorizations {
		configured[one] = true
	}
	for one := range a.compiled {
		if !configured[one] {
			delete(a.compiled, one)
		}
	}
}
