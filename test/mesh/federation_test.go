package mesh

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two meshes of two trust domains trust each other by bundle endpoints, go on while one
// is away, and say so.
func TestFederation(t *testing.T) {
	east, west := port(t), port(t)
	a := newMesh(t, "", "--trust-domain", "east.example", "--bundle-endpoint", "127.0.0.1:"+east)
	file := a.bundle()
	b := newMesh(t, "", "--trust-domain", "west.example", "--bundle-endpoint", "127.0.0.1:"+west,
		"--federate", "east.example=https://127.0.0.1:"+east+",endpoint=spiffe://east.example/gridway/control,bundle="+file)
	states := func(want string) {
		t.Helper()
		eventually(t, want, func() error {
			out, err := b.command("status")
			for line := range strings.Lines(out) {
				if strings.Contains(line, "east.example") && strings.Contains(line, want) {
					return nil
				}
			}
			return fmt.Errorf("%w: %s", err, out)
		})
	}
	states("fetched")
	if out, err := b.command("identity", "authority", "-o", "json"); err != nil || !strings.Contains(out, `"spiffe_sequence"`) {
		t.Errorf("%v: %s", err, out)
	}
	a.control.kill()
	b.control.kill()
	b.start()
	states("connection refused") // and what was fetched before goes on
	b.control.said("the last good one goes on")
}

// bundle is a file with the trust bundle.
func (m *mesh) bundle() string {
	m.t.Helper()
	out, err := m.command("identity", "bundle")
	path := filepath.Join(m.dir, "bundle.json")
	if err == nil {
		err = os.WriteFile(path, []byte(out), 0o600)
	}
	if err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return path
}
