package metric

import (
	"sync/atomic"
	"time"
)

// Stream counts the connections, or sessions of UDP, of one rule of a TCPRoute,
// TLSRoute or UDPRoute.
type Stream struct {
	Route
	beyond    *Stream
	active    atomic.Int64
	datagrams [2]atomic.Uint64 // from clients, to clients
	dropped   atomic.Uint64
}

func newStream(r *Registry, id string) *Stream {
	h := &Stream{beyond: r.beyond.stream}
	h.life.begin(r, &r.kinds.stream)
	h.begin(r, id)
	return h
}

// self is what counts: the handle, or the overflow's.
func (h *Stream) self() *Stream {
	if h.place.own() {
		return h
	}
	return h.beyond
}

// Opened counts a stream that begins; Ended must follow.
func (h *Stream) Opened() { h.self().active.Add(1) }

// Ended records a stream at its end: how long it was, how many bytes came from
// the client and went to it, and what went wrong. One that failed for reasons
// that are not the client's is an error in Snapshot.
func (h *Stream) Ended(d time.Duration, in, out int64, flags uint64, failed bool) {
	h = h.self()
	h.active.Add(-1)
	status := 200
	if failed {
		status = 503
	}
	h.red.observe(status, d, in, out, flags)
}

// Active is the number of streams under way.
func (h *Stream) Active() int64 { return h.active.Load() }

// Datagrams counts what UDP clients sent and got.
func (h *Stream) Datagrams(in, out int) {
	h = h.self()
	if in > 0 {
		h.datagrams[0].Add(uint64(in))
	}
	if out > 0 {
		h.datagrams[1].Add(uint64(out))
	}
}

// Dropped counts datagrams that were not passed on.
func (h *Stream) Dropped(n int) { h.self().dropped.Add(uint64(n)) }

// Stream returns the handle of a rule by its ID ("TCPRoute/namespace/name/rules/0").
func (r *Registry) Stream(id string) *Stream {
	return handle(r, r.streams, id, func() *Stream { return newStream(r, id) })
}

// streamFamilies are those of red for streams, which have no status.
type streamFamilySet struct{ ended, duration, in, out, reasons, active, datagrams, dropped family }

var streamFamilies = streamFamilySet{
	define("gridway_stream_connections_total", counter, "Connections, or sessions of UDP, that have ended.", "route", "rule"),
	define("gridway_stream_duration_seconds", histo, "Time from the beginning to the end of connections and sessions.", "route", "rule"),
	define("gridway_stream_received_bytes_total", counter, "Bytes from clients.", "route", "rule"),
	define("gridway_stream_sent_bytes_total", counter, "Bytes to clients.", "route", "rule"),
	define("gridway_stream_reasons_total", counter, "Why connections and sessions were refused or cut, by reason.", "route", "rule", "reason"),
	define("gridway_stream_connections", gauge, "Connections and sessions under way.", "route", "rule"),
	define("gridway_stream_datagrams_total", counter, "Datagrams of UDP: received from clients or sent to them.", "route", "rule", "direction"),
	define("gridway_stream_datagrams_dropped_total", counter, "Datagrams of UDP that were not passed on.", "route", "rule"),
}

func (f *streamFamilySet) all() []family {
	return []family{f.ended, f.duration, f.in, f.out, f.reasons, f.active, f.datagrams, f.dropped}
}

func (e *emitter) stream(h *Stream) {
	f := &streamFamilies
	e.born = h.born
	labels := []string{h.route, h.rule}
	if h.red.cells.used() || h.active.Load() > 0 {
		e.gauge(&f.active, float64(max(h.active.Load(), 0)), labels...)
	}
	if in, out := h.datagrams[0].Load(), h.datagrams[1].Load(); in+out > 0 {
		e.count(&f.datagrams, in, h.route, h.rule, "received")
		e.count(&f.datagrams, out, h.route, h.rule, "sent")
		e.count(&f.dropped, h.dropped.Load(), labels...)
	}
	if !h.red.cells.used() {
		return
	}
	t := h.red.total()
	e.count(&f.ended, t.count, labels...)
	e.histogram(&f.duration, &histogramCounts{t.count, t.nanos, t.latency, t.native}, nil, labels...)
	e.count(&f.in, t.in, labels...)
	e.count(&f.out, t.out, labels...)
	for i, name := range e.reasons {
		if t.reasons[i] > 0 && name != "" {
			e.count(&f.reasons, t.reasons[i], h.route, h.rule, name)
		}
	}
}
