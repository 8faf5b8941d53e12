package trace

import (
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Formats is a set of headers that carry a trace.
type Formats uint8

const (
	// W3C is traceparent and tracestate.
	W3C Formats = 1 << iota
	// B3 is X-B3-TraceId and its kin, B3Single the same in the header b3.
	B3
	B3Single
)

// Parent is what a request says of the trace that it belongs to. The zero value is that
// it says nothing.
type Parent struct {
	ID   ID
	Span uint64
	// Text is the trace ID as it came; it is of the request.
	Text []byte
	// Decided tells that the sender has decided whether the trace is sampled, and Sampled
	// what. B3 can say so without a trace.
	Decided, Sampled bool
	// Debug is a wish of B3 that no rate is to stand against.
	Debug bool
	// flags came in a traceparent, if w3c says that there was one.
	flags byte
	w3c   bool
}

// Valid tells whether there is a trace.
func (p *Parent) Valid() bool { return p.ID.Valid() }

// Extract reads the trace of a request by the formats of accept, of which W3C goes first
// unless b3First says otherwise. Headers of these formats that are not valid are removed:
// an invalid traceparent, or more than one, with its tracestate (§4.3), or an invalid
// tracestate alone. Nothing else of h is changed.
func Extract(h *httpmsg.Header, accept Formats, b3First bool) Parent {
	var p, b Parent
	if accept&W3C != 0 {
		p = extractW3C(h)
	}
	if accept&(B3|B3Single) != 0 {
		b = extractB3(h)
	}
	if b3First && (b.Valid() || b.Decided && !p.Valid()) || !p.Valid() {
		return b
	}
	return p
}

func extractW3C(h *httpmsg.Header) Parent {
	parents := h.Count(httpmsg.NameTraceparent)
	if parents == 1 {
		if c, ok := Parse(h.Get(httpmsg.NameTraceparent)); ok {
			if h.Has(httpmsg.NameTracestate) && !validState(h) {
				h.Del(httpmsg.NameTracestate)
			}
			return Parent{ID: c.ID, Span: c.Parent, Text: c.TraceID, Decided: true, Sampled: c.Sampled(), flags: c.Flags, w3c: true}
		}
	}
	if parents > 0 {
		h.Del(httpmsg.NameTraceparent)
	}
	if h.Has(httpmsg.NameTracestate) {
		h.Del(httpmsg.NameTracestate)
	}
	return Parent{}
}

// Outgoing is what a request tells endpoints of its trace. Its memory is the request's.
type Outgoing struct {
	slots [3][]byte // the digits of the span, by format
}

// Span is what a proxy has made of a request's trace.
type Span struct {
	ID ID
	// Span is the proxy's own, Parent the caller's, zero where there is none.
	Span, Parent uint64
	Sampled      bool
}

// Inject writes the trace into the headers of the formats in send, as that of a child of
// s, and removes what other formats of accept say, which would be of another span. With
// an empty send nothing is changed. What came with p goes on where it can: tracestate, and
// flags that are not ours (§3.2.2.5); B3's wish to debug.
func Inject(h *httpmsg.Header, arena *httpmsg.Arena, accept, send Formats, p *Parent, s *Span) (o Outgoing) {
	if send == 0 {
		return o
	}
	if send&W3C != 0 {
		const sampled = 1
		flags := p.flags &^ sampled & knownFlags
		if s.Sampled {
			flags |= sampled
		}
		v := Append(arena.Alloc(traceparentLen)[:0], s.ID.High, s.ID.Low, s.Span, flags)
		o.slots[0] = v[36:52]
		h.Set(httpmsg.NameTraceparent, v)
		if !p.w3c && h.Has(httpmsg.NameTracestate) {
			h.Del(httpmsg.NameTracestate)
		}
	} else if accept&W3C != 0 && h.Has(httpmsg.NameTraceparent) {
		h.Del(httpmsg.NameTraceparent)
		h.Del(httpmsg.NameTracestate)
	}
	o.injectB3(h, arena, accept, send, p, s)
	return o
}

// knownFlags are sampled and random-trace-id, of which proxies set the first.
const knownFlags = 3

// SetSpan makes the headers those of another span. It is for the headers that Inject has
// written to; what filters have put in the place of its values since stays.
func (o *Outgoing) SetSpan(h *httpmsg.Header, span uint64) {
	for i, id := range slotNames {
		slot := o.slots[i]
		if slot == nil {
			continue
		}
		v := h.Get(id)
		if at := slotOffsets[i]; len(v) >= at+len(slot) && &v[at] == &slot[0] {
			appendHex(slot[:0], span)
		}
	}
}

// Copied is o for a copy of the headers it was made for, which h is and from was.
func (o *Outgoing) Copied(from, h *httpmsg.Header) (c Outgoing) {
	for i, id := range slotNames {
		slot, at := o.slots[i], slotOffsets[i]
		if slot == nil {
			continue
		}
		v, w := from.Get(id), h.Get(id)
		if len(v) >= at+len(slot) && &v[at] == &slot[0] && len(w) == len(v) {
			c.slots[i] = w[at : at+len(slot)]
		}
	}
	return c
}

var (
	slotNames   = [3]httpmsg.Name{httpmsg.NameTraceparent, httpmsg.NameXB3SpanID, httpmsg.NameB3}
	slotOffsets = [3]int{36, 0, 33}
)
