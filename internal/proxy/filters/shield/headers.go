package shield

import (
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Headers gives responses the headers that make browsers careful.
type Headers struct {
	replace bool
	secure  []byte // Strict-Transport-Security
	set     []field
	remove  [][]byte
}

type field struct{ name, value []byte }

// NewHeaders makes the filter of a policy.
func NewHeaders(h *ir.SecurityHeaders) *Headers {
	out := &Headers{replace: h.Replace, secure: []byte(h.StrictTransportSecurity)}
	for _, f := range h.Set {
		out.set = append(out.set, field{[]byte(f.Name), []byte(f.Value)})
	}
	for _, name := range h.Remove {
		out.remove = append(out.remove, []byte(name))
	}
	return out
}

// OnResponse sets and removes headers.
func (f *Headers) OnResponse(x *filter.Exchange) {
	h := &x.Resp.Header
	for _, name := range f.remove {
		h.DelName(name)
	}
	for i := range f.set {
		if s := &f.set[i]; f.replace || !h.HasName(s.name) {
			h.SetName(s.name, s.value)
		}
	}
	// RFC 6797 §7.2: never over a transport that is not secure.
	if len(f.secure) > 0 && secure(x) && (f.replace || !h.Has(httpmsg.NameStrictTransportSecurity)) {
		h.Set(httpmsg.NameStrictTransportSecurity, f.secure)
	}
}

// secure tells whether the client came by TLS, to this proxy or to a trusted one in
// front of it: what others say of that was replaced.
func secure(x *filter.Exchange) bool {
	return x.Req.Scheme == "https" || string(x.Req.Header.Get(httpmsg.NameXForwardedProto)) == "https"
}
