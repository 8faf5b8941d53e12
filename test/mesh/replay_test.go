package mesh

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const recordedShop = `apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: closed, namespace: gridway-system}
spec: {egress: Deny}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /new}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}]
    backendRefs: [{name: reviews, port: 80}]
  - name: rest
    backendRefs: [{name: reviews, port: 80}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: admin}
spec:
  targetRefs: [{group: "", kind: Service, name: orders}]
  action: Deny
  rules: [{name: closed, paths: [{type: PathPrefix, value: /admin}]}]
`

// denyWeb refuses a service's requests to another, and its connections.
const denyWeb = `---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: no-web-SERVICE}
spec:
  targetRefs: [{group: "", kind: Service, name: SERVICE}]
  action: Deny
  rules: [{name: web, identities: ["spiffe://cluster.local/ns/default/sa/web"]}]
`

// recorded is a mesh whose traffic was recorded: at the proxies of clients and of
// workloads, HTTP and TCP, to a Service that is written, one that its workload made, and
// to no Service.
func recorded(t *testing.T) (m *mesh, file string) {
	t.Helper()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	m = newMesh(t, recordedShop)
	m.sidecar("orders", "orders")
	m.sidecar("reviews", "reviews", "--namespace", "shop")
	m.speaking("tcp", "db", "data")
	orders, reviews, db := port(t), port(t), port(t)
	m.sidecar("web", "web", "--upstream", "orders=:"+orders, "--upstream", "reviews.shop:80=:"+reviews, "--upstream", "db=:"+db)
	from(t, orders, "orders")
	from(t, reviews, "reviews")
	from(t, db, "data")
	file = filepath.Join(m.dir, "monday.jsonl")
	r := m.recording(file)
	// What goes to no Service, again and again: nobody knows when the recording reaches this proxy.
	loner := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "loner", "--control", m.address, "--http-proxy", "--state-dir", filepath.Join(m.dir, "loner"), "--",
		"sh", "-c", "NO_PROXY= no_proxy= exec curl -s -f -o /dev/null --retry 60 --retry-delay 1 --retry-all-errors "+plain.URL+"/")
	eventually(t, "all of it is recorded", func() error {
		_, err := get(orders, "/orders/17")
		_, _ = get(orders, "/admin/keys") // which is refused
		_, err2 := get(reviews, "/new/1")
		_, err3 := get(reviews, "/1")
		_, err4 := get(db, "/any")
		if err := errors.Join(err, err2, err3, err4); err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, want := range []string{
			`"path":"/orders/17"`, `"reason":"AccessDenied"`, `"path":"/v2/1"`, `"type":"service"`, `"type":"stream"`, `"reason":"EgressDenied"`, `"direction":"inbound"`, `"direction":"outbound"`,
		} {
			if !strings.Contains(string(text), want) {
				return fmt.Errorf("nothing has %s", want)
			}
		}
		return nil
	})
	loner.end()
	if code := r.end(); code != 0 {
		t.Fatalf("exit code %d: %s", code, r.log)
	}
	return m, file
}

// recording is a running "gridway record".
func (m *mesh) recording(file string) *process {
	m.t.Helper()
	first, err := os.ReadFile(filepath.Join(m.state(), "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "operator" {
			env = append(env, "GRIDWAY_TOKEN="+strings.TrimSpace(token))
		}
	}
	return runOn(m.t, nil, env, "record", file, "--for", "5m", "--admin", "unix:"+filepath.Join(m.dir, "admin"))
}

// What proxies of a mesh have decided is decided again on other files, as each of them
// would have those.
func TestReplayOfAMesh(t *testing.T) {
	m, file := recorded(t)
	gridway, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	candidate := filepath.Join(m.dir, "candidate.yaml")
	replay := func(yaml string, flags ...string) (string, int) {
		t.Helper()
		if err := os.WriteFile(candidate, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(gridway, append([]string{"replay", file, "--on", candidate}, flags...)...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	edited := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(recordedShop) }
	for name, c := range map[string]struct {
		yaml string
		code int
		want []string
	}{
		"the same":              {recordedShop, 0, []string{" 0 differently, 0 not decided"}},
		"a canary":              {edited("backendRefs: [{name: reviews, port: 80}]", "backendRefs: [{name: reviews, port: 80, weight: 90}, {name: reviews-v2, namespace: shop, port: 80, weight: 10}]") + secondReviews, 0, []string{" 0 differently, 0 not decided"}},
		"a rewrite":             {edited("replacePrefixMatch: /v2", "replacePrefixMatch: /v3"), 1, []string{"out of default/web", "path: /v2/1 → /v3/1"}},
		"a consumer":            {recordedShop + consumers, 1, []string{"route: HTTPRoute/shop/reviews → HTTPRoute/default/ours", "out of default/web"}},
		"identities":            {recordedShop + strings.ReplaceAll(denyWeb, "SERVICE", "orders"), 1, []string{"result: forward → 403 AccessDenied", "into default/orders/", "from default/web"}},
		"connections":           {recordedShop + strings.ReplaceAll(denyWeb, "SERVICE", "db"), 1, []string{"TCP ", "result: forward → AccessDenied", "into default/db/"}},
		"a policy that is gone": {recordedShop[:strings.LastIndex(recordedShop, "---")], 1, []string{"result: 403 AccessDenied → forward"}},
		"egress":                {edited("egress: Deny", "egress: Allow"), 1, []string{"result: 502 EgressDenied → forward"}},
		"a Service that is gone": {edited("kind: Service\nmetadata: {name: reviews, ", "kind: Service\nmetadata: {name: other, "), 1, []string{
			"service: shop/reviews:80 → no Service", "result: forward → 502 EgressDenied", "result: forward → no such Service", "the Service shop/reviews:80 is in no file any more",
		}},
		"what no gateway would serve": {recordedShop + "---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{prot: 80}]}\n", 2, []string{"candidate.yaml:", "the candidate has 1 error, and no gateway would serve it"}},
	} {
		out, code := replay(c.yaml)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: nothing says %q", name, want)
			}
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
		if t.Failed() {
			t.Fatalf("%s: %s", name, out)
		}
	}
	// Both sides decided anew.
	base := filepath.Join(m.dir, "mesh.yaml")
	if out, code := replay(edited("backendRefs: [{name: reviews, port: 80}]", "backendRefs: [{name: reviews, port: 80, weight: 90}, {name: reviews-v2, namespace: shop, port: 80, weight: 10}]")+secondReviews, "--base", base); code != 1 || !strings.Contains(out, "backends: Service/shop/reviews:80 → Service/shop/reviews-v2:80 10%, Service/shop/reviews:80 90%") {
		t.Errorf("exit code %d: %s", code, out)
	}
	out, code := replay(recordedShop+strings.ReplaceAll(denyWeb, "SERVICE", "orders"), "--base", base, "-o", "json")
	if code != 1 || !strings.Contains(out, `"direction": "inbound"`) || !strings.Contains(out, `"from": "default/web"`) {
		t.Errorf("exit code %d: %s", code, out)
	}
}

const secondReviews = `---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
`

const consumers = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ours, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, namespace: shop}]
  rules: [{backendRefs: [{name: reviews, namespace: shop, port: 80}]}]
`
