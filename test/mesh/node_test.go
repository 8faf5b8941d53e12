package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"

	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/test/netns"
)

const onlyFront = `apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: ratings}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  action: Allow
  rules:
  - name: front
    identities: ["spiffe://cluster.local/ns/default/sa/front"]
`

// nobody is the user of a workload that is told from others by its user.
const nobody = 65534

// rack is a host with a node proxy, and another host with a sidecar.
type rack struct {
	*mesh
	t           *testing.T
	host, other *netns.Host
	cgroup      *intercept.Cgroup
	node        *process
	folder      string
}

func newRack(t *testing.T, yaml string, flags ...string) *rack {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: scripts/setup installs it")
	}
	n := netns.New(t)
	r := &rack{t: t, host: n.Host("rack"), other: n.Host("other")}
	cgroup, err := intercept.NewCgroup()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		eventually(t, "the cgroup is empty", func() error { return os.Remove(cgroup.Path()) })
	})
	r.cgroup = cgroup
	control := n.Host("control")
	r.mesh = newMeshOn(t, control, control.IP4.String()+":15010", yaml, flags...)
	r.folder = filepath.Join(r.dir, "workloads")
	if err := os.Mkdir(r.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rack) declare(file, yaml string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, file), []byte(yaml), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rack) start(flags ...string) {
	r.t.Helper()
	r.node = runOn(r.t, r.host, []string{"GRIDWAY_JOIN_TOKEN=" + r.token}, append([]string{
		"node", "--node", "rack1", "--workloads", r.folder, "--control", r.address, "--state-dir", filepath.Join(r.dir, "node"), "--workload-api", filepath.Join(r.dir, "node.sock"),
	}, flags...)...)
}

// front starts the program of the workload that is told by its cgroup.
func (r *rack) front(port string) *exec.Cmd {
	r.t.Helper()
	c := r.host.Command(os.Args[0])
	c.Env = append(os.Environ(), asProgram+"=front "+port)
	c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(r.cgroup.Folder().Fd())
	if err := r.host.Start(c); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// as runs curl as a workload of the rack, and returns the status and what was answered.
func (r *rack) as(workload string, args ...string) string {
	c := r.host.Command("curl", append([]string{"-s", "-m", "10", "-w", " %{http_code}"}, args...)...)
	if workload == "front" {
		c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(r.cgroup.Folder().Fd())
	} else {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := r.host.Start(c); err != nil {
		r.t.Fatal(err)
	}
	_ = c.Wait() // the status says it
	return out.String()
}

// becomes waits until what as returns contains a text.
func (r *rack) becomes(workload, want string, args ...string) {
	r.t.Helper()
	eventually(r.t, workload+" gets "+want, func() error {
		if out := r.as(workload, args...); !strings.Contains(out, want) {
			return errors.New(out)
		}
		return nil
	})
}

func (r *rack) status(want string) {
	r.t.Helper()
	eventually(r.t, "the status has "+want, func() error {
		out, err := r.command("status")
		if err == nil && !strings.Contains(out, want) {
			err = errors.New(out)
		}
		return err
	})
}

// noRules tells of rules of Gridway's in the network namespace of the thread.
func noRules() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTables()
	for _, x := range tables {
		if strings.HasPrefix(x.Name, "gridway_") {
			return fmt.Errorf("there is %s", x.Name)
		}
	}
	return err
}

// A node proxy stands before two workloads of a host. Each has its own identity: a policy
// lets in one and not the other, and neither can have the other's.
func TestNode(t *testing.T) {
	r := newRack(t, onlyFront)
	const at, ratings = "8080", "9080"
	program := r.front(at)
	own, err := intercept.CgroupOf(int32(program.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	front := fmt.Sprintf("service: front\nprocesses: {cgroup: %s}\nports: [{number: %s, protocol: http}]\nhealth: {http: {path: /}, interval: 200ms}\n", own, at)
	r.declare("front.yaml", front)
	r.declare("batch.yaml", fmt.Sprintf("service: batch\nprocesses: {user: %d}\n", nobody))
	server := runOn(t, r.other, []string{asProgram + "=ratings " + ratings, "GRIDWAY_JOIN_TOKEN=" + r.token}, "sidecar", "--service", "ratings", "--port", ratings+"/http",
		"--control", r.address, "--state-dir", filepath.Join(r.dir, "ratings"), "--log-level", "info", "--", os.Args[0])
	server.said("application listens")
	r.token = r.join("--node", "rack*", "--service", "front", "--service", "batch")
	r.start()
	r.node.said("joined the mesh")
	r.becomes("front", `"name":"ratings"`, "http://ratings:"+ratings+"/")
	r.becomes("batch", " 403", "http://ratings:"+ratings+"/")
	r.becomes("front", `"name":"ratings"`, "http://ratings.default.svc.cluster.local:"+ratings+"/again")
	r.status("default/front")
	r.status("default/batch")

	// Whoever comes to a neighbour's port by himself is not that neighbour.
	var ports map[string]struct{ Outbound uint16 }
	text, err := os.ReadFile(filepath.Join(r.dir, "node", "workload-ports.json"))
	if err == nil {
		err = json.Unmarshal(text, &ports)
	}
	if err != nil || ports["default/front"].Outbound == 0 {
		t.Fatal(err, ports)
	}
	direct := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), ports["default/front"].Outbound).String()
	if out := r.as("batch", "-x", "http://"+direct, "http://ratings:"+ratings+"/"); !strings.HasSuffix(out, " 000") {
		t.Errorf("a neighbour's port as a proxy: %s", out)
	}
	if out := r.as("batch", "-H", "Host: ratings:"+ratings, "http://"+direct+"/"); !strings.HasSuffix(out, " 000") {
		t.Errorf("a neighbour's port: %s", out)
	}

	// Others reach the workload while it answers.
	client := runOn(t, r.other, []string{"GRIDWAY_JOIN_TOKEN=" + r.mesh.join("--service", "reports")}, "sidecar", "--service", "reports", "--control", r.address, "--http-proxy",
		"--state-dir", filepath.Join(r.dir, "reports"), "--log-level", "info", "--", "sh", "-c",
		`while :; do curl -s -m 5 -w ' %{http_code}\n' http://front:`+at+`/; sleep 0.2; done`)
	client.said(`"name":"front"`)
	// Nobody gets past the node.
	if out, err := r.other.Run("curl", "-s", "-m", "10", "-w", " %{http_code}", "http://"+r.host.IP4.String()+":"+at+"/"); err != nil || !strings.HasSuffix(out, " 403") {
		t.Errorf("without the mesh: %s, %v", out, err)
	}
	_ = program.Process.Kill()
	_ = program.Wait()
	r.node.said("healthy=false")
	r.status("not healthy")
	client.said(" 503")
	before := strings.Count(client.log.String(), `"name":"front"`)
	r.front(at)
	eventually(t, "it answers again", func() error {
		if strings.Count(client.log.String(), `"name":"front"`) <= before {
			return errors.New(client.log.String())
		}
		return nil
	})

	// A file that is broken changes nothing, and one that goes takes its workload along.
	r.declare("front.yaml", strings.Replace(front, "processes", "procs", 1))
	r.node.said("front.yaml:2:1: a workload has no field")
	r.becomes("front", `"name":"ratings"`, "http://ratings:"+ratings+"/")
	r.declare("front.yaml", front)
	r.declare("thief.yaml", "service: ratings\nprocesses: {unit: no-such.service}\n")
	r.node.said("what it joined by last does not grant it")
	if err := os.Remove(filepath.Join(r.folder, "batch.yaml")); err != nil {
		t.Fatal(err)
	}
	r.node.said("it leaves the mesh")
	eventually(t, "batch is gone", func() error {
		out, err := r.command("status")
		if err == nil && (strings.Contains(out, "default/batch") || !strings.Contains(out, "default/front")) {
			err = errors.New(out)
		}
		return err
	})
	if out, err := r.command("audit"); err != nil || !strings.Contains(out, "sa/front") {
		t.Errorf("%v: %s", err, out)
	}

	// It goes on without a control plane, and nothing is left of it when it is killed.
	r.control.kill()
	r.node.kill()
	eventually(t, "no rules are left", func() (err error) {
		r.host.Do(func() { err = noRules() })
		return err
	})
	r.token = ""
	r.start()
	r.becomes("front", `"name":"ratings"`, "http://ratings:"+ratings+"/")
	if code := r.node.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
