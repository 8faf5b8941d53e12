package mesh

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Two control planes share a state store: workloads that one of them has are known at the
// other, and proxies go on at the other when one is killed.
func TestReplicas(t *testing.T) {
	m := newMesh(t, "")
	second := "127.0.0.1:" + port(t)
	other := run(t, nil, "control", filepath.Join(m.dir, "mesh.yaml"), "--mesh", second, "--state-dir", m.state(), "--admin", "off", "--upgrade-socket", "off")
	other.said("control plane")
	m.sidecar("ratings", "one")
	up, later := port(t), port(t)
	first := m.address
	m.address = second
	reviews := m.sidecar("reviews", "front", "--upstream", "ratings=:"+up, "--control", second+","+first)
	from(t, up, "one")
	other.kill()
	// What is asked for first now is learned from the one that is left.
	m.address = first
	m.sidecar("details", "two")
	m.address = second + "," + first
	m.sidecar("reports", "back", "--upstream", "details=:"+later)
	from(t, later, "two")
	from(t, up, "one")
	eventually(t, "reviews is connected to the other", func() error {
		out, err := m.command("status")
		if err == nil && !strings.Contains(out, "default/reviews/") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	if code := reviews.end(); code != 143 {
		t.Errorf("exit code %d", code)
	}
}
