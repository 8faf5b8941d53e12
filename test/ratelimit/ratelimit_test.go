package ratelimit

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long anything may take that should happen soon.
const patience = 60 * time.Second

// The binaries, which TestMain makes.
var gridway, service string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gridway-ratelimit")
	if err != nil {
		panic(err)
	}
	// Gridway stays, so that the suites after this one need not link it again.
	if gridway, err = filepath.Abs("../../bin/gridway-race"); err != nil {
		panic(err)
	}
	service = filepath.Join(dir, "ratelimit")
	for _, b := range []struct {
		folder string
		args   []string
	}{
		{"../..", []string{"-race", "-o", gridway, "./cmd/gridway"}}, {".", []string{"-o", service, "github.com/envoyproxy/ratelimit/src/service_cmd"}},
	} {
		build := exec.Command("go", append([]string{"build"}, b.args...)...)
		build.Dir = b.folder
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", b.args, err, out)
			os.Exit(1)
		}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// run starts a program until the test ends.
func run(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(name), out.String())
		}
	})
	return cmd
}

// free is a port that nobody has.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !f(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

func listens(port string) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return c.Close() == nil
	}
}

// counting starts the service, and returns its port of gRPC.
func counting(t *testing.T) (port string, cmd *exec.Cmd) {
	t.Helper()
	redis, port, plain := free(t), free(t), free(t)
	run(t, nil, "redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "")
	eventually(t, "redis-server", listens(redis))
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "limits", "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Limits come with the questions.
	if err := os.WriteFile(filepath.Join(dir, "limits", "config", "gridway.yaml"), []byte("domain: gridway\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd = run(t, []string{
		"USE_STATSD=false", "REDIS_SOCKET_TYPE=tcp", "REDIS_URL=127.0.0.1:" + redis, "RUNTIME_ROOT=" + dir, "RUNTIME_SUBDIRECTORY=limits",
		"RUNTIME_WATCH_ROOT=false", "HOST=127.0.0.1", "GRPC_HOST=127.0.0.1", "DEBUG_HOST=127.0.0.1",
		"PORT=" + plain, "GRPC_PORT=" + port, "DEBUG_PORT=" + free(t), "LIMIT_RESPONSE_HEADERS_ENABLED=true",
	}, service)
	eventually(t, "the service", listens(port))
	return port, cmd
}

// gateway runs Gridway with limits, and returns a function that sends requests.
func gateway(t *testing.T, asked, limits string) func(path string, header ...string) *http.Response {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(app.Close)
	port, file := free(t), filepath.Join(t.TempDir(), "gateway.yaml")
	text := fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: gridway, listeners: [{name: http, port: %s, protocol: HTTP}]}
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
spec: {protocol: h2c, endpoints: [{address: "127.0.0.1:%s"}]}
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
%s`, port, app.Listener.Addr(), asked, limits)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, gridway, "run", file, "--admin", "off", "--access-log", "off")
	eventually(t, "gridway", listens(port))
	client := &http.Client{Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	return func(path string, header ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
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
	port, cmd := counting(t)
	send := gateway(t, port, `
  - {name: deny, key: [{type: Header, name: X-Deny}], onMissingKey: Skip, rate: 100/h, `+global+`}
  - {name: local, key: [{type: Header, name: X-Local}], onMissingKey: Skip, rate: 2/h, global: {storeRef: {name: shared}, timeout: 10s}}
`)
	if resp := send("/", "X-Deny: a"); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if resp := send("/", "X-Deny: a"); resp.StatusCode != 503 || resp.Header.Get("X-Gridway-Reason") != "RateLimitUnavailable" {
		t.Errorf("status %d, %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
	}
	for i, want := range []int{200, 200, 429} {
		if resp := send("/", "X-Local: a"); resp.StatusCode != want {
			t.Errorf("%d alone: status %d, want %d", i, resp.StatusCode, want)
		}
	}
}
