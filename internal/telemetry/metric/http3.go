package metric

// HTTP3Event is what happens to HTTP/3 connections and their streams.
type HTTP3Event uint8

const (
	HTTP3Opened HTTP3Event = iota
	HTTP3Closed
	HTTP3StreamOpened
	HTTP3StreamClosed
	// HTTP3Retried are clients that had to prove their address first.
	HTTP3Retried
	// HTTP3Early are requests that were served from early data.
	HTTP3Early
	http3Events
)

// http3Codes are the error codes of RFC 9114 §8.1 as labels, from 0x100 on; the
// last one is for all others.
var http3Codes = [...]string{
	"no_error", "general_protocol_error", "internal_error", "stream_creation_error", "closed_critical_stream", "frame_unexpected",
	"frame_error", "excessive_load", "id_error", "settings_error", "missing_settings", "request_rejected", "request_cancelled",
	"request_incomplete", "message_error", "connect_error", "version_fallback", "other",
}

// HTTP3 counts an event.
func (h *Listener) HTTP3(what HTTP3Event) { h.self().events.add(eventHTTP3 + int(what)) }

// HTTP3Reset counts a stream that was reset, by the client or from here.
func (h *Listener) HTTP3Reset(code uint64, ours bool) {
	side, i := 0, len(http3Codes)-1
	if ours {
		side = 1
	}
	if code >= 0x100 && code < 0x100+uint64(i) {
		i = int(code - 0x100)
	}
	h.self().resets3[side][i].Add(1)
}

// HTTP3GoAway counts a connection that Gridway has ended. The reason is one of
// the program's own, never text from the client.
func (h *Listener) HTTP3GoAway(reason string) {
	h = h.self()
	h.count(h.goAways3, reason)
}

func (e *emitter) http3(h *Listener, t *[maxEvents]uint64) {
	n := func(what HTTP3Event) uint64 { return t[eventHTTP3+int(what)] }
	open := func(f *family, opened, closed HTTP3Event) {
		e.gauge(f, max(float64(n(opened))-float64(n(closed)), 0), h.name)
	}
	if n(HTTP3Opened) > 0 {
		e.count(&http3AcceptedFamily, n(HTTP3Opened), h.name)
		open(&http3Family, HTTP3Opened, HTTP3Closed)
		open(&streams3Family, HTTP3StreamOpened, HTTP3StreamClosed)
		e.count(&earlyFamily, n(HTTP3Early), h.name)
	}
	if n(HTTP3Retried) > 0 {
		e.count(&retriedFamily, n(HTTP3Retried), h.name)
	}
	for side, name := range resetSides {
		for code, label := range http3Codes {
			if n := h.resets3[side][code].Load(); n > 0 {
				e.count(&reset3Family, n, h.name, name, label)
			}
		}
	}
}
