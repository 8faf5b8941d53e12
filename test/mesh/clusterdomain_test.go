package mesh

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Programs ask for services by full names that end as the mesh's policy says, and such a
// name alone makes a proxy learn the service: its HTTP proxy, and its DNS responder.
func TestClusterDomain(t *testing.T) {
	t.Parallel()
	t.Run("http proxy", func(t *testing.T) { clusterDomain(t, "--http-proxy") })
	t.Run("dns", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("rules of the kernel need root")
		}
		clusterDomain(t, "--intercept")
	})
}

// clusterDomain has a client that reaches services in a way ask by two domains, of which
// first the one and then the other is the mesh's.
func clusterDomain(t *testing.T, way string) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: scripts/setup installs it")
	}
	const policy = "apiVersion: gridway.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: names, namespace: gridway-system}\nspec: {clusterDomain: "
	m := newMesh(t, policy+"corp.internal}\n")
	ratings := m.sidecar("ratings", "one")
	ask := `curl -s -m 5 -w ' %{http_code} '"$1"'\n' "http://ratings.default.svc.$1:` + ratings.port + `/"; `
	client := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "reviews", "--control", m.address, way,
		"--state-dir", filepath.Join(m.dir, "reviews"), "--log-level", "info", "--", "sh", "-c", `ask() { `+ask+`}; while :; do ask corp.internal; ask west.internal; sleep 0.2; done`)
	client.said("200 corp.internal")
	m.write(policy + "west.internal}\n")
	client.said("200 west.internal")
}
