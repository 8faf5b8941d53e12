package metric

import "sync/atomic"

// HTTP2Event is what happens to HTTP/2 connections and their streams.
type HTTP2Event uint8

const (
	HTTP2Opened HTTP2Event = iota
	HTTP2Closed
	StreamOpened
	StreamClosed
	http2Events
)

// resetNames are the error codes of RFC 9113 §7 as labels, by their number; the
// last one is for all others.
var resetNames = [...]string{
	"no_error", "protocol_error", "internal_error", "flow_control_error", "settings_timeout", "stream_closed", "frame_size_error",
	"refused_stream", "cancel", "compression_error", "connect_error", "enhance_your_calm", "inadequate_security", "http_1_1_required", "other",
}

var resetSides = [...]string{"client", "gridway"}

// resets counts RST_STREAM by who has sent it and its code.
type resets [len(resetSides)][len(resetNames)]atomic.Uint64

// HTTP2 counts an event.
func (h *Listener) HTTP2(what HTTP2Event) { h.self().events.add(eventHTTP2 + int(what)) }

// StreamReset counts a stream that was reset, by the client or from here.
func (h *Listener) StreamReset(code uint32, ours bool) {
	side := 0
	if ours {
		side = 1
	}
	h.self().resets[side][min(int(code), len(resetNames)-1)].Add(1)
}

// GoAway counts a connection that Gridway has ended. The reason is one of the
// program's own, never text from the client.
func (h *Listener) GoAway(reason string) {
	h = h.self()
	h.count(h.goAways, reason)
}
