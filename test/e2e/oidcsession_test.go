package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A session's tokens are exchanged before they end, once for all requests that come
// with it, although the provider takes each refresh token once.
func TestSessionIsRenewed(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	g.metrics.SetLogins(g.proxy.LoginStates)
	p.set(func() { p.lifetime = time.Second })
	b := newBrowser(g)
	resp, body := b.visit("/")
	in(t, resp, body)
	p.set(func() { p.lifetime = time.Hour })
	old := newBrowser(g)
	for name, c := range b.cookies() {
		old.put(name, c.Value)
	}
	eventually(t, "a refresh", func() bool {
		resp, body := b.visit("/page")
		in(t, resp, body)
		return p.refreshed.Load() > 0
	})
	var all sync.WaitGroup
	for range 16 { // with the cookie of before, as parallel requests have it
		all.Go(func() {
			b := newBrowser(g)
			for name, c := range old.cookies() {
				b.put(name, c.Value)
			}
			resp, body := b.visit("/page")
			if resp.StatusCode != 200 || !strings.HasPrefix(body, ada) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		})
	}
	all.Wait()
	if n := p.refreshed.Load(); n != 1 || p.logins.Load() != 1 {
		t.Errorf("%d refreshes, %d logins", n, p.logins.Load())
	}
	if n := g.metric("gridway_login_refreshes_total", `result="ok"`); n != 1 {
		t.Errorf("%v refreshes are counted", n)
	}
}

// Of two gateways that renew the same session at the same time, with a provider that
// takes each refresh token once, the second goes on with what it has.
func TestSessionOfSeveralGateways(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	yaml := documents(edge("", addr), p.policy(""))
	first, second := serveYAML(t, yaml), serveYAML(t, yaml)
	for range 5 { // a busy machine may miss the second that there is
		p.set(func() { p.lifetime = 4 * time.Second })
		b, other := newBrowser(first), newBrowser(second)
		resp, body := b.visit("/")
		in(t, resp, body)
		end := time.Now().Truncate(time.Second).Add(4 * time.Second)
		p.set(func() { p.lifetime = time.Hour })
		before := b.cookies()
		for name, c := range before {
			other.put(name, c.Value)
		}
		logins, refreshed := p.logins.Load(), p.refreshed.Load()
		eventually(t, "a refresh", func() bool {
			resp, body := b.visit("/page")
			in(t, resp, body)
			return p.refreshed.Load() > refreshed
		})
		for range 3 {
			resp, body = other.visit("/page")
			in(t, resp, body)
		}
		if p.logins.Load() != logins || !time.Now().Before(end) {
			continue
		}
		if n := p.refreshed.Load() - refreshed; n != 2 {
			t.Errorf("the provider was asked %d times", n)
		}
		for name, c := range other.cookies() {
			if before[name] == nil || before[name].Value != c.Value {
				t.Errorf("%s has changed", name)
			}
		}
		for name, c := range b.cookies() {
			other.put(name, c.Value)
		}
		resp, body = other.visit("/page")
		in(t, resp, body)
		if p.logins.Load() != logins {
			t.Error("the newer session of the first gateway is not one of the second")
		}
		return
	}
	t.Skip("the machine is too busy")
}

// A provider that takes the session away ends it; one that is down does not before
// its tokens end.
func TestSessionWithoutProvider(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	b := newBrowser(g)
	resp, body := b.visit("/")
	in(t, resp, body)
	p.set(func() { p.lifetime = time.Second })
	short := newBrowser(g)
	resp, body = short.visit("/")
	in(t, resp, body)
	p.down.Store(true)
	eventually(t, "the tokens to end", func() bool {
		resp, _ := short.visit("/")
		return resp.StatusCode == 503 && resp.Header.Get("X-Gridway-Reason") == "IdentityUnavailable"
	})
	resp, body = b.visit("/")
	in(t, resp, body)
	resp, _ = newBrowser(g).visit("/x") // its endpoints are known, and it is the one that does not answer
	if resp.StatusCode != 503 || resp.Header.Get("X-Gridway-Reason") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	p.down.Store(false)
	eventually(t, "the session to go on", func() bool {
		resp, _ := short.visit("/")
		return resp.StatusCode == 200
	})
	p.set(func() { clear(p.refresh) })
	before := p.logins.Load()
	eventually(t, "another login", func() bool {
		resp, body := short.visit("/here")
		in(t, resp, body)
		return p.logins.Load() > before
	})

	down := newProvider(t)
	down.down.Store(true)
	g = serveYAML(t, documents(edge("", addr), down.policy("")))
	resp, _ = newBrowser(g).visit("/")
	want(t, resp, 503, "IdentityUnavailable")
	resp, _ = g.get("/")
	want(t, resp, 401, "Unauthenticated")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("afterLogout: /bye")))
	b := newBrowser(g)
	resp, body := b.visit("/")
	in(t, resp, body)
	for _, evil := range []edit{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")} {
		resp, _ = b.visit("/oauth2/logout", evil)
		want(t, resp, 403, "CrossOriginRequest")
	}
	resp, body = b.visit("/")
	in(t, resp, body)
	resp, _ = b.alone().visit("/oauth2/logout", header("Sec-Fetch-Site", "same-origin"))
	want(t, resp, 302, "")
	if len(b.cookies()) > 0 || p.revoked.Load() != 1 {
		t.Errorf("%v, %d revoked", b.cookies(), p.revoked.Load())
	}
	req, _ := http.NewRequestWithContext(t.Context(), "GET", resp.Header.Get("Location"), nil)
	resp, _ = b.alone().send(req)
	if got := resp.Header.Get("Location"); p.ended.Load() != 1 || got != "http://"+g.addr+"/bye" {
		t.Errorf("%d, %s", p.ended.Load(), got)
	}
	resp, _ = b.alone().visit("/")
	want(t, resp, 302, "")
	// Nobody is logged in: it leads on all the same, and a form is led by GET.
	req = g.request("POST", "/oauth2/logout", nil)
	resp, _ = newBrowser(g).alone().send(req)
	want(t, resp, 303, "")
	if got := resp.Header.Get("Location"); got != "/bye" {
		t.Error(got)
	}
	req = g.request("DELETE", "/oauth2/logout", nil)
	resp, _ = b.alone().send(req)
	want(t, resp, 405, "BadRequest")
}

// What was changed is no session, and who brings it logs in again.
func TestSessionCookieIsSealed(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	yaml := documents(edge("", addr), p.policy(""))
	g := serveYAML(t, yaml)
	b := newBrowser(g)
	resp, body := b.visit("/")
	in(t, resp, body)
	kept := b.cookies()
	name := slices.Collect(maps.Keys(kept))[0]
	value := kept[name].Value
	half := len(value) / 2
	flip := "A"
	if value[half] == 'A' {
		flip = "B"
	}
	for what, bad := range map[string]string{
		"changed": value[:half] + flip + value[half+1:], "cut": value[:half], "empty": "", "longer": value + "AAAA", "more cookies": "2" + value[1:],
		"none": "9." + value[2:], "no number": value[2:], "a dot": ".", "padding": value + "=",
	} {
		c := newBrowser(g).alone()
		c.put(name, bad)
		resp, _ := c.visit("/")
		want(t, resp, 302, "")
		resp, _ = g.get("/", header("Cookie", name+"="+bad))
		if resp.StatusCode != 401 {
			t.Errorf("%s: %d", what, resp.StatusCode)
		}
	}
	resp, _ = g.get("/", header("Cookie", name+"="+value+"; "+name+"="+value))
	want(t, resp, 401, "Unauthenticated")

	// Another key encrypts, and what the one before has encrypted is good still, until
	// that is gone.
	old, newer := "keyRefs: [{name: oidc}]", "{name: oidc, key: newer}"
	g.apply(strings.Replace(yaml, old, "keyRefs: ["+newer+", {name: oidc}]", 1))
	resp, body = b.visit("/")
	in(t, resp, body)
	other := newBrowser(g)
	resp, body = other.visit("/")
	in(t, resp, body)
	g.apply(strings.Replace(yaml, old, "keyRefs: ["+newer+"]", 1))
	resp, _ = b.alone().visit("/")
	want(t, resp, 302, "")
	resp, body = other.visit("/")
	in(t, resp, body)
	// Another client's sessions are not this one's, whatever the cookie is called.
	g.apply(strings.NewReplacer(old, "cookieName: "+name+", keyRefs: ["+newer+"]", "clientID: shop", "clientID: store").Replace(yaml))
	resp, _ = other.alone().visit("/")
	want(t, resp, 302, "")
}

// A session that is longer than a cookie is in several, and in no more than a few.
func TestLongSession(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	g := serveYAML(t, documents(edge("", addr), p.policy("")))
	p.set(func() { p.change = func(c map[string]any) { c["groups"] = strings.Repeat("group ", 1000) } })
	b := newBrowser(g)
	resp, body := b.visit("/")
	in(t, resp, body)
	if n := len(b.cookies()); n < 2 || n > 5 {
		t.Errorf("%d cookies", n)
	}
	for name, c := range b.cookies() {
		if len(name)+len(c.Value) > 3900 {
			t.Errorf("%s has %d bytes", name, len(c.Value))
		}
	}
	resp, body = b.visit("/")
	in(t, resp, body)
	if strings.Contains(body, "gridway-") {
		t.Error(body)
	}
	p.set(func() { p.change = nil })
	resp, _ = b.visit("/oauth2/login?return_to=/")
	want(t, resp, 200, "")
	if n := len(b.cookies()); n != 1 {
		t.Errorf("%d cookies are left", n)
	}
	p.set(func() {
		p.answer = func(a map[string]any) { a["access_token"] = a["access_token"].(string) + strings.Repeat("x", 30000) }
	})
	p.set(func() { p.change = func(c map[string]any) { delete(c, "at_hash") } })
	resp, _ = newBrowser(g).visit("/")
	want(t, resp, 502, "LoginFailed")
}

// Sessions and tokens are ways of one policy, and a browser that has neither is asked
// to log in.
func TestLoginBesideTokens(t *testing.T) {
	t.Parallel()
	p, addr := newProvider(t), headersSeen(t)
	yaml := strings.Replace(p.policy(""), "anyOf:\n", "anyOf:\n  - jwt: {issuers: [{issuer: \""+p.Server.URL+"\", audiences: [shop], keys: {discovery: {}}}]}\n", 1)
	g := serveYAML(t, documents(edge("", addr), yaml))
	resp, body := g.get("/", bearer(p.issuer.token(map[string]any{"team": "red"})))
	want(t, resp, 200, "")
	if body != "X-Consumer: ada\nX-Groups: red\n" {
		t.Error(body)
	}
	resp, _ = g.get("/", bearer("x.y.z"), header("Accept", "text/html"))
	want(t, resp, 401, "InvalidCredential")
	b := newBrowser(g)
	resp, body = b.visit("/")
	in(t, resp, body)
}
