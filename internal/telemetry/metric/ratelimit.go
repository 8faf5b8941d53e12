package metric

import "github.com/gridway/gridway/internal/ir"

// RateLimit counts what one limit of a RateLimitPolicy decides.
type RateLimit struct {
	life
	beyond        *RateLimit
	policy, limit string
	events        events
}

const (
	limitAllowed = iota
	limitLimited
	limitDry
	limitUnanswered
)

// RateLimit returns the handle of a limit by its policy, "namespace/name", and its
// own name.
func (r *Registry) RateLimit(policy, limit string) *RateLimit {
	return handle(r, r.rateLimits, policy+"/"+limit, func() *RateLimit {
		return newRateLimit(r, policy, limit)
	})
}

func newRateLimit(r *Registry, policy, limit string) *RateLimit {
	h := &RateLimit{beyond: r.beyond.rateLimit, policy: policy, limit: limit}
	h.begin(r, &r.kinds.rateLimit)
	h.events.cells.stripes = r.stripes
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *RateLimit) self() *RateLimit {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Allowed counts a request that the limit has let pass, Limited one that it has
// refused, and WouldLimit one that it would have, were it not dry.
func (h *RateLimit) Allowed()    { h.self().events.add(limitAllowed) }
func (h *RateLimit) Limited()    { h.self().events.add(limitLimited) }
func (h *RateLimit) WouldLimit() { h.self().events.add(limitDry) }

// Unanswered counts a request of which the limit's store has said nothing.
func (h *RateLimit) Unanswered() { h.self().events.add(limitUnanswered) }

// RateLimitKeys is the present state of a limit's counters.
type RateLimitKeys struct {
	// Keys have used something; Shared counts charges of keys without room.
	Keys   int
	Shared uint64
}

// SetRateLimitKeys names the function that reads the counters at each scrape.
func (r *Registry) SetRateLimitKeys(read func(yield func(policy, limit string, k RateLimitKeys))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limitKeys = read
}

var (
	rateLimitFamily = define("gridway_rate_limit_requests_total", counter,
		"Requests by limit and result: allowed, limited, or would_limit for one that a dry run would have refused.", "policy", "limit", "result")
	rateLimitFallbacksFamily = define("gridway_rate_limit_fallbacks_total", counter,
		"Requests of which the store of a global limit said nothing, so that onError decided.", "policy", "limit")
	rateLimitKeysFamily = define("gridway_rate_limit_keys", gauge,
		"Keys that have used something of a limit which has not come back.", "policy", "limit")
	rateLimitSharedFamily = define("gridway_rate_limit_shared_charges_total", counter,
		"Charges to the counters that keys share for which a limit has no room.", "policy", "limit")
)

func (e *emitter) rateLimit(h *RateLimit) {
	e.born = h.born
	if !h.events.cells.used() {
		return
	}
	t := h.events.totals()
	for i, result := range []string{"allowed", "limited", "would_limit"} {
		if t[i] > 0 {
			e.count(&rateLimitFamily, t[i], h.policy, h.limit, result)
		}
	}
	if n := t[limitUnanswered]; n > 0 {
		e.count(&rateLimitFallbacksFamily, n, h.policy, h.limit)
	}
}

func (e *emitter) rateLimitKeys(policy, limit string, k RateLimitKeys) {
	if !e.room("limit_keys") {
		return
	}
	e.gauge(&rateLimitKeysFamily, float64(k.Keys), policy, limit)
	e.count(&rateLimitSharedFamily, k.Shared, policy, limit)
}

func rateLimitsOf(cfg *ir.Config) map[string]bool {
	names := make(map[string]bool, len(cfg.RateLimits))
	for _, l := range cfg.RateLimits {
		names[l.Policy+"/"+l.Name] = true
	}
	return names
}
