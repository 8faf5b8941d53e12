package metric

import "sync/atomic"

// Side is who has sent something, or ended it.
type Side uint8

const (
	Client Side = iota
	Endpoint
	Gridway
	sides
)

var sideNames = [sides]string{"client", "endpoint", "gridway"}

func (s Side) String() string { return sideNames[min(s, Gridway)] }

// closeNames are the codes of Close frames as labels: those of RFC 6455 §7.4.1
// and its registry each, and what applications and libraries use by range.
var closeNames = [...]string{
	"1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009",
	"1010", "1011", "1012", "1013", "1014", "1015", "3xxx", "4xxx", "other",
}

func closeSlot(code uint16) int {
	switch {
	case code >= 1000 && code <= 1015:
		return int(code - 1000)
	case code >= 3000 && code < 4000:
		return len(closeNames) - 3
	case code >= 4000 && code < 5000:
		return len(closeNames) - 2
	}
	return len(closeNames) - 1
}

// WebSocket counts the WebSocket connections of one rule.
type WebSocket struct {
	opened, closed  atomic.Uint64
	messages, bytes [Gridway]atomic.Uint64 // by who has sent them
	closes          [sides][len(closeNames)]atomic.Uint64
}

// WebSocket is what counts the rule's WebSocket connections. There is one from
// the first call on.
func (h *Route) WebSocket() *WebSocket {
	h = h.self()
	if w := h.websocket.Load(); w != nil {
		return w
	}
	h.websocket.CompareAndSwap(nil, new(WebSocket))
	return h.websocket.Load()
}

// Opened counts a connection that was opened; Closed must follow.
func (w *WebSocket) Opened() { w.opened.Add(1) }

// Closed counts its end: who has sent the first Close frame, or ended it without
// one, and the code.
func (w *WebSocket) Closed(by Side, code uint16) {
	w.closed.Add(1)
	w.closes[min(by, Gridway)][closeSlot(code)].Add(1)
}

// Passed counts what the client or the endpoint has sent: messages that were
// complete, and bytes with the headers of frames.
func (w *WebSocket) Passed(from Side, messages uint64, bytes int) {
	if messages > 0 {
		w.messages[from].Add(messages)
	}
	w.bytes[from].Add(uint64(bytes))
}

func (e *emitter) websocket(h *Route) {
	w := h.websocket.Load()
	if w == nil {
		return
	}
	closed := w.closed.Load() // before opened: no fewer are open than 0
	opened := w.opened.Load()
	e.gauge(&websocketsFamily, float64(opened-closed), h.route, h.rule)
	e.count(&websocketsOpenedFamily, opened, h.route, h.rule)
	for from := range Gridway {
		e.count(&websocketMessagesFamily, w.messages[from].Load(), h.route, h.rule, sideNames[from])
		e.count(&websocketBytesFamily, w.bytes[from].Load(), h.route, h.rule, sideNames[from])
	}
	for by := range w.closes {
		for i := range w.closes[by] {
			if n := w.closes[by][i].Load(); n > 0 {
				e.count(&websocketClosesFamily, n, h.route, h.rule, sideNames[by], closeNames[i])
			}
		}
	}
}
