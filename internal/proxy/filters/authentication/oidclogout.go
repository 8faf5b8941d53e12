package authentication

import (
	"net/url"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// logout ends the session here and, where the provider takes that, there (OpenID
// Connect RP-Initiated Logout 1.0 §2).
func (o *oidc) logout(x *filter.Exchange) {
	switch {
	case x.Req.MethodID != httpmsg.MethodGet && x.Req.MethodID != httpmsg.MethodPost:
		x.Resp.Header.AddID(httpmsg.NameAllow, []byte("GET, POST"))
		x.Fail(405, filter.BadRequest, "this path takes GET and POST only")
		return
	case foreign(x):
		x.Fail(403, filter.CrossOriginRequest, crossLogout)
		return
	}
	jar, l := o.jar(x), o.login.Current()
	var s *login.Session
	if l.Usable() && len(jar.session) > 0 {
		s = l.Open(jar.name, jar.session, x.Start)
	}
	for _, c := range jar.clear(nil) {
		x.Resp.Header.AddID(httpmsg.NameSetCookie, c)
	}
	for _, name := range jar.attempts {
		x.Resp.Header.AddID(httpmsg.NameSetCookie, []byte(name+"="+jar.attributes(0)))
	}
	to := o.config.AfterLogout
	if s != nil {
		if at := o.endSession(x, l, s); at != "" {
			to = at
		}
	}
	status := 302
	if x.Req.MethodID == httpmsg.MethodPost {
		status = 303
	}
	o.redirect(x, status, to)
}

// endSession is where the provider ends its own session; empty if it has no such
// place, or cannot be asked.
func (o *oidc) endSession(x *filter.Exchange, l *login.Login, s *login.Session) string {
	meta, err := l.Metadata(x.Detach)
	if err != nil {
		return ""
	}
	if s.Refresh != "" && meta.Revocation != "" {
		x.Detach()
		l.Revoke(meta, s.Refresh)
	}
	at, err := url.Parse(meta.EndSession)
	if meta.EndSession == "" || err != nil {
		return ""
	}
	q := at.Query()
	q.Set("client_id", o.config.ClientID)
	q.Set("post_logout_redirect_uri", o.here(x, o.config.AfterLogout))
	q.Set("id_token_hint", s.ID)
	at.RawQuery = q.Encode()
	return at.String()
}

// foreign tells whether another site has a browser send the request: as browsers say
// themselves (Fetch Metadata), or by where a form was sent from.
func foreign(x *filter.Exchange) bool {
	h := &x.Req.Header
	if site := string(h.Get(httpmsg.NameSecFetchSite)); site != "" {
		return site != "same-origin" && site != "same-site" && site != "none"
	}
	if !h.Has(httpmsg.NameOrigin) {
		return false
	}
	return string(h.Get(httpmsg.NameOrigin)) != x.Req.Scheme+"://"+string(x.Req.Host)
}
