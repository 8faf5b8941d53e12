package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/testport"
)

const traced = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: PORT, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: shop}]
    retry: {codes: [503], attempts: 1, backoff: 1ms}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: shop}
spec:
  endpoints: [{address: "BACKEND"}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: guard}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: shop}]
  action: Audit
  rules:
  - {name: seen, methods: [GET]}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec:
  otlp: {PROTOCOL, batchDelay: 10ms}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: traces}
spec:
  tracing:
    sampling:
      rate: 0
      followParent: false
      keepErrors: true
      rules: [{name: orders, matches: [{path: {value: /orders}}], rate: 100}]
    propagation: {accept: [B3, W3C], send: [W3C, B3Single]}
    tags: [{name: shop.tenant, requestHeader: X-Tenant}, {name: shop.stage, value: test}]
    sinkRefs: [{name: collector}]
`

// Spans of an exchange and of its tries go to a receiver of OTLP, as a TelemetryPolicy
// says; endpoints are told of the try's span.
func TestTracing(t *testing.T) {
	for protocol, receiver := range map[string]*otlptest.Receiver{"http": otlptest.HTTP(t, "127.0.0.1:0", nil), "grpc": otlptest.GRPC(t, "127.0.0.1:0", nil)} {
		t.Run(protocol, func(t *testing.T) { testTracing(t, protocol, receiver) })
	}
}

func testTracing(t *testing.T, protocol string, receiver *otlptest.Receiver) {
	var asked atomic.Int32
	told := make(chan http.Header, 16)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Clone()
		if r.URL.Path == "/orders/again" && asked.Add(1) == 1 || r.URL.Path == "/fails" {
			w.WriteHeader(503)
		}
	}))
	t.Cleanup(backend.Close)
	open := testport.Free(t)
	sink := "address: \"http://" + receiver.Address + "\", protocol: " + strings.ToUpper(protocol)
	start(t, strings.NewReplacer("PORT", fmt.Sprint(open), "BACKEND", strings.TrimPrefix(backend.URL, "http://"), "PROTOCOL", sink).Replace(traced))
	ask := func(path string, header ...string) {
		t.Helper()
		req, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d%s", open, path), nil)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	ask("/elsewhere", "traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
	<-told
	ask("/orders/again", "b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", "X-Tenant", "acme\xff")
	first, second := <-told, <-told
	ask("/fails")

	var spans []*tracepb.Span
	receiver.Wait(t, "spans of two requests", func() bool {
		spans = nil
		for _, of := range receiver.Spans(t) {
			for _, s := range of.ScopeSpans {
				spans = append(spans, s.Spans...)
			}
		}
		return len(spans) >= 6
	})
	byID := map[string]*tracepb.Span{}
	for _, s := range spans {
		byID[hex.EncodeToString(s.SpanId)] = s
		if hex.EncodeToString(s.TraceId) == "11111111111111111111111111111111" {
			t.Errorf("a span of what was not to be sampled: %v", s)
		}
	}
	for i, h := range []http.Header{first, second} {
		parent := strings.Split(h.Get("Traceparent"), "-")
		if len(parent) != 4 || parent[1] != "0af7651916cd43dd8448eb211c80319c" || parent[3] != "01" || h.Get("B3") != parent[1]+"-"+parent[2]+"-1" {
			t.Fatalf("try %d was told %q, %q", i+1, h.Get("Traceparent"), h.Get("B3"))
		}
		try := byID[parent[2]]
		if try == nil || try.Kind != tracepb.Span_SPAN_KIND_CLIENT || hex.EncodeToString(try.TraceId) != parent[1] {
			t.Fatalf("try %d has the span %v", i+1, try)
		}
		server := byID[hex.EncodeToString(try.ParentSpanId)]
		if server == nil || server.Kind != tracepb.Span_SPAN_KIND_SERVER || hex.EncodeToString(server.ParentSpanId) != "b7ad6b7169203331" {
			t.Fatalf("try %d is below %v", i+1, server)
		}
		got := attributes(server)
		for key, want := range map[string]string{
			"http.request.method": "GET", "url.path": "/orders/again", "http.response.status_code": "200", "gridway.route": "HTTPRoute/default/shop",
			"shop.stage": "test", "shop.tenant": "acme\uFFFD", "server.address": "127.0.0.1", "server.port": fmt.Sprint(open), "network.protocol.version": "1.1",
		} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q", key, got[key], want)
			}
		}
		if len(server.Events) != 1 || server.Events[0].Name != "policy audited" || server.Name != "GET default/shop" {
			t.Errorf("the span is %v", server)
		}
		if got := attributes(try); i == 1 && (got["http.request.resend_count"] != "1" || got["http.response.status_code"] != "200") || i == 0 && got["error.type"] != "503" {
			t.Errorf("try %d has %v", i+1, got)
		}
	}
}

func attributes(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[a.Key] = a.Value.GetStringValue()
		if n := a.Value.GetIntValue(); n != 0 {
			out[a.Key] = fmt.Sprint(n)
		}
	}
	return out
}
