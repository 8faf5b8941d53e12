package filter

import (
	"crypto/tls"
	"strings"

	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Fact is the value of a variable of CEL. The exchange is what expressions are
// about: see package expression for the names.
func (x *Exchange) Fact(name string) (value any, ok bool) {
	switch name {
	case expression.RequestMethod:
		return string(x.Req.Method), true
	case expression.RequestPath:
		return string(x.Req.Path), true
	case expression.RequestQuery:
		return string(x.Req.Query), true
	case expression.RequestHost:
		return hostname(string(x.Req.Host)), true
	case expression.RequestScheme:
		return x.Req.Scheme, true
	case expression.RequestProtocol:
		return Protocol(x.Req.Version), true
	case expression.RequestHeaders:
		return headerMap(&x.Req.Header), true
	case expression.RequestSize:
		return x.Req.Length, true
	case expression.RequestTime:
		return x.Start, true
	case expression.ClientAddress:
		return x.Client.Unmap().WithZone("").String(), true
	case expression.SourceIdentity:
		domain, path, known := x.Identity()
		if !known {
			return "", true
		}
		return "spiffe://" + domain + path, true
	case expression.TLSVersion:
		return tlsVersion(x.TLS), true
	case expression.TLSServerName:
		if x.Connection != nil {
			return x.Connection.ServerName, true
		}
		if x.TLS == nil {
			return "", true
		}
		return x.TLS.ServerName, true
	}
	return x.Caller.fact(name)
}

// fact is of the caller; of nobody, everything is empty.
func (c *Caller) fact(name string) (value any, ok bool) {
	who := c.Consumer
	if who == nil {
		who = &nobody
	}
	claims := c.Claims
	if claims == nil {
		claims = &unclaimed
	}
	switch name {
	case expression.CallerKnown:
		return c.Known(), true
	case expression.CallerMethod:
		return c.Method, true
	case expression.CallerConsumer:
		if c.Consumer == nil {
			return "", true
		}
		return c.Consumer.String(), true
	case expression.CallerGroups:
		return who.Groups, true
	case expression.CallerPlan:
		return who.Plan, true
	case expression.CallerLabels:
		labels := make(map[string]string, len(who.Labels))
		for _, l := range who.Labels {
			labels[l.Name] = l.Value
		}
		return labels, true
	case expression.CallerSubject:
		return claims.Subject, true
	case expression.CallerIssuer:
		return claims.Issuer, true
	case expression.CallerScopes:
		return claims.Scopes, true
	case expression.CallerClaims:
		return claims.Values(), true
	}
	return nil, false
}

var (
	nobody    ir.Consumer
	unclaimed = Claims{values: map[string]any{}}
)

// headerMap has names in lower case. Of a header that comes several times the
// values are joined by commas (RFC 9110 §5.3).
func headerMap(h *httpmsg.Header) map[string]string {
	out := make(map[string]string, h.Len())
	for i := range h.Len() {
		f := h.At(i)
		name := strings.ToLower(string(f.Name))
		if before, again := out[name]; again {
			out[name] = before + ", " + string(f.Value)
			continue
		}
		out[name] = string(f.Value)
	}
	return out
}

func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// Protocol is the name of a version of HTTP, as Envoy spells it: "HTTP/2".
func Protocol(v httpmsg.Version) string {
	switch v {
	case httpmsg.HTTP3:
		return "HTTP/3"
	case httpmsg.HTTP2:
		return "HTTP/2"
	case httpmsg.HTTP10:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

func tlsVersion(s *tls.ConnectionState) string {
	switch {
	case s == nil:
		return ""
	case s.Version == tls.VersionTLS12:
		return "1.2"
	}
	return "1.3"
}
