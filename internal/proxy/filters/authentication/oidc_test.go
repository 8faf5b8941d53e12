package authentication_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const session = "__Host-gridway"

func loginPolicy() *ir.Authentication {
	return &ir.Authentication{
		Policy: "default/login", Namespace: "default", Realm: "shop",
		AnyOf: []ir.AuthenticationMethod{{Name: "oidc", OIDC: &ir.OIDCAuth{
			Login: "one", KeySet: "one", Issuer: "https://idp.example", ClientID: "shop", Scopes: []string{"openid"},
			CallbackPath: "/oauth2/callback", LoginPath: "/oauth2/login", LogoutPath: "/oauth2/logout", AfterLogout: "/",
			Cookie: "gridway", MaxAge: time.Hour, IdleTimeout: 10 * time.Minute, IDToken: &ir.TokenHeader{Name: "X-ID-Token"},
		}}},
	}
}

// loginDeps are of a gateway that asks no provider.
func loginDeps() (authentication.Deps, *login.Login) {
	s := login.New(login.Options{Offline: true})
	s.Begin(&ir.Config{Logins: []*ir.Login{{Name: "one", Issuer: "https://idp.example", ClientID: "shop", CookieKeys: [][]byte{make([]byte, 32)}}}})
	return authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(nil), Logins: s.Login}, s.Login("one").Current()
}

func page(scheme, host, path, query string, headers ...string) *filter.Exchange {
	x := request(query, headers...)
	x.Detach = func() {}
	x.Req.Scheme, x.Req.Host, x.Req.Path = scheme, []byte(host), []byte(path)
	x.Req.Method, x.Req.MethodID = []byte("GET"), httpmsg.MethodGet
	x.Req.Header.Add([]byte("Accept"), []byte("text/html"))
	return x
}

func setCookies(x *filter.Exchange) (out []string) {
	for i := range x.Resp.Header.Len() {
		if f := x.Resp.Header.At(i); f.ID == httpmsg.NameSetCookie {
			out = append(out, string(f.Value))
		}
	}
	return out
}

func TestSession(t *testing.T) {
	d, l := loginDeps()
	a := authentication.New(loginPolicy(), d)
	id := newSigner(t, "1").token(good(nil), "")
	at := start.Unix()
	good := login.Session{ID: id, Began: at - 60, Used: at - 10, Renewed: at - 60, Expires: at + 300}
	for _, c := range []struct {
		name    string
		change  func(*login.Session)
		ok, set bool
	}{
		{"a good one", func(*login.Session) {}, true, false},
		{"one that was not used for a while", func(s *login.Session) { s.Used = at - 61 }, true, true},
		{"one that is over", func(s *login.Session) { s.Began = at - 3600 }, false, true},
		{"one that was not used for long", func(s *login.Session) { s.Used = at - 600 }, false, true},
		{"one from the future", func(s *login.Session) { s.Began = at + 120 }, false, true},
		{"one whose tokens end soon", func(s *login.Session) { s.Expires = at + 1 }, true, false},
		{"one whose tokens have ended", func(s *login.Session) { s.Expires = at }, false, true},
		{"one that cannot be renewed now", func(s *login.Session) { s.Expires, s.Refresh = at+1, "soon" }, true, false},
		{"one of nobody", func(s *login.Session) { s.ID = "x" }, false, true},
	} {
		s := good
		c.change(&s)
		text := string(l.Seal(session, &s))
		// As HTTP/2 brings them: a field for each cookie.
		x := page("https", "app.example", "/", "", "Cookie", "a=b", "Cookie", session+"=1."+text, "Cookie", "c=d; gridway-login-x=1", "X-ID-Token", "forged")
		v := a.OnRequest(x)
		if passed := v == filter.Continue; passed != c.ok {
			t.Errorf("%s: passed %t", c.name, passed)
		}
		got := string(x.Req.Header.AppendJoined(nil, httpmsg.NameCookie))
		token := string(x.Req.Header.GetString("X-ID-Token"))
		if strings.Contains(got, "gridway") || !strings.Contains(got, "a=b") || !strings.Contains(got, "c=d") || c.ok && token != id || !c.ok && token != "" {
			t.Errorf("%s: the endpoint gets cookies %q and token %q", c.name, got, token)
		}
		a.OnResponse(x)
		if set := setCookies(x); c.ok && len(set) > 0 != c.set || !c.ok && !strings.Contains(strings.Join(set, "\n"), session+"=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure") {
			t.Errorf("%s: the client gets %q", c.name, set)
		}
	}
	text := string(l.Seal("gridway", &good))
	for name, x := range map[string]*filter.Exchange{
		"of http":              page("https", "app.example", "/", "", "Cookie", session+"=1."+text),
		"of http, by its name": page("https", "app.example", "/", "", "Cookie", "gridway=1."+text),
		"in the open":          page("http", "app.example", "/", "", "Cookie", session+"=1."+text),
	} {
		if a.OnRequest(x) != filter.Reply {
			t.Errorf("a session %s is accepted", name)
		}
	}
}

func TestLoginNeedsTLS(t *testing.T) {
	d, _ := loginDeps()
	a := authentication.New(loginPolicy(), d)
	for host, want := range map[string]int{"app.example": 400, "127.0.0.1.evil.example": 400, "": 400, "localhost:8080": 302, "127.0.0.1": 302, "[::1]:80": 302, "[::1]": 302} {
		x := page("http", host, "/", "")
		if a.OnRequest(x); x.Local.Status != want {
			t.Errorf("%q: %d, want %d", host, x.Local.Status, want)
		}
	}
	x := page("https", "app.example", "/", "")
	a.OnRequest(x)
	to, _ := url.Parse(string(x.Resp.Header.Get(httpmsg.NameLocation)))
	if set := setCookies(x); to.Query().Get("redirect_uri") != "https://app.example/oauth2/callback" || len(set) != 1 || !strings.HasPrefix(set[0], session+"-login-") || !strings.HasSuffix(set[0], "; Secure") {
		t.Errorf("%s, %q", to, set)
	}
}

func FuzzLogin(f *testing.F) {
	f.Add("/oauth2/login", "return_to=//evil.example", "a=b", "cross-site")
	f.Add("/oauth2/callback", "code=x&state=0123456789", session+"-login-01234567=x; "+session+"=2.x; "+session+"-1=y", "none")
	f.Add("/oauth2/logout", "", session+"=1.AQ", "")
	f.Add("//evil.example/..", "x", "", "")
	d, l := loginDeps()
	a := authentication.New(loginPolicy(), d)
	f.Fuzz(func(t *testing.T, path, query, cookies, site string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		x := page("https", "app.example", path, query, "Cookie", cookies, "Sec-Fetch-Site", site)
		if a.OnRequest(x) != filter.Reply || x.Caller.Known() {
			t.Fatal("somebody got through without a session")
		}
		if strings.Contains(string(x.Req.Header.AppendJoined(nil, httpmsg.NameCookie)), session+"=") && strings.HasPrefix(cookies, session+"=") {
			t.Fatal("a session's cookie is left in the request")
		}
		to := string(x.Resp.Header.Get(httpmsg.NameLocation))
		if x.Local.Status/100 == 3 && !strings.HasPrefix(to, "https://idp.example?") && to != "/" {
			t.Fatalf("it leads to %q", to)
		}
		for _, c := range setCookies(x) {
			name, value, _ := strings.Cut(c, "=")
			value, _, _ = strings.Cut(value, ";")
			attempt := l.OpenAttempt(name, []byte(value))
			if attempt == nil {
				continue
			}
			target, err := url.Parse("https://app.example" + attempt.Target)
			text, _ := json.Marshal(attempt.Target)
			if !strings.HasPrefix(attempt.Target, "/") || strings.HasPrefix(attempt.Target, "//") || strings.ContainsAny(attempt.Target, "\\\t\r\n ") || err == nil && target.Host != "app.example" {
				t.Fatalf("it leads back to %s", text)
			}
		}
	})
}
