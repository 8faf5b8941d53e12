package spire

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

// asApplication makes this binary an application, at an address.
const asApplication = "GRIDWAY_TEST_APPLICATION"

func TestMain(m *testing.M) {
	if at := os.Getenv(asApplication); at != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(at, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ratings") })))
		os.Exit(3)
	}
	harness.Main(m)
}

// documents let the host of SPIRE ask for /open, and nothing else.
const documents = `apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: ratings}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Allow
  rules: [{name: host, identities: ["` + host + `"], paths: [{type: Exact, value: /open}]}]
`

// grants say as whom the host of SPIRE may join.
const grants = "- {id: " + host + ", services: ['rat*']}\n"

type mesh struct {
	t            *testing.T
	dir, control string
	bundle       int // port of the bundle endpoint
	plane        *harness.Program
}

func prepareMesh(t *testing.T) *mesh {
	t.Helper()
	dir, err := os.MkdirTemp("", "mesh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports := harness.FreePorts(t, 2)
	m := &mesh{t: t, dir: dir, control: fmt.Sprintf("127.0.0.1:%d", ports[0]), bundle: ports[1]}
	m.write("mesh.yaml", documents)
	m.write("grants.yaml", grants)
	return m
}

func (m *mesh) path(name string) string { return filepath.Join(m.dir, name) }

func (m *mesh) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// start starts a control plane that federates with SPIRE, of which it has a bundle.
func (m *mesh) start(s *spire) {
	m.t.Helper()
	m.write("spire.json", s.server("bundle", "show", "-format", "spiffe"))
	m.plane = m.run("control plane", nil, "control", m.path("mesh.yaml"), "--mesh", m.control, "--state-dir", m.path("control"), "--trust-domain", meshDomain,
		"--admin", "unix:"+m.path("admin"), "--upgrade-socket", "off", "--svid-joins", m.path("grants.yaml"),
		"--bundle-endpoint", fmt.Sprintf("127.0.0.1:%d", m.bundle),
		"--federate", fmt.Sprintf("%s=https://127.0.0.1:%d/,endpoint=spiffe://%s/spire/server,bundle=%s", spireDomain, s.bundle, spireDomain, m.path("spire.json")))
}

// run starts a process of gridway, and waits until it has said a text.
func (m *mesh) run(says string, env []string, args ...string) *harness.Program {
	m.t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	p := harness.Run(m.t, func() bool { return true }, append([]string{"GRIDWAY_CONTROL=", "GRIDWAY_STATE=", "GRIDWAY_JOIN_TOKEN="}, env...), binary, args...)
	harness.Eventually(m.t, fmt.Sprintf("%q of %s", says, args[0]), func() bool { return strings.Contains(p.Output.String(), says) })
	return p
}

// command runs a command of gridway at the control plane.
func (m *mesh) command(args ...string) string {
	m.t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	first, err := os.ReadFile(m.path("control/first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(binary, append(args, "--admin", "unix:"+m.path("admin"))...)
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			cmd.Env = append(os.Environ(), "GRIDWAY_TOKEN="+strings.TrimSpace(token))
		}
	}
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%v: %v", args, err)
	}
	return string(out)
}
