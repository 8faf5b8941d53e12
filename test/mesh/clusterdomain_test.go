package mesh

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Programs ask for services by full names that end as the mesh's policy says, and such a
// name alone makes a proxy learn the service.
func TestClusterDomain(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: scripts/setup installs it")
	}
	const policy = "apiVersion: gridway.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: names, namespace: gridway-system}\nspec: {clusterDomain: "
	m := newMesh(t, policy+"corp.internal}\n")
	ratings := m.sidecar("ratings", "one")
	ask := `curl -s -m 10 -w ' %{http_code} '"$1"'\n' "http://ratings.default.svc.$1:` + ratings.port + `/"; `
	client := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "reviews", "--control", m.address, "--http-proxy",
		"--state-dir", filepath.Join(m.dir, "reviews"), "--log-level", "info", "--", "sh", "-c", `ask() { `+ask+`}; while :; do ask corp.internal; ask west.internal; sleep 0.2; done`)
	client.said("200 corp.internal")
	m.write(policy + "west.internal}\n")
	client.said("200 west.internal")
}
