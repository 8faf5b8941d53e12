package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

const callsDoc = `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}%s]
  rules:
  - {name: all, backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}
`

// callsApp answers every call of gRPC with the headers that policies add.
func callsApp(t *testing.T) string {
	return h2cBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("X-Seen", r.Header.Get("X-Consumer"))
	})
}

// call sends a call of gRPC. What Gridway answers itself is trailers alone: never a
// body, and never another status of HTTP than 200.
func (g *gateway) call(client *http.Client, url string, edits ...edit) (status, reason string, resp *http.Response) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), "POST", url+shopMethod, bytes.NewReader(make([]byte, 5)))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	for _, f := range edits {
		f(r)
	}
	resp, err = client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) > 0 || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/grpc" || len(resp.Trailer) > 0 {
		g.t.Errorf("%d %v, trailers %v, body %q, %v", resp.StatusCode, resp.Header, resp.Trailer, body, err)
	}
	return resp.Header.Get("Grpc-Status"), resp.Header.Get("X-Gridway-Reason"), resp
}

// Whatever a policy of a caller is attached to, calls that it refuses end with its status.
func TestPoliciesOfCalls(t *testing.T) {
	t.Parallel()
	app := callsApp(t)
	section := func(doc, name string) string { return strings.Replace(doc, "}]\n", ", sectionName: "+name+"}]\n", 1) }
	for _, target := range []struct{ kind, name, section string }{
		{"Gateway", "edge", ""}, {"Gateway", "edge", "http"}, {"ListenerSet", "more", ""}, {"ListenerSet", "more", "own"}, {"GRPCRoute", "calls", ""}, {"GRPCRoute", "calls", "all"},
	} {
		for _, p := range []struct {
			doc            func(name, kind, target, spec string) string
			spec           string
			status, reason string
		}{
			{authenticationDoc, "anyOf: [{apiKey: {}}]", "16", "Unauthenticated"},
			{authorizationDoc, "action: Deny\nrules: [{name: all, methods: [POST]}]", "7", "AccessDenied"},
			{rateLimitDoc, "limits: [{name: one, rate: 1/h}]", "8", "RateLimited"},
			{shieldDoc, "userAgents: {deny: [{values: [Go-http-client]}]}", "7", "UserAgentDenied"},
		} {
			doc := p.doc("p", target.kind, target.name, p.spec)
			if target.section != "" {
				doc = section(doc, target.section)
			}
			// What is attached to a ListenerSet is about its listener alone: here the port of
			// the ListenerSet is the first one.
			parents, sets := "", ""
			if target.kind == "ListenerSet" {
				parents = ", {kind: ListenerSet, name: more}"
				sets = `apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec:
  parentRef: {name: edge}
  listeners: [{name: own, port: 8081, protocol: HTTP}]
`
			}
			gateway := strings.Replace(gatewayDoc, "gatewayClassName: gridway\n", "gatewayClassName: gridway\n  allowedListeners: {namespaces: {from: Same}}\n", 1)
			g := serveYAML(t, documents(gateway, sets, fmt.Sprintf(callsDoc, parents), app, doc))
			own, other := g.addr, ""
			for name, open := range g.proxy.Listening() {
				if target.kind == "ListenerSet" && strings.Contains(name, "8081") {
					other, own = own, fmt.Sprintf("127.0.0.1:%d", open.Port())
				}
			}
			client := overHTTP2(t, nil)
			var status, reason string
			for range 2 { // the first one of a limit is free
				status, reason, _ = g.call(client, "http://"+own)
			}
			if status != p.status || reason != p.reason {
				t.Errorf("%s %s on %v: status %s, %s", p.reason, p.spec, target, status, reason)
			}
			if other != "" {
				if status, reason, _ = g.call(client, "http://"+other); status != "0" {
					t.Errorf("%s on %v: the other listener answers %s, %s", p.reason, target, status, reason)
				}
			}
		}
	}
}

// Calls without a credential, and with a wrong one, get UNAUTHENTICATED by each
// method, over HTTP/2 and HTTP/3.
func TestMethodsOfCalls(t *testing.T) {
	t.Parallel()
	idp, tokens, provider := newIssuer(t), newIntrospector(t), newProvider(t)
	method := func(yaml string) string {
		return authenticationDoc("p", "Gateway", "edge", "anyOf: ["+yaml+"]")
	}
	for _, c := range []struct {
		name  string
		docs  []string
		wrong []edit
	}{
		{"apiKey", []string{method("{apiKey: {}}")}, []edit{header("X-API-Key", keyB)}},
		{"basic", []string{method("{basic: {}}")}, []edit{func(r *http.Request) { r.SetBasicAuth("ada", "wrong") }}},
		{"jwt", []string{idp.policy("")}, []edit{bearer("a.b.c"), bearer("x")}},
		{"hmac", []string{method("{hmac: {}}"), signer("signer")}, []edit{
			header("Signature", "a=:AAAA:"), signed{keyid: "nobody", secret: signingSecret, created: time.Now()}.edit,
		}},
		{"oauth2Introspection", []string{tokens.docs("", "")}, []edit{bearer("unknown")}},
		{"oidc", []string{provider.policy("")}, nil},
		{"clientCertificate", []string{method("{clientCertificate: {}}")}, nil},
	} {
		docs := append([]string{fmt.Sprintf(callsDoc, ""), callsApp(t)}, c.docs...)
		g := http3Edge(t, "http3: {}", docs...)
		config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
		for version, client := range map[string]*http.Client{"2": overHTTP2(t, config), "3": overHTTP3(t, "a.example")} {
			status, reason, resp := g.call(client, "https://"+g.addr, host("a.example"))
			if status != "16" || reason != "Unauthenticated" || resp.Header.Get("Location") != "" {
				t.Errorf("HTTP/%s: %s: status %s, %v", version, c.name, status, resp.Header)
			}
			for _, wrong := range c.wrong {
				if status, reason, _ = g.call(client, "https://"+g.addr, host("a.example"), wrong); status != "16" || reason != "InvalidCredential" {
					t.Errorf("HTTP/%s: %s: status %s, %s of a wrong credential", version, c.name, status, reason)
				}
			}
		}
	}
}

// A call can be signed, but for its body, which nobody knows when it begins.
func TestSignedCalls(t *testing.T) {
	t.Parallel()
	g := http3Edge(t, "http3: {}", fmt.Sprintf(callsDoc, ""), callsApp(t), signer("acme"),
		authenticationDoc("p", "Gateway", "edge", "anyOf: [{hmac: {requiredComponents: [\"@method\", \"@authority\", \"@path\"]}}]\nrequestHeaders: [{name: X-Consumer, value: Consumer}]"))
	for version, client := range map[string]*http.Client{"2": overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), "3": overHTTP3(t, "a.example")} {
		once := signed{keyid: "acme", secret: signingSecret, created: time.Now(), nonce: version}
		status, _, resp := g.call(client, "https://"+g.addr, host("a.example"), once.edit)
		if status != "0" || resp.Header.Get("X-Seen") != "acme" {
			t.Errorf("HTTP/%s: status %s, %v", version, status, resp.Header)
		}
		if status, reason, _ := g.call(client, "https://"+g.addr, host("a.example"), once.edit); status != "16" || reason != "InvalidCredential" {
			t.Errorf("HTTP/%s: again: status %s, %s", version, status, reason)
		}
	}
}

// A WebSocket is opened by who has a credential, in every version of HTTP.
func TestAuthenticationOfWebSockets(t *testing.T) {
	t.Parallel()
	for _, version := range wsClients {
		app := serveWS(t, func(*socket, ws.OpCode, []byte) error { return nil })
		g := serveYAML(t, documents(wsConfig(t, version, "http", app.addr, ""), keyed("acme", "", "k", keyA),
			authenticationDoc("keys", "Gateway", "edge", "anyOf: [{apiKey: {from: [{query: key}]}}]")))
		open := g.wsOpener(version)
		for path, reason := range map[string]string{"/none": "Unauthenticated", "/wrong?key=" + keyB: "InvalidCredential"} {
			if _, err := open(path); err == nil {
				t.Errorf("%s: %s was opened", version, path)
			}
			path, _, _ = strings.Cut(path, "?")
			g.logged(`"path":"`+path+`"`, `"status":401`, `"reason":"`+reason+`"`)
		}
		// The connection goes on to carry others.
		s, err := open("/right?key=" + keyA)
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		s.reset()
		g.logged(`"path":"/right"`, `"consumer":"default/acme"`)
	}
}
