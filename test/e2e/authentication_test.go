package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/password"
)

// keyed is a Consumer whose credentials, by name, are these keys.
func keyed(name, more string, keys ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: %s}\nspec:\n%s  credentials:\n", name, indent(2, more))
	for i := 0; i < len(keys); i += 2 {
		fmt.Fprintf(&b, "  - {name: %s, apiKey: {hash: \"sha256:%x\"}}\n", keys[i], sha256.Sum256([]byte(keys[i+1])))
	}
	return b.String()
}

func authenticationDoc(name, kind, target, spec string) string {
	return strings.Replace(policyDoc(name, kind, target, spec), "kind: TrafficPolicy", "kind: AuthenticationPolicy", 1)
}

// headersSeen answers with the headers that it got, without those of every request.
func headersSeen(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Api-Key", "Authorization", "Cookie", "X-Consumer", "X-Groups"} {
			if v := r.Header.Get(name); v != "" {
				fmt.Fprintf(w, "%s: %s\n", name, v)
			}
		}
		if r.URL.RawQuery != "" {
			fmt.Fprintf(w, "?%s\n", r.URL.RawQuery)
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const (
	keyA = "acme-key-0123456789abcdef"
	keyB = "acme-key-fedcba9876543210"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	addr := headersSeen(t)
	yaml := func(more ...string) string {
		return documents(append([]string{
			edge("", addr),
			authenticationDoc("keys", "Gateway", "edge", `
anyOf: [{apiKey: {from: [{header: X-API-Key}, {query: api_key}, {cookie: key}]}}]
requestHeaders: [{name: X-Consumer, value: Consumer}, {name: X-Groups, value: ConsumerGroups}]`),
		}, more...)...)
	}
	g := serveYAML(t, yaml(keyed("acme", "groups: [partners, eu]\nplan: gold", "first", keyA)))
	resp, body := g.get("/none")
	want(t, resp, 401, "Unauthenticated")
	if got := resp.Header.Get("WWW-Authenticate"); got != `ApiKey realm="gridway"` || !strings.Contains(body, `"reason":"Unauthenticated"`) {
		t.Errorf("%q, %s", got, body)
	}
	g.logged(`"path":"/none"`, `"status":401`, `"reason":"Unauthenticated"`, `"policy":"default/keys"`)

	resp, _ = g.get("/wrong", header("X-API-Key", keyB))
	want(t, resp, 401, "InvalidCredential")

	const told = "X-Consumer: acme\nX-Groups: partners,eu\n"
	resp, body = g.get("/right?a=b", header("X-API-Key", keyA), header("X-Consumer", "root"))
	want(t, resp, 200, "")
	if body != told+"?a=b\n" {
		t.Errorf("the endpoint saw %q", body)
	}
	if line := g.logged(`"path":"/right"`, `"consumer":"default/acme"`, `"credential":"first"`, `"auth_method":"apiKey"`); strings.Contains(line, `"policy"`) || strings.Contains(line, keyA) {
		t.Error(line)
	}
	if _, body = g.get("/query?api_key=" + keyA); body != told {
		t.Errorf("the endpoint saw %q", body)
	}
	if _, body = g.get("/cookie", header("Cookie", "a=b; key="+keyA)); body != "Cookie: a=b\n"+told {
		t.Errorf("the endpoint saw %q", body)
	}
	for decision, n := range map[string]float64{"allowed": 3, "denied": 1, "unidentified": 1} {
		if got := g.metric("gridway_policy_decisions_total", `policy="AuthenticationPolicy/default/keys"`, `decision="`+decision+`"`); got != n {
			t.Errorf("%v decisions %s, want %v", got, decision, n)
		}
	}

	// Another key takes over, and nothing but the consumers changes.
	before := g.proxy.Snapshot().Config.Routes
	g.apply(yaml(keyed("acme", "", "first", keyA, "second", keyB)))
	for _, k := range []string{keyA, keyB} {
		resp, _ = g.get("/", header("X-API-Key", k))
		want(t, resp, 200, "")
	}
	g.apply(yaml(keyed("acme", "", "second", keyB)))
	resp, _ = g.get("/", header("X-API-Key", keyA))
	want(t, resp, 401, "InvalidCredential")
	resp, _ = g.get("/", header("X-API-Key", keyB))
	want(t, resp, 200, "")
	if after := g.proxy.Snapshot().Config.Routes; before[0] != after[0] {
		t.Error("the route was compiled anew")
	}
	list := g.proxy.Consumers().All()
	if len(list) != 1 || g.proxy.Consumers().LastUsed(list[0], &list[0].Credentials[0]).IsZero() {
		t.Error("the use of the key was not noted")
	}
}

// Passwords are looked at beside the event loops, and a flood of guesses leaves
// through who has logged in before.
func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, documents(
		edge("", headersSeen(t)),
		authenticationDoc("users", "Gateway", "edge", "realm: shop\nanyOf: [{basic: {}}]\nrequestHeaders: [{name: X-Consumer, value: Consumer}]"),
		fmt.Sprintf("apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: ali}\nspec: {credentials: [{name: pw, basic: {hash: %q}}]}\n", password.Make([]byte("open sesame"))),
	))
	as := func(name, secret string) edit { return func(r *http.Request) { r.SetBasicAuth(name, secret) } }
	resp, _ := g.get("/")
	want(t, resp, 401, "Unauthenticated")
	if got := resp.Header.Get("WWW-Authenticate"); got != `Basic realm="shop", charset="UTF-8"` {
		t.Error(got)
	}
	resp, body := g.get("/", as("ali", "open sesame"))
	want(t, resp, 200, "")
	if body != "X-Consumer: ali\n" {
		t.Errorf("the endpoint saw %q", body)
	}
	g.logged(`"consumer":"default/ali"`, `"credential":"pw"`, `"auth_method":"basic"`)
	for _, wrong := range []edit{as("ali", "open barley"), as("cassim", "open sesame")} {
		resp, _ = g.get("/", wrong)
		want(t, resp, 401, "InvalidCredential")
	}
	guesses := make(chan map[string]int)
	go func() { guesses <- g.tally(100, 60, "/", as("ali", "a guess")) }()
	if got := g.tally(100, 4, "/", as("ali", "open sesame")); got["X-Consumer: ali\n"] != 100 {
		t.Errorf("who is known already: %v", got)
	}
	if got := <-guesses; got["401 InvalidCredential"]+got["503 AuthenticationOverload"] != 100 || got["401 InvalidCredential"] == 0 {
		t.Errorf("guesses: %v", got)
	}
}

// The most specific policy holds as a whole.
func TestAuthenticationPolicyOfARoute(t *testing.T) {
	t.Parallel()
	addr := headersSeen(t)
	g := serveYAML(t, documents(
		gatewayDoc, ruleDoc(`
- {name: open, matches: [{path: {value: /open}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
- {name: either, matches: [{path: {value: /either}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
- {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`), backendDoc("app", addr),
		authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]"),
		strings.Replace(authenticationDoc("open", "HTTPRoute", "app", "mode: Anonymous"), "name: app}]", "name: app, sectionName: open}]", 1),
		strings.Replace(authenticationDoc("either", "HTTPRoute", "app", "mode: Optional\nanyOf: [{apiKey: {}}]"), "name: app}]", "name: app, sectionName: either}]", 1),
		keyed("acme", "", "k", keyA),
	))
	for _, c := range []struct {
		path, key string
		status    int
		reason    string
	}{
		{"/", "", 401, "Unauthenticated"},
		{"/", keyA, 200, ""},
		{"/open", "", 200, ""},
		{"/open", "nonsense", 200, ""},
		{"/either", "", 200, ""},
		{"/either", keyA, 200, ""},
		{"/either", keyB, 401, "InvalidCredential"},
	} {
		edits := []edit{}
		if c.key != "" {
			edits = append(edits, header("X-API-Key", c.key))
		}
		resp, _ := g.get(c.path, edits...)
		if resp.StatusCode != c.status || resp.Header.Get("X-Gridway-Reason") != c.reason {
			t.Errorf("%s with %q: %d %s, want %d %s", c.path, c.key, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), c.status, c.reason)
		}
	}
}

// Browsers send no credentials with a preflight.
func TestPreflightNeedsNoCredential(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, documents(
		gatewayDoc, ruleDoc(`
- filters: [{type: CORS, cors: {allowOrigins: ["https://a.example"], allowHeaders: [X-API-Key]}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), backendDoc("app", headersSeen(t)),
		authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {}}]"), keyed("acme", "", "k", keyA),
	))
	resp, _, err := g.do(g.request("OPTIONS", "/", nil, header("Origin", "https://a.example"), header("Access-Control-Request-Method", "GET")))
	if err != nil {
		t.Fatal(err)
	}
	want(t, resp, 204, "")
	resp, _ = g.get("/", header("Origin", "https://a.example"))
	want(t, resp, 401, "Unauthenticated")
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "https://a.example" {
		t.Errorf("the page cannot read the refusal: %q", got)
	}
}

// A policy that turns invalid goes on as it was; one that never was valid lets
// nobody through.
func TestInvalidAuthenticationPolicyStaysClosed(t *testing.T) {
	t.Parallel()
	addr := headersSeen(t)
	yaml := func(header string) string {
		return documents(edge("", addr), authenticationDoc("keys", "HTTPRoute", "app", "anyOf: [{apiKey: {from: [{header: "+header+"}]}}]"), keyed("acme", "", "k", keyA))
	}
	g := serveYAML(t, yaml("X-Good"))
	g.applyAnyway(yaml("Cookie"))
	resp, _ := g.get("/", header("X-Good", keyA))
	want(t, resp, 200, "")
	resp, _ = g.get("/")
	want(t, resp, 401, "Unauthenticated")

	g = serveYAML(t, edge("", addr))
	resp, _ = g.get("/")
	want(t, resp, 200, "")
	g.applyAnyway(yaml("Cookie"))
	resp, _ = g.get("/", header("X-Good", keyA))
	want(t, resp, 503, "IdentityUnavailable")
	g.logged(`"reason":"IdentityUnavailable"`, `"policy":"default/keys"`)
}

// A policy that cannot even be read closes what it is about, when it comes to a
// gateway that serves; it takes nothing away from others, and one that had a good
// version goes on with that.
func TestUnreadablePolicyCloses(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	addr := headersSeen(t)
	base := documents(
		fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec:\n  gatewayClassName: gridway\n  listeners: [{name: http, port: %d, protocol: HTTP}]\n", port),
		ruleDoc(`
- {name: private, matches: [{path: {value: /private}}], backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
- {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`), backendDoc("app", addr), keyed("acme", "", "k", keyA))
	p := start(t, base)
	status := func(path string, edits ...edit) string {
		req, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range edits {
			f(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
	}
	check := func(path, want string, edits ...edit) {
		t.Helper()
		if got := status(path, edits...); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	const closed, open = "503 IdentityUnavailable", "200 "
	rule := func(spec string) string {
		return strings.Replace(authenticationDoc("keys", "HTTPRoute", "app", spec), "name: app}]", "name: app, sectionName: private}]", 1)
	}
	check("/private", open)
	p.reload(documents(base, rule("anyOf: [{apiKey: {}}]\nunknown: 1")))
	check("/private", closed)
	check("/private", closed, header("X-API-Key", keyA))
	check("/", open)
	p.said("unknown", "until then nothing gets through")

	// Another mistake, in the name of the rule: all of the route is meant.
	p.reload(documents(base, strings.Replace(rule("anyOf: 7"), "private", "privat", 1)))
	check("/", closed)
	if got := p.admin("/v1/objects/AuthenticationPolicy/default/keys"); !strings.Contains(got, "keys") {
		t.Error(got)
	}

	p.reload(documents(base, rule("anyOf: [{apiKey: {}}]")))
	check("/", open)
	check("/private", "401 Unauthenticated")
	check("/private", open, header("X-API-Key", keyA))

	// Now there is a good version.
	p.write(documents(base, rule("anyOf: [{apiKey: {}}]\nunknown: 2")))
	p.said("unknown field", "its last good version stays in use")
	check("/private", open, header("X-API-Key", keyA))
	check("/", open)
	p.reload(base)
	check("/private", open)
}
