package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
)

// What policies say of rules, routes and all is logged as they say, at receivers of both
// protocols and in files, and secrets are in none of it.
func TestAccessLogPolicies(t *testing.T) {
	t.Parallel()
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-By", "app "+r.URL.Path)
		w.Header().Set("Set-Cookie", "session=open-sesame")
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	byGRPC, byHTTP := otlptest.GRPC(t, "", nil), otlptest.HTTP(t, "", nil)
	path := filepath.Join(t.TempDir(), "access.log")
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), ruleDoc(`
- name: text
  matches: [{path: {value: /text}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- name: quiet
  matches: [{path: {value: /quiet}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec:
  accessLog:
    fields: [{name: method}, {name: path}, {name: query}, {name: status}, {name: tenant, requestHeader: X-Tenant}, {name: served, responseHeader: X-Served-By}, {name: passed, requestHeader: X-Passed}]
    query: Full
    sampling: [{statuses: ["404"], rate: 0}]
    redact: {headers: [X-Person]}
    sinkRefs: [{name: grpc}, {name: http}, {name: file}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: text}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app, sectionName: text}]
  accessLog: {template: '${method} ${path} ${status} ${request.headers.X-Person}', sinkRefs: [{name: file}]}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: quiet}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app, sectionName: quiet}]
  accessLog: {enabled: false}
---
apiVersion: v1
kind: Secret
metadata: {name: vendor}
stringData: {token: open-sesame}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: grpc}
spec: {otlp: {address: %q, batchDelay: 10ms, headers: [{name: api-key, valueSecretRef: {name: vendor, key: token}}]}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: http}
spec: {otlp: {address: "http://%s", protocol: HTTP, batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: %q}}
`, byGRPC.Address, byHTTP.Address, path)))
	g.get("/a?token=open-sesame&x=1", header("X-Tenant", "east"), header("X-Passed", "Bearer open-sesame"), header("Authorization", "Bearer open-sesame"),
		header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	g.get("/broken")
	g.get("/text", header("X-Person", "open-sesame"))
	g.get("/quiet")
	for name, r := range map[string]*otlptest.Receiver{"grpc": byGRPC, "http": byHTTP} {
		r.Wait(t, "two records", func() bool { return len(r.Records(t)) >= 2 })
		var got []string
		for _, l := range r.Records(t) {
			line := l.SeverityText
			for _, a := range l.Attributes {
				line += fmt.Sprintf(" %s=%s%d", a.Key, a.Value.GetStringValue(), a.Value.GetIntValue())
			}
			got = append(got, line)
		}
		if id := r.Records(t)[0].TraceId; fmt.Sprintf("%x", id) != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s: trace %x", name, id)
		}
		want := "INFO http.request.method=GET0 url.path=/a0 url.query=token=(hidden)&x=10 http.response.status_code=200 tenant=east0 served=app /a0 passed=(hidden)0\n" +
			"ERROR http.request.method=GET0 url.path=/broken0 http.response.status_code=500 served=app /broken0"
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: got\n%s", name, strings.Join(got, "\n"))
		}
	}
	if got := byGRPC.Requests()[0].Headers.Get("api-key"); got != "open-sesame" {
		t.Errorf("the receiver is not told who sends: %q", got)
	}
	var text string
	eventually(t, "the file", func() bool {
		b, err := os.ReadFile(path)
		text = string(b)
		return err == nil && strings.Count(text, "\n") == 3
	})
	if want := `{"method":"GET","path":"/a","query":"token=(hidden)&x=1","status":200,"tenant":"east","served":"app /a","passed":"(hidden)"}`; !strings.Contains(text, want+"\n") || !strings.Contains(text, "GET /text 200 (hidden)\n") {
		t.Errorf("the file has\n%s", text)
	}
	if strings.Contains(text, "sesame") || strings.Contains(g.entries.String(), "/") {
		t.Errorf("secrets, or lines in the log that the process was started with:\n%s\n%s", text, g.entries.String())
	}
}

// Traffic goes on, and nothing waits, while receivers hang, refuse and come back; what was
// written to a file that is rotated under load is there once.
func TestSinksUnderLoad(t *testing.T) {
	t.Parallel()
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	r := otlptest.HTTP(t, "", nil)
	hold := make(chan struct{})
	r.Respond(func(otlptest.Request) otlptest.Answer { return otlptest.Answer{Wait: hold} })
	dir := t.TempDir()
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), ruleDoc(`
- backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec: {accessLog: {sinkRefs: [{name: hanging}, {name: file}]}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: hanging}
spec: {otlp: {address: %q, protocol: HTTP, batchDelay: 10ms, timeout: 200ms}, queue: {maxItems: 100}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: %q, maxBytes: 65536, maxFiles: 1000}}
`, r.Address, filepath.Join(dir, "access.log"))))
	const n = 2000
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range n / 8 {
				if resp, _, err := g.do(g.request("GET", "/", nil)); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%v %v", resp, err)
					return
				}
			}
		})
	}
	clients.Wait()
	lines := func() (n, files int) {
		names, _ := filepath.Glob(filepath.Join(dir, "access.log*"))
		for _, name := range names {
			b, _ := os.ReadFile(name)
			n += strings.Count(string(b), "\n")
		}
		return n, len(names)
	}
	eventually(t, "all lines in files", func() bool { got, _ := lines(); return got == n })
	if _, files := lines(); files < 3 {
		t.Errorf("%d files: nothing was rotated", files)
	}
	state := g.proxy.Exporter().States()[0]
	if logs := state.Signals[2]; logs.Dropped == 0 || logs.Items > 100 || logs.Dropped+uint64(logs.Items)+logs.Failed != n {
		t.Errorf("of %d records: %+v", n, logs)
	}
	close(hold)
	r.Respond(func(otlptest.Request) otlptest.Answer { return otlptest.Answer{} })
	r.Wait(t, "what waited", func() bool { return len(r.Records(t)) > 0 })
}
