package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// ask sends a request to the admin API of a process and returns its status.
func (p *process) ask(method, path, body string, edits ...edit) int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range edits {
		f(req)
	}
	resp, err := p.api.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// What clients send makes no series: there are as many after ten thousand
// kinds of requests as after a few.
func TestMetricsOfAProcessAreValidAndBounded(t *testing.T) {
	p, port := one(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200 + len(r.URL.Path)%400)
	}, unchanged)
	series := func() (n int) {
		text := p.admin("/metrics")
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Fatalf("%v %v", problems, err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			n += len(f.Metric)
		}
		return n
	}
	send := func(from, to int) {
		c := dialPort(t, port)
		for i := from; i < to; i++ {
			c.send(fmt.Sprintf("M%d /%s?q=%d HTTP/1.1\r\nHost: h%d.example\r\nX-%d: %d\r\nUser-Agent: a%d\r\n\r\n", i, strings.Repeat("x", i%300), i, i, i, i, i))
			c.mustRespond("GET")
		}
	}
	send(0, 300)
	before := series()
	send(300, 2000)
	if after := series(); after > before+10 {
		t.Errorf("%d series, then %d", before, after)
	}
	p.terminate()
	p.ended(patience)
}

func TestAdminAPIOfAProcessIsGuarded(t *testing.T) {
	p, _ := one(t, ok, unchanged)
	json := header("Content-Type", "application/json")
	for _, tt := range []struct {
		name, method, path, body string
		edits                    []edit
		want                     int
	}{
		{"a name that was rebound", "GET", "/v1/status", "", []edit{host("evil.example")}, 421},
		{"a page of another origin", "POST", "/v1/explain", `{"url":"/"}`, []edit{json, header("Origin", "https://evil.example")}, 403},
		{"a form of another site", "POST", "/v1/explain", "a=b", []edit{header("Content-Type", "text/plain"), header("Sec-Fetch-Site", "cross-site")}, 403},
		{"the command line", "POST", "/v1/explain", `{"method":"GET","url":"/"}`, []edit{json}, 200},
		{"a level that is none", "PUT", "/v1/log/level", `{"level":"loud"}`, []edit{json}, 400},
		{"a level", "PUT", "/v1/log/level", `{"level":"error"}`, []edit{json}, 200},
		{"a profile", "GET", "/debug/pprof/heap", "", nil, 200},
	} {
		if got := p.ask(tt.method, tt.path, tt.body, tt.edits...); got != tt.want {
			t.Errorf("%s: %d, not %d", tt.name, got, tt.want)
		}
	}
	if level := p.admin("/v1/log/level"); !strings.Contains(level, `"error"`) {
		t.Errorf("the level is %s", level)
	}
	p.terminate()
	p.ended(patience)
}

// Nothing that the API tells holds a key or a credential of the configuration.
func TestAdminAPIOfAProcessKeepsSecrets(t *testing.T) {
	cert, key := newAuthority(t, "ca").issue("shop.example")
	port, app := ownPort(t), serve(t, ok)
	p := start(t, documents(
		httpsOn(port, "shop.example", "cert"),
		secretDoc("cert", cert, key),
		routeDoc("app", `matches:
- headers: [{name: X-Api-Key, value: sesame-key}]
  queryParams: [{name: access_token, value: sesame-query}]
filters:
- type: RequestHeaderModifier
  requestHeaderModifier:
    set:
    - {name: Authorization, value: sesame-header}
    - {name: X-Plain, value: "Bearer sesame-scheme"}
    - {name: X-Back, value: "https://user:sesame-url@host/"}
    - {name: X-Auth, value: sesame-auth}
    - {name: X-Claims, value: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.sesame-jwt}
sessionPersistence: {sessionName: s}
`),
		backendDoc("app", app.addr),
		policyDoc("app", "HTTPRoute", "app", `
healthCheck: {http: {path: "/healthz?token=sesame-path", headers: [{name: Authorization, value: sesame-check}]}}
`),
		`apiVersion: v1
kind: ConfigMap
metadata: {name: c, annotations: {db-password: sesame-annotation}, labels: {token: sesame-label}}
data: {password: sesame-map, stray: "-----BEGIN PRIVATE KEY-----\nsesame-pem\n-----END PRIVATE KEY-----"}
`,
	))
	if config := p.admin("/v1/config"); !strings.Contains(config, "(hidden)") || !strings.Contains(config, "access_token") {
		t.Fatalf("the credentials are not in the configuration: %s", config)
	}
	for _, path := range []string{"/v1/config", "/v1/objects?values=true", "/v1/objects/Secret/default/cert", "/v1/routes", "/v1/status", "/v1/clusters", "/metrics", "/v1/top"} {
		text := p.admin(path)
		for _, secret := range []string{"sesame", "PRIVATE KEY", strings.Split(key, "\n")[1], base64.StdEncoding.EncodeToString([]byte(key))[:60]} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %q", path, secret)
			}
		}
	}
	p.terminate()
	p.ended(patience)
}
