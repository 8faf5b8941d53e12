package authentication

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// oidc has people log in with their browsers (OpenID Connect Core 1.0 §3.1), and
// knows them by a session in cookies afterwards.
type oidc struct {
	policy    *ir.Authentication
	config    *ir.OIDCAuth
	consumers Consumers
	login     *login.Handle
	tokens    Tokens
	// issuer is what ID tokens must be like.
	issuer    issuer
	scope     string
	forwarded []tokenHeader
	ask       []byte
}

// tokenHeader gives endpoints a token.
type tokenHeader struct {
	name   []byte
	prefix string
	token  func(*filter.Kept) string
	// alone: nobody but the gateway sends it, so that a client's own is removed.
	alone bool
}

// clockSkew is how far the provider's clock may differ.
const clockSkew = time.Minute

func newOIDC(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps) *oidc {
	c := m.OIDC
	o := &oidc{policy: p, config: c, consumers: d.Consumers, tokens: d.Tokens, scope: strings.Join(c.Scopes, " ")}
	if d.Logins != nil {
		o.login = d.Logins(c.Login)
	}
	o.issuer = newIssuer(&ir.JWTIssuer{
		Issuer: c.Issuer, KeySet: c.KeySet, Audiences: []string{c.ClientID}, Types: []string{"", "jwt"}, ClockSkew: clockSkew,
	}, d.Tokens.Keys)
	o.forward(c.AccessToken, func(k *filter.Kept) string { return k.AccessToken })
	o.forward(c.IDToken, func(k *filter.Kept) string { return k.IDToken })
	// There is no registered scheme for cookies; a challenge there must be (RFC 9110
	// §15.5.2), and this one says where a browser is to go.
	o.ask = []byte(`Cookie realm="` + p.Realm + `", form-action="` + c.LoginPath + `"`)
	return o
}

func (o *oidc) forward(h *ir.TokenHeader, token func(*filter.Kept) string) {
	if h != nil {
		o.forwarded = append(o.forwarded, tokenHeader{[]byte(h.Name), h.Prefix, token, !strings.EqualFold(h.Name, "Authorization")})
	}
}

func (o *oidc) challenge(result) []byte { return o.ask }

// authenticate accepts a session. One that is over, or none of ours, is none at all:
// its owner may log in again.
func (o *oidc) authenticate(x *filter.Exchange) result {
	jar := o.jar(x)
	if len(jar.session) == 0 {
		return absent
	}
	l := o.login.Current()
	if !l.Usable() {
		return without(x, filter.FaultNoKeys)
	}
	s := l.Open(jar.name, jar.session, x.Start)
	if s == nil || o.over(s, x.Start) {
		x.Found(filter.FaultSession)
		x.Kept.Cookies = jar.clear(x.Kept.Cookies)
		return absent
	}
	now, err := o.current(x, l, s)
	switch {
	case errors.Is(err, errSpent):
		now = s // and its cookie stays: the browser may have a newer one from elsewhere
	case errors.Is(err, login.ErrUnavailable):
		return without(x, filter.FaultNoAnswer)
	case err != nil:
		x.Found(filter.FaultSession)
		x.Kept.Cookies = jar.clear(x.Kept.Cookies)
		return absent
	case now != s || o.stale(s, x.Start):
		x.Kept.Cookies = jar.keep(x.Kept.Cookies, l, o.touched(now, x.Start), o.remaining(now, x.Start))
	}
	if o.config.Consumer != nil {
		c := named(o.policy, o.consumers, now.Claims, o.config.Consumer)
		if c == nil && o.config.ConsumerRequired {
			return refuse(x, filter.FaultConsumer)
		}
		x.Caller.Consumer = c
	}
	x.Caller.Claims = now.Claims
	x.Kept.AccessToken, x.Kept.IDToken = now.Access, now.ID
	return accepted
}

// over tells whether a session has lasted as long as it may.
func (o *oidc) over(s *login.Session, now time.Time) bool {
	began, used := now.Sub(time.Unix(s.Began, 0)), now.Sub(time.Unix(s.Used, 0))
	return began < -clockSkew || began >= o.config.MaxAge || o.config.IdleTimeout > 0 && used >= o.config.IdleTimeout
}

// stale tells whether the cookie should say that the session is in use: not with
// each request, since it is long.
func (o *oidc) stale(s *login.Session, now time.Time) bool {
	return o.config.IdleTimeout > 0 && now.Sub(time.Unix(s.Used, 0)) >= o.config.IdleTimeout/10
}

func (o *oidc) touched(s *login.Session, now time.Time) *login.Session {
	out := *s
	out.Used = max(s.Used, now.Unix())
	return &out
}

// remaining is how long the browser is to keep a session.
func (o *oidc) remaining(s *login.Session, now time.Time) time.Duration {
	left := o.config.MaxAge - now.Sub(time.Unix(s.Began, 0))
	if o.config.IdleTimeout > 0 {
		left = min(left, o.config.IdleTimeout)
	}
	return max(left, time.Second)
}

// strip takes what is the gateway's own out of the request.
func (o *oidc) strip(x *filter.Exchange) {
	stripCookies(&x.Req, func(name []byte) bool { return o.owns(name) })
	for i := range o.forwarded {
		if h := &o.forwarded[i]; h.alone {
			x.Withhold(h.name)
		}
	}
}

// tell gives the endpoint the tokens of a session.
func (o *oidc) tell(x *filter.Exchange) {
	for i := range o.forwarded {
		h := &o.forwarded[i]
		if token := h.token(&x.Kept); token != "" {
			x.Withhold(h.name)
			x.Req.Header.Add(h.name, x.Req.Arena.Concat([]byte(h.prefix), []byte(token)))
		}
	}
}

func (o *oidc) respond(x *filter.Exchange) {
	for _, c := range x.Kept.Cookies {
		x.Resp.Header.AddID(httpmsg.NameSetCookie, c)
	}
	x.Kept.Cookies = nil
}

// serve answers the paths of the method.
func (o *oidc) serve(x *filter.Exchange) bool {
	switch string(x.Req.Path) {
	case o.config.CallbackPath:
		o.callback(x)
	case o.config.LoginPath:
		o.visit(x)
	case o.config.LogoutPath:
		o.logout(x)
	default:
		return false
	}
	return true
}

// invite sends people to the provider, and programs nowhere: they could not log in
// there, and would take its page for the answer.
func (o *oidc) invite(x *filter.Exchange) bool {
	if !navigation(&x.Req) {
		return false
	}
	target := x.Req.Path
	if x.Req.HasQuery {
		target = x.Req.Arena.Concat(target, []byte("?"), x.Req.Query)
	}
	o.begin(x, localTarget(string(target)))
	return true
}

// navigation tells whether a person's browser wants a page. Browsers say so (Fetch
// Metadata); of others, those do that accept HTML.
func navigation(r *httpmsg.Request) bool {
	h := &r.Header
	if r.MethodID != httpmsg.MethodGet || len(r.Upgrade) > 0 || h.Has(httpmsg.NameXRequestedWith) || grpc.IsContentType(h.Get(httpmsg.NameContentType)) {
		return false
	}
	if h.Has(httpmsg.NameSecFetchMode) {
		return bytes.EqualFold(h.Get(httpmsg.NameSecFetchMode), []byte("navigate"))
	}
	return acceptsHTML(h)
}

// acceptsHTML tells whether Accept names HTML itself.
func acceptsHTML(h *httpmsg.Header) bool {
	if !h.Has(httpmsg.NameAccept) {
		return false
	}
	for item, rest := httpmsg.NextItem(h.AppendJoined(nil, httpmsg.NameAccept)); item != nil; item, rest = httpmsg.NextItem(rest) {
		kind, parameters, _ := strings.Cut(strings.ToLower(string(item)), ";")
		if kind = strings.TrimSpace(kind); kind != "text/html" && kind != "application/xhtml+xml" {
			continue
		}
		quality := strings.ReplaceAll(parameters, " ", "")
		return !strings.HasPrefix(quality, "q=0") || strings.Trim(quality, "q=0.") != ""
	}
	return false
}

// secure tells whether cookies are for https; ok is false where they would have to
// travel in the open. A browser takes its own machine for safe, too.
func secure(x *filter.Exchange) (https, ok bool) {
	if x.Req.Scheme == "https" {
		return true, true
	}
	host := string(x.Req.Host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return false, ir.Loopback(strings.Trim(host, "[]"))
}
