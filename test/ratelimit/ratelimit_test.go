package ratelimit

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// service is the binary of the rate limit service.
var service string

func TestMain(m *testing.M) {
	harness.Main(m, func(folder string) error {
		service = filepath.Join(folder, "ratelimit")
		return harness.Build(".", "-o", service, "github.com/envoyproxy/ratelimit/src/service_cmd")
	})
}

// counting starts the service, and returns its port of gRPC.
func counting(t *testing.T) (port int, counter *harness.Program) {
	t.Helper()
	free := harness.FreePorts(t, 4)
	redis, port := free[0], free[1]
	harness.Run(t, listens(redis), nil, "redis-server", "--port", strconv.Itoa(redis), "--bind", "127.0.0.1", "--save", "")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "limits", "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Limits come with the questions.
	if err := os.WriteFile(filepath.Join(dir, "limits", "config", "gridway.yaml"), []byte("domain: gridway\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return port, harness.Run(t, listens(port), []string{
		"USE_STATSD=false", "REDIS_SOCKET_TYPE=tcp", "REDIS_URL=" + local(redis), "RUNTIME_ROOT=" + dir, "RUNTIME_SUBDIRECTORY=limits",
		"RUNTIME_WATCH_ROOT=false", "HOST=127.0.0.1", "GRPC_HOST=127.0.0.1", "DEBUG_HOST=127.0.0.1",
		fmt.Sprint("PORT=", free[2]), fmt.Sprint("GRPC_PORT=", port), fmt.Sprint("DEBUG_PORT=", free[3]), "LIMIT_RESPONSE_HEADERS_ENABLED=true",
	}, service)
}

func listens(port int) func() bool { return func() bool { return harness.Listens(port) } }

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// gateway runs Gridway with limits, and returns a function that sends requests.
func gateway(t *testing.T, asked int, limits string) func(path string, header ...string) *http.Response {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(app.Close)
	port := harness.FreePort(t)
	harness.Start(t, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: gridway, listeners: [{name: http, port: %d, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec: {endpoints: [{address: %q}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: counting}
spec: {protocol: h2c, endpoints: [{address: "127.0.0.1:%d"}]}
---
apiVersion: gridway.dev/v1alpha1
kind: RateLimitStore
metadata: {name: shared}
spec: {service: {backendRef: {group: gridway.dev, kind: Backend, name: counting}}}
---
apiVersion: gridway.dev/v1alpha1
kind: RateLimitPolicy
metadata: {name: api}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app}]
  limits:
%s`, port, app.Listener.Addr(), asked, limits))
	client := &http.Client{Timeout: harness.Patience}
	t.Cleanup(client.CloseIdleConnections)
	return func(path string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest("GET", "http://"+local(port)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
}

const global = "global: {storeRef: {name: shared}, timeout: 10s, onError: Deny}"

// TestCounts: two gateways have one limit, by the service's word, and tell clients
// what it says.
func TestCounts(t *testing.T) {
	port, _ := counting(t)
	limits := `
  - {name: tenants, key: [{type: Header, name: X-Tenant}, {type: Method}], quota: {amount: 4, window: Month}, ` + global + `}
  - {name: all, rate: 1000/d, cost: {request: 10}, ` + global + `}
  - {name: dry, rate: 1/d, dryRun: true, ` + global + `}
`
	a, b := gateway(t, port, limits), gateway(t, port, limits)
	for i, send := range []func(string, ...string) *http.Response{a, b, a, b} {
		resp := send("/", "X-Tenant: acme")
		got := resp.Header.Get("RateLimit")
		want := []string{fmt.Sprintf(`"tenants";r=%d;t=`, 3-i), fmt.Sprintf(`"all";r=%d;t=`, 990-10*i)}
		if resp.StatusCode != 200 || !strings.HasPrefix(got, want[0]) || !strings.Contains(got, want[1]) || strings.Contains(got, "dry") {
			t.Errorf("%d: status %d, %s; want %q", i, resp.StatusCode, got, want)
		}
		if resp.Header.Get("RateLimit-Remaining") == "" {
			t.Errorf("%d: the service's own headers are not there: %v", i, resp.Header)
		}
	}
	for _, send := range []func(string, ...string) *http.Response{a, b, a} {
		resp := send("/", "X-Tenant: acme")
		if resp.StatusCode != 429 || resp.Header.Get("X-Gridway-Reason") != "QuotaExceeded" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
		}
	}
	if resp := b("/", "X-Tenant: other"); resp.StatusCode != 200 {
		t.Errorf("another tenant: status %d", resp.StatusCode)
	}
}

// TestGone: without the service, onError decides.
func TestGone(t *testing.T) {
	port, counter := counting(t)
	send := gateway(t, port, `
  - {name: deny, key: [{type: Header, name: X-Deny}], onMissingKey: Skip, rate: 100/h, `+global+`}
  - {name: local, key: [{type: Header, name: X-Local}], onMissingKey: Skip, rate: 2/h, global: {storeRef: {name: shared}, timeout: 10s}}
`)
	if resp := send("/", "X-Deny: a"); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	counter.Kill()
	if resp := send("/", "X-Deny: a"); resp.StatusCode != 503 || resp.Header.Get("X-Gridway-Reason") != "RateLimitUnavailable" {
		t.Errorf("status %d, %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
	}
	for i, want := range []int{200, 200, 429} {
		if resp := send("/", "X-Local: a"); resp.StatusCode != want {
			t.Errorf("%d alone: status %d, want %d", i, resp.StatusCode, want)
		}
	}
}
