package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/testport"
)

// A key that a policy takes from a header or a parameter whose name tells nothing is in
// nothing that is shown of the request, and whoever asks for it is told so.
func TestKeysInUnknownPlacesAreHidden(t *testing.T) {
	t.Parallel()
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	receiver := otlptest.HTTP(t, "", nil)
	path := filepath.Join(t.TempDir(), "policy.log")
	open := testport.Free(t)
	// It looks like no token, so that only the policy tells what it is.
	const key = "weird fishes in the deep"
	p := start(t, documents(plainOn(open), routeDoc("app", ""), backendDoc("app", app.addr), keyed("acme", "", "first", key),
		authenticationDoc("keys", "HTTPRoute", "app", "anyOf: [{apiKey: {from: [{header: X-Weird-Thing}, {query: fish}], forward: true}}]"), fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec:
  tracing:
    sampling: {rate: 100}
    tags: [{name: shop.weird, requestHeader: X-Weird-Thing}, {name: shop.plain, requestHeader: X-Plain}]
    sinkRefs: [{name: collector}]
  accessLog:
    query: Full
    fields: [{name: query}, {name: weird, requestHeader: X-Weird-Thing}, {name: plain, requestHeader: X-Plain}, {name: trace_id}]
    sinkRefs: [{name: file}, {name: collector}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://%s", protocol: HTTP, compression: None, batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: %q}}
`, receiver.Address, path)))
	events := p.tapped("show=x-weird-thing&show=x-plain&record=masked")

	get := func(trace, query string, fields ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d/?%s", open, query), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
		req.Header.Set("X-Plain", "plainly")
		for i := 0; i < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
	}
	const byHeader, byQuery = "00000000000000000000000000000a11", "00000000000000000000000000000b22"
	get(byHeader, "a=b", "X-Weird-Thing", key)
	get(byQuery, "a=b&fish="+url.QueryEscape(key))

	shown := fmt.Sprintf("%+v %+v %+v", events.of(t, byHeader), events.of(t, byQuery), *events.of(t, byHeader).Record) + fmt.Sprintf("%+v", *events.of(t, byQuery).Record)
	var log string
	eventually(t, "two lines of the log", func() bool {
		b, _ := os.ReadFile(path)
		log = string(b)
		return strings.Count(log, "\n") == 2
	})
	receiver.Wait(t, "spans and records", func() bool { return len(receiver.Spans(t)) > 0 && len(receiver.Records(t)) == 2 })
	var sent strings.Builder
	for _, r := range receiver.Requests() {
		sent.Write(r.Body)
	}
	everything := map[string]string{
		"the tap": shown, "the access log": log, "OTLP": sent.String(), "records": p.admin("/v1/traces/"+byHeader) + p.admin("/v1/traces/"+byQuery),
	}
	for what, text := range everything {
		if strings.Contains(text, "fishes") {
			t.Errorf("%s has the key: %s", what, text)
		}
		if !strings.Contains(text, "plainly") && what != "records" {
			t.Errorf("%s does not have what is no secret: %q", what, text)
		}
	}
	for _, field := range []string{"spec.tracing.tags[0].requestHeader", "spec.accessLog.fields[1].requestHeader"} {
		p.said("takes header X-Weird-Thing for a credential", field)
	}
}
