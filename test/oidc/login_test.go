package oidc

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Run(limited, actions...); err != nil {
		var where, page string
		_ = chromedp.Run(ctx, chromedp.Location(&where), chromedp.OuterHTML("html", &page))
		t.Fatalf("%v, at %s:\n%.2000s", err, where, page)
	}
}

// logIn fills in dex's form, which the browser is at.
func logIn(t *testing.T, ctx context.Context) {
	t.Helper()
	do(t, ctx, chromedp.WaitVisible("#login"), chromedp.SendKeys("#login", email), chromedp.SendKeys("#password", password), chromedp.Click("#submit-login"))
}

// seen is what the application has seen of a visit to a page.
func seen(t *testing.T, ctx context.Context) (text string) {
	t.Helper()
	do(t, ctx, chromedp.Text("#seen", &text, chromedp.ByID))
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
	do(t, ctx, chromedp.Navigate(s.url+"/deep/page?x=1&y=a%2Fb"))
	logIn(t, ctx)
	if got := seen(t, ctx); got != "/deep/page?x=1&y=a%2Fb user=ada@example.org cookies= token=true" {
		t.Errorf("the application has seen %q", got)
	}
	var at string
	do(t, ctx, chromedp.Location(&at))
	if at != s.url+"/deep/page?x=1&y=a%2Fb" {
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
	const ask = `fetch("/api", {credentials: %q}).then(async r => r.status + " " + r.redirected + " " + (await r.text()).includes("user=ada"))`
	var with, without string
	do(t, ctx, script(strings.Replace(ask, "%q", `"include"`, 1), &with), script(strings.Replace(ask, "%q", `"omit"`, 1), &without))
	if with != "200 false true" || without != "401 false false" {
		t.Errorf("with the session %s, without %s", with, without)
	}
}

// Two tabs log in, one after the other, and each gets to its own page.
func TestTabs(t *testing.T) {
	s := newSite(t, time.Hour)
	first := browser(t)
	do(t, first, chromedp.Navigate(s.url+"/one"))
	second, cancel := chromedp.NewContext(first)
	defer cancel()
	do(t, second, chromedp.Navigate(s.url+"/two"))
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
	do(t, ctx, chromedp.Navigate(s.url+"/"))
	logIn(t, ctx)
	seen(t, ctx)
	before := cookies(t, ctx)["__Host-app"].Value
	eventually(t, "a renewed session", func() bool {
		do(t, ctx, chromedp.Navigate(s.url+"/page"))
		if got := seen(t, ctx); !strings.HasPrefix(got, "/page user=ada") {
			t.Fatal(got)
		}
		return cookies(t, ctx)["__Host-app"].Value != before
	})
	s.dex.gone.Store(true)
	var page string
	eventually(t, "an end of the tokens", func() bool {
		do(t, ctx, chromedp.Navigate(s.url+"/page"), chromedp.Text("body", &page))
		return strings.Contains(page, "IdentityUnavailable")
	})
	s.dex.gone.Store(false)
	eventually(t, "the session to go on", func() bool {
		do(t, ctx, chromedp.Navigate(s.url+"/page"), chromedp.Text("body", &page))
		return strings.HasPrefix(page, "/page user=ada")
	})
}

func TestLogout(t *testing.T) {
	s := newSite(t, time.Hour)
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate(s.url+"/"))
	logIn(t, ctx)
	seen(t, ctx)
	// Another site's link does not log out: the browser says where it comes from.
	do(t, ctx, chromedp.Navigate("data:text/html,<a id=go href='"+s.url+"/oauth2/logout'>go</a>"), chromedp.Click("#go"), chromedp.WaitReady("pre, body"))
	if cookies(t, ctx)["__Host-app"] == nil {
		t.Error("another site has logged ada out")
	}
	do(t, ctx, chromedp.Navigate(s.url+"/home"))
	seen(t, ctx)
	do(t, ctx, chromedp.Evaluate(`location.href = "/oauth2/logout"`, nil), chromedp.WaitVisible("#seen"))
	eventually(t, "the page after a logout", func() bool {
		var at string
		do(t, ctx, chromedp.Location(&at))
		return strings.HasSuffix(at, "/bye") || strings.Contains(at, "/bye?")
	})
	if c := cookies(t, ctx)["__Host-app"]; c != nil {
		t.Errorf("%+v is left", c)
	}
	// The provider's session has ended too: it asks for the password again.
	do(t, ctx, chromedp.Navigate(s.url+"/"), chromedp.WaitVisible("#login"))
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
	do(t, ctx, network.Enable(), chromedp.Navigate(s.url+"/"))
	logIn(t, ctx)
	seen(t, ctx)
	status := func(url string) (code int64) {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		resp, err := chromedp.RunResponse(limited, chromedp.Navigate(url))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status
	}
	if code := status(callback); code != http.StatusBadRequest {
		t.Errorf("a callback that was used is answered %d", code)
	}
	u, _ := url.Parse(callback)
	q := u.Query()
	q.Set("state", "AAAAAAAAAAAAAAAAAAAAAA")
	u.RawQuery = q.Encode()
	if code := status(u.String()); code != http.StatusBadRequest {
		t.Errorf("another state is answered %d", code)
	}
	c := cookies(t, ctx)["__Host-app"]
	half, letter := len(c.Value)/2, "A"
	if c.Value[half] == 'A' {
		letter = "B"
	}
	do(t, ctx, network.SetCookie(c.Name, c.Value[:half]+letter+c.Value[half+1:]).WithURL(s.url).WithPath("/").WithSecure(true).WithHTTPOnly(true))
	var text string
	do(t, ctx, script(`fetch("/api").then(r => "" + r.status)`, &text))
	if text != "401" {
		t.Errorf("a changed session is answered %s", text)
	}
}

// script runs a script that has a promise of a text.
func script(source string, to *string) chromedp.Action {
	return chromedp.Evaluate(source, to, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })
}
