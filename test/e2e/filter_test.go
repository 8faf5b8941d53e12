package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// mirror is a server that remembers the bodies it gets.
type mirrorServer struct {
	*server
	mu     sync.Mutex
	bodies map[string]int // guarded by mu
}

func startMirror(t *testing.T) *mirrorServer {
	m := &mirrorServer{bodies: map[string]int{}}
	m.server = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = append(body, " (cut)"...)
		}
		m.mu.Lock()
		m.bodies[r.Method+" "+r.URL.Path+" "+string(body)]++
		m.mu.Unlock()
	})
	return m
}

func (m *mirrorServer) got(what string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bodies[what]
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	all, some, none := startMirror(t), startMirror(t), startMirror(t)
	hung := startPeer(t, hangs)
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), backendDoc("all", all.addr), backendDoc("some", some.addr),
		backendDoc("none", none.addr), backendDoc("hung", hung.addr), backendDoc("refused", refused(t)),
		ruleDoc(`
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
  filters:
  - {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: all}}}
  - {type: RequestMirror, requestMirror: {percent: 30, backendRef: {group: gridway.dev, kind: Backend, name: some}}}
  - {type: RequestMirror, requestMirror: {percent: 0, backendRef: {group: gridway.dev, kind: Backend, name: none}}}
  - {type: RequestMirror, requestMirror: {fraction: {numerator: 1, denominator: 50}, backendRef: {group: gridway.dev, kind: Backend, name: hung}}}
  - {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: refused}}}
`)))
	const n = 300
	long := strings.Repeat("0123456789abcdef", 10_000)
	within(t, 0, 2*patience, func() {
		g.parallel(n, 8, func(i int) {
			var body io.Reader = strings.NewReader("small")
			sent := "small"
			if i%3 == 0 {
				sent, body = long, io.MultiReader(strings.NewReader(long))
			}
			resp, got, err := g.do(g.request("POST", "/x", body))
			if err != nil || resp.StatusCode != 200 || got != sent {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	})
	eventually(t, "every request was copied, with its body", func() bool {
		return all.got("POST /x small") == n*2/3 && all.got("POST /x "+long) == n/3
	})
	share(t, "copied", int(some.requests.Load()), n, .3)
	if none.requests.Load() != 0 {
		t.Error("0 percent were copied")
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	app := named(t, "app")
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), ruleDoc(`
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
  filters:
  - type: CORS
    cors:
      allowOrigins: ["https://app.example", "https://*.dev.example"]
      allowMethods: [GET, PUT]
      allowHeaders: [X-Token]
      exposeHeaders: [X-Sum]
      allowCredentials: true
      maxAge: 600
`)))
	preflight := func(origin string) *http.Response {
		resp, _, err := g.do(g.request("OPTIONS", "/", nil, header("Origin", origin),
			header("Access-Control-Request-Method", "PUT"), header("Access-Control-Request-Headers", "x-token")))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := preflight("https://app.example")
	h := resp.Header
	if resp.StatusCode/100 != 2 || h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Credentials") != "true" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") || !strings.EqualFold(h.Get("Access-Control-Allow-Headers"), "X-Token") || h.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight: %d %v", resp.StatusCode, h)
	}
	if app.requests.Load() != 0 {
		t.Error("a preflight reached the endpoint")
	}
	for origin, allowed := range map[string]bool{"https://x.dev.example": true, "https://evil.example": false, "https://app.example.evil": false, "http://app.example": false, "null": false} {
		if got := preflight(origin).Header.Get("Access-Control-Allow-Origin"); (got != "") != allowed {
			t.Errorf("preflight from %s: allowed %q", origin, got)
		}
		resp, body := g.get("/", header("Origin", origin))
		if got := resp.Header.Get("Access-Control-Allow-Origin"); body != "app" || (got == origin) != allowed || !allowed && got != "" {
			t.Errorf("request from %s: allowed %q", origin, got)
		}
	}
}

// echo answers with the request line, the host and the headers that begin with X-.
func echo(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s host=%s", r.Method, r.URL.RequestURI(), r.Host)
	for _, name := range []string{"X-Add", "X-Set", "X-Gone", "X-Backend"} {
		if v := r.Header.Values(name); v != nil {
			fmt.Fprintf(w, " %s=%s", name, strings.Join(v, ","))
		}
	}
	w.Header()["X-Resp"] = []string{"from endpoint"}
}

func TestHeaderModifiersRewritesAndRedirects(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Resp-Gone", "secret")
		w.Header().Set("X-Resp-Set", "old")
		echo(w, r)
	})
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), ruleDoc(`
- matches: [{path: {value: /headers}}]
  filters:
  - type: RequestHeaderModifier
    requestHeaderModifier: {add: [{name: X-Add, value: more}], set: [{name: X-Set, value: new}], remove: [X-Gone]}
  - type: ResponseHeaderModifier
    responseHeaderModifier: {add: [{name: X-Resp-Add, value: yes}], set: [{name: X-Resp-Set, value: new}], remove: [X-Resp-Gone]}
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- matches: [{path: {value: /old}}]
  filters:
  - type: URLRewrite
    urlRewrite: {hostname: new.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- matches: [{path: {value: /full}}]
  filters:
  - type: URLRewrite
    urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /one}}
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- matches: [{path: {value: /moved}}]
  filters:
  - type: RequestRedirect
    requestRedirect: {scheme: https, hostname: www.example, port: 8443, statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /there}}
- matches: [{path: {value: /by-backend}}]
  backendRefs:
  - group: gridway.dev
    kind: Backend
    name: app
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: X-Backend, value: app}]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: X-Resp-Set, value: by backend}]}
`)))
	resp, body := g.get("/headers", header("X-Add", "first"), header("X-Set", "old"), header("X-Gone", "secret"), host("a.example"))
	if !strings.HasPrefix(body, "GET /headers host=a.example") || !strings.Contains(body, "first,more") || !strings.Contains(body, "X-Set=new") || strings.Contains(body, "X-Gone") {
		t.Errorf("endpoint saw %s", body)
	}
	if h := resp.Header; h.Get("X-Resp-Add") != "yes" || h.Get("X-Resp-Set") != "new" || h.Get("X-Resp-Gone") != "" {
		t.Errorf("client saw %v", h)
	}
	if _, body := g.get("/old/a%20b?q=1"); body != "GET /new/a%20b?q=1 host=new.example" {
		t.Errorf("prefix: %s", body)
	}
	if _, body := g.get("/full/x?q=1", host("a.example")); body != "GET /one?q=1 host=a.example" {
		t.Errorf("full path: %s", body)
	}
	resp, _ = g.get("/moved/a?q=1")
	if got := resp.Header.Get("Location"); resp.StatusCode != 301 || got != "https://www.example:8443/there/a?q=1" {
		t.Errorf("redirect: %d %s", resp.StatusCode, got)
	}
	resp, body = g.get("/by-backend")
	if !strings.Contains(body, "X-Backend=app") || resp.Header.Get("X-Resp-Set") != "by backend" {
		t.Errorf("filters of the backend ref: %s %v", body, resp.Header)
	}
}

// forwarded answers with what the endpoint learns of the client.
func forwarded(w http.ResponseWriter, r *http.Request) {
	h := r.Header
	fmt.Fprintf(w, "for=%s proto=%s host=%s std=%s", strings.Join(h.Values("X-Forwarded-For"), "|"), h.Get("X-Forwarded-Proto"), h.Get("X-Forwarded-Host"), h.Get("Forwarded"))
}

func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	app := serve(t, forwarded)
	for _, c := range []struct{ name, policy, sent, want string }{
		{"untrusted", "", "1.2.3.4", "for=127.0.0.1 proto=http host=a.example std="},
		{"one hop", "client: {forwarded: {trustedHops: 1}}", "1.2.3.4", "for=1.2.3.4, 127.0.0.1 proto=https host=orig.example std="},
		{"trusted proxy", "client: {forwarded: {trustedProxies: [127.0.0.0/8]}}", "1.2.3.4", "for=1.2.3.4, 127.0.0.1 proto=https host=orig.example std="},
		{"other proxy", "client: {forwarded: {trustedProxies: [10.0.0.0/8]}}", "1.2.3.4", "for=127.0.0.1 proto=http host=a.example std="},
		{"standard", "client: {forwarded: {xForwarded: false, forwarded: true}}", "1.2.3.4", `std=for=127.0.0.1;host="a.example";proto=http`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := serveYAML(t, edgeWith(c.policy, "", []string{app.addr}))
			_, body := g.get("/", host("a.example"), header("X-Forwarded-For", c.sent),
				header("X-Forwarded-Proto", "https"), header("X-Forwarded-Host", "orig.example"))
			if !strings.HasSuffix(body, c.want) {
				t.Errorf("endpoint saw %s\nwant %s", body, c.want)
			}
		})
	}
}

// The client's address that counts is the one that the trusted hops vouch for.
func TestTrustedHopsInTheAccessLog(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edgeWith("client: {forwarded: {trustedHops: 2}}", "", []string{named(t, "ok").addr}))
	g.get("/", header("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.1"))
	g.logged(`"client":"1.2.3.4"`)
}

func TestViaAndRequestID(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("Via"), r.Header.Get("X-Id"))
	})
	g := serveYAML(t, edgeWith("client: {via: edge1, requestID: {header: X-Id, keep: true}}", "", []string{app.addr}))
	_, body := g.get("/", header("X-Id", "from-client"), header("Via", "1.1 before"))
	if body != "1.1 before, 1.1 edge1 from-client" {
		t.Errorf("%s", body)
	}
}
