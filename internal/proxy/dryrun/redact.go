package dryrun

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// Redacted is d without keys and without the credentials of the configuration.
// What the caller sent is its own, and stays.
func (d *Decision) Redacted() *Decision {
	sent := map[string]bool{}
	for _, h := range d.Request.Headers {
		sent[h.Value] = true
	}
	veil := ir.Veil(func(value string) string {
		if sent[value] {
			return value
		}
		return ir.Hidden
	})
	n := *d
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
	n.Backends = slices.Clone(d.Backends)
	for i := range n.Backends {
		b := &n.Backends[i]
		b.Filters = veil.Filters(b.Filters)
		b.ResponseHeaders = veil.Headers(b.ResponseHeaders)
		if b.Upstream != nil {
			u := *b.Upstream
			u.Headers = veil.Headers(u.Headers)
			b.Upstream = &u
		}
	}
	return &n
}
