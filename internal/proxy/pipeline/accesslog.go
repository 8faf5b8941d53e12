package pipeline

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// telemetry is what policies say of the exchange: of its rule, or of the section or
// listener where no rule took it. Nil is nothing.
func (x *Exchange) telemetry() *ir.Telemetry {
	switch {
	case x.rule != nil:
		return x.Rule.Policy.Telemetry
	case x.Section != nil:
		return x.Section.Telemetry
	}
	if l := x.Listener.IR.Sections; len(l) > 0 {
		return l[0].Telemetry
	}
	return nil
}

// mask is what is shown of the exchange nowhere.
func (x *Exchange) mask() outlet.Mask { return x.p.Outlets.MaskOf(x.p.Outlets.Of(x.telemetry())) }

// keepLogged copies the header fields of the response that the access log and taps ask for,
// while they are there: they are in the upstream connection's buffer.
func (x *Exchange) keepLogged() {
	if x.p.Taps.On() {
		x.Resp.Own(&x.Req.Arena)
		x.owned = true
	}
	t := x.telemetry()
	if t == nil {
		return
	}
	p := x.p.Outlets.Of(t)
	if p == nil || len(p.Format().ResponseHeaders()) == 0 {
		return
	}
	x.logged = x.logged[:0]
	for _, name := range p.Format().ResponseHeaders() {
		v := x.joined(&x.Resp.Header, name)
		x.logged = append(x.logged, append(x.Req.Arena.Alloc(len(v))[:0], v...))
	}
	x.kept = true
}

// own are the header fields that a policy asks for, in its order.
func (x *Exchange) own(p *outlet.Policy) [][]byte {
	f := p.Format()
	requests, responses := f.RequestHeaders(), f.ResponseHeaders()
	if len(requests)+len(responses) == 0 {
		return nil
	}
	out := make([][]byte, 0, len(requests)+len(responses))
	for _, name := range requests {
		out = append(out, x.joined(&x.Req.Header, name))
	}
	if x.kept {
		return append(out, x.logged...)
	}
	if x.headAt > 0 && x.Local.Reason == filter.ReasonNone {
		return out // what the endpoint has said is gone
	}
	for _, name := range responses {
		out = append(out, x.joined(&x.Resp.Header, name))
	}
	return out
}

// joined is the value of a header field; several are joined as RFC 9110 §5.3 has it.
func (x *Exchange) joined(h *httpmsg.Header, name string) []byte {
	var out []byte
	for i := range h.Len() {
		f := h.At(i)
		if !httpmsg.EqualFold(f.Name, name) {
			continue
		}
		if out == nil {
			out = f.Value
		} else {
			out = append(append(append(make([]byte, 0, len(out)+2+len(f.Value)), out...), ", "...), f.Value...)
		}
	}
	return out
}
