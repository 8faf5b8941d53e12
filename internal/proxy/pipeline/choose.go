package pipeline

import (
	"math/rand/v2"

	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
)

// chooseBackend picks by weight, unless the client's session names an endpoint
// of one of the rule's backends.
func (x *Exchange) chooseBackend() *snapshot.Backend {
	backends := x.rule.Backends
	if x.session != "" {
		for i := range backends {
			if c := backends[i].Cluster; c != nil && c.Has(x.session) {
				return &backends[i]
			}
		}
	}
	switch {
	case len(backends) == 0 || x.rule.TotalWeight == 0:
		return nil
	case len(backends) == 1:
		return &backends[0]
	}
	n := rand.Uint32N(x.rule.TotalWeight)
	for i := range backends {
		if n < backends[i].IR.Weight {
			return &backends[i]
		}
		n -= backends[i].IR.Weight
	}
	return nil
}

// keepSession tells the client which endpoint it got, so that it comes back to it.
func (x *Exchange) keepSession() {
	if s := x.rule.Session; s != nil && x.endpoint != nil {
		s.Set(&x.Exchange, x.endpoint.Address())
	}
}

// limiterState remembers that the exchange holds a place of its limiter.
type limiterState struct {
	held *admission.Limiter
	at   int64
}

// admit takes a place under the rule's adaptive concurrency limit.
func (x *Exchange) admit() bool {
	l := x.rule.Limiter
	if l == nil {
		return true
	}
	p := x.Rule.Policy.Admission
	priority := p.DefaultPriority
	if p.PriorityHeader != "" {
		if v := x.Req.Header.GetString(p.PriorityHeader); len(v) == 1 && v[0] >= '0' && v[0] <= '9' {
			priority = int(v[0] - '0')
		}
	}
	if !l.AcquireOn(x.Down.Task(), priority, x.deadline, x.gone) {
		x.Fail(503, filter.AdmissionDenied, "too many requests at once for what the backend can do; try again later")
		return false
	}
	x.limiter = limiterState{held: l, at: x.tick()}
	return true
}

// release gives the place back and tells the limiter how it went.
func (x *Exchange) release() {
	l := x.limiter.held
	if l == nil {
		return
	}
	x.limiter.held = nil
	defer x.Down.Task().Share() // with who gets the place
	if x.Flags.Has(filter.ClientGone) {
		l.Cancel()
		return
	}
	dropped := x.Flags.Has(filter.UpstreamTimeout) || x.Flags.Has(filter.UpstreamReset) || x.status == 503
	l.Release(since(x.limiter.at), dropped)
}
