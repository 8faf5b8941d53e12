// Package headers modifies request and response headers. Its values are made
// once per rule and shared by all exchanges; it owns no goroutines. The list in
// package filters imports it.
package headers

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// modifier has names and values as bytes, with well-known names resolved, so
// that an exchange costs no allocation. The header keeps these very slices.
type modifier struct {
	set, add, remove []httpmsg.Field
}

// Request modifies request headers. Host is not a field but the authority, so
// it can be set, and neither added nor removed.
type Request struct {
	modifier
	host []byte
}

// Response modifies response headers.
type Response struct{ modifier }

// NewRequest ignores what would change the framing of messages or break their
// syntax; compile refuses it with a status.
func NewRequest(m *ir.HeaderMods) *Request {
	r := &Request{modifier: newModifier(m)}
	for _, list := range [][]ir.Header{m.Add, m.Set} {
		for _, h := range list {
			if strings.EqualFold(h.Name, "host") && h.Value != "" && validValue(h.Value) {
				r.host = []byte(h.Value)
			}
		}
	}
	return r
}

// NewResponse ignores the same as NewRequest.
func NewResponse(m *ir.HeaderMods) *Response { return &Response{newModifier(m)} }

// OnRequest applies set, add, remove in this order.
func (r *Request) OnRequest(x *filter.Exchange) filter.Verdict {
	if r.host != nil {
		x.Req.SetHost(r.host)
	}
	r.apply(&x.Req.Header)
	return filter.Continue
}

// OnResponse applies set, add, remove in this order.
func (r *Response) OnResponse(x *filter.Exchange) { r.apply(&x.Resp.Header) }

func newModifier(m *ir.HeaderMods) (out modifier) {
	out.set = fields(m.Set)
	out.add = fields(m.Add)
	for _, name := range m.Remove {
		if !refused(name) {
			out.remove = append(out.remove, field(name, ""))
		}
	}
	return out
}

func fields(list []ir.Header) (out []httpmsg.Field) {
	for _, h := range list {
		if !refused(h.Name) && validValue(h.Value) {
			out = append(out, field(h.Name, h.Value))
		}
	}
	return out
}

func field(name, value string) httpmsg.Field {
	return httpmsg.Field{Name: []byte(name), Value: []byte(value), ID: httpmsg.LookupName([]byte(name))}
}

func (m *modifier) apply(h *httpmsg.Header) {
	for i := range m.set {
		if f := &m.set[i]; f.ID != httpmsg.NameOther {
			h.Set(f.ID, f.Value)
		} else {
			h.SetName(f.Name, f.Value)
		}
	}
	for i := range m.add {
		f := &m.add[i]
		h.AddField(f.Name, f.Value, f.ID)
	}
	for i := range m.remove {
		if f := &m.remove[i]; f.ID != httpmsg.NameOther {
			h.Del(f.ID)
		} else {
			h.DelName(f.Name)
		}
	}
}

// refused tells whether a name is no token, or one that the proxy alone may
// write: those that delimit messages or belong to one connection (RFC 9110
// §7.6.1, RFC 9112 §6).
func refused(name string) bool {
	switch httpmsg.LookupName([]byte(name)) {
	case httpmsg.NameHost, httpmsg.NameContentLength, httpmsg.NameTransferEncoding, httpmsg.NameConnection,
		httpmsg.NameKeepAlive, httpmsg.NameProxyConnection, httpmsg.NameUpgrade, httpmsg.NameTE,
		httpmsg.NameTrailer, httpmsg.NameExpect, httpmsg.NameHTTP2Settings:
		return true
	}
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return true
		}
	}
	return name == ""
}

// validValue tells whether a value keeps to its line (RFC 9110 §5.5).
func validValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
