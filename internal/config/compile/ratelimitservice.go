package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const defaultDomain = "gridway"

// service compiles a store that is a server. Who is asked is a matter of rules, and
// what is wrong with that of the store.
func (x storeCompiler) service(used *store.Object, s *v1alpha1.RateLimitService) *ir.RateLimitStore {
	if _, f := x.lookUp(used, s.BackendRef, "", true); f != nil {
		x.unresolved(used, "spec.service.backendRef"+f.field, f.reason, f.message, f.remedy)
	}
	return &ir.RateLimitStore{
		Name: x.object.Key.Namespace + "/" + x.object.Key.Name, Ref: ref(used, "spec"),
		Service: &ir.RateLimitService{Domain: deref(s.Domain, defaultDomain)},
	}
}

// rateLimitServers compiles the clusters of the services that count a rule's limits.
// Their settings are those of the policies on the backends.
func (s *routeScope) rateLimitServers(ctx *policyContext, limits []*ir.RateLimit) []ir.RateLimitServer {
	var out []ir.RateLimitServer
	for _, l := range limits {
		if l.Global == nil || slices.ContainsFunc(out, func(o ir.RateLimitServer) bool { return o.Store == l.Global.Store }) {
			continue
		}
		namespace, name, _ := strings.Cut(l.Global.Store, "/")
		o := s.set.Get(store.Key{Group: ownGroup, Kind: v1alpha1.KindRateLimitStore, Namespace: namespace, Name: name})
		if o == nil {
			s.state.missing = true // it may come
			continue
		}
		if !slices.Contains(s.state.deps, o) {
			s.state.deps = append(s.state.deps, o)
		}
		used, spec := s.storeInForce(o)
		if spec == nil || spec.Service == nil {
			continue
		}
		found, f := s.lookUp(used, spec.Service.BackendRef, "", true)
		if found.backend != nil {
			s.depend(found.backend)
		} else {
			s.state.missing = true // a grant, or the object, may come
		}
		if f != nil || s.unserved {
			continue
		}
		own := s.merge(found.backend.policies)
		s.note(own)
		cs := s.cluster(found.backend, own, ctx.certificate)
		s.count[cs] = true
		out = append(out, ir.RateLimitServer{Store: l.Global.Store, Cluster: cs.ir.Name})
	}
	return out
}

// judgeForService warns of what the protocol of rate limit services cannot say.
func (c *compiler) judgeForService(p *rateLimitPolicy, i int) {
	l := &p.spec.Limits[i]
	warn := func(field, message, remedy string) {
		c.report(problemAt(p.used, fmt.Sprintf("spec.limits[%d]%s", i, field), store.Warning, "NotForService", message, remedy))
	}
	if l.Concurrency != nil {
		c.report(problemAt(p.used, fmt.Sprintf("spec.limits[%d].global.storeRef.name", i), store.Error, "NotForService",
			fmt.Sprintf("a rate limit service cannot count requests at once: onError holds all the time, which is %s", c.onErrorOf(p, l.Global)),
			"name a store that is a redis or the stateStore, or leave global out: each proxy then counts by itself"))
	}
	if l.Rate != nil {
		units, period, _ := v1alpha1.ParseRate(*l.Rate) // it was judged
		if !slices.Contains([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}, period) {
			warn(".rate", "a rate limit service counts by the second, minute, hour or day: the limit that it knows itself holds", "write N/s, N/m, N/h or N/d, or use redis")
		}
		if l.Burst != nil && *l.Burst != units {
			warn(".burst", "a rate limit service knows no burst", "leave it out, or use redis")
		}
	}
	if q := l.Quota; q != nil {
		if q.Window == v1alpha1.QuotaWeek {
			warn(".quota.window", "a rate limit service knows no weeks: the limit that it knows itself holds", "use another window, or redis")
		}
		if deref(q.TimeZone, defaultTimeZone) != defaultTimeZone {
			warn(".quota.timeZone", "windows of a rate limit service begin by UTC", "leave it out, or use redis")
		}
		if q.Amount > 1<<32-1 {
			warn(".quota.amount", "a rate limit service counts to 4294967295", "lower it, or use redis")
		}
	}
	if l.Cost != nil && l.Cost.FromResponseHeader != nil {
		warn(".cost.fromResponseHeader", "what a rate limit service was asked for cannot be corrected", "leave it out, or use redis")
	}
}
