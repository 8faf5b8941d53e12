package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
)

const secretA = "acme-secret-0123456789abcdef"

// signingKey is a Secret with a private key on P-256.
func signingKey(t *testing.T, name string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n  key: |\n%s", name, indent(4, string(text)))
}

// tokenIssuerDoc has keys by the names of their Secrets; the first signs.
func tokenIssuerDoc(issuer string, keys ...string) string {
	var refs []string
	for _, k := range keys {
		refs = append(refs, "{name: "+k+"}")
	}
	return fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: TokenIssuer
metadata: {name: auth}
spec:
  issuer: %s
  audiences: [https://api.example, https://reports.example]
  scopes: [orders.read, orders.write, reports]
  accessTokens:
    lifetime: 10m
    claims:
    - {name: groups, from: Groups}
    - {name: tier, from: Plan}
    - {name: region, from: Label, label: region}
  signingKeys: {secretRefs: [%s]}
`, issuer, strings.Join(refs, ", "))
}

// clientDoc is a Consumer with client secrets; each credential is YAML in flow style
// without its name.
func clientDoc(name string, credentials ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: %s, labels: {region: north}}\nspec:\n  groups: [partners]\n  plan: gold\n  credentials:\n", name)
	for i, c := range credentials {
		fmt.Fprintf(&b, "  - {name: c%d, clientSecret: %s}\n", i, c)
	}
	return b.String()
}

func secretHash(secret string) string {
	return fmt.Sprintf("\"sha256:%x\"", sha256.Sum256([]byte(secret)))
}

// clientA may have all but reports.
func clientA() string {
	return clientDoc("acme", "{hash: "+secretHash(secretA)+", scopes: [orders.read, orders.write], defaultScopes: [orders.read]}")
}

// issuerRoutes serve the issuer, and the Backend app for who has its tokens.
const issuerRoutes = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: auth}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches:
    - path: {value: /auth}
    - path: {value: /.well-known/oauth-authorization-server}
    filters: [{type: ExtensionRef, extensionRef: {group: gridway.dev, kind: TokenIssuer, name: auth}}]
`

func byTokens(more string) string {
	return authenticationDoc("tokens", "HTTPRoute", "app", `
anyOf:
- jwt:
    issuers:
    - tokenIssuerRef: {name: auth}
`+indent(6, more)+`requestHeaders: [{name: X-Consumer, value: Consumer}, {name: X-Groups, claim: scope}]`)
}

// tokenAnswer is what a token endpoint says.
type tokenAnswer struct {
	Token       string `json:"access_token"`
	Type        string `json:"token_type"`
	Expires     int    `json:"expires_in"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func basicAuth(client, secret string) edit {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret)) }
}

// askToken sends a form to a token endpoint.
func askToken(t *testing.T, c *http.Client, address, form string, edits ...edit) (*http.Response, tokenAnswer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range edits {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a tokenAnswer
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, text, err)
	}
	return resp, a
}

// TestTokenEndpoint has a token issued and used over each version of HTTP.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	addr := headersSeen(t)
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", addr), signingKey(t, "one"), tokenIssuerDoc("https://a.example/auth", "one"), issuerRoutes, clientA(), byTokens(""))
	g.metrics.SetTokenIssuers(g.proxy.TokenIssuerStates)
	secure := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	for name, client := range map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{TLSClientConfig: secure.Clone(), DisableKeepAlives: true}},
		"HTTP/2":   overHTTP2(t, secure.Clone()),
		"HTTP/3":   overHTTP3(t, "a.example"),
	} {
		t.Run(name, func(t *testing.T) {
			base := "https://" + g.addr
			resp, a := askToken(t, client, base+"/auth/oauth2/token", "grant_type=client_credentials", host("a.example"), basicAuth("default.acme", secretA))
			if resp.StatusCode != 200 || a.Type != "Bearer" || a.Expires != 600 || a.Scope != "orders.read" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %v %+v", resp.StatusCode, resp.Header, a)
			}
			if resp.Proto != name && resp.Proto != name+".0" {
				t.Errorf("answered over %s", resp.Proto)
			}
			parsed, err := josejwt.ParseSigned(a.Token, []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			get := func(path string, into any) *http.Response {
				req, _ := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
				req.Host = "a.example"
				if into == nil {
					req.Header.Set("Authorization", "Bearer "+a.Token)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				if into != nil {
					if err := json.Unmarshal(text, into); err != nil {
						t.Fatalf("%s: %q: %v", path, text, err)
					}
				} else if want := "X-Consumer: acme\nX-Groups: orders.read\n"; string(text) != want {
					t.Errorf("the endpoint saw %q, %d %s", text, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
				}
				return resp
			}
			var keys jose.JSONWebKeySet
			if h := get("/auth/oauth2/jwks", &keys).Header; h.Get("Cache-Control") != "public, max-age=300" || h.Get("Content-Type") != "application/jwk-set+json" {
				t.Error(h)
			}
			var claims map[string]any
			if err := parsed.Claims(keys, &claims); err != nil {
				t.Fatal(err)
			}
			if parsed.Headers[0].ExtraHeaders["typ"] != "at+jwt" || parsed.Headers[0].KeyID != keys.Keys[0].KeyID || claims["jti"] == "" {
				t.Error(parsed.Headers[0], claims)
			}
			at := claims["iat"].(float64)
			for _, c := range []string{"iat", "jti"} {
				delete(claims, c)
			}
			want := map[string]any{"iss": "https://a.example/auth", "sub": "default.acme", "client_id": "default.acme", "aud": "https://api.example", "exp": at + 600, "scope": "orders.read", "groups": []any{"partners"}, "tier": "gold", "region": "north"}
			if fmt.Sprint(claims) != fmt.Sprint(want) {
				t.Errorf("claims are %v, want %v", claims, want)
			}
			var about map[string]any
			get("/.well-known/oauth-authorization-server/auth", &about)
			if about["issuer"] != "https://a.example/auth" || about["token_endpoint"] != "https://a.example/auth/oauth2/token" || about["jwks_uri"] != "https://a.example/auth/oauth2/jwks" {
				t.Error(about)
			}
			get("/orders", nil)

			// A body that comes in pieces, and one without an end.
			slow, write := io.Pipe()
			go func() {
				for _, piece := range []string{"grant_type=client", "_credentials&scope=", "orders.write+orders.read&client_id=default.acme", "&client_secret=" + secretA} {
					io.WriteString(write, piece)
				}
				write.Close()
			}()
			_, a = askToken(t, client, base+"/auth/oauth2/token", "", host("a.example"), func(r *http.Request) { r.Body, r.ContentLength = slow, -1 })
			if a.Scope != "orders.write orders.read" {
				t.Errorf("%+v", a)
			}
			resp, a = askToken(t, client, base+"/auth/oauth2/token", "", host("a.example"), func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("scope="), bytes.NewReader(make([]byte, 20<<10)))), -1
			})
			if resp.StatusCode != 413 || a.Error != "invalid_request" {
				t.Errorf("%d %+v", resp.StatusCode, a)
			}
		})
	}
	if g.logged(`"auth_method":"clientSecret"`, `"consumer":"default/acme"`) == "" {
		t.Error("the access log does not say who got a token")
	}
	if strings.Contains(g.entries.String(), secretA) {
		t.Error("the access log has the secret")
	}
	if n := g.metric("gridway_token_requests_total", `outcome="issued"`, `issuer="default/auth"`); n != 6 {
		t.Errorf("%v tokens were counted", n)
	}
}

// TestTokenRefused has the errors of RFC 6749 §5.2, RFC 8707 §2, and what comes before.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	reports := clientDoc("reports", "{clientID: \"a b:c+d%e\", hash: "+secretHash("päss:word+%20-0123456789")+", scopes: [reports], audiences: [https://reports.example]}")
	g := serveYAML(t, documents(gatewayDoc, signingKey(t, "one"), tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes, clientA(), reports))
	const form = "application/x-www-form-urlencoded"
	const path = "/auth/oauth2/token"
	own := basicAuth("default.acme", secretA)
	inForm := "&client_id=default.acme&client_secret=" + secretA
	for _, c := range []struct {
		name, path, form string
		edits            []edit
		status           int
		reason, code     string
	}{
		{"a token", path, "grant_type=client_credentials&x=y&scope=", []edit{own}, 200, "", ""},
		{"by the form", path, "grant_type=client_credentials" + inForm, nil, 200, "", ""},
		{"a charset", path, "grant_type=client_credentials" + inForm, []edit{header("Content-Type", form+"; charset=UTF-8")}, 200, "", ""},
		{"another audience", path, "grant_type=client_credentials&resource=https%3A%2F%2Freports.example&audience=https://api.example", []edit{own}, 200, "", ""},
		{"odd characters", path, "grant_type=client_credentials", []edit{basicAuth("a b:c+d%e", "päss:word+%20-0123456789")}, 200, "", ""},
		{"the same client_id in both", path, "grant_type=client_credentials&client_id=default.acme", []edit{own}, 200, "", ""},
		{"some of the scopes", path, "grant_type=client_credentials&scope=reports+orders.write", []edit{own}, 200, "", ""},

		{"no grant", path, "scope=orders.read", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"another grant", path, "grant_type=password", []edit{own}, 400, "BadRequest", "unsupported_grant_type"},
		{"the grant twice", path, "grant_type=client_credentials&grant_type=client_credentials", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"no form", path, "grant_type=client_credentials%zz", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"not UTF-8", path, "grant_type=client_credentials&scope=%ff", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"JSON", path, `{"grant_type":"client_credentials"}`, []edit{own, header("Content-Type", "application/json")}, 400, "BadRequest", "invalid_request"},
		{"a coding", path, "grant_type=client_credentials", []edit{own, header("Content-Encoding", "gzip")}, 400, "BadRequest", "invalid_request"},
		{"in the query", path + "?client_id=x", "grant_type=client_credentials", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"nobody", path, "grant_type=client_credentials", nil, 401, "InvalidCredential", "invalid_client"},
		{"no secret", path, "grant_type=client_credentials&client_id=default.acme", nil, 401, "InvalidCredential", "invalid_client"},
		{"a wrong secret", path, "grant_type=client_credentials", []edit{basicAuth("default.acme", "x"+secretA)}, 401, "InvalidCredential", "invalid_client"},
		{"another's secret", path, "grant_type=client_credentials", []edit{basicAuth("a b:c+d%e", secretA)}, 401, "InvalidCredential", "invalid_client"},
		{"an unknown client", path, "grant_type=client_credentials", []edit{basicAuth("default.nobody", secretA)}, 401, "InvalidCredential", "invalid_client"},
		{"another scheme", path, "grant_type=client_credentials", []edit{header("Authorization", "Bearer x")}, 401, "InvalidCredential", "invalid_client"},
		{"no base64", path, "grant_type=client_credentials", []edit{header("Authorization", "Basic !")}, 401, "InvalidCredential", "invalid_client"},
		{"an assertion", path, "grant_type=client_credentials&client_assertion=x", nil, 401, "InvalidCredential", "invalid_client"},
		{"two ways", path, "grant_type=client_credentials" + inForm, []edit{own}, 400, "BadRequest", "invalid_request"},
		{"two clients", path, "grant_type=client_credentials&client_id=x", []edit{own}, 400, "BadRequest", "invalid_request"},
		{"an unknown scope", path, "grant_type=client_credentials&scope=orders.read+root", []edit{own}, 400, "BadRequest", "invalid_scope"},
		{"a scope that it may not have", path, "grant_type=client_credentials&scope=reports", []edit{own}, 400, "BadRequest", "invalid_scope"},
		{"an unknown audience", path, "grant_type=client_credentials&audience=https://x.example", []edit{own}, 400, "BadRequest", "invalid_target"},
		{"an audience that it may not have", path, "grant_type=client_credentials&audience=https://api.example", []edit{basicAuth("a b:c+d%e", "päss:word+%20-0123456789")}, 400, "BadRequest", "invalid_target"},
		{"too long", path, "grant_type=client_credentials&x=" + strings.Repeat("y", 16<<10), []edit{own}, 413, "BodyTooLarge", "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, a := askToken(t, g.client, "http://"+g.addr+c.path, c.form, c.edits...)
			if resp.StatusCode != c.status || a.Error != c.code || resp.Header.Get("X-Gridway-Reason") != c.reason || (a.Token == "") != (c.status != 200) {
				t.Errorf("%d %s %+v", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), a)
			}
			if resp.Header.Get("Cache-Control") != "no-store" || (resp.Header.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Error(resp.Header)
			}
		})
	}
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", path, 405, "POST"},
		{"POST", "/auth/oauth2/jwks", 405, "GET, HEAD"},
		{"HEAD", "/auth/oauth2/jwks", 200, ""},
		{"GET", "/auth", 404, ""},
		{"GET", "/auth/.well-known/openid-configuration", 404, ""},
	} {
		resp, _, err := g.do(g.request(c.method, c.path, nil))
		if err != nil || resp.StatusCode != c.status || resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %v, %v", c.method, c.path, resp.StatusCode, resp.Header, err)
		}
	}
	resp, _ := g.get("/auth/oauth2/jwks")
	if resp, _ := g.get("/auth/oauth2/jwks", header("If-None-Match", resp.Header.Get("ETag"))); resp.StatusCode != 304 {
		t.Error(resp.StatusCode)
	}
}

// Who guesses is told to wait, and keeps nobody else from asking.
func TestTokenGuessing(t *testing.T) {
	t.Parallel()
	other := clientDoc("other", "{hash: "+secretHash("other-secret-0123456789")+"}")
	g := serveYAML(t, documents(gatewayDoc, signingKey(t, "one"), tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes, clientA(), other))
	address := "http://" + g.addr + "/auth/oauth2/token"
	got := map[int]int{}
	for range 15 {
		resp, a := askToken(t, g.client, address, "grant_type=client_credentials", basicAuth("default.acme", "wrong"))
		got[resp.StatusCode]++
		if resp.StatusCode == 429 && (resp.Header.Get("Retry-After") == "" || a.Error != "temporarily_unavailable") {
			t.Error(resp.Header, a)
		}
	}
	if got[401] != 10 || got[429] != 5 {
		t.Error(got)
	}
	if resp, _ := askToken(t, g.client, address, "grant_type=client_credentials", basicAuth("default.acme", secretA)); resp.StatusCode != 429 {
		t.Error("the right secret tells who guesses that it is right")
	}
	if resp, _ := askToken(t, g.client, address, "grant_type=client_credentials", basicAuth("default.other", "other-secret-0123456789")); resp.StatusCode != 200 {
		t.Error("another client is kept out:", resp.StatusCode)
	}
}

// TestTokenRotation changes the key while clients get tokens and use them, here and at
// another gateway that fetches the keys.
func TestTokenRotation(t *testing.T) {
	t.Parallel()
	addr := headersSeen(t)
	keys := documents(signingKey(t, "one"), signingKey(t, "two"))
	config := func(names ...string) string {
		return documents(edge("", addr), keys, tokenIssuerDoc("http://localhost/auth", names...), issuerRoutes, clientA(), byTokens(""))
	}
	g := serveYAML(t, config("one"))
	g.metrics.SetTokenIssuers(g.proxy.TokenIssuerStates)
	far := serveYAML(t, documents(edge("", addr), authenticationDoc("tokens", "HTTPRoute", "app", fmt.Sprintf(`
anyOf:
- jwt:
    issuers:
    - issuer: http://localhost/auth
      audiences: [https://api.example]
      types: [at+jwt]
      keys: {url: "http://%s/auth/oauth2/jwks"}
`, g.addr))))
	address := "http://" + g.addr + "/auth/oauth2/token"
	round := func() (kid string) {
		resp, a := askToken(t, g.client, address, "grant_type=client_credentials", basicAuth("default.acme", secretA))
		if resp.StatusCode != 200 {
			t.Errorf("no token: %d %+v", resp.StatusCode, a)
			return ""
		}
		for _, at := range []*gateway{g, far} {
			resp, _, err := at.do(at.request("GET", "/orders", nil, bearer(a.Token)))
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("the token is not accepted: %v %v", resp, err)
			}
		}
		parsed, err := josejwt.ParseSigned(a.Token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Headers[0].KeyID
	}
	first := round()
	var seen sync.Map
	done := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				seen.Store(round(), true)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	g.apply(config("one", "two"))
	round()
	g.apply(config("two", "one"))
	last := round()
	close(done)
	load.Wait()
	if first == last {
		t.Error("the key is the same")
	}
	if n := g.metric("gridway_token_issuer_keys"); n != 2 {
		t.Errorf("%v keys are published", n)
	}
	g.apply(config("two"))
	if round() != last {
		t.Error("the key has changed again")
	}
}

// A Consumer that is gone, or has lost its secret, has no tokens any more.
func TestTokenOfTheGone(t *testing.T) {
	t.Parallel()
	docs := documents(edge("", headersSeen(t)), signingKey(t, "one"), tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes, byTokens("requiredClaims: [{claim: scope, values: [orders.read]}]"))
	g := serveYAML(t, documents(docs, clientA()))
	_, a := askToken(t, g.client, "http://"+g.addr+"/auth/oauth2/token", "grant_type=client_credentials", basicAuth("default.acme", secretA))
	resp, _ := g.get("/orders", bearer(a.Token))
	want(t, resp, 200, "")
	for _, now := range []string{
		"", clientDoc("acme", "{clientID: another, hash: "+secretHash(secretA)+"}"),
		strings.Replace(clientA(), "name: c0,", "name: c0, notAfter: \"2020-01-01T00:00:00Z\",", 1),
	} {
		list := []string{docs}
		if now != "" {
			list = append(list, now)
		}
		g.apply(documents(list...))
		resp, _ := g.get("/orders", bearer(a.Token))
		want(t, resp, 401, "InvalidCredential")
	}
	// Another secret with the same client ID is as good.
	g.apply(documents(docs, clientDoc("acme", "{hash: "+secretHash("another-secret-0123456789")+"}")))
	resp, _ = g.get("/orders", bearer(a.Token))
	want(t, resp, 200, "")
}

// What clients cannot reach, or should not, is said.
func TestTokenIssuerChecked(t *testing.T) {
	t.Parallel()
	codes := func(docs ...string) (out []string) {
		g := serveYAML(t, gatewayDoc)
		for _, p := range g.applyAnyway(documents(append([]string{gatewayDoc}, docs...)...)) {
			if p.Object.Kind == "TokenIssuer" {
				out = append(out, p.Code)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	key := signingKey(t, "one")
	for _, c := range []struct {
		name string
		docs []string
		want string
	}{
		{"nothing serves it", []string{key, tokenIssuerDoc("https://a.example/auth", "one")}, "IssuerUnserved"},
		{"another path", []string{key, tokenIssuerDoc("https://a.example/other", "one"), issuerRoutes}, "IssuerUnprotected IssuerUnreached"},
		{"no key", []string{tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes}, "InvalidReference"},
		{"guarded", []string{key, tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes, authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]")}, "IssuerGuarded"},
		{"all well", []string{key, tokenIssuerDoc("http://localhost/auth", "one"), issuerRoutes}, ""},
	} {
		if got := strings.Join(codes(c.docs...), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
