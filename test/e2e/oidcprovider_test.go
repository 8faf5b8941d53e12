package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// provider is an OpenID provider that lets everybody in as ada, without asking.
type provider struct {
	*issuer
	*httptest.Server
	logins, redeemed, refreshed, revoked, ended atomic.Int32
	down                                        atomic.Bool

	mu      sync.Mutex // guards what follows
	codes   map[string]url.Values
	refresh map[string]bool
	// lifetime of access tokens; change edits claims of ID tokens, answer all that the
	// token endpoint gives.
	lifetime time.Duration
	change   func(map[string]any)
	answer   func(map[string]any)
	user     map[string]any
	metadata map[string]any
}

func newProvider(t *testing.T) *provider {
	p := &provider{issuer: &issuer{t: t}, codes: map[string]url.Values{}, refresh: map[string]bool{}, lifetime: time.Hour, user: map[string]any{"sub": "ada", "team": "blue"}}
	p.rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.describe)
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.issuer.mu.Lock()
		defer p.issuer.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.published})
	})
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer access-") {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(p.user)
	})
	mux.HandleFunc("POST /revoke", func(_ http.ResponseWriter, r *http.Request) {
		p.revoked.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.refresh, r.FormValue("token"))
	})
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("id_token_hint") != "" && r.FormValue("client_id") == "shop" {
			p.ended.Add(1)
		}
		http.Redirect(w, r, r.FormValue("post_logout_redirect_uri"), http.StatusFound)
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.down.Load() {
			http.Error(w, "", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	p.issuer.Server = p.Server
	t.Cleanup(p.Server.Close)
	return p
}

func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *provider) describe(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{
		"issuer": p.Server.URL, "jwks_uri": p.Server.URL + "/keys", "authorization_endpoint": p.Server.URL + "/authorize?tenant=1",
		"token_endpoint": p.Server.URL + "/token", "userinfo_endpoint": p.Server.URL + "/userinfo", "revocation_endpoint": p.Server.URL + "/revoke",
		"end_session_endpoint": p.Server.URL + "/end", "authorization_response_iss_parameter_supported": true,
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, v := range p.metadata {
		doc[name] = v
	}
	_ = json.NewEncoder(w).Encode(doc)
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.logins.Add(1)
	q := r.URL.Query()
	if q.Get("tenant") != "1" || q.Get("client_id") != "shop" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || !strings.HasPrefix(q.Get("scope"), "openid ") {
		http.Error(w, "bad request for authorization", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.set(func() { p.codes[code] = q })
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Server.URL}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	refuse := func(code string) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":%q}`, code)
	}
	if id != "shop" || secret != "s%3Acret%2F" { // s:cret/, encoded as RFC 6749 §2.3.1 wants it
		refuse("invalid_client")
		return
	}
	nonce := ""
	switch r.FormValue("grant_type") {
	case "authorization_code":
		p.redeemed.Add(1)
		var q url.Values
		p.set(func() { q = p.codes[r.FormValue("code")]; delete(p.codes, r.FormValue("code")) })
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if q == nil || q.Get("redirect_uri") != r.FormValue("redirect_uri") || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			refuse("invalid_grant")
			return
		}
		nonce = q.Get("nonce")
	case "refresh_token":
		p.refreshed.Add(1)
		known := false
		p.set(func() {
			known = p.refresh[r.FormValue("refresh_token")]
			delete(p.refresh, r.FormValue("refresh_token"))
		})
		if !known {
			refuse("invalid_grant")
			return
		}
	}
	p.give(w, nonce)
}

// give answers with tokens; each refresh token is good for one use.
func (p *provider) give(w http.ResponseWriter, nonce string) {
	access, refresh := "access-"+rand.Text(), "refresh-"+rand.Text()
	sum := sha256.Sum256([]byte(access))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refresh[refresh] = true
	claims := map[string]any{
		"iat": time.Now().Unix(), "exp": time.Now().Add(p.lifetime).Unix(), "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]), "roles": []string{"buyer"},
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if p.change != nil {
		p.change(claims)
	}
	answer := map[string]any{
		"access_token": access, "token_type": "bearer", "refresh_token": refresh, "expires_in": int(p.lifetime / time.Second),
		"id_token": p.issuer.token(claims),
	}
	if p.answer != nil {
		p.answer(answer)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// policy has people log in here.
func (p *provider) policy(more string) string {
	return documents(authenticationDoc("login", "Gateway", "edge", fmt.Sprintf(`
anyOf:
- oidc:
    issuer: %q
    clientID: shop
    clientSecretRef: {name: oidc, key: client-secret}
    userInfo: true
    session: {keyRefs: [{name: oidc}]}
    forward: {accessToken: {header: Authorization}}
%s
requestHeaders: [{name: X-Consumer, claim: sub}, {name: X-Groups, claim: team}]`, p.Server.URL, indent(4, more))), oidcSecret)
}

const oidcSecret = "apiVersion: v1\nkind: Secret\nmetadata: {name: oidc}\nstringData: {client-secret: \"s:cret/\", key: 0123456789abcdef0123456789abcdef, newer: fedcba9876543210fedcba9876543210}\n"

// browser keeps cookies and follows redirects.
type browser struct {
	*http.Client
	t   *testing.T
	g   *gateway
	jar http.CookieJar
}

func newBrowser(g *gateway) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{&http.Client{Jar: jar, Transport: g.client.Transport, Timeout: 4 * patience}, g.t, g, jar}
}

// visit opens a page. A path is one of the gateway's.
func (b *browser) visit(path string, edits ...edit) (*http.Response, string) {
	b.t.Helper()
	req := b.g.request("GET", path, nil, append([]edit{header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")}, edits...)...)
	return b.send(req)
}

func (b *browser) send(req *http.Request) (*http.Response, string) {
	b.t.Helper()
	c := *b.g
	c.client = b.Client
	resp, body, err := c.do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, body
}

// alone follows no redirect.
func (b *browser) alone() *browser {
	c := *b.Client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{&c, b.t, b.g, b.jar}
}

// cookies are those for the gateway, by name.
func (b *browser) cookies() map[string]*http.Cookie {
	out := map[string]*http.Cookie{}
	for _, c := range b.jar.Cookies(&url.URL{Scheme: "http", Host: b.g.addr, Path: "/"}) {
		out[c.Name] = c
	}
	return out
}

func (b *browser) put(name, value string) {
	b.jar.SetCookies(&url.URL{Scheme: "http", Host: b.g.addr, Path: "/"}, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
