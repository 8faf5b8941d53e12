package jaeger

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// documents of the mesh. Retries and hedges are the edge's, for the rules of those names.
const documents = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: EDGE, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front}
spec:
  parentRefs: [{name: public}]
  rules:
  - name: flaky
    matches: [{path: {value: /flaky}}]
    retry: {codes: [503], attempts: 2, backoff: 1ms}
    backendRefs: [{name: front, port: FRONT}]
  - name: late
    matches: [{path: {value: /late}}]
    backendRefs: [{name: front, port: FRONT}]
  - matches: [{path: {value: /shop.Calls}}]
    backendRefs: [{name: calls, port: CALLS}]
  - backendRefs: [{name: front, port: FRONT}]
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: late}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: front, sectionName: late}]
  hedge: {delay: 50ms, maxExtra: 1}
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: guard}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Deny
  rules: [{name: no-deletes, methods: [DELETE]}]
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: by-grpc, namespace: gridway-system}
spec: {otlp: {address: "http://127.0.0.1:GRPCSINK", batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetrySink
metadata: {name: by-http, namespace: gridway-system}
spec: {otlp: {address: "http://127.0.0.1:HTTPSINK", protocol: HTTP, batchDelay: 10ms}}
---
apiVersion: gridway.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: traces, namespace: gridway-system}
spec:
  tracing:
    sampling: {rate: 0}
    sinkRefs: [{name: by-grpc}, {name: by-http}]
`

// mesh is an edge, front, which asks ratings by its sidecar, and calls, which speaks gRPC.
type mesh struct {
	t              *testing.T
	dir, control   string
	token          string
	edge, upstream int // ports: of the edge, and by which front asks ratings
}

func startMesh(t *testing.T, byGRPC, byHTTP *server) *mesh {
	t.Helper()
	dir, err := os.MkdirTemp("", "mesh") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports := harness.FreePorts(t, 6)
	m := &mesh{t: t, dir: dir, control: fmt.Sprintf("127.0.0.1:%d", ports[0]), edge: ports[1], upstream: ports[2]}
	front, ratings, calls := ports[3], ports[4], ports[5]
	text := strings.NewReplacer("EDGE", fmt.Sprint(m.edge), "FRONT", fmt.Sprint(front), "CALLS", fmt.Sprint(calls),
		"GRPCSINK", fmt.Sprint(byGRPC.grpc), "HTTPSINK", fmt.Sprint(byHTTP.http)).Replace(documents)
	if err := os.WriteFile(filepath.Join(dir, "mesh.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.run("control plane", nil, "control", filepath.Join(dir, "mesh.yaml"), "--mesh", m.control, "--state-dir", filepath.Join(dir, "control"),
		"--admin", "unix:"+filepath.Join(dir, "admin"), "--upgrade-socket", "off")
	m.join()
	m.sidecar("ratings", "http", ratings)
	m.sidecar("calls", "kubernetes.io/h2c", calls)
	m.sidecar("front", "http", front, "--upstream", fmt.Sprintf("ratings=:%d", m.upstream))
	m.run("in the mesh", nil, "edge", "--control", m.control, "--state-dir", filepath.Join(dir, "edge"))
	harness.Eventually(t, "way through the mesh", func() bool {
		for _, path := range []string{m.relay("/"), "/shop.Calls/Ready"} {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", m.edge, path))
			if err != nil {
				return false
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
	return m
}

// relay is the path by which front asks ratings for a path.
func (m *mesh) relay(path string) string { return fmt.Sprintf("/relay/%d%s", m.upstream, path) }

func (m *mesh) sidecar(service, protocol string, port int, flags ...string) {
	m.t.Helper()
	args := append([]string{
		"sidecar", "--service", service, "--port", fmt.Sprintf("%d/%s", port, protocol), "--control", m.control, "--log-level", "info",
		"--state-dir", filepath.Join(m.dir, service),
	}, flags...)
	m.run("application listens", []string{fmt.Sprintf("%s=127.0.0.1:%d", asApplication, port)}, append(args, "--", os.Args[0])...)
}

// run starts a process, and waits until it has said a text.
func (m *mesh) run(says string, env []string, args ...string) {
	m.t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	p := harness.Run(m.t, func() bool { return true }, append([]string{"GRIDWAY_CONTROL=", "GRIDWAY_STATE=", "GRIDWAY_JOIN_TOKEN=" + m.token}, env...), binary, args...)
	harness.Eventually(m.t, fmt.Sprintf("%q of %s", says, args[0]), func() bool { return strings.Contains(p.Output.String(), says) })
}

// join makes the token by which all proxies join.
func (m *mesh) join() {
	m.t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(m.dir, "control", "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(binary, "identity", "token", "create", "--service", "*", "--namespace", "*", "--reusable", "--admin", "unix:"+filepath.Join(m.dir, "admin"))
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			cmd.Env = append(os.Environ(), "GRIDWAY_TOKEN="+strings.TrimSpace(token))
		}
	}
	out, err := cmd.CombinedOutput()
	_, rest, found := strings.Cut(string(out), "token ")
	if err != nil || !found {
		m.t.Fatalf("%v: %s", err, out)
	}
	token, _, _ := strings.Cut(rest, "\n")
	m.token = strings.TrimSpace(token)
}
