package proxy

import (
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
)

// anyCredentials are the places where policies of any rule look for credentials. Requests
// that no rule took may carry one that was meant for some rule, which is not to be shown.
// They are gathered when somebody asks, once for each configuration.
type anyCredentials struct {
	known atomic.Pointer[credentialsOf]
}

type credentialsOf struct {
	config *ir.Config
	places *ir.Authentication
}

// of gives those of the configuration in service.
func (a *anyCredentials) of(cfg *ir.Config) *ir.Authentication {
	if k := a.known.Load(); k != nil && k.config == cfg {
		return k.places
	}
	k := &credentialsOf{config: cfg, places: &ir.Authentication{}}
	seen := map[*ir.Authentication]bool{nil: true}
	for _, r := range cfg.Routes {
		for _, rule := range r.Rules {
			if p := rule.Policy.Authentication; !seen[p] {
				seen[p] = true
				k.places.AnyOf = append(k.places.AnyOf, p.AnyOf...)
			}
		}
	}
	a.known.Store(k)
	return k.places
}

// AnyCredentials are the places of credentials of all rules in service.
func (p *Proxy) AnyCredentials() *ir.Authentication {
	s := p.Snapshot()
	if s == nil {
		return nil
	}
	return p.credentials.of(s.Config)
}
