package shield

import (
	"bytes"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// csrf refuses what browsers send for other sites, by what they say themselves
// (Fetch Metadata, and Origin where that is not sent). What is no browser's has
// nobody's cookies with it that it does not know.
type csrf struct {
	policy  string
	trusted []filter.Origin
	exempt  []ir.PathMatch
}

func newCSRF(c *ir.CSRF, cors *ir.CORS) *csrf {
	out := &csrf{policy: c.Policy, exempt: c.ExemptPaths}
	origins := c.TrustedOrigins
	if cors != nil {
		origins = slices.Concat(origins, cors.AllowOrigins)
	}
	for _, o := range origins {
		if o != "*" { // which lets read what is everybody's, and no more
			out.trusted = append(out.trusted, filter.ParseOrigin(o))
		}
	}
	return out
}

func (c *csrf) allows(x *filter.Exchange) bool {
	if safe(x) || c.exempted(x.Req.Path) {
		return true
	}
	h := &x.Req.Header
	origin := h.Get(httpmsg.NameOrigin)
	if site := h.Get(httpmsg.NameSecFetchSite); site != nil {
		return string(site) == "same-origin" || string(site) == "none" || c.trusts(origin)
	}
	return origin == nil || sameHost(origin, x) || c.trusts(origin)
}

// safe tells whether the request changes nothing (RFC 9110 §9.2.1). One that opens
// a WebSocket does: what is sent there later has the cookies of now, and no CORS
// is asked.
func safe(x *filter.Exchange) bool {
	switch x.Req.MethodID {
	case httpmsg.MethodGet, httpmsg.MethodHead, httpmsg.MethodOptions:
		return len(x.Req.Upgrade) == 0
	}
	return false
}

// sameHost tells whether an origin is that of the request. Schemes are not
// compared: who ends TLS in front of Gridway need not say so.
func sameHost(origin []byte, x *filter.Exchange) bool {
	i := bytes.Index(origin, []byte("://"))
	if i < 0 {
		return false // "null", for one
	}
	return hostOf(origin[i+3:], string(origin[:i])).equal(hostOf(x.Req.Host, x.Req.Scheme)) ||
		bytes.EqualFold(origin[i+3:], x.Req.Host)
}

type host struct{ name, port []byte }

func (a host) equal(b host) bool {
	return bytes.EqualFold(a.name, b.name) && bytes.Equal(a.port, b.port)
}

var port80, port443 = []byte("80"), []byte("443")

func hostOf(authority []byte, scheme string) host {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		return host{authority[:i], authority[i+1:]}
	}
	if scheme == "https" {
		return host{authority, port443}
	}
	return host{authority, port80}
}

func (c *csrf) trusts(origin []byte) bool {
	for i := range c.trusted {
		if c.trusted[i].Matches(origin) {
			return true
		}
	}
	return false
}

func (c *csrf) exempted(path []byte) bool {
	for i := range c.exempt {
		e := &c.exempt[i]
		if string(path) == e.Value {
			return true
		}
		if e.Type == ir.Prefix && len(path) > len(e.Value) && string(path[:len(e.Value)]) == e.Value &&
			(e.Value[len(e.Value)-1] == '/' || path[len(e.Value)] == '/') {
			return true
		}
	}
	return false
}
