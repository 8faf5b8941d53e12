package metric

import (
	"strings"
	"sync/atomic"
	"time"
)

// Route counts the exchanges of one rule.
type Route struct {
	life
	beyond *Route
	red    red
	traced exemplars
	window window
	route  string // "HTTPRoute/namespace/name"
	rule   string // index within the route
	// websocket is nil while none was opened.
	websocket atomic.Pointer[WebSocket]
	streams   atomic.Int64
}

func newRoute(r *Registry, id string) *Route {
	h := &Route{beyond: r.beyond.route}
	h.life.begin(r, &r.kinds.rule)
	h.begin(r, id)
	return h
}

func (h *Route) begin(r *Registry, id string) {
	var ok bool
	if h.route, h.rule, ok = strings.Cut(id, "/rules/"); !ok {
		h.rule = "0"
	}
	h.red.cells.stripes, h.red.native = r.stripes, r.opt.Native
	h.window.start(r.opt.Now())
}

// StreamOpened counts an exchange that has become a stream: a WebSocket or
// another tunnel, a response whose length nobody has announced and that is
// still coming, a call of gRPC whose messages are. StreamClosed must follow.
func (h *Route) StreamOpened() { h.self().streams.Add(1) }

// StreamClosed counts its end.
func (h *Route) StreamClosed() { h.self().streams.Add(-1) }

// Observe records one exchange at its end. Status is what was sent to the
// client, 0 if nothing was. D runs from the end of the request's head to the
// end of the response. In and out are bytes of the request's and the
// response's body. Flags are counted by reason (see Options.Reasons).
func (h *Route) Observe(status int, d time.Duration, in, out int64, flags uint64) {
	h.self().red.observe(status, d, in, out, flags)
}

// self is what counts: the handle, or the overflow's.
func (h *Route) self() *Route {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Traced keeps an exchange that took d as an exemplar: that of the trace with
// this ID, 32 hexadecimal digits, which somebody records.
func (h *Route) Traced(d time.Duration, trace []byte, now time.Time) {
	h.self().traced.note(d, trace, now)
}
