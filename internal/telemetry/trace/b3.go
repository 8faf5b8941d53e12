package trace

import "github.com/gridway/gridway/internal/wire/httpmsg"

// B3 (https://github.com/openzipkin/b3-propagation) has one header, b3, or one for each
// of its parts. Whoever accepts the former must prefer it to the latter.

// nameB3Flags is "1" for debug.
var nameB3Flags = []byte("X-B3-Flags")

// extractB3 reads either form. What is not valid is removed.
func extractB3(h *httpmsg.Header) Parent {
	if h.Has(httpmsg.NameB3) {
		if h.Count(httpmsg.NameB3) == 1 {
			if p, ok := parseB3(h.Get(httpmsg.NameB3)); ok {
				return p
			}
		}
		h.Del(httpmsg.NameB3)
	}
	p, ok := b3Fields(h)
	if !ok {
		delB3(h)
	}
	return p
}

func delB3(h *httpmsg.Header) {
	for _, id := range [...]httpmsg.Name{httpmsg.NameXB3TraceID, httpmsg.NameXB3SpanID, httpmsg.NameXB3ParentSpanID, httpmsg.NameXB3Sampled} {
		if h.Has(id) {
			h.Del(id)
		}
	}
	h.DelName(nameB3Flags)
}

// parseB3 reads {trace ID}-{span ID}[-{state}[-{parent}]], or a state alone.
func parseB3(v []byte) (p Parent, ok bool) {
	if len(v) == 1 {
		return p, p.decide(v)
	}
	width := 16
	if len(v) > 32 && v[32] == '-' {
		width = 32
	}
	if len(v) < width+1+16 || v[width] != '-' || !p.identify(v[:width], v[width+1:width+17]) {
		return Parent{}, false
	}
	rest := v[width+17:]
	if len(rest) == 0 {
		return p, true // the decision is left to whoever gets it
	}
	if len(rest) < 2 || rest[0] != '-' || !p.decide(rest[1:2]) {
		return Parent{}, false
	}
	if rest = rest[2:]; len(rest) > 0 {
		if _, ok := parseHex(rest[1:]); !ok || rest[0] != '-' || len(rest) != 17 {
			return Parent{}, false
		}
	}
	return p, true
}

// b3Fields reads the form of several headers. It is ok if there are none.
func b3Fields(h *httpmsg.Header) (p Parent, ok bool) {
	id, span := h.Get(httpmsg.NameXB3TraceID), h.Get(httpmsg.NameXB3SpanID)
	if id != nil || span != nil {
		if h.Count(httpmsg.NameXB3TraceID) > 1 || h.Count(httpmsg.NameXB3SpanID) > 1 || !p.identify(id, span) {
			return Parent{}, false
		}
	}
	if parent := h.Get(httpmsg.NameXB3ParentSpanID); parent != nil {
		if _, ok := parseHex(parent); !ok || len(parent) != 16 {
			return Parent{}, false
		}
	}
	if v := h.GetName(nameB3Flags); len(v) == 1 && v[0] == '1' {
		p.Decided, p.Sampled, p.Debug = true, true, true
		return p, true
	}
	switch v := h.Get(httpmsg.NameXB3Sampled); {
	case v == nil:
	case len(v) == 1 && v[0] != 'd':
		ok := p.decide(v)
		if !ok {
			return Parent{}, false
		}
	case string(v) == "true": // as early senders had it
		p.Decided, p.Sampled = true, true
	case string(v) == "false":
		p.Decided = true
	default:
		return Parent{}, false
	}
	return p, true
}

// identify reads the IDs of a trace, 64 or 128 bits, and of a span.
func (p *Parent) identify(id, span []byte) (ok bool) {
	switch len(id) {
	case 32:
		var ok1, ok2 bool
		p.ID.High, ok1 = parseHex(id[:16])
		p.ID.Low, ok2 = parseHex(id[16:])
		ok = ok1 && ok2
	case 16:
		p.ID.Low, ok = parseHex(id)
	}
	if !ok || !p.ID.Valid() || len(span) != 16 {
		return false
	}
	p.Span, ok = parseHex(span)
	p.Text = id
	return ok && p.Span != 0
}

// decide reads a sampling state: "0", "1", or "d" for debug.
func (p *Parent) decide(v []byte) bool {
	switch v[0] {
	case '0':
		p.Decided = true
	case '1':
		p.Decided, p.Sampled = true, true
	case 'd':
		p.Decided, p.Sampled, p.Debug = true, true, true
	default:
		return false
	}
	return true
}

var (
	yes = []byte("1")
	no  = []byte("0")
)

func (o *Outgoing) injectB3(h *httpmsg.Header, arena *httpmsg.Arena, accept, send Formats, p *Parent, s *Span) {
	if accept&(B3|B3Single) != 0 {
		if send&B3Single == 0 && h.Has(httpmsg.NameB3) {
			h.Del(httpmsg.NameB3)
		}
		if send&B3 == 0 {
			delB3(h)
		}
	}
	state := byte('0')
	switch {
	case p.Debug && s.Sampled:
		state = 'd'
	case s.Sampled:
		state = '1'
	}
	if send&B3Single != 0 {
		v := s.ID.Append(arena.Alloc(51)[:0])
		v = appendHex(append(v, '-'), s.Span)
		v = append(v, '-', state)
		o.slots[2] = v[33:49]
		h.Set(httpmsg.NameB3, v)
	}
	if send&B3 == 0 {
		return
	}
	h.Set(httpmsg.NameXB3TraceID, s.ID.Append(arena.Alloc(32)[:0]))
	span := appendHex(arena.Alloc(16)[:0], s.Span)
	o.slots[1] = span
	h.Set(httpmsg.NameXB3SpanID, span)
	h.Del(httpmsg.NameXB3ParentSpanID)
	h.DelName(nameB3Flags)
	switch state {
	case 'd':
		h.Del(httpmsg.NameXB3Sampled) // debug implies it
		h.SetName(nameB3Flags, yes)
	case '1':
		h.Set(httpmsg.NameXB3Sampled, yes)
	default:
		h.Set(httpmsg.NameXB3Sampled, no)
	}
}
