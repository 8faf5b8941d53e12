package oidc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/dexidp/dex/storage"
	"github.com/gridway/gridway/test/harness"
)

// desk is a gateway with a console at which people log in by dex.
type desk struct {
	*harness.Program
	t *testing.T
	// url is the console's.
	url string
	dex *dex
}

// newDesk gives roles, a line of YAML.
func newDesk(t *testing.T, roles string) *desk {
	t.Helper()
	port := harness.FreePort(t)
	d := &desk{t: t, url: fmt.Sprintf("https://localhost:%d/console/", port)}
	d.dex = newDex(t, "https://localhost:1", time.Hour, storage.Client{
		ID: "console", Name: "Console", Secret: "console-secret", RedirectURIs: []string{d.url + "login"}, PostLogoutRedirectURIs: []string{d.url},
	})
	dir := t.TempDir()
	cert, key := certificate(t)
	for name, text := range map[string]string{
		"cert.pem": cert, "key.pem": key, "secret": "console-secret\n", "gridway.yaml": fmt.Sprintf(deskYAML, harness.FreePort(t)),
		"token":        "0123456789abcdef0123456789abcdef\n",
		"console.yaml": fmt.Sprintf("issuer: %s\nclientID: console\nclientSecretFile: secret\nconsole: %s\nname: Dex\nroles: %s\n", d.dex.issuer, d.url, roles),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: harness.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	ready := func() bool {
		resp, err := client.Get(fmt.Sprintf("https://localhost:%d/readyz", port))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	d.Program = harness.Run(t, ready, nil, program, "run", in("gridway.yaml"), "--state-dir", in("state"), "--access-log", "off", "--admin", fmt.Sprintf("localhost:%d", port),
		"--admin-tls-cert", in("cert.pem"), "--admin-tls-key", in("key.pem"), "--admin-token-file", in("token"), "--console-oidc", in("console.yaml"))
	return d
}

// press clicks on the button or link of that name as soon as it is there.
func press(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	harness.Eventually(t, "button "+name, func() bool {
		return script[bool](t, ctx, fmt.Sprintf(`(() => { const b = [...document.querySelectorAll("button, a")].find(b => b.textContent.trim() == %q || b.title == %q); b?.click(); return !!b })()`, name, name))
	})
}

func shows(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	harness.Eventually(t, "page with "+text, func() bool {
		return script[bool](t, ctx, fmt.Sprintf(`!!document.body?.textContent.includes(%q)`, text))
	})
}

func TestConsoleLogin(t *testing.T) {
	d := newDesk(t, "{claim: email, operator: ["+email+"]}")
	ctx := browser(t)
	visit(t, ctx, d.url+"routes?q=x")
	press(t, ctx, "Log in with Dex")
	logIn(t, ctx)
	shows(t, ctx, email+" (operator)")
	if at := script[string](t, ctx, "location.href"); at != d.url+"routes?q=x" {
		t.Errorf("the browser is at %s", at)
	}
	c := cookies(t, ctx)
	for name, one := range c {
		if one.Domain == "localhost" && strings.HasPrefix(name, "__Host-gridway-console-") && (strings.Contains(name, "-login-") || !one.Secure || !one.HTTPOnly || one.SameSite != network.CookieSameSiteStrict) {
			t.Errorf("%s is left, or open: %+v", name, one)
		}
	}
	// Neither scripts nor the history have what could log in anybody.
	if kept := script[string](t, ctx, `JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie + location.href`); strings.Contains(kept, "code=") || strings.Contains(kept, "ey") && strings.Contains(kept, "id_token") {
		t.Errorf("the page keeps %s", kept)
	}
	const ask = `fetch("/v1/whoami", {headers: {"X-Gridway-Page-Key": %s}}).then(async r => r.status + " " + await r.text())`
	who := script[string](t, ctx, fmt.Sprintf(ask, `localStorage["gridway-page-key"]`))
	if !strings.HasPrefix(who, "200 ") || !strings.Contains(who, "(oidc:"+d.dex.issuer+"#") || !strings.Contains(who, `"role":"operator"`) {
		t.Error(who)
	}
	if got := script[string](t, ctx, fmt.Sprintf(ask, `"x"`)); !strings.HasPrefix(got, "401 ") {
		t.Errorf("with another key: %s", got)
	}
	// Out there, too: the provider asks for the password again.
	press(t, ctx, "Log out")
	harness.Eventually(t, "login page after a logout", func() bool {
		return strings.HasPrefix(script[string](t, ctx, "location.href"), d.url) && strings.Contains(where(t, ctx), "Log in with Dex")
	})
	press(t, ctx, "Log in with Dex")
	harness.Eventually(t, "form to log in", func() bool { return script[bool](t, ctx, `!!document.querySelector("#login")`) })
}

// Who has no role is told what they lack, and the way with a token is still there.
func TestConsoleLoginWithoutRole(t *testing.T) {
	d := newDesk(t, "{claim: email, admin: [grace@example.org]}")
	ctx := browser(t)
	visit(t, ctx, d.url)
	press(t, ctx, "Log in with Dex")
	logIn(t, ctx)
	shows(t, ctx, "nothing that it says of you gives a role here (email: "+email+")")
	if at := script[string](t, ctx, "location.href"); at != d.url {
		t.Errorf("the browser is at %s", at)
	}
	script[any](t, ctx, `(() => {
		const field = document.querySelector("input[name=token]")
		Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "0123456789abcdef0123456789abcdef")
		field.dispatchEvent(new Event("input", {bubbles: true}))
	})()`)
	press(t, ctx, "Log in")
	shows(t, ctx, "(admin)")
}

// A provider that is gone stops neither the process nor logins with tokens.
func TestConsoleProviderGone(t *testing.T) {
	d := newDesk(t, "{viewer: ['*']}")
	d.dex.gone.Store(true)
	ctx := browser(t)
	visit(t, ctx, d.url)
	press(t, ctx, "Log in with Dex")
	// What it has said before is known: it is the browser that finds nobody there. Where
	// the start was too late for that, the console says so.
	harness.Eventually(t, "error", func() bool {
		text := where(t, ctx)
		return strings.Contains(text, "Dex cannot be asked now") || strings.Contains(text, "ERR_EMPTY_RESPONSE") || strings.HasPrefix(text, "chrome-error:")
	})
	d.dex.gone.Store(false)
	harness.Eventually(t, "form to log in", func() bool { // it is left alone for a moment
		visit(t, ctx, d.url)
		press(t, ctx, "Log in with Dex")
		harness.Eventually(t, "answer", func() bool {
			return script[bool](t, ctx, `!!document.querySelector("#login, [role=alert]")`)
		})
		return script[bool](t, ctx, `!!document.querySelector("#login")`)
	})
	logIn(t, ctx)
	shows(t, ctx, "(viewer)")
}

// An answer that somebody else has got, or that was used, logs nobody in.
func TestConsoleForgedAnswer(t *testing.T) {
	d := newDesk(t, "{viewer: ['*']}")
	ctx := browser(t)
	visit(t, ctx, d.url+"login?code=stolen&state=AAAAAAAAAAAAAAAAAAAAAA")
	shows(t, ctx, "not begun by this browser")
	if at := script[string](t, ctx, "location.href"); at != d.url {
		t.Errorf("the browser is at %s", at)
	}
}

const deskYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: %d, protocol: HTTP}]
`
