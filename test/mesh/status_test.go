package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// object is what "gridway get KIND NAME -o json" shows of one.
type object struct {
	Status struct {
		Conditions []condition
		Parents    []struct{ Conditions []condition }
		Listeners  []struct{ Conditions []condition }
	}
}

type condition struct{ Type, Status, Reason, Message string }

func (m *mesh) object(kind, name string) (o object, err error) {
	out, err := m.command("get", kind, name, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &o)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return o, err
}

func find(list []condition, kind string) (c condition) {
	for _, c := range list {
		if c.Type == kind {
			return c
		}
	}
	return c
}

const distributed = "gridway.dev/Distributed"

// stands waits until a condition is so, and returns its message.
func (m *mesh) stands(kind, name, of, status, reason string) string {
	m.t.Helper()
	var c condition
	eventually(m.t, fmt.Sprintf("%s/%s has %s %s", kind, name, of, status), func() error {
		o, err := m.object(kind, name)
		if err != nil {
			return err
		}
		if c = find(o.Status.Conditions, of); c.Type == "" && len(o.Status.Parents) > 0 {
			c = find(o.Status.Parents[0].Conditions, of)
		}
		if c.Status != status || c.Reason != reason {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	return c.Message
}

const statusYAML = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec: {gatewayClassName: gridway, listeners: [{name: http, port: %[1]s, protocol: HTTP}%[2]s]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: in}
spec: {parentRefs: [{name: front}], rules: [{matches: [{path: {type: PathPrefix, value: %[3]s}}], backendRefs: [{name: ratings, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: within}
spec: {parentRefs: [{group: "", kind: Service, name: ratings}], rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-way, value: %[3]s}]}}], backendRefs: [{name: ratings, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, labels: {app: ratings}}
spec: {ports: [{name: http, port: 80, targetPort: http, appProtocol: http}]}
`

// Who does not serve an object, and why, stands in its conditions, in the status and at the
// end of a wait: a proxy that another program's port keeps from it, one that does not
// answer, and one that is gone. Nothing else is held up by them.
func TestStatusSaysWhoServesWhat(t *testing.T) {
	at, taken := port(t), port(t)
	m := newMesh(t, fmt.Sprintf(statusYAML, at, "", "/one"))
	file := filepath.Join(m.dir, "mesh.yaml")
	if message := m.stands("gateway", "front", "Programmed", "Unknown", "Pending"); message != "no proxy serves it: there is no edge" {
		t.Errorf("without an edge: %s", message)
	}
	one := m.sidecar("ratings", "one")
	slowPort := port(t)
	slow := m.sidecar("reviews", "slow", "--upstream", "ratings=:"+slowPort)
	m.sidecar("reports", "fast", "--upstream", "ratings=:"+port(t))
	edge := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "edge", "--control", m.address, "--log-level", "info", "--state-dir", filepath.Join(m.dir, "edge"))
	edge.said("in the mesh")
	from(t, slowPort, "one")
	if out, err := m.command("wait", file); err != nil || !strings.Contains(out, "by all proxies that need it") {
		t.Fatalf("wait: %v\n%s", err, out)
	}
	if message := m.stands("gateway", "front", "Programmed", "True", "Programmed"); !strings.HasPrefix(message, "1 of 1 proxies serve revision") {
		t.Errorf("the Gateway: %s", message)
	}
	if message := m.stands("httproute", "within", distributed, "True", "Served"); !strings.HasPrefix(message, "2 of 2 proxies serve revision") {
		t.Errorf("the route of the Service: %s", message)
	}
	service := m.stands("service", "ratings", distributed, "True", "Served")
	if !strings.HasPrefix(service, "4 of 4 proxies serve revision") {
		t.Errorf("the Service: %s", service)
	}

	// The edge cannot open one more port, and a sidecar does not answer.
	l, err := net.Listen("tcp", "0.0.0.0:"+taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = slow.cmd.Process.Signal(syscall.SIGSTOP)
	m.write(fmt.Sprintf(statusYAML, at, ", {name: more, port: "+taken+", protocol: HTTP}", "/two"))
	if message := m.stands("gateway", "front", "Programmed", "False", "Refused"); !strings.Contains(message, "0 of 1 proxies") || !strings.Contains(message, "default/edge/") || !strings.Contains(message, "address already in use") {
		t.Errorf("the Gateway: %s", message)
	}
	if message := m.stands("httproute", "within", distributed, "Unknown", "Pending"); !strings.Contains(message, "1 of 2 proxies") || !strings.Contains(message, "default/reviews/") || !strings.Contains(message, "has not answered yet") {
		t.Errorf("the route of the Service: %s", message)
	}
	if message := m.stands("service", "ratings", distributed, "True", "Served"); message != service {
		t.Errorf("the Service, which has not changed: %s, and was %s", message, service)
	}
	if message := m.stands("httproute", "in", distributed, "True", "Served"); !strings.Contains(message, "1 of 1 proxies") {
		t.Errorf("a route that nothing keeps from serving: %s", message)
	}
	if a, err := get(at, "/two"); err != nil || a.Name != "one" {
		t.Errorf("the new route: %+v, %v", a, err)
	}
	out, err := m.command("wait", file, "--timeout", "1s")
	if code := exit(err); code != 1 || !strings.Contains(out, "Gateway/default/front") || !strings.Contains(out, "address already in use") || !strings.Contains(out, "default/reviews/") {
		t.Errorf("wait: %d\n%s", code, out)
	}
	out, err = m.command("status", "--proxy", "edge")
	if code := exit(err); code != 1 || !strings.Contains(out, "refuses") || !strings.Contains(out, "Refused: serves the rest without listener") {
		t.Errorf("status of the edge: %d\n%s", code, out)
	}
	if out, err = m.command("status", "--proxy", "ratings"); err != nil || !strings.Contains(out, "Serving") {
		t.Errorf("status of a sidecar: %v\n%s", err, out)
	}
	if out, err = m.command("status", "--proxy", "rating"); exit(err) != 1 || !strings.Contains(out, "the mesh has no proxy rating") {
		t.Errorf("status of nobody: %v\n%s", err, out)
	}

	// What kept them from it is over.
	_ = l.Close()
	_ = slow.cmd.Process.Signal(syscall.SIGCONT)
	if out, err := m.command("wait", file); err != nil {
		t.Fatalf("wait: %v\n%s", err, out)
	}
	m.stands("gateway", "front", "Programmed", "True", "Programmed")

	// One that is gone counts for what it is not known to serve.
	slow.kill()
	m.write(fmt.Sprintf(statusYAML, at, "", "/three"))
	if message := m.stands("httproute", "within", distributed, "Unknown", "Pending"); !strings.Contains(message, "1 of 2 proxies") || !strings.Contains(message, "not connected since") {
		t.Errorf("with one that is gone: %s", message)
	}
	if code := one.end(); code != 143 {
		t.Errorf("exit code %d", code)
	}
}

func exit(err error) int {
	var e interface{ ExitCode() int }
	if errors.As(err, &e) {
		return e.ExitCode()
	}
	return 0
}

// A control plane knows what proxies of another one serve.
func TestStatusAcrossControlPlanes(t *testing.T) {
	// The route of the Service and the Service alone: an edge would be missed.
	within := func(way string) string {
		return strings.SplitN(fmt.Sprintf(statusYAML, "80", "", way), "---\n", 3)[2]
	}
	m := newMesh(t, within("one"))
	second, first := "127.0.0.1:"+port(t), m.address
	run(t, nil, "control", filepath.Join(m.dir, "mesh.yaml"), "--mesh", second, "--state-dir", m.state(), "--admin", "off", "--upgrade-socket", "off").said("control plane")
	m.sidecar("ratings", "one")
	m.address = second
	there := m.sidecar("reviews", "there", "--upstream", "ratings=:"+port(t))
	eventually(t, "the first knows all", func() error {
		out, err := m.command("status")
		if err != nil || !strings.Contains(out, "2 of 2 proxies serve what they were sent") || !strings.Contains(out, "default/reviews/") || !strings.Contains(out, "CONTROL PLANE") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	eventually(t, "both count", func() error {
		if message := m.stands("httproute", "within", distributed, "True", "Served"); !strings.HasPrefix(message, "1 of 1 proxies") {
			return errors.New(message)
		}
		return nil
	})
	// A change counts once the other control plane has it, too.
	_ = there.cmd.Process.Signal(syscall.SIGSTOP)
	m.write(within("two"))
	if message := m.stands("httproute", "within", distributed, "Unknown", "Pending"); !strings.HasPrefix(message, "0 of 1 proxies") {
		t.Errorf("with one that does not answer: %s", message)
	}
	_ = there.cmd.Process.Signal(syscall.SIGCONT)
	if out, err := m.command("wait", filepath.Join(m.dir, "mesh.yaml")); err != nil {
		t.Errorf("wait: %v\n%s", err, out)
	}
	m.address = first
}

// What is to be watched has metrics: of the control plane and of proxies. Who joined, and by
// what, is in the audit log.
func TestMetricsAndAuditOfTheMesh(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("ratings", "one")
	back := port(t)
	m.sidecar("reviews", "front", "--upstream", "ratings=:"+back)
	from(t, back, "one")
	eventually(t, "the control plane counts", func() error {
		text, err := m.metrics(filepath.Join(m.dir, "admin"))
		for _, want := range []string{
			`gridway_mesh_proxies{role="sidecar",state="Serving"} 2`, `gridway_mesh_workloads{health="healthy"} 2`, `gridway_mesh_services 2`,
			`gridway_mesh_joins_total{result="joined",via="token"} 2`, `gridway_mesh_svids_total{result="issued",why="join"} 2`,
			`gridway_mesh_revisions_behind{role="sidecar"} 0`, `gridway_mesh_sent_bytes_total{what="view"} `, `gridway_mesh_acknowledge_duration_seconds_count `,
			`gridway_mesh_authority_not_after_timestamp_seconds{purpose="x509",serial=`, `gridway_mesh_bundle_roots{trust_domain="cluster.local"} 1`,
		} {
			if err == nil && !strings.Contains(text, want) {
				err = fmt.Errorf("no %s in\n%s", want, text)
			}
		}
		return err
	})
	eventually(t, "a sidecar does", func() error {
		text, err := m.metrics(filepath.Join(m.dir, "reviews-front", "admin.sock"))
		for _, want := range []string{
			`gridway_mesh_control_connected 1`, `gridway_mesh_control_contact_timestamp_seconds 1.`, `gridway_mesh_from_disk 0`, `gridway_mesh_used_services 0`,
			`gridway_mesh_svid_not_after_timestamp_seconds{identity="spiffe://cluster.local/ns/default/sa/reviews"} 1.`,
		} {
			if err == nil && !strings.Contains(text, want) {
				err = fmt.Errorf("no %s in\n%s", want, text)
			}
		}
		return err
	})
	out, err := m.command("audit", "-o", "json")
	if err != nil || !strings.Contains(out, "spiffe://cluster.local/ns/default/sa/reviews") || strings.Contains(out, m.token) {
		t.Errorf("the audit log: %v\n%s", err, out)
	}
}

// metrics are those that a process tells at a Unix socket.
func (m *mesh) metrics(socket string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequest("GET", "http://localhost/metrics", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+m.admin())
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

// admin is the token of the control plane's first admin.
func (m *mesh) admin() string {
	first, err := os.ReadFile(filepath.Join(m.state(), "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			return strings.TrimSpace(token)
		}
	}
	return ""
}
