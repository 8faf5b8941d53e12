package adminapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/surface/adminapi"
)

func indent(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return b.String()
}

func TestOutputs(t *testing.T) {
	base := start(t, newProcess().options())
	jsonType := http.Header{"Content-Type": {"application/json"}}
	for _, c := range []struct {
		file string
		q    request
	}{
		{"healthz", request{path: "/healthz"}},
		{"readyz", request{path: "/readyz"}},
		{"status", request{path: "/v1/status"}},
		{"config", request{path: "/v1/config"}},
		{"objects", request{path: "/v1/objects"}},
		{"objects-values", request{path: "/v1/objects?values=true"}},
		{"objects-kind", request{path: "/v1/objects/httproute"}},
		{"object", request{path: "/v1/objects/HTTPRoute/default/cart"}},
		{"object-cluster-scoped", request{path: "/v1/objects/GatewayClass/-/gridway"}},
		{"routes", request{path: "/v1/routes"}},
		{"clusters", request{path: "/v1/clusters"}},
		{"top", request{path: "/v1/top"}},
		{"explain", request{
			method: "POST", path: "/v1/explain", header: jsonType,
			body: `{"method":"GET","url":"/cart","headers":[{"name":"X-Token","value":"sent by the caller"}]}`,
		}},
		{"log-level", request{path: "/v1/log/level"}},
	} {
		t.Run(c.file, func(t *testing.T) {
			status, header, body := c.q.do(t, base)
			if status != 200 || header.Get("Content-Type") != "application/json" {
				t.Fatalf("status %d, %s: %s", status, header.Get("Content-Type"), body)
			}
			if strings.Contains(body, secret) || strings.Contains(body, "aHVudGVyMi") {
				t.Errorf("a secret is in %s", body)
			}
			golden(t, "testdata/"+c.file+".json", indent(t, body))
		})
	}
}

func TestYAML(t *testing.T) {
	base := start(t, newProcess().options())
	for _, q := range []request{
		{path: "/v1/objects/HTTPRoute/default/cart?format=yaml"},
		{path: "/v1/objects/HTTPRoute/default/cart", header: http.Header{"Accept": {"application/yaml"}}},
	} {
		status, header, body := q.do(t, base)
		if status != 200 || header.Get("Content-Type") != "application/yaml" {
			t.Fatalf("status %d, %s", status, header.Get("Content-Type"))
		}
		golden(t, "testdata/object.yaml", body)
	}
}

func TestReadinessFollowsTheState(t *testing.T) {
	p := newProcess()
	base := start(t, p.options())
	for state, want := range map[adminapi.State]int{adminapi.Starting: 503, adminapi.Serving: 200, adminapi.Draining: 503} {
		p.state.Store(state)
		if status, _, body := (request{path: "/readyz"}).do(t, base); status != want {
			t.Errorf("%s: status %d: %s", state, status, body)
		}
		if status, _, body := (request{path: "/healthz"}).do(t, base); status != 200 || !strings.Contains(body, string(state)) {
			t.Errorf("%s: healthz %d: %s", state, status, body)
		}
	}
	p.state.Store(adminapi.Starting)
	for _, path := range []string{"/v1/config", "/v1/routes"} {
		if status, _, _ := (request{path: path}).do(t, base); status != 503 {
			t.Errorf("%s before the first revision: %d", path, status)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	base := start(t, newProcess().options())
	if status, _, body := (request{method: "HEAD", path: "/v1/status"}).do(t, base); status != 200 || body != "" {
		t.Errorf("status %d, body %q", status, body)
	}
}

func TestProfilesWork(t *testing.T) {
	base := start(t, newProcess().options())
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/profile?seconds=121": 400, "/debug/pprof/trace?seconds=-1": 400,
		"/debug/pprof/profile?seconds=NaN": 400, "/debug/pprof/nonsense": 404,
	} {
		if status, _, body := (request{path: path}).do(t, base); status != want {
			t.Errorf("%s: status %d: %.200s", path, status, body)
		}
	}
}

// The published document is what the server serves, and its references resolve.
func TestOpenAPIDocument(t *testing.T) {
	base, auth := managed(t)
	_, _, body := request{path: "/openapi.json", header: auth}.do(t, base)
	golden(t, "../../../docs/reference/admin-api.openapi.json", indent(t, body))
	var doc struct {
		Paths      map[string]map[string]struct{ Summary, OperationID string }
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if doc.Components.Schemas[m[1]] == nil {
			t.Errorf("%s is referred to but not defined", m[1])
		}
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			if op.Summary == "" || seen[op.OperationID] {
				t.Errorf("%s %s: summary %q, operation ID %q", method, path, op.Summary, op.OperationID)
			}
			seen[op.OperationID] = true
			// What is in the document answers, with something but 404 or 405.
			filled := fill(path)
			if strings.HasPrefix(path, "/debug/pprof/") {
				filled += "?seconds=0"
			}
			if path == "/debug/pprof/profile" || path == "/debug/pprof/trace" {
				continue // TestProfilesWork; they take time
			}
			if method == "delete" {
				continue // TestEveryEndpointHasARole
			}
			if status, _, _ := (request{method: strings.ToUpper(method), path: filled, header: auth}).do(t, base); status == 404 || status == 405 {
				t.Errorf("%s %s: status %d", method, path, status)
			}
		}
	}
}

// Every reply has every field that its schema requires and no other.
func TestRepliesKeepToTheirSchemas(t *testing.T) {
	base, auth := managed(t)
	_, _, body := request{path: "/openapi.json", header: auth}.do(t, base)
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for path, item := range doc["paths"].(map[string]any) {
		get, ok := item.(map[string]any)["get"].(map[string]any)
		if !ok || strings.Contains(path, "{kind}") && !strings.Contains(path, "{name}") || path == "/openapi.json" {
			continue
		}
		content := get["responses"].(map[string]any)["200"].(map[string]any)["content"].(map[string]any)
		media, ok := content["application/json"].(map[string]any)
		if !ok {
			continue
		}
		_, _, text := request{path: fill(path), header: auth}.do(t, base)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		conforms(t, schemas, media["schema"].(map[string]any), v, path)
	}
}

func conforms(t *testing.T, schemas, schema map[string]any, v any, at string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	kind, _ := schema["type"].(string)
	if list, is := schema["type"].([]any); is {
		if kind = list[0].(string); v == nil {
			return
		}
	}
	var ok bool
	switch v := v.(type) {
	case map[string]any:
		ok = kind == "object"
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, has := v[name.(string)]; !has {
				t.Errorf("%s: %s is missing", at, name)
			}
		}
		for name, x := range v {
			switch p, has := properties[name].(map[string]any); {
			case has:
				conforms(t, schemas, p, x, at+"."+name)
			case schema["additionalProperties"] == nil && properties != nil:
				t.Errorf("%s: %s is not in the schema", at, name)
			}
		}
	case []any:
		ok = kind == "array"
		if items, has := schema["items"].(map[string]any); has {
			for _, x := range v {
				conforms(t, schemas, items, x, at+"[]")
			}
		}
	case string:
		ok = kind == "string"
	case float64:
		ok = kind == "number" || kind == "integer"
	case bool:
		ok = kind == "boolean"
	default:
		ok = false
	}
	if !ok {
		t.Errorf("%s: a value %v where the schema says %q", at, v, kind)
	}
}

func TestDocumentationListsEveryPath(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/reference/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)` \\|").FindAllSubmatch(doc, -1) {
		documented = append(documented, string(m[1]))
	}
	base := start(t, newProcess().options())
	_, _, body := request{path: "/openapi.json"}.do(t, base)
	var api struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(body), &api); err != nil {
		t.Fatal(err)
	}
	var served []string
	for path, item := range api.Paths {
		for method := range item {
			if rest, ok := strings.CutPrefix(path, "/debug/pprof/"); ok && rest != "" {
				continue // one row stands for them
			}
			served = append(served, fmt.Sprintf("%s %s", strings.ToUpper(method), path))
		}
	}
	for _, p := range served {
		if !slices.Contains(documented, p) {
			t.Errorf("%s is served but not documented", p)
		}
	}
	for _, p := range documented {
		if !slices.Contains(served, p) {
			t.Errorf("%s is documented but not served", p)
		}
	}
}
