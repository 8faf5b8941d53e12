package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/testport"
)

// What settings, policies and credentials hide is hidden in everything that is shown of a
// request, whether a route took it or none: lines of files, log records, spans, records,
// taps and recordings.
func TestWhatIsHiddenIsHiddenEverywhere(t *testing.T) {
	t.Parallel()
	app := serve(t, func(http.ResponseWriter, *http.Request) {})
	receiver := otlptest.HTTP(t, "", nil)
	path := filepath.Join(t.TempDir(), "policy.log")
	open := testport.Free(t)
	p := start(t, documents(plainOn(open), ruleDoc(`
- matches: [{path: {value: /shop}}]
  backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
`), backendDoc("app", app.addr), keyed("ada-lovelace", "", "first", "weird fishes in the deep"),
		authenticationDoc("keys", "HTTPRoute", "app", "anyOf: [{apiKey: {from: [{header: X-Weird-Thing}], forward: true}}]"), fmt.Sprintf(`
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec:
  tracing:
    sampling: {rate: 100}
    tags: [{name: shop.person, requestHeader: X-Person}, {name: shop.agent, requestHeader: User-Agent}, {name: shop.plain, requestHeader: X-Plain}]
    sinkRefs: [{name: collector}]
  accessLog:
    query: Full
    redact: {headers: [X-Person, Referer], queryParameters: [who]}
    fields:
    - {name: query}
    - {name: client}
    - {name: user_agent}
    - {name: referer}
    - {name: consumer}
    - {name: trace_id}
    - {name: person, requestHeader: X-Person}
    - {name: plain, requestHeader: X-Plain}
    sinkRefs: [{name: file}, {name: collector}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://%s", protocol: HTTP, compression: None, signals: [Traces, Logs], batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: %q}}
`, receiver.Address, path)), "--access-log-omit", "client,user_agent,consumer")
	events := p.tapped("show=x-person&show=user-agent&show=x-forwarded-for&show=x-weird-thing&show=x-plain&record=masked")
	// Who asks for a value does not learn it from what a tap finds, either.
	guesses := p.tapped("header=x-person%3Aa-person")

	const routed, unrouted = "00000000000000000000000000000c33", "00000000000000000000000000000d44"
	for id, to := range map[string]string{routed: "shop", unrouted: "elsewhere"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://127.0.0.1:%d/%s?who=a-parameter", open, to), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{
			"Traceparent": {"00-" + id + "-b7ad6b7169203331-01"}, "X-Plain": {"plainly"}, "User-Agent": {"an-agent"}, "Referer": {"http://a-referer.example/"},
			"X-Forwarded-For": {"203.0.113.77"}, "X-Person": {"a-person"}, "X-Weird-Thing": {"weird fishes in the deep"},
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := map[string]int{routed: 200, unrouted: 404}[id]; resp.StatusCode != want {
			t.Fatalf("/%s: %s", to, resp.Status)
		}
	}
	var log string
	eventually(t, "two lines of the log", func() bool {
		b, _ := os.ReadFile(path)
		log = string(b)
		return strings.Count(log, "\n") == 2
	})
	receiver.Wait(t, "spans and records", func() bool {
		servers := 0
		for _, r := range receiver.Spans(t) {
			for _, s := range r.ScopeSpans {
				for _, span := range s.Spans {
					if span.Kind == 2 {
						servers++
					}
				}
			}
		}
		return servers == 2 && len(receiver.Records(t)) == 2
	})
	var sent strings.Builder
	for _, r := range receiver.Requests() {
		sent.Write(r.Body)
	}
	shown := func(trace string) string {
		b, err := json.Marshal(events.of(t, trace))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	outputs := map[string]string{
		"the file": log, "OTLP": sent.String(),
		"the tap of what a route took": shown(routed), "the tap of what none took": shown(unrouted),
		"the record of what a route took": p.admin("/v1/traces/" + routed), "the record of what none took": p.admin("/v1/traces/" + unrouted),
	}
	for what, text := range outputs {
		for setting, secret := range map[string]string{
			"--access-log-omit user_agent": "an-agent", "--access-log-omit client": "203.0.113.77", "client of --access-log-omit": `client":"127`, "--access-log-omit consumer": "lovelace",
			"redact.headers": "a-person", "redact.headers, Referer": "a-referer", "redact.queryParameters": "a-parameter", "the AuthenticationPolicy": "fishes",
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has what %s hides: %s", what, setting, text)
			}
		}
		if !strings.Contains(text, "plainly") && !strings.Contains(what, "record of") {
			t.Errorf("%s does not have what nobody hides: %q", what, text)
		}
	}
	guesses.mu.Lock()
	defer guesses.mu.Unlock()
	for _, e := range guesses.list {
		if e.Type == "exchange" {
			t.Errorf("a tap answers whether a hidden field has a value: %+v", e)
		}
	}
}
