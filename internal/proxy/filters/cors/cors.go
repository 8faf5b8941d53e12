// Package cors answers preflight requests and marks responses for the browser,
// as the Fetch standard's CORS protocol says (fetch.spec.whatwg.org, §3.3) and
// the Gateway API's CORS filter configures it. Its values are shared by all
// exchanges; it owns no goroutines. The list in package filters imports it.
//
// A preflight is answered with 204, before authentication, since browsers send
// none with it. An origin that is not allowed gets the same 204 without any
// CORS header, and its other requests go through unmarked: the browser is what
// refuses. CORS headers that an upstream sends are replaced, so that the policy
// here is the only one.
package cors

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// CORS is the policy of a rule.
type CORS struct {
	origins     []filter.Origin
	anyOrigin   bool
	credentials bool

	// Values that are nil are not sent. The echo flags stand for "*", which is
	// answered with what the preflight asks for: browsers do not take "*" for
	// everything when credentials are allowed, nor for Authorization.
	methods, headers         []byte
	echoMethods, echoHeaders bool
	expose, maxAge           []byte
}

// defaultMaxAge is the Gateway API's, and what browsers assume.
const defaultMaxAge = 5 * time.Second

// New makes a policy.
func New(c *ir.CORS) *CORS {
	p := &CORS{
		credentials: c.AllowCredentials,
		echoMethods: slices.Contains(c.AllowMethods, "*"),
		echoHeaders: slices.Contains(c.AllowHeaders, "*"),
	}
	for _, o := range c.AllowOrigins {
		if o == "*" {
			p.anyOrigin = true
			continue
		}
		p.origins = append(p.origins, filter.ParseOrigin(o))
	}
	if !p.echoMethods {
		p.methods = join(c.AllowMethods)
	}
	if !p.echoHeaders {
		p.headers = join(c.AllowHeaders)
	}
	p.expose = join(c.ExposeHeaders)
	if slices.Contains(c.ExposeHeaders, "*") {
		p.expose = []byte("*")
		if c.AllowCredentials {
			// With credentials "*" is the name of a header, not a wildcard.
			p.expose = join(slices.DeleteFunc(slices.Clone(c.ExposeHeaders), func(h string) bool { return h == "*" }))
		}
	}
	age := c.MaxAge
	if age == 0 {
		age = defaultMaxAge
	}
	p.maxAge = strconv.AppendInt(nil, int64(age/time.Second), 10)
	return p
}

func join(list []string) []byte {
	if len(list) == 0 {
		return nil
	}
	return []byte(strings.Join(list, ", "))
}

var (
	valueTrue   = []byte("true")
	valueAny    = []byte("*")
	varyOrigin  = []byte("Origin")
	varyRequest = []byte("Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
)

// OnRequest answers a preflight, and remembers the origin of other requests.
func (p *CORS) OnRequest(x *filter.Exchange) filter.Verdict {
	value := x.Req.Header.Get(httpmsg.NameOrigin)
	if value == nil {
		return filter.Continue
	}
	if p.allows(value) {
		x.Kept.Origin = value
	}
	if x.Req.MethodID != httpmsg.MethodOptions {
		return filter.Continue
	}
	method := x.Req.Header.Get(httpmsg.NameAccessControlRequestMethod)
	if method == nil {
		return filter.Continue // an OPTIONS request that is none of the browser's
	}
	if x.Kept.Origin != nil {
		p.allow(x, method)
	}
	return x.Answer(204, "", nil)
}

// allow adds what only preflights are told; OnResponse adds the rest.
func (p *CORS) allow(x *filter.Exchange, method []byte) {
	h := &x.Resp.Header
	switch {
	case p.echoMethods:
		h.Set(httpmsg.NameAccessControlAllowMethods, method)
	case p.methods != nil:
		h.Set(httpmsg.NameAccessControlAllowMethods, p.methods)
	}
	switch {
	case p.echoHeaders:
		if x.Req.Header.Has(httpmsg.NameAccessControlRequestHeaders) {
			h.Set(httpmsg.NameAccessControlAllowHeaders, p.requestedHeaders(x))
		}
	case p.headers != nil:
		h.Set(httpmsg.NameAccessControlAllowHeaders, p.headers)
	}
	h.Set(httpmsg.NameAccessControlMaxAge, p.maxAge)
}

func (p *CORS) requestedHeaders(x *filter.Exchange) []byte {
	h := &x.Req.Header
	if h.Count(httpmsg.NameAccessControlRequestHeaders) == 1 {
		return h.Get(httpmsg.NameAccessControlRequestHeaders)
	}
	return h.AppendJoined(nil, httpmsg.NameAccessControlRequestHeaders)
}

// OnResponse marks the response.
func (p *CORS) OnResponse(x *filter.Exchange) {
	h := &x.Resp.Header
	preflight := x.Local.Status != 0 && x.Req.MethodID == httpmsg.MethodOptions && x.Req.Header.Has(httpmsg.NameAccessControlRequestMethod)
	h.Del(httpmsg.NameAccessControlAllowOrigin)
	h.Del(httpmsg.NameAccessControlAllowCredentials)
	h.Del(httpmsg.NameAccessControlExposeHeaders)
	if !preflight {
		h.Del(httpmsg.NameAccessControlAllowMethods)
		h.Del(httpmsg.NameAccessControlAllowHeaders)
		h.Del(httpmsg.NameAccessControlMaxAge)
	}
	// The answer depends on the origin even when there is none: a cache must
	// not give an unmarked response to a page of an allowed origin.
	if preflight {
		h.AddID(httpmsg.NameVary, varyRequest)
	} else if !p.sameForAll() && !h.HasToken(httpmsg.NameVary, "origin") && !h.HasToken(httpmsg.NameVary, "*") {
		h.AddID(httpmsg.NameVary, varyOrigin)
	}
	origin := x.Kept.Origin
	if origin == nil {
		return
	}
	if p.sameForAll() {
		origin = valueAny
	}
	h.AddID(httpmsg.NameAccessControlAllowOrigin, origin)
	if p.credentials {
		h.AddID(httpmsg.NameAccessControlAllowCredentials, valueTrue)
	}
	if p.expose != nil {
		h.AddID(httpmsg.NameAccessControlExposeHeaders, p.expose)
	}
}

// sameForAll tells whether every origin gets the answer "*".
func (p *CORS) sameForAll() bool { return p.anyOrigin && !p.credentials }

func (p *CORS) allows(value []byte) bool {
	if p.anyOrigin {
		return len(value) > 0
	}
	for i := range p.origins {
		if p.origins[i].Matches(value) {
			return true
		}
	}
	return false
}
