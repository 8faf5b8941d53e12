package mesh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/otlp/otlptest"
)

// Prometheus scrapes a gateway, a control plane and sidecars with traffic; the rules
// that are shipped make one alert fire, and no query of a dashboard is without an answer.
func TestPrometheus(t *testing.T) {
	for _, name := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not here: scripts/setup installs it", name)
		}
	}
	rules, err := filepath.Abs("../../deploy/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("promtool", "test", "rules", "rules_test.yaml")
	check.Dir = filepath.Dir(rules)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check = exec.Command("promtool", "check", "config", "--syntax-only", "prometheus.yaml")
	check.Dir = filepath.Dir(rules)
	if out, err := check.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	m := newMesh(t, "")
	probesA, probesB, up := port(t), port(t), port(t)
	m.sidecar("ratings", "one", "--probes", "127.0.0.1:"+probesA, "--metrics-native-histograms")
	m.sidecar("reviews", "front", "--upstream", "ratings=:"+up, "--probes", "127.0.0.1:"+probesB)
	from(t, up, "one")
	e := startMonitored(t)
	p := startPrometheus(t, rules, "127.0.0.1:"+e.admin, m.relay(), "127.0.0.1:"+probesA, "127.0.0.1:"+probesB)

	stop := make(chan struct{})
	var load sync.WaitGroup
	always := func(do func(i int)) {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					do(i)
				}
			}
		})
	}
	always(e.traffic)
	always(func(i int) {
		_, _ = get(up, "/")
		if i%200 == 0 { // what proxies serve changes
			m.write(fmt.Sprintf(monitoredMesh, i))
		}
	})
	defer func() { close(stop); load.Wait() }()

	within(t, 4*patience, "the alert of the certificate that ends today", func() error {
		var got struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
		if err := p.ask("alerts", nil, &got); err != nil {
			return err
		}
		for _, a := range got.Alerts {
			if a.Labels["alertname"] == "GridwayCertificateEndsWithinADay" && a.Labels["certificate"] == "Secret/default/shop" && a.State == "firing" {
				return nil
			}
		}
		return fmt.Errorf("%v", got.Alerts)
	})
	asked := dashboards(t)
	within(t, 4*patience, "every query of every dashboard has an answer", func() error {
		var without []string
		for query, where := range asked {
			if err := p.answers(query); err != nil {
				without = append(without, where+": "+query+": "+err.Error())
			} else {
				delete(asked, query)
			}
		}
		if len(without) > 0 {
			return errors.New(strings.Join(without, "\n"))
		}
		return nil
	})
	// Prometheus of this age takes native buckets in place of the classic ones.
	eventually(t, "a native histogram", func() error {
		return p.answers(`histogram_quantile(0.9, sum(rate(gridway_route_request_duration_seconds{job="gridway-mesh"}[1m])))`)
	})
	eventually(t, "an exemplar", func() error {
		var got []struct {
			Exemplars []struct{ Labels map[string]string }
		}
		if err := p.ask("query_exemplars", url.Values{"query": {"gridway_route_request_duration_seconds_bucket"}, "start": {fmt.Sprint(time.Now().Add(-time.Hour).Unix())}, "end": {fmt.Sprint(time.Now().Add(time.Hour).Unix())}}, &got); err != nil {
			return err
		}
		for _, s := range got {
			for _, x := range s.Exemplars {
				if x.Labels["trace_id"] == monitoredTrace {
					return nil
				}
			}
		}
		return fmt.Errorf("%v", got)
	})
}

const monitoredMesh = `
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: seen}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Audit
  rules: [{name: "all-%d"}]
`

// relay gives what the control plane's admin socket has at /metrics at a port, with the
// token that it wants.
func (m *mesh) relay() string {
	first, err := os.ReadFile(filepath.Join(m.state(), "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	token := ""
	for line := range strings.Lines(string(first)) {
		if role, rest, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			token = strings.TrimSpace(rest)
		}
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "admin"
			r.Out.Header.Set("Authorization", "Bearer "+token)
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(m.dir, "admin"))
		}},
	})
	m.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

const (
	monitoredTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	monitoredKey   = "acme_live_q7wz2mtjv5xk3hnb4rdc6yfe8gs9pa"
)

// monitored is a gateway with something of everything that dashboards show.
type monitored struct {
	t                    *testing.T
	admin, plain, secure string
	two                  *http.Client
}

func startMonitored(t *testing.T) *monitored {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Header.Get("Content-Type") == "application/grpc":
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "0")
		case r.URL.Path == "/cut":
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/fail":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}))
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetHTTP1(true)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	t.Cleanup(app.Close)
	e := &monitored{t: t, admin: port(t), plain: port(t), secure: port(t)}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	e.two = &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: protocols}}
	cert, key := endsToday(t)
	_, appPort, _ := net.SplitHostPort(app.Listener.Addr().String())
	yaml := fmt.Sprintf(monitoredYAML, e.plain, e.secure, cert, key, appPort, appPort, otlptest.GRPC(t, "", nil).Address)
	file := filepath.Join(t.TempDir(), "gridway.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, nil, "run", file, "--admin", "127.0.0.1:"+e.admin, "--state-dir", t.TempDir(), "--access-log", os.DevNull, "--upgrade-socket", "off")
	p.said("configuration in service")
	eventually(t, "the gateway serves", func() error {
		a, err := get(e.plain, "/", known)
		if err == nil && a.status != 200 {
			err = fmt.Errorf("%+v", a)
		}
		return err
	})
	return e
}

// known is a request of somebody whom the gateway knows, in a trace that is recorded.
func known(r *http.Request) {
	r.Host = "shop.example"
	r.Header.Set("X-API-Key", monitoredKey)
	r.Header.Set("Traceparent", "00-"+monitoredTrace+"-00f067aa0ba902b7-01")
}

// traffic is the i-th of the requests.
func (e *monitored) traffic(i int) {
	_, _ = get(e.plain, "/", known)
	switch i % 8 {
	case 0:
		_, _ = get(e.plain, "/fail", known)
	case 1:
		_, _ = get(e.plain, "/", func(r *http.Request) { known(r); r.Header.Set("X-API-Key", "no key") })
	case 2:
		req, err := http.NewRequest("POST", "http://127.0.0.1:"+e.plain+"/shop.v1.Catalog/Get", bytes.NewReader(make([]byte, 5)))
		if err != nil {
			e.t.Error(err)
			return
		}
		known(req)
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		if resp, err := e.two.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	case 3:
		if c, err := tls.Dial("tcp", "127.0.0.1:"+e.secure, &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true}); err == nil {
			_ = c.Close()
		}
	case 4:
		for _, at := range []string{e.plain, e.secure} {
			if c, err := net.Dial("tcp", "127.0.0.1:"+at); err == nil {
				_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
				_, _ = io.WriteString(c, "no HTTP and no TLS\r\n\r\n")
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}
		}
	case 5:
		_, _ = get(e.plain, "/cut", known)
	case 6:
		_, _ = get(e.plain, "/", func(r *http.Request) { known(r); r.Host = "nobody.example" })
	}
}

// endsToday makes a certificate that ends in two hours, and its key, in base64.
func endsToday(t *testing.T) (cert, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(2 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", private)
}

const monitoredYAML = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: http, port: %s, protocol: HTTP}
  - {name: https, port: %s, protocol: HTTPS, hostname: shop.example, tls: {certificateRefs: [{name: shop}]}}
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example]
  rules:
  - matches: [{path: {value: /shop.v1.Catalog}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: calls}]
  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  dns: [{name: localhost, port: %s, type: A}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: calls}
spec:
  protocol: h2c
  endpoints: [{address: "127.0.0.1:%s"}]
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: shop}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: shop}]
  retry: {attempts: 1, retryOn: [ConnectFailure, GatewayError], budget: {percent: 20, minPerSecond: 10}}
  admission: {minConcurrency: 8, maxConcurrency: 200, targetLatency: 100ms}
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: app}
spec:
  targetRefs: [{group: gridway.dev, kind: Backend, name: app}]
  circuitBreaker: {maxConnections: 100, maxPending: 50, maxRequests: 200}
  healthCheck: {http: {path: /healthz}, interval: 1s, timeout: 500ms, healthyThreshold: 1, unhealthyThreshold: 5}
---
apiVersion: gridway.dev/v1alpha1
kind: RateLimitPolicy
metadata: {name: clients}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  limits: [{name: per-client, key: [{type: ClientIP}], rate: 100000/s, burst: 200000}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  anyOf:
  - apiKey: {from: [{header: X-API-Key}]}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: collector}
spec: {otlp: {address: "http://%s", metricsInterval: 1s, batchDelay: 100ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: all}
spec:
  tracing: {sinkRefs: [{name: collector}]}
  metrics: {sinkRefs: [{name: collector}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Consumer
metadata: {name: acme}
spec:
  credentials:
  - {name: first, apiKey: {hash: "sha256:fc61c6893c63ff3ec8d98b085d81f6724f0648958a85c11e959beef85cbbc1cb"}}
`

// prom is a Prometheus.
type prom struct{ at string }

func startPrometheus(t *testing.T, rules string, gateway, control string, proxies ...string) *prom {
	dir := t.TempDir()
	p := &prom{at: "127.0.0.1:" + port(t)}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
- {job_name: gridway, static_configs: [{targets: [%q, %q]}]}
- {job_name: gridway-mesh, static_configs: [{targets: ["%s"]}]}
`, rules, gateway, control, strings.Join(proxies, `", "`))
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.at,
		"--enable-feature=native-histograms,exemplar-storage", "--log.level=warn")
	var log buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return p
}

// ask asks an endpoint of the API.
func (p *prom) ask(path string, query url.Values, out any) error {
	resp, err := http.Get("http://" + p.at + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var got struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return err
	}
	if got.Status != "success" {
		return errors.New(got.Error)
	}
	return json.Unmarshal(got.Data, out)
}

// answers wants a query to have a result that is a number.
func (p *prom) answers(query string) error {
	var got struct{ Result []struct{ Value []any } }
	if err := p.ask("query", url.Values{"query": {query}}, &got); err != nil {
		return err
	}
	for _, r := range got.Result {
		if len(r.Value) == 2 && r.Value[1] != "NaN" {
			return nil
		}
	}
	return fmt.Errorf("no answer: %v", got.Result)
}

var variable = regexp.MustCompile(`\$[a-z_]+`)

// dashboards are the queries of those that are shipped, as Grafana asks them, each with
// its place.
func dashboards(t *testing.T) map[string]string {
	files, err := filepath.Glob("../../deploy/grafana/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	out := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			UID, Title string
			Panels     []struct {
				Type, Title string
				Targets     []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d.UID == "" || !strings.HasPrefix(d.Title, "Gridway / ") {
			t.Errorf("%s is %q, %q", file, d.UID, d.Title)
		}
		for _, p := range d.Panels {
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: %q asks nothing", file, p.Title)
			}
			for _, q := range p.Targets {
				expr := variable.ReplaceAllString(strings.ReplaceAll(q.Expr, "$__rate_interval", "1m"), ".*")
				out[expr] = filepath.Base(file) + ", " + p.Title
			}
		}
	}
	return out
}
