package metric

import (
	"strings"
	"sync/atomic"
	"time"
)

// Route counts the exchanges of one rule.
type Route struct {
	life
	red    red
	window window
	route  string // "HTTPRoute/namespace/name"
	rule   string // index within the route
	// websocket is nil while none was opened.
	websocket atomic.Pointer[WebSocket]
	streams   atomic.Int64
}

func newRoute(r *Registry, id string) *Route {
	h := &Route{}
	h.begin(r, id)
	return h
}

func (h *Route) begin(r *Registry, id string) {
	var ok bool
	if h.route, h.rule, ok = strings.Cut(id, "/rules/"); !ok {
		h.rule = "0"
	}
	h.red.cells.stripes = r.stripes
	h.window.start(r.opt.Now())
}

// StreamOpened counts an exchange that has become a stream: a WebSocket or
// another tunnel, a response whose length nobody has announced and that is
// still coming, a call of gRPC whose messages are. StreamClosed must follow.
func (h *Route) StreamOpened() { h.streams.Add(1) }

// StreamClosed counts its end.
func (h *Route) StreamClosed() { h.streams.Add(-1) }

// Observe records one exchange at its end. Status is what was sent to the
// client, 0 if nothing was. D runs from the end of the request's head to the
// end of the response. In and out are bytes of the request's and the
// response's body. Flags are counted by reason (see Options.Reasons).
func (h *Route) Observe(status int, d time.Duration, in, out int64, flags uint64) {
	h.red.observe(status, d, in, out, flags)
}
