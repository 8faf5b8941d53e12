package mesh

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program that knows nothing of the mesh calls services by their names: over HTTP, and
// a server of another protocol.
func TestIntercept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("rules of the kernel need root")
	}
	for _, program := range []string{"curl", "redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here: scripts/setup installs it", program)
		}
	}
	m := newMesh(t, "")
	one := m.sidecar("ratings", "one")
	at := port(t)
	cache := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "cache", "--port", at+"/tcp", "--control", m.address, "--log-level", "info",
		"--state-dir", filepath.Join(m.dir, "cache"), "--", "redis-server", "--port", at, "--bind", "127.0.0.1", "--save", "", "--dir", m.dir)
	cache.said("application listens")
	script := strings.NewReplacer("HTTP", one.port, "REDIS", at).Replace(`
curl -sf http://ratings:HTTP/by-name && curl -sf http://ratings.default.svc.cluster.local:HTTP/by-its-whole-name &&
redis-cli -h cache -p REDIS set greeting hello && redis-cli -h cache -p REDIS get greeting
curl -s -m 20 http://nobody.invalid/ || echo nobody: $?
exit 5`)
	p := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "reports", "--control", m.address, "--intercept",
		"--state-dir", filepath.Join(m.dir, "reports"), "--", "sh", "-c", script)
	if code := p.ended(); code != 5 {
		t.Errorf("exit code %d, of the program 5", code)
	}
	for _, want := range []string{`"path":"/by-name"`, `"path":"/by-its-whole-name"`, "OK\nhello\n", "nobody: 6"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("%q is missing in %s", want, p.log)
		}
	}
	if code := cache.end(); code != 0 {
		t.Errorf("redis-server ended with %d", code)
	}
}
