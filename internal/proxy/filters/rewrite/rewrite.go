// Package rewrite changes the host and the path of a request before it is sent
// upstream. Its values are shared by all exchanges; it owns no goroutines. The
// list in package filters imports it.
package rewrite

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// Rewrite is the Gateway API's URLRewrite.
type Rewrite struct {
	host []byte // nil keeps the request's
	path *ir.PathModifier
}

// New makes a rewrite.
func New(r *ir.Rewrite) *Rewrite {
	out := &Rewrite{path: r.Path}
	if r.Hostname != "" {
		out.host = []byte(strings.ToLower(r.Hostname))
	}
	return out
}

// OnRequest changes what is configured. The query is kept.
func (r *Rewrite) OnRequest(x *filter.Exchange) filter.Verdict {
	if r.host != nil {
		x.Req.SetHost(r.host)
	}
	if r.path != nil && len(x.Req.Path) > 0 && x.Req.Path[0] == '/' { // OPTIONS * has no path
		x.Req.SetPath(x.ModifiedPath(r.path))
	}
	return filter.Continue
}
