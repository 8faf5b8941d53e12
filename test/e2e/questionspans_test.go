package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Servers that are asked about a request are in its trace: each question is a span of its
// own, which the server is told of, and has its place in the record and in metrics.
func TestQuestionsAreSpans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string]string{} // guarded by mu: traceparent by who got it
	note := func(who string, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told[who] = r.Header.Get("Traceparent")
	}
	auth := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		note("external-authorization", r)
	})
	idp := authServer(t, func(w http.ResponseWriter, r *http.Request) {
		note("introspection", r)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"active": true, "sub": "ann"}`)
	})
	app := serve(t, func(_ http.ResponseWriter, r *http.Request) { note("app", r) })
	receiver := otlptest.HTTP(t, "", nil)
	records := trace.New(0)
	g := serveYAML(t, documents(gatewayDoc, backendDoc("app", app.addr), backendDoc("auth", auth), backendDoc("idp", idp), ruleDoc(`
- filters:
  - type: ExternalAuth
    externalAuth: {protocol: HTTP, backendRef: {group: gridway.dev, kind: Backend, name: auth, port: 80}, http: {}}
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), authenticationDoc("tokens", "HTTPRoute", "app", `
anyOf:
- oauth2Introspection:
    backendRef: {group: gridway.dev, kind: Backend, name: idp}
    path: /introspect
    client: {id: gateway, secretRef: {name: idp}}
`), "apiVersion: v1\nkind: Secret\nmetadata: {name: idp}\nstringData: {key: secret}\n", fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec: {tracing: {sampling: {rate: 100}, sinkRefs: [{name: collector}]}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://%s", protocol: HTTP, batchDelay: 10ms}}
`, receiver.Address)), func(o *proxy.Options) { o.Records = records })

	const id = "00000000000000000000000000009a5e"
	resp, _ := g.get("/", header("Authorization", "Bearer of-ann"), header("Traceparent", "00-"+id+"-b7ad6b7169203331-01"))
	want(t, resp, 200, "")
	resp, _ = g.get("/broken", header("Authorization", "Bearer of-ann"))
	if resp.StatusCode < 400 {
		t.Errorf("with a broken server it is %s", resp.Status)
	}

	spans := map[string]*tracepb.Span{}
	receiver.Wait(t, "four spans of the trace", func() bool {
		for _, r := range receiver.Spans(t) {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					if hex.EncodeToString(s.TraceId) == id {
						spans[hex.EncodeToString(s.SpanId)] = s
					}
				}
			}
		}
		return len(spans) == 4
	})
	mu.Lock()
	defer mu.Unlock()
	var server *tracepb.Span
	for _, s := range spans {
		if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
			server = s
		}
	}
	if server == nil {
		t.Fatal("no span is of a server")
	}
	for _, purpose := range []string{"external-authorization", "introspection"} {
		s := spans[told[purpose][36:52]]
		if s == nil || string(s.ParentSpanId) != string(server.SpanId) || s.Name != purpose || attributes(s)["http.response.status_code"] != "200" {
			t.Errorf("%s was told %s, which is %v", purpose, told[purpose], s)
		}
	}
	found := records.Find(&trace.Query{})
	if len(found) != 2 {
		t.Fatalf("%d records", len(found))
	}
	first, second := found[1].Questions, found[0].Questions
	if len(first) != 2 || first[0].Purpose != "introspection" || first[1].Purpose != "external-authorization" || first[1].Endpoint != auth ||
		first[1].Status != 200 || first[1].End < first[1].Start || first[1].End > found[1].Duration || first[1].Start < first[0].End {
		t.Errorf("the record has %+v", first)
	}
	if len(second) != 1 || second[0].Status != 500 { // the token is remembered
		t.Errorf("the record of the second has %+v", second)
	}
	for purpose, n := range map[string]float64{"external-authorization": 2, "introspection": 1} {
		if got := g.metric("gridway_policy_questions_total", `purpose="`+purpose+`"`, `result="ok"`); got != n {
			t.Errorf("%v questions of %s were counted, want %v", got, purpose, n)
		}
		if got := g.metric("gridway_policy_question_duration_seconds_count", `purpose="`+purpose+`"`); got != n {
			t.Errorf("%v durations of %s were counted, want %v", got, purpose, n)
		}
	}
	for _, kind := range []string{"AuthenticationPolicy", "ExternalAuth"} {
		if got := g.metric("gridway_policy_decision_duration_seconds_count", `kind="`+kind+`"`); got != 2 {
			t.Errorf("%v decisions of %s were timed", got, kind)
		}
	}
	if got := g.metric("gridway_trace_records_total"); got != 2 {
		t.Errorf("%v records were counted", got)
	}
}
