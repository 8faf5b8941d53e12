package authentication

import (
	"crypto/subtle"
	"errors"
	"net/url"
	"strings"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// maxTarget bounds where a login leads back to.
	maxTarget = 2048
	// maxCallback bounds the query that a provider sends somebody back with.
	maxCallback = 16 << 10
)

// What people read who could not log in.
const (
	needsHTTPS    = "a login needs https, or the client's own machine; behind a proxy that ends TLS, the gateway must trust its X-Forwarded-Proto"
	providerDown  = "nobody can log in now, since the identity provider cannot be asked; try again later"
	loginUnknown  = "this login was not begun by this browser, was ended already, or took too long; begin again"
	loginBad      = "this is no answer to a login"
	loginRefused  = "the identity provider has not let you in"
	loginUnproven = "what the identity provider says of you cannot be accepted; begin again"
	tooMuch       = "what the identity provider says of you is too long to be kept"
	methodGET     = "this path takes GET only"
	crossLogout   = "another site may not log you out"
)

// visit is a request for the login path, whose "return_to" says where to go then.
func (o *oidc) visit(x *filter.Exchange) {
	if x.Req.MethodID != httpmsg.MethodGet {
		x.Fail(405, filter.BadRequest, methodGET)
		return
	}
	values, err := query(x)
	if err != nil {
		x.Fail(400, filter.LoginFailed, loginBad)
		return
	}
	o.begin(x, localTarget(values.Get("return_to")))
}

// begin sends the browser to the provider (OpenID Connect Core 1.0 §3.1.2.1).
func (o *oidc) begin(x *filter.Exchange, target string) {
	https, ok := secure(x)
	if !ok || len(x.Req.Host) == 0 {
		x.Fail(400, filter.LoginFailed, needsHTTPS)
		return
	}
	l := o.login.Current()
	if !l.Usable() {
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	}
	meta, err := l.Metadata(x.Detach)
	if err != nil {
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	}
	at, err := url.Parse(meta.Authorization)
	if err != nil { // it was judged
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	}
	a := login.NewAttempt(target, x.Start)
	q := at.Query()
	for _, p := range o.config.Parameters {
		q.Set(p.Name, p.Value)
	}
	for name, value := range map[string]string{
		"response_type": "code", "client_id": o.config.ClientID, "redirect_uri": o.here(x, o.config.CallbackPath), "scope": o.scope,
		"state": a.State, "nonce": a.Nonce, "code_challenge": a.Challenge(), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	at.RawQuery = q.Encode()
	jar := o.jar(x)
	jar.forgetAttempts(x, l)
	jar.begin(x, l, a, https)
	o.redirect(x, 302, at.String())
}

// here is a path of the gateway as others know it.
func (o *oidc) here(x *filter.Exchange, path string) string {
	return x.Req.Scheme + "://" + string(x.Req.Host) + path
}

// redirect leads elsewhere, and lets nobody keep the answer.
func (o *oidc) redirect(x *filter.Exchange, status int, to string) {
	x.Resp.Header.AddID(httpmsg.NameLocation, x.Req.Arena.CopyString(to))
	x.Resp.Header.AddID(httpmsg.NameCacheControl, []byte("no-store"))
	x.Answer(status, "", nil)
}

func query(x *filter.Exchange) (url.Values, error) {
	if len(x.Req.Query) > maxCallback {
		return nil, errors.New("the query is too long")
	}
	values, err := url.ParseQuery(string(x.Req.Query))
	for _, list := range values {
		if len(list) > 1 { // RFC 6749 §3.1: parameters must not be there twice
			return nil, errors.New("a parameter is there twice")
		}
	}
	return values, err
}

// callback is where the provider sends the browser back (OpenID Connect Core 1.0
// §3.1.2.5).
func (o *oidc) callback(x *filter.Exchange) {
	x.Resp.Header.AddID(httpmsg.NameCacheControl, []byte("no-store"))
	if x.Req.MethodID != httpmsg.MethodGet {
		x.Fail(405, filter.BadRequest, methodGET)
		return
	}
	values, err := query(x)
	if err != nil {
		x.Fail(400, filter.LoginFailed, loginBad)
		return
	}
	l := o.login.Current()
	if !l.Usable() {
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	}
	state, jar := values.Get("state"), o.jar(x)
	a := jar.attempt(l, state)
	if a == nil || subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 || !a.Live(x.Start) {
		x.Fail(400, filter.LoginFailed, loginUnknown)
		return
	}
	jar.end(x, state) // whatever comes of it: each attempt is good for one
	meta, err := l.Metadata(x.Detach)
	if err != nil {
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	}
	if iss, has := values["iss"]; has && iss[0] != o.config.Issuer || !has && meta.NamesIssuer { // RFC 9207 §2.4
		x.Fail(400, filter.LoginFailed, loginBad)
		return
	}
	code := values.Get("code")
	switch failed := values.Get("error"); {
	case failed == "temporarily_unavailable" || failed == "server_error":
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	case failed != "":
		x.Fail(403, filter.LoginFailed, loginRefused)
		return
	case code == "":
		x.Fail(400, filter.LoginFailed, loginBad)
		return
	}
	x.Detach()
	s, err := o.redeem(x, l, meta, a, code)
	l.Counted(err)
	switch {
	case errors.Is(err, login.ErrUnavailable):
		x.Fail(503, filter.IdentityUnavailable, providerDown)
		return
	case err != nil:
		x.Fail(400, filter.LoginFailed, loginUnproven)
		return
	}
	cookies := jar.keep(nil, l, s, o.remaining(s, x.Start))
	if cookies == nil {
		x.Fail(502, filter.LoginFailed, tooMuch)
		return
	}
	for _, c := range cookies {
		x.Resp.Header.AddID(httpmsg.NameSetCookie, c)
	}
	x.Resp.Header.AddID(httpmsg.NameLocation, x.Req.Arena.CopyString(localTarget(a.Target)))
	x.Answer(302, "", nil)
}

// localTarget is a target if it is a path of this host for every reader, and the
// root if it is not: browsers take "//host" and "/\host" for other hosts, read a
// backslash as a slash, and drop tabs and line breaks before that (WHATWG URL §4.4).
func localTarget(target string) string {
	if len(target) == 0 || len(target) > maxTarget || target[0] != '/' || strings.HasPrefix(target, "//") {
		return "/"
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == '\\' || c >= 0x7f {
			return "/"
		}
	}
	return target
}
