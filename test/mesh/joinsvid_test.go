package mesh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A host that has an SVID joins by it, without a token: as itself, and as what a grant says.
func TestJoinBySVID(t *testing.T) {
	t.Parallel()
	grants := filepath.Join(t.TempDir(), "grants.yaml")
	if err := os.WriteFile(grants, []byte("- {id: spiffe://cluster.local/ns/default/sa/agent, services: ['cart*']}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMesh(t, "", "--svid-joins", grants)
	m.sidecar("agent", "one")
	socket := "unix:" + filepath.Join(m.dir, "agent-one", "workload.sock")
	m.token = ""
	m.sidecar("cart", "one", "--join-svid", socket)
	m.sidecar("agent", "two", "--join-svid", socket)
	m.control.said(`via="SVID of spiffe://cluster.local/ns/default/sa/agent"`)
	out, err := m.command("identity", "list")
	if err != nil || !strings.Contains(out, "spiffe://cluster.local/ns/default/sa/cart") {
		t.Errorf("%v: %s", err, out)
	}

	refused := run(t, nil, "sidecar", "--service", "reviews", "--control", m.address, "--state-dir", filepath.Join(m.dir, "reviews"), "--join-svid", socket, "--", "true")
	if code := refused.ended(); code != 1 || !strings.Contains(refused.log.String(), "spiffe://cluster.local/ns/default/sa/agent may not join as spiffe://cluster.local/ns/default/sa/reviews") {
		t.Errorf("%d: %s", code, refused.log)
	}
	for want, flags := range map[string][]string{
		"give one":                      {"--join-svid", socket, "--service-account-token", grants},
		"svid.pem: no such file":        {"--join-svid", m.dir},
		"the path of a socket begins":   {"--join-svid", "unix:agent.sock"},
		"--trust-bundle has no meaning": {"--trust-bundle", grants},
		"--trust-domain: ":              {"--join-svid", socket, "--trust-domain", "Not A Domain"},
	} {
		args := append([]string{"sidecar", "--service", "reviews", "--control", m.address, "--state-dir", filepath.Join(m.dir, "bad")}, flags...)
		p := run(t, nil, append(args, "--", "true")...)
		if code := p.ended(); code == 0 || !strings.Contains(p.log.String(), want) {
			t.Errorf("%v: %d: %s", flags, code, p.log)
		}
	}
}
