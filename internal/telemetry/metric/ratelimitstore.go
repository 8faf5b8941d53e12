package metric

import (
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// RateLimitStore counts what is asked of a RateLimitStore.
type RateLimitStore struct {
	life
	beyond *RateLimitStore
	name   string
	events events
	calls  histogram
	state  atomic.Int32 // not known, down or up
}

const (
	storeDown = iota + 1
	storeUp
)

const (
	storeAnswered = iota
	storeFailed
	storeUnasked
	storeLost
)

// RateLimitStore returns the handle of a store by its name, "namespace/name".
func (r *Registry) RateLimitStore(name string) *RateLimitStore {
	return handle(r, r.limitStores, name, func() *RateLimitStore {
		return newRateLimitStore(r, name)
	})
}

func newRateLimitStore(r *Registry, name string) *RateLimitStore {
	h := &RateLimitStore{beyond: r.beyond.limitStore, name: name}
	h.begin(r, &r.kinds.limitStore)
	h.events.cells.stripes, h.calls.cells.stripes, h.calls.native = r.stripes, r.stripes, r.opt.Native
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *RateLimitStore) self() *RateLimitStore {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Call counts a call that took so long, and failed if err is not nil.
func (h *RateLimitStore) Call(took time.Duration, err error) {
	h = h.self()
	h.calls.observe(took)
	if err != nil {
		h.events.add(storeFailed)
	} else {
		h.events.add(storeAnswered)
	}
}

// Unasked counts a request for which the store was not asked, because it is known
// not to answer.
func (h *RateLimitStore) Unasked() { h.self().events.add(storeUnasked) }

// Up says that the store is asked, or that it is not since it fails.
func (h *RateLimitStore) Up(is bool) {
	state := int32(storeDown)
	if is {
		state = storeUp
	}
	if h.state.Load() != state {
		h.state.Store(state)
	}
}

// Lost counts charges after a response that did not reach the store.
func (h *RateLimitStore) Lost(n int) {
	h = h.self()
	for range n {
		h.events.add(storeLost)
	}
}

var (
	storeCallsFamily = define("gridway_rate_limit_store_calls_total", counter,
		"Round trips to a store of rate limits, of which (state store) is where leases come from, by result: ok; error, an answer in time that says so or none; or down, not asked because it failed before.", "store", "result")
	storeUpFamily = define("gridway_rate_limit_store_up", gauge,
		"1 while a store of rate limits answers, 0 while it fails and onError decides. Servers of Envoy's protocol have none: they are endpoints.", "store")
	storeTimeFamily = define("gridway_rate_limit_store_call_duration_seconds", histo,
		"Time that requests waited for a store of rate limits.", "store")
	storeLostFamily = define("gridway_rate_limit_store_lost_corrections_total", counter,
		"Charges after a response, or given back, that did not reach a store of rate limits.", "store")
)

func (e *emitter) rateLimitStore(h *RateLimitStore) {
	e.born = h.born
	if state := h.state.Load(); state != 0 && h.place.own() {
		e.gauge(&storeUpFamily, float64(state-storeDown), h.name)
	}
	if !h.events.cells.used() {
		return
	}
	t := h.events.totals()
	for i, result := range []string{"ok", "error", "down"} {
		if t[i] > 0 {
			e.count(&storeCallsFamily, t[i], h.name, result)
		}
	}
	e.count(&storeLostFamily, t[storeLost], h.name)
	e.times(&storeTimeFamily, &h.calls, h.name)
}

// StateStore is the name of the store that leases of limits come from.
const StateStore = "(state store)"

func limitStoresOf(cfg *ir.Config) map[string]bool {
	names := make(map[string]bool, len(cfg.RateLimitStores)+1)
	names[StateStore] = true
	for _, s := range cfg.RateLimitStores {
		names[s.Name] = true
	}
	return names
}
