package adminapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

const cart = `{"apiVersion":"gridway.dev/v1alpha1","kind":"Consumer","metadata":{"namespace":"default","name":"cart"},"spec":{"plan":"gold"}}`

// withStore adds a state store with a consumer "cart" that has a key, and returns a
// token of each role.
func withStore(t *testing.T, opt *adminapi.Options) map[access.Role]string {
	t.Helper()
	db := statetest.Open(t, statetest.SQLite(t))
	s := accessdb.New(accessdb.Options{DB: db})
	opt.Mesh, opt.Services, opt.Traffic, opt.Signals = withMesh(t, db, s), &services{mesh: &ir.Mesh{}}, seen{}, graphed{}
	tokens := map[access.Role]string{}
	err := s.Bootstrap(t.Context(), func(list []access.CreatedToken) error {
		for _, c := range list {
			tokens[c.Role] = c.Text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	by := access.Actor{Name: "test", Role: access.Admin}
	if _, _, err := s.Put(t.Context(), by, "", "", []byte(cart), access.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateKey(t.Context(), by, "default", "cart", access.NewKey{Name: "k"}); err != nil {
		t.Fatal(err)
	}
	opt.Access = s
	return tokens
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// managed serves an API with everything, and returns what an admin presents.
func managed(t *testing.T) (base string, auth http.Header) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	return start(t, opt), bearer(tokens[access.Admin])
}

func fill(path string) string {
	return strings.NewReplacer("traces/{id}", "traces/"+someTrace, "requests/{id}", "requests/r-1", "{kind}", "HTTPRoute", "{namespace}", "default", "{name}", "cart", "{key}", "k", "{id}", "none", "{number}", "12").Replace(path)
}

// seen is traffic of a mesh.
type seen struct{}

func (seen) Flows(context.Context, evidence.Query) ([]evidence.Flow, error) {
	at := time.Now()
	return []evidence.Flow{{Source: "spiffe://example.org/ns/shop/sa/web", Namespace: "shop", Service: "cart", Port: 80, Protocol: "HTTP", Method: "GET", Path: "/carts/*", Verdict: "allowed", Count: 3, First: at, Last: at}}, nil
}

// roles says who may use what: all endpoints are here, and nothing else is.
var roles = map[string]access.Role{
	"GET /healthz": "", "GET /readyz": "", "POST /v1/session": "", "DELETE /v1/session": "", "GET /v1/login": "", "POST /v1/login/oidc": "", "POST /v1/session/oidc": "",
	"GET /openapi.json": access.Viewer, "GET /metrics": access.Viewer, "GET /v1/status": access.Viewer, "GET /v1/config": access.Viewer,
	"GET /v1/objects": access.Viewer, "GET /v1/objects/{kind}": access.Viewer, "GET /v1/objects/{kind}/{namespace}/{name}": access.Viewer,
	"GET /v1/routes": access.Viewer, "GET /v1/clusters": access.Viewer, "GET /v1/troubles": access.Viewer, "GET /v1/top": access.Viewer, "GET /v1/traces": access.Viewer, "GET /v1/traces/{id}": access.Viewer, "GET /v1/requests/{id}": access.Viewer, "POST /v1/explain": access.Viewer, "POST /v1/effect": access.Viewer, "GET /v1/schema": access.Viewer,
	"GET /v1/log/level": access.Viewer, "PUT /v1/log/level": access.Operator, "GET /v1/whoami": access.Viewer,
	"GET /v1/consumers": access.Viewer, "GET /v1/consumers/{namespace}/{name}": access.Viewer,
	"POST /v1/consumers": access.Operator, "PUT /v1/consumers/{namespace}/{name}": access.Operator, "PATCH /v1/consumers/{namespace}/{name}": access.Operator,
	"DELETE /v1/consumers/{namespace}/{name}": access.Operator, "POST /v1/consumers/import": access.Operator, "GET /v1/consumers/export": access.Operator,
	"POST /v1/consumers/{namespace}/{name}/keys": access.Operator, "POST /v1/consumers/{namespace}/{name}/keys/{key}/rotate": access.Operator,
	"POST /v1/consumers/{namespace}/{name}/keys/rotate": access.Operator, "DELETE /v1/consumers/{namespace}/{name}/keys/{key}": access.Operator,
	"POST /v1/apply": access.Operator, "DELETE /v1/objects/{kind}/{namespace}/{name}": access.Operator,
	"GET /v1/revisions": access.Viewer, "GET /v1/revisions/{number}": access.Viewer, "POST /v1/revisions/{number}/rollback": access.Operator,
	"GET /v1/sessions": access.Viewer, "DELETE /v1/sessions/{id}": access.Viewer,
	"GET /v1/tokens": access.Admin, "POST /v1/tokens": access.Admin, "DELETE /v1/tokens/{id}": access.Admin, "GET /v1/audit": access.Admin,
	"GET /v1/mesh/tokens": access.Admin, "POST /v1/mesh/tokens": access.Admin, "DELETE /v1/mesh/tokens/{id}": access.Admin, "GET /v1/mesh/identities": access.Viewer,
	"GET /v1/mesh/denials": access.Viewer, "POST /v1/mesh/denials": access.Operator, "DELETE /v1/mesh/denials": access.Operator, "GET /v1/mesh/authority": access.Viewer,
	"GET /v1/tap": access.Operator, "GET /v1/mesh/traffic": access.Viewer, "GET /v1/mesh/routes": access.Viewer, "POST /v1/mesh/explain": access.Viewer, "GET /v1/graph": access.Viewer, "GET /v1/signals": access.Viewer,
	"GET /debug/pprof/": access.Admin, "GET /debug/pprof/cmdline": access.Admin, "GET /debug/pprof/profile": access.Admin, "GET /debug/pprof/symbol": access.Admin,
	"GET /debug/pprof/trace": access.Admin, "GET /debug/pprof/allocs": access.Admin, "GET /debug/pprof/block": access.Admin, "GET /debug/pprof/goroutine": access.Admin,
	"GET /debug/pprof/heap": access.Admin, "GET /debug/pprof/mutex": access.Admin, "GET /debug/pprof/threadcreate": access.Admin,
}

func TestEveryEndpointHasARole(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	base := start(t, opt)
	_, _, body := request{path: "/openapi.json", header: bearer(tokens[access.Viewer])}.do(t, base)
	var doc struct {
		Paths map[string]map[string]struct {
			Role string `json:"x-gridway-role"`
		}
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	served := 0
	for path, item := range doc.Paths {
		for method, op := range item {
			served++
			name := strings.ToUpper(method) + " " + path
			want, known := roles[name]
			if !known || op.Role != string(want) {
				t.Errorf("%s has the role %q, and %q is expected", name, op.Role, want)
			}
			ask := func(header http.Header) int {
				q := request{method: strings.ToUpper(method), path: fill(path), header: header}
				if strings.HasPrefix(path, "/debug/pprof/") {
					q.path += "?seconds=-1" // which is refused, but only by who may look
				}
				status, _, _ := q.do(t, base)
				return status
			}
			for _, wrong := range []http.Header{nil, bearer("gridway_wrong"), bearer(""), {"Authorization": {"Basic " + tokens[access.Admin]}}} {
				if status := ask(wrong); (status == 401) != (want != "") {
					t.Errorf("%s without a token: %d", name, status)
				}
			}
			for _, role := range access.Roles {
				if method == "delete" && role.Includes(want) {
					continue // what it does is looked at elsewhere
				}
				status := ask(bearer(tokens[role]))
				if may := want == "" || role.Includes(want); (status == 403) == may || status == 401 {
					t.Errorf("%s as a %s: %d", name, role, status)
				}
			}
		}
	}
	if served != len(roles) {
		t.Errorf("%d endpoints are served, and %d are known", served, len(roles))
	}
}

// The typed client keeps consumers, keys and tokens.
func TestClientKeepsConsumers(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	base := start(t, opt)
	as := func(role access.Role) *client.Client {
		return newClient(t, client.Options{Address: base, Token: tokens[role]})
	}
	c, ctx := as(access.Operator), t.Context()
	made, err := c.CreateConsumer(ctx, []byte("{apiVersion: gridway.dev/v1alpha1, kind: Consumer, metadata: {name: acme}, spec: {groups: [a]}}"))
	if err != nil || made.ETag == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	status := func(err error) int {
		var f *adminapi.Fault
		if !errors.As(err, &f) {
			return 0
		}
		return f.Status
	}
	if _, err := c.CreateConsumer(ctx, made.Value); status(err) != 409 {
		t.Errorf("made twice: %v", err)
	}
	k, err := c.CreateKey(ctx, "default", "acme", access.NewKey{Prefix: "p_"})
	if err != nil || !strings.HasPrefix(k.Key, "p_") {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, err := c.ReplaceConsumer(ctx, "default", "acme", made.Value, made.ETag); status(err) != 412 {
		t.Errorf("an older version is written: %v", err)
	}
	if _, err := c.PatchConsumer(ctx, "default", "acme", map[string]any{"spec": map[string]any{"plan": "iron"}}, ""); err != nil {
		t.Error(err)
	}
	seen, err := as(access.Viewer).Consumer(ctx, "default", "acme")
	if err != nil || strings.Contains(string(seen.Value), "sha256") || !strings.Contains(string(seen.Value), "iron") {
		t.Errorf("what a viewer sees: %s, %v", seen.Value, err)
	}
	full, err := c.Consumer(ctx, "default", "acme")
	if err != nil || !strings.Contains(string(full.Value), k.Hash) || full.ETag != seen.ETag {
		t.Errorf("what an operator sees: %+v, %v", full, err)
	}
	if _, err := c.ReplaceConsumer(ctx, "default", "acme", full.Value, full.ETag); err != nil {
		t.Errorf("written as it was read: %v", err)
	}
	if r, err := c.RotateKey(ctx, "default", "acme", "key-1", access.NewKey{}); err != nil || r.Replaces != "key-1" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.RotateKeys(ctx, "default", "acme", access.NewKey{}); err != nil || r.Replaces != "key-1, key-2" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := c.RevokeKey(ctx, "default", "acme", "key-1"); err != nil {
		t.Error(err)
	}
	var all bytes.Buffer
	if err := c.ExportConsumers(ctx, "", &all); err != nil || strings.Count(all.String(), "kind: Consumer") != 2 {
		t.Errorf("%s, %v", all.String(), err)
	}
	if n, err := c.ImportConsumers(ctx, all.Bytes(), false); err != nil || n.Unchanged != 2 {
		t.Errorf("%+v, %v", n, err)
	}
	_, err = c.ImportConsumers(ctx, []byte("apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: x}\nspec:\n  grops: []\n"), false)
	if status(err) != 422 || !strings.Contains(err.Error(), "line 5, column 3") || !strings.Contains(err.Error(), `did you mean "groups"?`) {
		t.Errorf("%v", err)
	}
	if err := c.DeleteConsumer(ctx, "default", "acme", made.ETag); status(err) != 412 {
		t.Errorf("an older version is deleted: %v", err)
	}
	if err := c.DeleteConsumer(ctx, "default", "acme", ""); err != nil {
		t.Error(err)
	}
	if err := c.DeleteConsumer(ctx, "default", "acme", ""); status(err) != 404 {
		t.Errorf("%v", err)
	}
	if _, err := c.Tokens(ctx); status(err) != 403 || !strings.Contains(err.Error(), "role admin") {
		t.Errorf("an operator lists tokens: %v", err)
	}
	root := as(access.Admin)
	token, err := root.CreateToken(ctx, access.NewToken{Name: "x", Role: access.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := root.Tokens(ctx); err != nil || len(list) != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := root.RevokeToken(ctx, token.ID); err != nil {
		t.Error(err)
	}
	changes, err := root.Audit(ctx, access.AuditQuery{Object: "Consumer/default/acme", Limit: 100})
	if err != nil || len(changes) != 8 || !strings.HasPrefix(changes[0].Actor, "first-operator (") || changes[0].Peer == "" {
		t.Errorf("%+v, %v", changes, err)
	}
	if who, err := root.Whoami(ctx); err != nil || who.Role != access.Admin {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestBadRequestsToTheStore(t *testing.T) {
	base, auth := managed(t)
	with := func(pairs ...string) http.Header {
		h := auth.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	j := "application/json"
	for name, c := range map[string]struct {
		q      request
		status int
		detail string
	}{
		"no type":         {request{method: "POST", path: "/v1/consumers", body: cart, header: with()}, 415, "application/yaml"},
		"form":            {request{method: "POST", path: "/v1/consumers", body: cart, header: with("Content-Type", "text/plain")}, 415, ""},
		"broken":          {request{method: "POST", path: "/v1/consumers", body: "{", header: with("Content-Type", j)}, 422, "line"},
		"nothing":         {request{method: "POST", path: "/v1/consumers", body: "", header: with("Content-Type", j)}, 422, "one Consumer"},
		"tabs":            {request{method: "POST", path: "/v1/consumers", body: strings.ReplaceAll(cart, ",", ",\n\t\t"), header: with("Content-Type", j)}, 409, "exists"},
		"too large":       {request{method: "POST", path: "/v1/consumers", body: strings.Repeat(" ", 1<<20+1), header: with("Content-Type", j)}, 413, "1048576"},
		"other name":      {request{method: "PUT", path: "/v1/consumers/default/other", body: cart, header: with("Content-Type", j)}, 422, "the path names default/other"},
		"there is one":    {request{method: "PUT", path: "/v1/consumers/default/cart", body: cart, header: with("Content-Type", j, "If-None-Match", "*")}, 412, ""},
		"no ETag":         {request{method: "PUT", path: "/v1/consumers/default/cart", body: cart, header: with("Content-Type", j, "If-Match", "17")}, 400, "ETag"},
		"patch a list":    {request{method: "PATCH", path: "/v1/consumers/default/cart", body: "[]", header: with("Content-Type", j)}, 400, "JSON object"},
		"patch the name":  {request{method: "PATCH", path: "/v1/consumers/default/cart", body: `{"metadata":{"name":"x"}}`, header: with("Content-Type", j)}, 422, "keeps its name"},
		"unknown field":   {request{method: "POST", path: "/v1/consumers/default/cart/keys", body: `{"nam":"x"}`, header: with("Content-Type", j)}, 400, "nam"},
		"no such role":    {request{method: "POST", path: "/v1/tokens", body: `{"name":"x","role":"root"}`, header: with("Content-Type", j)}, 422, "viewer, operator or admin"},
		"audit page":      {request{path: "/v1/audit?limit=0", header: auth}, 400, "1 to 1000"},
		"audit before":    {request{path: "/v1/audit?before=x", header: auth}, 400, "before"},
		"consumers page":  {request{path: "/v1/consumers?limit=1001", header: auth}, 400, "1 to 1000"},
		"consumers after": {request{path: "/v1/consumers?after=x", header: auth}, 400, "NAMESPACE/NAME"},
		"last admin":      {request{method: "DELETE", path: "/v1/tokens/none", header: auth}, 404, "none"},
		"no such key":     {request{method: "DELETE", path: "/v1/consumers/default/cart/keys/none", header: auth}, 404, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := c.q.do(t, base)
			if status != c.status || header.Get("Content-Type") != "application/problem+json" || !strings.Contains(body, c.detail) {
				t.Errorf("status %d, %s: %s", status, header.Get("Content-Type"), body)
			}
		})
	}
}

func TestListsHavePages(t *testing.T) {
	base, auth := managed(t)
	next := regexp.MustCompile(`^<(.*)>; rel="next"$`)
	for path, want := range map[string]int{"/v1/audit?limit=2": 5, "/v1/consumers?limit=1": 2} {
		got := 0
		for pages := 0; path != "" && pages < 10; pages++ {
			status, header, body := request{path: path, header: auth}.do(t, base)
			var list []any
			if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
				t.Fatalf("%s: %d %s", path, status, body)
			}
			got += len(list)
			path = ""
			if m := next.FindStringSubmatch(header.Get("Link")); m != nil {
				path = m[1]
			}
		}
		if got != want {
			t.Errorf("%d items, want %d", got, want)
		}
	}
}

func TestWithoutAStoreItIsSaidHowToHaveOne(t *testing.T) {
	base := start(t, newProcess().options())
	for _, path := range []string{"/v1/tokens", "/v1/audit", "/v1/consumers/export", "/v1/consumers/default/x"} {
		if status, _, body := (request{path: path}).do(t, base); status != 409 || !strings.Contains(body, "--state sqlite") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// The owner of the socket is an admin, and a token is believed there too.
func TestTheOwnerOfTheSocketIsAnAdmin(t *testing.T) {
	opt := newProcess().options()
	opt.Address = "unix:" + filepath.Join(t.TempDir(), "admin.sock")
	tokens := withStore(t, &opt)
	start(t, opt)
	for token, want := range map[string]access.Role{"": access.Admin, tokens[access.Viewer]: access.Viewer} {
		c := newClient(t, client.Options{Address: opt.Address, Token: token})
		if who, err := c.Whoami(t.Context()); err != nil || who.Role != want {
			t.Errorf("%+v, %v", who, err)
		}
	}
	c := newClient(t, client.Options{Address: opt.Address, Token: "gridway_wrong"})
	if _, err := c.Whoami(t.Context()); err == nil {
		t.Error("a wrong token is as good as none")
	}
}

// Where tokens cannot be looked up nobody is let in, but for the token of the file.
func TestAStoreThatFailsLetsNobodyIn(t *testing.T) {
	opt := newProcess().options()
	opt.Token = token(t)
	db, err := statedb.Open(t.Context(), statedb.Options{Location: location(t)})
	if err != nil {
		t.Fatal(err)
	}
	opt.Access = accessdb.New(accessdb.Options{DB: db})
	base := start(t, opt)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, body := (request{path: "/v1/status", header: bearer("gridway_anything")}).do(t, base); status != 503 || strings.Contains(body, "sql") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := (request{path: "/v1/status", header: bearer(tokenText)}).do(t, base); status != 200 {
		t.Errorf("the token of the file: %d", status)
	}
}

func location(t *testing.T) statedb.Location {
	t.Helper()
	at, err := statedb.ParseLocation(statetest.SQLite(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}
