package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func authorizationDoc(name, kind, target, spec string) string {
	return strings.Replace(policyDoc(name, kind, target, spec), "kind: TrafficPolicy", "kind: AuthorizationPolicy", 1)
}

// All policies that reach a request count, over every version of HTTP; what they
// decide is in the log and in the metrics.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", saysOK(t)),
		authenticationDoc("keys", "Gateway", "edge", "mode: Optional\nanyOf: [{apiKey: {}}]"),
		keyed("acme", "groups: [partners]", "k", keyA), keyed("other", "", "k", keyB),
		authorizationDoc("who", "Gateway", "edge", `
action: Allow
rules:
- {name: partners, groups: [partners]}
- {name: public, paths: [{value: /public}], methods: [GET, HEAD]}`),
		authorizationDoc("never", "HTTPRoute", "app", "action: Deny\nrules: [{name: deletes, methods: [DELETE]}, {name: away, not: {clientIPs: [127.0.0.0/8]}}]"),
		authorizationDoc("watch", "HTTPRoute", "app", "action: Audit\nrules: [{name: public, paths: [{value: /public}]}]"),
		authorizationDoc("plan", "HTTPRoute", "app", "action: Deny\ndryRun: true\nrules: [{name: strangers, not: {consumers: [\"*\"]}}]"),
	)
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 4 * patience}
	t.Cleanup(first.CloseIdleConnections)
	for version, client := range map[string]*http.Client{"1.1": first, "2": overHTTP2(t, config.Clone()), "3": overHTTP3(t, "a.example")} {
		ask := func(method, path string, edits ...edit) *http.Response {
			t.Helper()
			req := g.request(method, path, nil, append(edits, host("a.example"))...)
			req.URL.Scheme, req.URL.Host = "https", g.addr
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("HTTP/%s: %s %s: %v", version, method, path, err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Fatal(err)
			}
			return resp
		}
		at := "/v" + strings.TrimSuffix(version, ".1")
		want(t, ask("GET", at+"/a", header("X-API-Key", keyA)), 200, "")
		want(t, ask("GET", at+"/b", header("X-API-Key", keyB)), 403, "AccessDenied")
		g.logged(`"path":"`+at+`/b"`, `"reason":"AccessDenied"`, `"policy":"default/who"`, `"consumer":"default/other"`)
		unknown := ask("GET", at+"/c")
		want(t, unknown, 401, "Unauthenticated")
		if got := unknown.Header.Get("WWW-Authenticate"); got != `ApiKey realm="gridway"` {
			t.Errorf("HTTP/%s: %q", version, got)
		}
		want(t, ask("DELETE", at+"/d", header("X-API-Key", keyA)), 403, "AccessDenied")
		g.logged(`"path":"`+at+`/d"`, `"policy":"default/never"`, `"policy_rule":"deletes"`)
		want(t, ask("GET", "/public"+at), 200, "")
		g.logged(`"path":"/public`+at+`"`, `"audited":"default/watch/public"`, `"would_deny":"default/plan/strangers"`)
		want(t, ask("POST", "/public"+at), 401, "Unauthenticated")
	}
	for name, n := range map[string]float64{
		"who allowed": 6, "who denied": 9, "never allowed": 15, "never denied": 3, "watch audited": 6, "plan would_deny": 9, "plan allowed": 9,
	} {
		policy, decision, _ := strings.Cut(name, " ")
		if got := g.metric("gridway_policy_decisions_total", `policy="AuthorizationPolicy/default/`+policy+`"`, `decision="`+decision+`"`); got != n {
			t.Errorf("%s: %v, want %v", name, got, n)
		}
	}
}

// Calls of gRPC are known by their methods, in whatever protocol they come: what is
// denied as a method cannot be had as JSON.
func TestAuthorizationOfCalls(t *testing.T) {
	t.Parallel()
	app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
	})
	descriptors, err := os.ReadFile("../../examples/transcoding/shop.binpb")
	if err != nil {
		t.Fatal(err)
	}
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), backendDoc("app", app.addr)+"  protocol: h2c\n", fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: descriptors}
binaryData: {descriptors.binpb: %s}
`, base64.StdEncoding.EncodeToString(descriptors)),
		policyDoc("app", "HTTPRoute", "app", "bridge: {}\ntranscoding: {descriptorSet: {name: descriptors}}"),
		authorizationDoc("shop", "HTTPRoute", "app", "action: Deny\nrules: [{name: shop, grpcMethods: [{service: shop.v1.Shop}]}]")))
	clients := map[bool]*http.Client{false: g.client, true: overHTTP2(t, nil)}
	for _, s := range speakers {
		method, path := s.method, s.path
		if method == "" {
			method = "POST"
		}
		if path == "" {
			path = shopMethod
		}
		r := g.request(method, path, bytes.NewReader([]byte(s.body)))
		for _, f := range s.fields {
			r.Header.Set(f[0], f[1])
		}
		resp, err := clients[s.http2].Do(r)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		code, err := s.code(resp, body)
		if reason := resp.Header.Get("X-Gridway-Reason"); err != nil || code != "7" || reason != "AccessDenied" {
			t.Errorf("%s: status %s, reason %s, %v", s.name, code, reason, err)
		}
	}
}

// WebSockets are refused before they open.
func TestAuthorizationOfWebSockets(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2", "h3"} {
		app := serveWS(t, func(*socket, ws.OpCode, []byte) error { return nil })
		g := serveYAML(t, wsConfig(t, version, "http", app.addr, "")+"---\n"+
			authorizationDoc("closed", "Gateway", "edge", "action: Deny\nrules: [{name: closed, methods: [GET], paths: [{value: /closed}]}]"))
		if s, err := g.openWS(version, "/open"); err != nil {
			t.Errorf("%s: %v", version, err)
		} else {
			s.reset()
		}
		if _, err := g.openWS(version, "/closed"); err == nil {
			t.Errorf("%s: a WebSocket that is denied was opened", version)
		}
		g.logged(`"path":"/closed"`, `"status":403`, `"policy_rule":"closed"`)
	}
}

// A policy that never was good lets nothing through, and takes nothing away from
// what it is not about.
func TestBrokenAuthorizationPolicy(t *testing.T) {
	t.Parallel()
	yaml := func(expr string) string {
		return documents(edge("", saysOK(t)), authorizationDoc("p", "HTTPRoute", "app",
			fmt.Sprintf("action: Deny\nrules: [{name: r, paths: [{type: RegularExpression, value: %q}]}]", expr)))
	}
	g := serveYAML(t, edge("", saysOK(t)))
	g.applyAnyway(yaml("("))
	resp, _ := g.get("/")
	want(t, resp, 503, "AuthorizationUnavailable")
	g.apply(yaml("/x.*"))
	resp, _ = g.get("/")
	want(t, resp, 200, "")
	g.applyAnyway(yaml(")"))
	resp, _ = g.get("/xy")
	want(t, resp, 403, "AccessDenied")
	resp, _ = g.get("/")
	want(t, resp, 200, "")
}
