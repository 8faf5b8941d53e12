package mesh

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/test/netns"
)

// serve runs a server of the test's on a host, outside of the mesh.
func (r *rack) serve(h *netns.Host, name, at string) *exec.Cmd {
	r.t.Helper()
	c := h.Command(os.Args[0])
	c.Env = append(os.Environ(), asProgram+"="+name+" "+at)
	if err := h.Start(c); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// Each workload of a node has exceptions of its own: what one reaches past the node, its
// neighbour does not. They come and go with the file, and the workload goes on meanwhile.
func TestNodeExceptions(t *testing.T) {
	r := newRack(t, `apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: closed, namespace: gridway-system}
spec: {egress: Deny, mtls: Strict}
`)
	const at, store, other = "8080", "5432", "5433"
	program := r.front("[::]:" + at)
	own, err := intercept.CgroupOf(int32(program.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	r.serve(r.other, "store", "[::]:"+store)
	r.serve(r.other, "other", "[::]:"+other)
	declare := func(except string) {
		r.declare("front.yaml", fmt.Sprintf("service: front\nprocesses: {cgroup: %s}\nports: [{name: web, number: %s, protocol: http}]\nexcept: %s\n", own, at, except))
	}
	declare("{}")
	r.declare("batch.yaml", fmt.Sprintf("service: batch\nprocesses: {user: %d}\n", nobody))
	r.token = r.join("--node", "rack*", "--service", "front", "--service", "batch")
	r.start()
	r.node.said("joined the mesh")
	to := func(a netip.Addr, port string) string {
		if a.Is6() {
			return "http://[" + a.String() + "]:" + port + "/"
		}
		return "http://" + a.String() + ":" + port + "/"
	}
	addresses := []netip.Addr{r.other.IP4, r.other.IP6}
	stranger := func(want string) {
		t.Helper()
		for _, a := range []netip.Addr{r.host.IP4, r.host.IP6} {
			eventually(t, "a stranger gets "+want, func() error {
				if out, err := r.other.Run("curl", "-s", "-m", "10", "-w", " %{http_code}", to(a, at)); err != nil || !strings.Contains(out, want) {
					return fmt.Errorf("%s: %s, %w", a, out, err)
				}
				return nil
			})
		}
	}
	everywhere := func(workload, port, want string) {
		t.Helper()
		for _, a := range addresses {
			r.becomes(workload, want, to(a, port))
		}
	}
	stranger(" 403")
	for _, workload := range []string{"front", "batch"} {
		everywhere(workload, store, " 000")
	}

	// A port of its own, and one of others.
	declare("{ports: [web], outboundPorts: [" + store + "]}")
	stranger(`"name":"front"`)
	everywhere("front", store, `"name":"store"`)
	everywhere("front", other, " 000")
	everywhere("batch", store, " 000")

	// Networks, one for each family; the ports are not excepted any more.
	declare(fmt.Sprintf("{networks: ['%s', 'fd77::/64']}", r.other.IP4))
	stranger(" 403")
	everywhere("front", other, `"name":"other"`)
	everywhere("batch", other, " 000")

	// What is broken changes nothing, and says where it is.
	declare("{ports: [" + store + "]}")
	r.node.said("front.yaml:4:18: except.ports")
	everywhere("front", other, `"name":"other"`)
	declare("{}")
	everywhere("front", other, " 000")

	// Nothing is left.
	if code := r.node.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "no rules are left", func() (err error) {
		r.host.Do(func() { err = noRules() })
		return err
	})
	if out := r.as("batch", to(r.other.IP4, store)); !strings.Contains(out, `"name":"store"`) {
		t.Error(out)
	}
}
