package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const ada = "Authorization: Bearer access-"

// in fails unless a page came from the endpoint, for ada.
func in(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	want(t, resp, 200, "")
	if !strings.HasPrefix(body, ada) || !strings.Contains(body, "X-Consumer: ada\nX-Groups: blue\n") {
		t.Fatalf("the endpoint saw %q", body)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	g.metrics.SetLogins(g.proxy.LoginStates)
	b := newBrowser(g)
	b.put("theme", "dark")
	resp, body := b.visit("/deep/page?x=1&y=a%2Fb%20c", header("X-Consumer", "root"))
	in(t, resp, body)
	if got := resp.Request.URL.RequestURI(); got != "/deep/page?x=1&y=a%2Fb%20c" {
		t.Errorf("the login led to %s", got)
	}
	if !strings.Contains(body, "Cookie: theme=dark\n") || strings.Contains(body, "gridway-") {
		t.Errorf("the endpoint saw %q", body)
	}
	for range 3 {
		resp, body = b.visit("/other", header("Authorization", "Basic Zm9vOmJhcg=="))
		in(t, resp, body)
	}
	if p.logins.Load() != 1 || p.redeemed.Load() != 1 {
		t.Errorf("%d logins, %d codes", p.logins.Load(), p.redeemed.Load())
	}
	line := g.logged(`"path":"/other"`, `"auth_method":"oidc"`)
	for name, c := range b.cookies() {
		if strings.HasPrefix(name, "gridway-") && (strings.Contains(line, c.Value) || strings.Contains(name, "login")) {
			t.Errorf("%s: %s", name, line)
		}
	}
	if n := g.metric("gridway_logins_total", `result="ok"`); n != 1 {
		t.Errorf("%v logins are counted", n)
	}
}

func TestLoginCookies(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	b := newBrowser(g).alone()
	resp, _ := b.visit("/")
	want(t, resp, 302, "")
	at, _ := url.Parse(resp.Header.Get("Location"))
	if q := at.Query(); at.Path != "/authorize" || q.Get("redirect_uri") != "http://"+g.addr+"/oauth2/callback" || len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 || len(q.Get("code_challenge")) != 43 || q.Get("scope") != "openid profile email" {
		t.Error(at)
	}
	set := resp.Header.Get("Set-Cookie")
	if !strings.HasSuffix(set, "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %v", set, resp.Header)
	}
}

// Programs get no page to log in at.
func TestLoginIsForPeople(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	for name, edits := range map[string][]edit{
		"curl":           {header("Accept", "*/*")},
		"no Accept":      nil,
		"JSON":           {header("Accept", "application/json")},
		"fetch":          {header("Accept", "text/html"), header("Sec-Fetch-Mode", "cors")},
		"XHR":            {header("Accept", "text/html"), header("X-Requested-With", "XMLHttpRequest")},
		"HTML refused":   {header("Accept", "text/html;q=0, */*")},
		"POST":           {header("Accept", "text/html"), func(r *http.Request) { r.Method = "POST" }},
		"HEAD":           {header("Accept", "text/html"), func(r *http.Request) { r.Method = "HEAD" }},
		"gRPC":           {header("Accept", "text/html"), header("Content-Type", "application/grpc")},
		"another cookie": {header("Cookie", "gridway-x=1; session=2")},
	} {
		resp, _ := g.get("/", edits...)
		if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || got != `Cookie realm="gridway", form-action="/oauth2/login"` || resp.Header.Get("Location") != "" || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
	}
	resp, _ := g.get("/", header("Accept", "*/*"), header("Sec-Fetch-Mode", "navigate"))
	want(t, resp, 302, "")
	if p.logins.Load() != 0 {
		t.Error("somebody went to the provider")
	}
}

// What comes back must belong to a login that this browser has begun, once.
func TestLoginState(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	b := newBrowser(g).alone()
	// begin returns where the provider sends the browser back to.
	begin := func(path string) string {
		resp, _ := b.visit(path)
		want(t, resp, 302, "")
		req, _ := http.NewRequestWithContext(t.Context(), "GET", resp.Header.Get("Location"), nil)
		resp, _ = b.send(req)
		back, _ := url.Parse(resp.Header.Get("Location"))
		return back.RequestURI()
	}
	first, second := begin("/one"), begin("/two") // two tabs
	for _, bad := range map[string]string{
		"no parameters": "/oauth2/callback", "no state": strings.Replace(first, "state=", "stat=", 1), "another state": first[:len(first)-4] + "AAAA",
		"no code": strings.Replace(begin("/six"), "code=", "cod=", 1), "two codes": first + "&code=x", "a bad query": "/oauth2/callback?%zz",
		"no issuer": strings.Replace(begin("/three"), "iss=", "is=", 1),
	} {
		resp, _ := b.visit(bad)
		want(t, resp, 400, "LoginFailed")
	}
	stranger := newBrowser(g).alone()
	resp, _ := stranger.visit(first)
	want(t, resp, 400, "LoginFailed")
	if n := p.redeemed.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	for path, back := range map[string]string{"/one": first, "/two": second} {
		kept := b.cookies()
		resp, _ = b.visit(back)
		want(t, resp, 302, "")
		if got := resp.Header.Get("Location"); got != path {
			t.Errorf("%s led to %s", path, got)
		}
		resp, _ = b.visit(back)
		want(t, resp, 400, "LoginFailed") // the attempt has gone
		for name, c := range kept {
			b.put(name, c.Value)
		}
		resp, _ = b.visit(back)
		want(t, resp, 400, "LoginFailed") // and so has the code
	}
	b = newBrowser(g).alone()
	bad := begin("/four")
	resp, _ = b.visit(strings.Replace(bad, "iss=", "iss=x", 1))
	want(t, resp, 400, "LoginFailed")
	resp, _ = b.visit(bad)
	want(t, resp, 400, "LoginFailed") // each attempt is good for one
	denied := begin("/five")
	resp, body := b.visit(strings.Replace(denied, "code=", "error=access_denied&error_description=%3Cscript%3E&x=", 1))
	want(t, resp, 403, "LoginFailed")
	if strings.Contains(body, "script") {
		t.Error(body)
	}
	for i := range 12 {
		begin(fmt.Sprintf("/tab%d", i))
	}
	if n := len(b.cookies()); n > 7 {
		t.Errorf("there are %d cookies", n)
	}
}

func TestLoginReturnsHere(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	for path, to := range map[string]string{
		"/oauth2/login": "/", "/oauth2/login?return_to=/a?b=c%26d=e": "/a?b=c&d=e", "/oauth2/login?return_to=%2Fa%2F..%2Fb": "/a/../b",
		"/oauth2/login?return_to=//evil.example": "/", "/oauth2/login?return_to=%2F%2Fevil.example": "/", "/oauth2/login?return_to=/%5Cevil.example": "/",
		"/oauth2/login?return_to=%5C%5Cevil.example": "/", "/oauth2/login?return_to=https://evil.example": "/", "/oauth2/login?return_to=/%09/evil.example": "/",
		"/oauth2/login?return_to=%09//evil.example": "/", "/oauth2/login?return_to=javascript:alert(1)": "/", "/oauth2/login?return_to=/%0d%0aSet-Cookie:x=y": "/",
		"/oauth2/login?return_to=evil.example": "/", "/oauth2/login?return_to=/" + strings.Repeat("a", 2048): "/", "//evil.example/%2e%2e": "/",
		"/x/..//evil.example": "/",
	} {
		b := newBrowser(g)
		var last string
		b.CheckRedirect = func(r *http.Request, via []*http.Request) error {
			if from := via[len(via)-1].URL; from.Path == "/oauth2/callback" {
				last = r.Response.Header.Get("Location")
				return http.ErrUseLastResponse
			}
			return nil
		}
		req := g.request("GET", "/", nil, header("Accept", "text/html"))
		req.URL.Opaque = "//" + g.addr + path
		resp, _ := b.send(req)
		want(t, resp, 302, "")
		if last != to {
			t.Errorf("%s led to %q, want %q", path, last, to)
		}
	}
}

// A token of the provider's that is not for this login makes no session.
func TestLoginIDToken(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	now := time.Now().Unix()
	for name, change := range map[string]func(map[string]any){
		"another nonce": func(c map[string]any) { c["nonce"] = "x" }, "no nonce": func(c map[string]any) { delete(c, "nonce") },
		"another audience": func(c map[string]any) { c["aud"] = "bank" }, "several audiences": func(c map[string]any) { c["aud"] = []string{"shop", "bank"} },
		"another party": func(c map[string]any) { c["azp"] = "bank" }, "another issuer": func(c map[string]any) { c["iss"] = "https://evil.example" },
		"expired": func(c map[string]any) { c["exp"] = now - 120 }, "from the future": func(c map[string]any) { c["iat"] = now + 120 },
		"no iat": func(c map[string]any) { c["iat"] = nil }, "no subject": func(c map[string]any) { c["sub"] = "" },
		"another access token": func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, "somebody else": func(c map[string]any) { c["sub"] = "bob" },
	} {
		p.set(func() { p.change = change })
		b := newBrowser(g)
		resp, _ := b.visit("/")
		if got := resp.Header.Get("X-Gridway-Reason"); resp.StatusCode != 400 || got != "LoginFailed" || len(b.cookies()) > 0 {
			t.Errorf("%s: %d %s, %v", name, resp.StatusCode, got, b.cookies())
		}
	}
	p.set(func() { p.change = func(c map[string]any) { c["aud"], c["azp"] = []string{"shop", "bank"}, "shop" } })
	resp, body := newBrowser(g).visit("/")
	in(t, resp, body)
	p.set(func() { p.answer = func(a map[string]any) { delete(a, "id_token") } })
	resp, _ = newBrowser(g).visit("/")
	want(t, resp, 400, "LoginFailed")
	p.set(func() { p.answer = func(a map[string]any) { a["token_type"] = "mac" } })
	resp, _ = newBrowser(g).visit("/")
	want(t, resp, 503, "IdentityUnavailable")
}
