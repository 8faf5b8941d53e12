package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/join"
)

// twoOnARack starts a node proxy before front, which is told by its cgroup, and batch,
// which is told by its user, and ratings behind a sidecar of another host. Both get answers:
// batch that it may not ask.
func twoOnARack(t *testing.T, r *rack, token string, flags ...string) (url string) {
	t.Helper()
	const at, ratings = "8080", "9080"
	program := r.front(at)
	own, err := intercept.CgroupOf(int32(program.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	r.declare("front.yaml", fmt.Sprintf("service: front\nprocesses: {cgroup: %s}\nports: [{number: %s, protocol: http}]\n", own, at))
	r.declare("batch.yaml", fmt.Sprintf("service: batch\nprocesses: {user: %d}\n", nobody))
	server := runOn(t, r.other, []string{asProgram + "=ratings " + ratings, "GRIDWAY_JOIN_TOKEN=" + r.token}, "sidecar", "--service", "ratings", "--port", ratings+"/http",
		"--control", r.address, "--state-dir", filepath.Join(r.dir, "ratings"), "--log-level", "info", "--", os.Args[0])
	server.said("application listens")
	r.token = token
	r.start(flags...)
	url = "http://ratings:" + ratings + "/"
	r.becomes("front", `"name":"ratings"`, url)
	r.becomes("batch", " 403", url)
	return url
}

// withheld waits until batch has no identity, and tells whether front has.
func (r *rack) withheld(url string) {
	r.t.Helper()
	r.status("withheld")
	r.node.said("a workload is withheld from this node")
	r.becomes("batch", " 000", url)
	r.becomes("front", `"name":"ratings"`, url)
	path, err := binary()
	if err != nil {
		r.t.Fatal(err)
	}
	list, err := r.host.Run(path, "status", "--admin", "unix:"+filepath.Join(r.dir, "node", "admin.sock"))
	if err != nil || !strings.Contains(list, "withheld: default/batch") || strings.Contains(list, "/sa/batch ") {
		r.t.Errorf("%v: %s", err, list)
	}
}

// A node that may have less than before goes on with what is left, and gets the rest back
// when it is granted again.
func TestNodeWithLess(t *testing.T) {
	r := newRack(t, onlyFront)
	both := r.join("--node", "rack*", "--service", "front", "--service", "batch", "--reusable")
	url := twoOnARack(t, r, both)

	again := func(token string) {
		t.Helper()
		c, err := join.NewClient(join.ClientOptions{
			Addresses: []string{r.address}, Keyring: identity.NewKeyring(identity.Options{}), Token: token, As: identity.Name{Role: identity.RoleNode, Node: "rack1"},
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				return r.host.Dial(ctx, "tcp", address)
			},
		})
		if err == nil {
			err = c.Join(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	again(r.join("--node", "rack1", "--service", "front"))
	r.withheld(url)
	again(both)
	r.node.said("a workload is granted again")
	r.becomes("batch", " 403", url)
	eventually(t, "nothing is withheld", func() error {
		out, err := r.command("status")
		if err == nil && (strings.Contains(out, "withheld") || !strings.Contains(out, "default/batch")) {
			err = errors.New(out)
		}
		return err
	})
	if code := r.node.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// What a node may have that joined by an SVID is what the file of grants says now.
func TestNodeBySVIDWithLess(t *testing.T) {
	grants := filepath.Join(t.TempDir(), "grants.yaml")
	write := func(services string) {
		t.Helper()
		if err := os.WriteFile(grants, []byte("- {id: spiffe://cluster.local/ns/default/sa/agent, role: node, nodes: [rack1], services: "+services+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[front, batch]")
	r := newRack(t, onlyFront, "--svid-joins", grants)
	agent := runOn(t, r.host, []string{"GRIDWAY_JOIN_TOKEN=" + r.token}, "sidecar", "--service", "agent", "--control", r.address, "--state-dir", filepath.Join(r.dir, "agent"), "--log-level", "info", "--", "sleep", "3600")
	agent.said("in the mesh")
	url := twoOnARack(t, r, "", "--join-svid", "unix:"+filepath.Join(r.dir, "agent", "workload.sock"))
	r.status("grants for joining by SVIDs: 1 of " + grants)
	write("[front]")
	r.withheld(url)
	write("[front") // what was good last holds
	r.status("grants.yaml:1:1: is no YAML")
	r.control.said("those that were good last hold")
	r.becomes("front", `"name":"ratings"`, url)
	write("[front, batch]")
	if err := r.control.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.node.said("a workload is granted again")
	r.becomes("batch", " 403", url)
}
