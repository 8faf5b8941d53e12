package mesh

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program that is at the loopback address of IPv6 alone is reached at all of its ports.
func TestPortsOfIPv6(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "")
	web, admin := port(t), port(t)
	server := run(t, []string{asProgram + "=six [::1]:" + web + " [::1]:" + admin, "GRIDWAY_JOIN_TOKEN=" + m.token},
		"sidecar", "--service", "six", "--port", "web:"+web+"/http", "--port", "admin:"+admin+"/http", "--control", m.address,
		"--log-level", "info", "--state-dir", filepath.Join(m.dir, "six"), "--", os.Args[0])
	server.said("application listens\" address=[::1]:" + web)
	server.said("application listens\" address=[::1]:" + admin)
	toWeb, toAdmin := port(t), port(t)
	m.sidecar("reviews", "front", "--upstream", "six:"+web+"=:"+toWeb, "--upstream", "six:"+admin+"=:"+toAdmin)
	from(t, toWeb, "six")
	from(t, toAdmin, "six")
}

// A port that others are to be told of and that somebody has is said at the start: nobody
// would reach the workload.
func TestMeshPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	p := run(t, []string{"GRIDWAY_JOIN_TOKEN=gwj_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		"sidecar", "--service", "one", "--mesh-port", taken, "--control", "127.0.0.1:9", "--state-dir", t.TempDir(), "--", "true")
	if code := p.ended(); code != 1 || !strings.Contains(p.log.String(), "--mesh-port "+taken+": ") || !strings.Contains(p.log.String(), "leave the flag out") {
		t.Errorf("exit code %d: %s", code, p.log)
	}
}
