package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
	"github.com/gridway/gridway/test/harness"
)

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	if err := chromedp.Run(limited, actions...); err != nil {
		t.Fatalf("%v, at %s", err, where(t, ctx))
	}
}

// script runs one that has a value, or a promise of one.
func script[T any](t *testing.T, ctx context.Context, source string) (out T) {
	t.Helper()
	do(t, ctx, chromedp.Evaluate(source, &out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return out
}

// where is what the browser shows, for errors.
func where(t *testing.T, ctx context.Context) (text string) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	_ = chromedp.Run(limited, chromedp.Evaluate(`location.href + "\n" + document.documentElement.innerText`, &text))
	return text
}

// visit goes to a page and waits for what comes of that, however often it is
// redirected.
func visit(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	do(t, ctx, page.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, failed, _, err := page.Navigate(url).Do(ctx)
		if err == nil && failed != "" {
			err = errors.New(failed)
		}
		return err
	}))
}

// logIn fills in dex's form, which the browser gets to.
func logIn(t *testing.T, ctx context.Context) {
	t.Helper()
	harness.Eventually(t, "form to log in", func() bool {
		return script[bool](t, ctx, `document.readyState == "complete" && !!document.querySelector("#login")`)
	})
	script[any](t, ctx, `document.querySelector("#login").value = "`+email+`"; document.querySelector("#password").value = "`+password+`"; document.querySelector("#submit-login").click()`)
}

// seen is what the application has seen of a visit to a page.
func seen(t *testing.T, ctx context.Context) (text string) {
	t.Helper()
	harness.Eventually(t, "page of the application", func() bool {
		text = script[string](t, ctx, `document.readyState == "complete" && document.querySelector("#seen")?.textContent || ""`)
		return text != ""
	})
	return text
}

func cookies(t *testing.T, ctx context.Context) map[string]*network.Cookie {
	t.Helper()
	out := map[string]*network.Cookie{}
	do(t, ctx, chromedp.ActionFunc(func(ctx context.Context) error {
		list, err := storage.GetCookies().Do(ctx)
		for _, c := range list {
			out[c.Name] = c
		}
		return err
	}))
	return out
}

func TestLogin(t *testing.T) {
	s := newSite(t, time.Hour)
	ctx := browser(t)
	visit(t, ctx, s.url+"/deep/page?x=1&y=a%2Fb")
	logIn(t, ctx)
	if got := seen(t, ctx); got != "/deep/page?x=1&y=a%2Fb user=ada@example.org cookies= token=true" {
		t.Errorf("the application has seen %q", got)
	}
	if at := script[string](t, ctx, "location.href"); at != s.url+"/deep/page?x=1&y=a%2Fb" {
		t.Errorf("the browser is at %s", at)
	}
	all := cookies(t, ctx)
	c := all["__Host-app"]
	if c == nil || !c.Secure || !c.HTTPOnly || c.SameSite != network.CookieSameSiteLax || c.Path != "/" || c.Domain != "localhost" {
		t.Errorf("the session is in %+v", c)
	}
	for name := range all {
		if strings.Contains(name, "-login-") {
			t.Errorf("%s is left", name)
		}
	}
	// A script of the page has the session, and without it is told that it has none.
	const ask = `fetch("/api", {credentials: %q, redirect: "manual"}).then(async r => r.status + " " + r.redirected + " " + (await r.text()).includes("user=ada"))`
	with, without := script[string](t, ctx, fmt.Sprintf(ask, "include")), script[string](t, ctx, fmt.Sprintf(ask, "omit"))
	if with != "200 false true" || without != "401 false false" {
		t.Errorf("with the session %s, without %s", with, without)
	}
}

// Two tabs log in, one after the other, and each gets to its own page.
func TestTabs(t *testing.T) {
	s := newSite(t, time.Hour)
	first := browser(t)
	visit(t, first, s.url+"/one")
	harness.Eventually(t, "form to log in", func() bool { return script[bool](t, first, `!!document.querySelector("#login")`) })
	second, cancel := chromedp.NewContext(first)
	defer cancel()
	if err := chromedp.Run(second); err != nil { // opens it
		t.Fatal(err)
	}
	visit(t, second, s.url+"/two")
	logIn(t, second)
	if got := seen(t, second); !strings.HasPrefix(got, "/two user=ada") {
		t.Error(got)
	}
	logIn(t, first)
	if got := seen(t, first); !strings.HasPrefix(got, "/one user=ada") {
		t.Error(got)
	}
}

// Tokens that live for seconds are renewed behind the browser's back, and a provider
// that is gone for a while is missed only when they have ended.
func TestRefresh(t *testing.T) {
	s := newSite(t, 4*time.Second)
	ctx := browser(t)
	visit(t, ctx, s.url+"/")
	logIn(t, ctx)
	seen(t, ctx)
	before := cookies(t, ctx)["__Host-app"].Value
	harness.Eventually(t, "a renewed session", func() bool {
		visit(t, ctx, s.url+"/page")
		if got := seen(t, ctx); !strings.HasPrefix(got, "/page user=ada") {
			t.Fatal(got)
		}
		return cookies(t, ctx)["__Host-app"].Value != before
	})
	s.dex.gone.Store(true)
	harness.Eventually(t, "an end of the tokens", func() bool {
		visit(t, ctx, s.url+"/page")
		return strings.Contains(where(t, ctx), "IdentityUnavailable")
	})
	s.dex.gone.Store(false)
	harness.Eventually(t, "the session to go on", func() bool {
		visit(t, ctx, s.url+"/page")
		return strings.Contains(where(t, ctx), "/page user=ada")
	})
}

func TestLogout(t *testing.T) {
	s := newSite(t, time.Hour)
	ctx := browser(t)
	visit(t, ctx, s.url+"/")
	logIn(t, ctx)
	seen(t, ctx)
	// Another site's link does not log out: the browser says where it comes from.
	visit(t, ctx, s.dex.issuer+"/.well-known/openid-configuration") // whatever its page is
	script[any](t, ctx, `location.href = "`+s.url+`/oauth2/logout"; 0`)
	harness.Eventually(t, "a refusal", func() bool { return strings.Contains(where(t, ctx), "CrossOriginRequest") })
	if cookies(t, ctx)["__Host-app"] == nil {
		t.Error("another site has logged ada out")
	}
	visit(t, ctx, s.url+"/home")
	seen(t, ctx)
	script[any](t, ctx, `location.href = "/oauth2/logout"; 0`)
	harness.Eventually(t, "the page after a logout", func() bool { return strings.HasPrefix(script[string](t, ctx, "location.pathname"), "/bye") })
	if c := cookies(t, ctx)["__Host-app"]; c != nil {
		t.Errorf("%+v is left", c)
	}
	// The provider's session has ended too: it asks for the password again.
	visit(t, ctx, s.url+"/")
	harness.Eventually(t, "form to log in", func() bool { return script[bool](t, ctx, `!!document.querySelector("#login")`) })
}

func TestTampering(t *testing.T) {
	s := newSite(t, time.Hour)
	ctx := browser(t)
	var callback string
	chromedp.ListenTarget(ctx, func(ev any) {
		if e, ok := ev.(*network.EventRequestWillBeSent); ok && strings.Contains(e.Request.URL, "/oauth2/callback?") {
			callback = e.Request.URL
		}
	})
	do(t, ctx, network.Enable())
	visit(t, ctx, s.url+"/")
	logIn(t, ctx)
	seen(t, ctx)
	refused := func(url string) bool {
		visit(t, ctx, url)
		return strings.Contains(where(t, ctx), "LoginFailed")
	}
	if !refused(callback) {
		t.Errorf("a callback is good for two: %s", where(t, ctx))
	}
	u, _ := url.Parse(callback)
	q := u.Query()
	q.Set("state", "AAAAAAAAAAAAAAAAAAAAAA")
	u.RawQuery = q.Encode()
	if !refused(u.String()) {
		t.Errorf("another state is good: %s", where(t, ctx))
	}
	c := cookies(t, ctx)["__Host-app"]
	half, letter := len(c.Value)/2, "A"
	if c.Value[half] == 'A' {
		letter = "B"
	}
	do(t, ctx, network.SetCookie(c.Name, c.Value[:half]+letter+c.Value[half+1:]).WithURL(s.url).WithPath("/").WithSecure(true).WithHTTPOnly(true))
	if status := script[int](t, ctx, `fetch("/api").then(r => r.status)`); status != 401 {
		t.Errorf("a changed session is answered %d", status)
	}
}
