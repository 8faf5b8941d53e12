// Package redirect answers with a Location header instead of asking an
// upstream. Its values are shared by all exchanges; it owns no goroutines. The
// list in package filters imports it.
package redirect

import (
	"bytes"
	"strconv"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Redirect is the Gateway API's RequestRedirect.
type Redirect struct {
	ir     *ir.Redirect
	status int
}

// New makes a redirect; a status that is not a redirection's becomes 302.
func New(r *ir.Redirect) *Redirect {
	status := r.Status
	switch status {
	case 301, 302, 303, 307, 308:
	default:
		status = 302
	}
	return &Redirect{ir: r, status: status}
}

// OnRequest replies. The query is kept.
func (r *Redirect) OnRequest(x *filter.Exchange) filter.Verdict {
	path := x.Req.Path
	if len(path) == 0 || path[0] != '/' {
		path = nil // OPTIONS *
	} else if r.ir.Path != nil {
		path = x.ModifiedPath(r.ir.Path)
	}
	scheme := r.ir.Scheme
	if scheme == "" {
		scheme = x.Req.Scheme
	}
	host := withoutPort(x.Req.Host)
	location := x.Req.Arena.Alloc(len(scheme) + len("://:65535?") + max(len(host), len(r.ir.Hostname)) + len(path) + len(x.Req.Query))[:0]
	location = append(append(location, scheme...), "://"...)
	if r.ir.Hostname != "" {
		location = append(location, r.ir.Hostname...)
	} else {
		location = append(location, host...)
	}
	if port := r.port(x); port != 0 && port != wellKnownPort(scheme) {
		location = append(location, ':')
		location = strconv.AppendUint(location, uint64(port), 10)
	}
	location = append(location, path...)
	if x.Req.HasQuery {
		location = append(location, '?')
		location = append(location, x.Req.Query...)
	}
	x.Resp.Header.Set(httpmsg.NameLocation, location)
	return x.Answer(r.status, "", nil)
}

// port is the one given, else the well-known one of the scheme given, else the
// listener's.
func (r *Redirect) port(x *filter.Exchange) uint16 {
	if r.ir.Port != 0 {
		return r.ir.Port
	}
	if port := wellKnownPort(r.ir.Scheme); port != 0 {
		return port
	}
	return x.LocalAddr.Port()
}

func wellKnownPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

func withoutPort(host []byte) []byte {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return host
	}
	return host[:i]
}
