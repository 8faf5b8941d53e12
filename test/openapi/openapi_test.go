package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

const config = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: PORT, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /orders}, method: GET, headers: [{name: X-Version, value: "2"}]}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  endpoints: [{address: "127.0.0.1:1"}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf: [{apiKey: {}}]
`

const consumer = `apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: NAME}
spec: {groups: [partners], plan: gold}
`

// api asks the admin API and holds each exchange against the document.
type api struct {
	t        *testing.T
	base     string
	gateway  string // where requests come in
	token    string
	validate validator.Validator
	// asked are the operations that were answered well, "METHOD /path".
	asked map[string]bool
}

func TestAdminAPI(t *testing.T) {
	a := start(t)
	text := a.document()
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errors.Join(errs...))
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("the document: %s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
		}
	}
	a.validate = v
	operations := operationsOf(t, text)
	for _, op := range operations {
		method, path, _ := strings.Cut(op, " ")
		if method == "GET" && !strings.Contains(path, "{") && path != "/debug/pprof/profile" && path != "/debug/pprof/trace" && path != "/v1/tap" {
			a.ask(op, path, "", "", 200)
		}
	}
	a.ask("GET /v1/tap", "/v1/tap?for=10ms", "", "", 200)
	a.ask("GET /debug/pprof/profile", "/debug/pprof/profile?seconds=1", "", "", 200)
	a.ask("GET /debug/pprof/trace", "/debug/pprof/trace?seconds=1", "", "", 200)

	id := a.refused()
	if !harness.Soon(func() bool { resp, _ := a.send("GET", "/v1/requests/"+id, "", ""); return resp.StatusCode == 200 }) { // it is remembered after its answer
		t.Fatal("a refused request is not remembered")
	}
	a.ask("GET /v1/requests/{id}", "/v1/requests/"+id, "", "", 200)
	a.ask("GET /v1/requests/{id}", "/v1/requests/none", "", "", 404)
	var list struct {
		Traces []struct {
			TraceID string `json:"traceID"`
		} `json:"traces"`
	}
	a.into(&list, a.ask("GET /v1/traces", "/v1/traces?errors=true", "", "", 200))
	if len(list.Traces) == 0 {
		t.Fatal("a refused request left no trace")
	}
	a.ask("GET /v1/traces/{id}", "/v1/traces/"+list.Traces[0].TraceID, "", "", 200)
	a.ask("POST /v1/session", "/v1/session", "application/json", `{"token":"`+a.token+`"}`, 201)
	a.ask("POST /v1/session", "/v1/session", "application/json", `{"token":"gridway_wrong"}`, 401)
	var sessions []struct {
		ID string `json:"id"`
	}
	a.into(&sessions, a.ask("GET /v1/sessions", "/v1/sessions", "", "", 200))
	if len(sessions) == 0 {
		t.Fatal("who has logged in has no session")
	}
	a.ask("DELETE /v1/sessions/{id}", "/v1/sessions/"+sessions[0].ID, "", "", 204)
	a.ask("DELETE /v1/sessions/{id}", "/v1/sessions/"+sessions[0].ID, "", "", 404)
	a.ask("DELETE /v1/session", "/v1/session", "", "", 200)
	// Nobody logs in without an OpenID provider; test/oidc has one.
	for op, body := range map[string]string{"POST /v1/login/oidc": `{}`, "POST /v1/session/oidc": `{"state":"none"}`} {
		_, path, _ := strings.Cut(op, " ")
		a.ask(op, path, "application/json", body, 409)
		a.asked[op] = true
	}

	const yaml = "application/yaml"
	named := func(name string) string { return strings.Replace(consumer, "NAME", name, 1) }
	a.ask("POST /v1/consumers", "/v1/consumers", yaml, named("acme"), 201)
	a.ask("POST /v1/consumers", "/v1/consumers", yaml, named("acme"), 409)
	a.ask("POST /v1/consumers", "/v1/consumers", yaml, "kind: Nonsense", 422)
	a.ask("PUT /v1/consumers/{namespace}/{name}", "/v1/consumers/default/globex", yaml, named("globex"), 201)
	a.ask("PUT /v1/consumers/{namespace}/{name}", "/v1/consumers/default/globex", yaml, named("globex"), 200)
	a.ask("PATCH /v1/consumers/{namespace}/{name}", "/v1/consumers/default/acme", "application/merge-patch+json", `{"spec":{"plan":"trial"}}`, 200)
	a.ask("GET /v1/consumers/{namespace}/{name}", "/v1/consumers/default/acme", "", "", 200)
	a.ask("GET /v1/consumers/{namespace}/{name}", "/v1/consumers/default/nobody", "", "", 404)
	a.ask("GET /v1/consumers", "/v1/consumers?namespace=default&limit=1", "", "", 200)
	a.ask("POST /v1/consumers/{namespace}/{name}/keys", "/v1/consumers/default/acme/keys", "application/json", `{"prefix":"acme_"}`, 201)
	a.ask("POST /v1/consumers/{namespace}/{name}/keys/{key}/rotate", "/v1/consumers/default/acme/keys/key-1/rotate", "application/json", `{"overlapSeconds":60}`, 201)
	a.ask("POST /v1/consumers/{namespace}/{name}/keys/rotate", "/v1/consumers/default/acme/keys/rotate", "application/json", `{}`, 201)
	a.ask("DELETE /v1/consumers/{namespace}/{name}/keys/{key}", "/v1/consumers/default/acme/keys/key-1", "", "", 204)
	a.ask("POST /v1/consumers/import", "/v1/consumers/import?dryRun=true", yaml, named("initech"), 200)
	a.ask("GET /v1/consumers/export", "/v1/consumers/export", "", "", 200)
	a.ask("DELETE /v1/consumers/{namespace}/{name}", "/v1/consumers/default/globex", "", "", 204)
	a.ask("GET /v1/audit", "/v1/audit?object=Consumer/default/acme&limit=2", "", "", 200)

	var made struct {
		ID string `json:"id"`
	}
	a.into(&made, a.ask("POST /v1/tokens", "/v1/tokens", "application/json", `{"name":"robot","role":"viewer"}`, 201))
	a.ask("DELETE /v1/tokens/{id}", "/v1/tokens/"+made.ID, "", "", 204)
	a.into(&made, a.ask("POST /v1/mesh/tokens", "/v1/mesh/tokens", "application/json", `{"services":["reviews"],"uses":3}`, 201))
	a.ask("GET /v1/mesh/tokens", "/v1/mesh/tokens", "", "", 200)
	a.ask("DELETE /v1/mesh/tokens/{id}", "/v1/mesh/tokens/"+made.ID, "", "", 204)
	const denied = "spiffe://cluster.local/ns/default/sa/reviews"
	a.ask("POST /v1/mesh/denials", "/v1/mesh/denials", "application/json", `{"id":"`+denied+`","reason":"lost"}`, 201)
	a.ask("POST /v1/mesh/denials", "/v1/mesh/denials", "application/json", `{"id":"reviews"}`, 422)
	a.ask("GET /v1/mesh/denials", "/v1/mesh/denials", "", "", 200)
	a.ask("DELETE /v1/mesh/denials", "/v1/mesh/denials?id="+denied, "", "", 204)
	a.ask("POST /v1/explain", "/v1/explain", "application/json", `{"url":"http://a.example/orders","headers":[{"name":"X-Version","value":"2"}]}`, 200)
	a.ask("POST /v1/explain", "/v1/explain", "application/json", `{"url":"http://a.example:1/","headers":1}`, 400)
	passage := `{"service":"cart","request":{"url":"http://reviews/1"}}`
	a.ask("POST /v1/mesh/explain", "/v1/mesh/explain", "application/json", passage, 200)
	a.ask("POST /v1/mesh/explain", "/v1/mesh/explain", "application/json", `{"service":7}`, 400)
	a.ask("POST /v1/effect", "/v1/effect?delete=HTTPRoute/default/app", yaml, named("umbrella"), 200)
	a.ask("POST /v1/effect", "/v1/effect", yaml, "kind: Nonsense", 200)
	a.ask("POST /v1/effect", "/v1/effect", yaml, "", 400)
	a.ask("PUT /v1/log/level", "/v1/log/level", "application/json", `{"level":"debug"}`, 200)
	a.ask("GET /v1/objects/{kind}", "/v1/objects/HTTPRoute?values=true", "", "", 200)
	a.ask("GET /v1/objects/{kind}/{namespace}/{name}", "/v1/objects/HTTPRoute/default/app", "", "", 200)
	a.revisions()

	a.token = ""
	a.ask("GET /v1/status", "/v1/status", "", "", 401)
	for _, op := range operations {
		if !a.asked[op] {
			t.Errorf("%s was never asked", op)
		}
	}
}

const route = `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "extra"},
 "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"group": "gridway.dev", "kind": "Backend", "name": "app"}]}]}}`

// revisions applies, looks, rolls back and deletes.
func (a *api) revisions() {
	const yaml, text = "application/yaml", "application/json"
	var first, second struct {
		Revision int64 `json:"revision"`
	}
	a.ask("POST /v1/apply", "/v1/apply?dryRun=true", text, route, 200)
	a.into(&first, a.ask("POST /v1/apply", "/v1/apply?message=first", text, route, 200))
	a.into(&second, a.ask("POST /v1/apply", "/v1/apply", yaml, strings.Replace(route, `"edge"`, `"edge", "sectionName": "http"`, 1), 200))
	a.ask("POST /v1/apply", fmt.Sprintf("/v1/apply?expect=%d", first.Revision), text, route, 409)
	a.ask("POST /v1/apply", "/v1/apply", yaml, strings.Replace(route, "parentRefs", "parentRef", 1), 422)
	a.ask("POST /v1/apply", "/v1/apply", yaml, strings.Replace(route, "extra", "app", 1), 409)
	a.ask("POST /v1/apply", "/v1/apply?dryRun=perhaps", text, route, 400)
	a.ask("GET /v1/revisions", "/v1/revisions?object=HTTPRoute/default/extra&limit=1", "", "", 200)
	a.ask("GET /v1/revisions/{number}", fmt.Sprintf("/v1/revisions/%d", second.Revision), "", "", 200)
	a.ask("GET /v1/revisions/{number}", "/v1/revisions/1000000", "", "", 404)
	a.ask("POST /v1/revisions/{number}/rollback", fmt.Sprintf("/v1/revisions/%d/rollback", first.Revision), "", "", 200)
	a.ask("GET /v1/objects/{kind}/{namespace}/{name}", "/v1/objects/HTTPRoute/default/extra", "", "", 200)
	a.ask("DELETE /v1/objects/{kind}/{namespace}/{name}", "/v1/objects/HTTPRoute/default/extra?message=over", "", "", 200)
	a.ask("DELETE /v1/objects/{kind}/{namespace}/{name}", "/v1/objects/HTTPRoute/default/extra", "", "", 404)
	a.ask("DELETE /v1/objects/{kind}/{namespace}/{name}", "/v1/objects/HTTPRoute/default/app", "", "", 409)
}

// refused is the ID of a request that the gateway has refused.
func (a *api) refused() string {
	a.t.Helper()
	req, err := http.NewRequest("GET", a.gateway+"/orders", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("X-Version", "2")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	resp.Body.Close()
	id := resp.Header.Get("X-Request-Id")
	if resp.StatusCode != 401 || id == "" {
		a.t.Fatalf("%d, request ID %q", resp.StatusCode, id)
	}
	return id
}

// start runs a gateway with a state store, and takes the administrator's token.
func start(t *testing.T) *api {
	t.Helper()
	program, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	// Not a socket, which needs no token.
	ports, dir := harness.FreePorts(t, 2), t.TempDir()
	a := &api{t: t, base: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), gateway: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), asked: map[string]bool{}}
	file := filepath.Join(dir, "gateway.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(config, "PORT", strconv.Itoa(ports[0]), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.Run(t, func() bool {
		resp, err := http.Get(a.base + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	}, nil, program, "run", file, "--admin", strings.TrimPrefix(a.base, "http://"),
		"--state", "sqlite:"+filepath.Join(dir, "state.db"), "--state-dir", dir, "--access-log", "off", "--mesh", "127.0.0.1:0")
	tokens, err := os.ReadFile(filepath.Join(dir, "first-tokens"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(tokens)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "admin" {
			a.token = f[1]
		}
	}
	return a
}

// document is what the gateway serves.
func (a *api) document() []byte {
	a.t.Helper()
	resp, body := a.send("GET", "/openapi.json", "", "")
	if resp.StatusCode != 200 {
		a.t.Fatalf("%d: %s", resp.StatusCode, body)
	}
	return body
}

func (a *api) send(method, path, media, body string) (*http.Response, []byte) {
	a.t.Helper()
	resp, err := http.DefaultClient.Do(a.request(method, path, media, body))
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp, got
}

func (a *api) request(method, path, media, body string) *http.Request {
	a.t.Helper()
	req, err := http.NewRequest(method, a.base+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	return req
}

// ask sends a request for an operation and has the validator look at both sides.
func (a *api) ask(op, path, media, body string, status int) []byte {
	a.t.Helper()
	method, _, _ := strings.Cut(op, " ")
	resp, got := a.send(method, path, media, body)
	if resp.StatusCode != status {
		a.t.Errorf("%s: %d, want %d: %s", op, resp.StatusCode, status, got)
		return got
	}
	if status < 300 {
		a.asked[op] = true
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	req := a.request(method, path, media, body)
	if status < 400 { // what is refused need not be a good request
		if ok, problems := a.validate.ValidateHttpRequest(req); !ok {
			for _, p := range problems {
				a.t.Errorf("%s: the request: %s: %s %v", op, p.Message, p.Reason, p.SchemaValidationErrors)
			}
		}
		req = a.request(method, path, media, body)
	}
	if ok, problems := a.validate.ValidateHttpResponse(req, resp); !ok {
		for _, p := range problems {
			a.t.Errorf("%s: the answer: %s: %s %v\n%.300s", op, p.Message, p.Reason, p.SchemaValidationErrors, got)
		}
	}
	return got
}

func (a *api) into(v any, body []byte) {
	a.t.Helper()
	if err := json.Unmarshal(body, v); err != nil {
		a.t.Fatalf("%v: %s", err, body)
	}
}

// operationsOf lists "METHOD /path" of the document.
func operationsOf(t *testing.T, text []byte) []string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, methods := range doc.Paths {
		for method := range maps.Keys(methods) {
			out = append(out, fmt.Sprintf("%s %s", strings.ToUpper(method), path))
		}
	}
	slices.Sort(out)
	return out
}
