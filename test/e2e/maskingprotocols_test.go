package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
	"github.com/gridway/gridway/internal/testport"
)

const maskedConfig = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /shop.Calls}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: calls}]
  - matches: [{path: {value: /json}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lines}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /lines}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: calls}
spec:
  protocol: h2c
  endpoints: [{address: "APP"}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf: [{apiKey: {from: [{header: X-Weird-Thing}, {query: fish}], forward: true}}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec:
  tracing:
    sampling: {rate: 100}
    tags:
    - {name: shop.note, requestHeader: X-Note}
    - {name: shop.plain, requestHeader: X-Plain}
    - {name: shop.from, requestHeader: X-From}
    - {name: shop.weird, requestHeader: X-Weird-Thing}
    - {name: shop.cookies, expression: "request.headers['cookie']"}
    - {name: shop.said, expression: "'who: ' + request.headers['x-person']"}
    - {name: shop.asked, expression: "request.query"}
    sinkRefs: [{name: collector}]
  accessLog:
    query: Full
    redact: {headers: [X-Person], queryParameters: [who]}
    fields:
    - {name: query}
    - {name: path}
    - {name: referer}
    - {name: flags}
    - {name: trace_id}
    - {name: note, requestHeader: X-Note}
    - {name: from, requestHeader: X-From}
    - {name: person, requestHeader: X-Person}
    - {name: weird, requestHeader: X-Weird-Thing}
    - {name: plain, requestHeader: X-Plain}
    - {name: location, responseHeader: Location}
    sinkRefs: [{name: file}, {name: collector}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: lines}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: lines}]
  accessLog:
    template: '${path} ${query} ${referer} ${request.headers.X-Note} ${request.headers.X-Person} ${request.headers.X-From} ${response.headers.Location}'
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://SINK", protocol: HTTP, compression: None, signals: [Traces, Logs], batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: file}
spec: {file: {path: "FILE"}}
`

// secretWord is in each credential that is sent, and what no output may have.
const secretWord = "s3cret"

const secretToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0." + secretWord

// secretHeader has credentials of all kinds, by the names of fields or in fields that tell
// nothing, in odd cases of letters.
func secretHeader(trace, key string) http.Header {
	return http.Header{
		"Traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}, "X-Plain": {"plainly"},
		"AUTHORIZATION": {"Bearer " + secretWord + "-authorization"}, "Cookie": {"sid=" + secretWord + "-cookie; b=" + secretWord + "-crumb"},
		"x-aPI-kEY": {secretWord + "-key"}, "x_api_key": {secretWord + "-underscored"}, "X-Auth-Token": {secretWord + "-first", secretWord + "-second"},
		"Client-Cert": {":" + secretWord + "-certificate:"}, "X-Forwarded-Client-Cert": {"Hash=" + secretWord + "-xfcc"},
		"X-Note": {"Bearer " + secretWord + "-note"}, "X-From": {"https://a.example/?access_token=" + secretWord + "-from"}, "Referer": {"https://a.example/?%61ccess_token=" + secretWord + "-referer"},
		"X-Person": {secretWord + "-person"}, "X-Weird-Thing": {key},
	}
}

const secretQuery = "?a=plainly&api_key=" + secretWord + "-q&%61pi_key=" + secretWord + "-encoded&at=" + secretToken + "&" + secretToken + "&who=" + secretWord + "-who&wh%6F=" + secretWord +
	"-whom&to=https%3A%2F%2Fada%3A" + secretWord + "%40a.example%2F"

// A credential of whatever kind shows in nothing that is said of a request, over whatever
// protocol it came, whether it was let in, refused, or for nobody.
func TestCredentialsAreHiddenOverProtocols(t *testing.T) {
	t.Parallel()
	app := serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Session-Token, Grpc-Status")
		w.Header().Set("Set-Cookie", "sid="+secretWord+"-set")
		w.Header().Set("Location", "https://a.example/#access_token="+secretWord+"-location")
		if strings.HasPrefix(r.URL.Path, "/shop.") {
			w.Header().Set("Content-Type", "application/grpc")
		}
		w.WriteHeader(http.StatusOK)
		w.Header().Set("X-Session-Token", secretWord+"-trailer")
		w.Header().Set("Grpc-Status", "0")
	})
	receiver := otlptest.HTTP(t, "", nil)
	ca := newAuthority(t, "servers")
	cert, certKey := ca.issue("a.example")
	plain, secure := testport.Free(t), testport.Free(t)
	path := filepath.Join(t.TempDir(), "policy.log")
	key := secretWord + " weird fishes in the deep"
	p := start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain),
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", secure)),
		secretDoc("a", cert, certKey), http3Policy("http3: {}, xForwardedClientCert: {mode: AlwaysForwardOnly}"), backendDoc("app", app.addr), keyed("ada", "", "first", key),
		strings.NewReplacer("APP", app.addr, "SINK", receiver.Address, "FILE", path).Replace(maskedConfig)))
	show := ""
	for _, name := range []string{"authorization", "cookie", "set-cookie", "x-api-key", "x_api_key", "x-auth-token", "client-cert", "x-forwarded-client-cert", "x-note", "x-from", "referer", "x-person", "x-weird-thing", "location", "x-plain"} {
		show += "show=" + name + "&"
	}
	taps := map[string]*tapEvents{"a tap": p.tapped(show + "open=true"), "a recording": p.tapped("record=masked"), "a hashed recording": p.tapped("record=hashed")}

	clients := map[string]sentWith{
		"HTTP/1.1": over(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 6 * patience}, fmt.Sprintf("http://127.0.0.1:%d", plain)),
		"HTTP/2":   over(t, overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), fmt.Sprintf("https://127.0.0.1:%d", secure)),
		"HTTP/3":   over(t, overHTTP3(t, "a.example"), fmt.Sprintf("https://127.0.0.1:%d", secure)),
	}
	type sent struct{ what, trace string }
	var all []sent
	send := func(protocol, path, query, key string, status int) {
		s := sent{protocol + " " + path + " " + fmt.Sprint(status), fmt.Sprintf("%032x", len(all)+0x5ec)}
		all = append(all, s)
		header := secretHeader(s.trace, key)
		if strings.HasPrefix(path, "/shop.") {
			header.Set("Content-Type", "application/grpc")
			header.Set("Te", "trailers")
		}
		if got, _ := clients[protocol](path+query, strings.NewReader("\x00\x00\x00\x00\x00"), header); got != status {
			t.Errorf("%s: %d", s.what, got)
		}
	}
	for _, protocol := range slices.Sorted(maps.Keys(clients)) {
		for _, path := range []string{"/json", "/lines", "/shop.Calls/Price"} {
			refused := 401
			if strings.HasPrefix(path, "/shop.") {
				if refused = 200; protocol == "HTTP/1.1" {
					continue
				}
			}
			send(protocol, path, secretQuery, key, 200)
			send(protocol, path, secretQuery+"&fish="+secretWord+"-fish", secretWord+" wrong", refused)
		}
		send(protocol, "/nowhere", secretQuery+"&f%69sh="+secretWord+"-fish", key, 404)
	}

	count := func(text, of string) int { return strings.Count(text, of) }
	var log, main string
	eventually(t, "lines of all requests", func() bool {
		b, _ := os.ReadFile(path)
		own, _ := os.ReadFile(filepath.Join(p.dir, "access"))
		log, main = string(b), string(own)
		return count(log, "\n")+count(main, "\n") >= len(all)
	})
	receiver.Wait(t, "spans of all requests", func() bool {
		servers := 0
		for _, r := range receiver.Spans(t) {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					if s.Kind == 2 {
						servers++
					}
				}
			}
		}
		return servers >= len(all)
	})
	var exported strings.Builder
	for _, r := range receiver.Requests() {
		exported.Write(r.Body)
	}
	outputs := map[string]string{"the file": log, "the main log": main, "OTLP": exported.String(), "the process's log": p.log.String(), "metrics": p.admin("/metrics")}
	for _, s := range all {
		requestID := ""
		for what, events := range taps {
			e := events.of(t, s.trace)
			requestID = e.RequestID
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			outputs[what+" of "+s.what] = string(b)
		}
		outputs["the record of "+s.what] = p.admin("/v1/traces/" + s.trace)
		outputs["the story of "+s.what] = p.admin("/v1/requests/" + requestID)
	}
	for what, text := range outputs {
		for _, secret := range []string{secretWord, "eyJ"} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s shows a credential: …%s…", what, text[max(0, at-80):min(len(text), at+40)])
			}
		}
	}
	for _, what := range []string{"the file", "OTLP"} {
		if n := count(outputs[what], "plainly"); n < len(all) {
			t.Errorf("%s has what is no secret %d times", what, n)
		}
	}
}
