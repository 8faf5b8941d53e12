package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/testport"
)

// Copies for mirrors are in the trace of their request, each a span and a record of its own
// that the mirror is told of, and have series of their own. What becomes of them is not what
// becomes of the request.
func TestMirrorsAreSpans(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string]string{} // guarded by mu: the span that who got the sampled request was told of
	peer := func(name string, status int) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			if part := strings.Split(r.Header.Get("Traceparent"), "-"); len(part) == 4 && part[3] == "01" {
				mu.Lock()
				told[name] = part[2]
				mu.Unlock()
			}
			w.WriteHeader(status)
		}).addr
	}
	receiver := otlptest.HTTP(t, "", nil)
	records := trace.New(0)
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", `
filters:
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: good}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: bad}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: gone}}}
`), backendDoc("app", peer("app", 200)), backendDoc("good", peer("good", 202)), backendDoc("bad", peer("bad", 503)),
		backendDoc("gone", fmt.Sprintf("127.0.0.1:%d", testport.Free(t))), fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec: {tracing: {sampling: {rate: 0}, sinkRefs: [{name: collector}]}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://%s", protocol: HTTP, batchDelay: 10ms}}
`, receiver.Address)), func(o *proxy.Options) { o.Records = records })

	const id = "00000000000000000000000000003c0f"
	resp, _ := g.get("/some/where?of=it", header("Traceparent", "00-"+id+"-b7ad6b7169203331-01"))
	want(t, resp, 200, "")
	resp, _ = g.get("/unsampled") // records alone
	want(t, resp, 200, "")

	spans := map[string]*tracepb.Span{}
	receiver.Wait(t, "five spans of the trace", func() bool {
		for _, r := range receiver.Spans(t) {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					if hex.EncodeToString(s.TraceId) != id {
						continue // it was slow
					}
					spans[hex.EncodeToString(s.SpanId)] = s
				}
			}
		}
		return len(spans) == 5
	})
	var server *tracepb.Span
	mirrors := map[string]*tracepb.Span{} // by cluster
	for _, s := range spans {
		switch a := attributes(s); {
		case s.Kind == tracepb.Span_SPAN_KIND_SERVER:
			server = s
		case s.Name == "mirror":
			mirrors[a["gridway.cluster"]] = s
		}
	}
	if server == nil || len(mirrors) != 3 {
		t.Fatalf("spans: %v", spans)
	}
	if server.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("the request's own span has status %v", server.Status)
	}
	for name, wanted := range map[string]struct{ status, kind string }{
		"good": {"202", ""}, "bad": {"503", "503"}, "gone": {"", "connect_failure"},
	} {
		var s *tracepb.Span
		for cluster, one := range mirrors {
			if strings.Contains(cluster, "/"+name) {
				s = one
			}
		}
		a := attributes(s)
		if string(s.ParentSpanId) != string(server.SpanId) || s.Kind != tracepb.Span_SPAN_KIND_CLIENT || a["http.response.status_code"] != wanted.status ||
			a["error.type"] != wanted.kind || a["url.path"] != "/some/where" || a["gridway.purpose"] != "mirror" || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s: %v", name, s)
		}
		mu.Lock()
		if at := told[name]; name != "gone" && at != hex.EncodeToString(s.SpanId) {
			t.Errorf("%s was told of span %s, and has %x", name, at, s.SpanId)
		}
		mu.Unlock()
		cluster := `cluster="` + a["gridway.cluster"] + `"`
		if got := g.metric("gridway_cluster_tries_total", cluster); got != 0 {
			t.Errorf("%s: %v tries", name, got)
		}
	}
	eventually(t, "records of both requests and their copies", func() bool { return len(records.Find(&trace.Query{})) == 8 })
	for _, r := range records.Find(&trace.Query{TraceID: id}) {
		if r.Purpose == "mirror" {
			if s := spans[r.SpanID]; s == nil || hex.EncodeToString(s.ParentSpanId) != r.ParentID || r.Failed || r.RequestID != "" {
				t.Errorf("the record of a copy: %+v", r)
			}
		}
	}
	for result, n := range map[string]float64{"2xx": 2, "5xx": 2, "connect_failure": 2} {
		eventually(t, "copies that ended in "+result, func() bool { return g.metric("gridway_mirror_requests_total", `result="`+result+`"`) == n })
	}
	if n := g.metric("gridway_mirror_request_duration_seconds_count"); n != 4 {
		t.Errorf("%v durations of copies", n)
	}
	if n := g.metric("gridway_route_requests_total"); n != 2 {
		t.Errorf("%v requests", n)
	}
}
