package dryrun

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// Redacted is d without keys and without credentials, those of the configuration and
// those that the request was made with.
func (d *Decision) Redacted() *Decision {
	veil := ir.Veil(ir.Hide)
	n := *d
	n.Request = d.Request.concealed(d.Policy.Authentication)
	n.Filters, n.Policy = veil.Filters(d.Filters), veil.Policy(d.Policy)
	if d.Match != nil {
		m := ir.Veil(ir.Hide).Match(*d.Match)
		n.Match = &m
	}
	if d.Local != nil {
		l := *d.Local
		l.Headers = veil.Headers(l.Headers)
		n.Local = &l
	}
	from := places(d.Policy.Authentication)
	n.Backends = slices.Clone(d.Backends)
	for i := range n.Backends {
		b := &n.Backends[i]
		b.Filters = veil.Filters(b.Filters)
		b.ResponseHeaders = veil.Headers(b.ResponseHeaders)
		if b.Upstream != nil {
			u := *b.Upstream
			u.Headers = concealHeaders(u.Headers, from)
			u.Query = concealQuery(u.Query, from)
			b.Upstream = &u
		}
	}
	return &n
}
