package mesh

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/built"
)

// idleMemory bounds what a sidecar of gridway-proxy that has nothing to do has in memory.
// The aim is 25 MiB; what is above is for machines that have other pages than ours.
const idleMemory = 28 << 20

// The data plane alone serves as the whole binary does, in less memory.
func TestProxyBinary(t *testing.T) {
	t.Parallel()
	small, err := built.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	m := newMesh(t, "")
	m.with = small
	ratings := m.sidecar("ratings", "one")
	up := port(t)
	m.sidecar("reviews", "one", "--upstream", "ratings=:"+up, "--access-log", "off", "--access-log-omit", "client")
	eventually(t, "a request from sidecar to sidecar", func() error {
		a, err := get(up, "/x")
		if err == nil && (a.Name != "one" || a.Path != "/x") {
			err = fmt.Errorf("%+v", a)
		}
		return err
	})
	eventually(t, "less memory than that of a start", func() error {
		n, err := resident(ratings.cmd.Process.Pid)
		if err == nil && n > idleMemory {
			return fmt.Errorf("%d KiB are resident", n>>10)
		}
		return err
	})
	socket := "unix:" + filepath.Join(m.dir, "ratings-one", "admin.sock")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "status", "--admin", socket).CombinedOutput(); err != nil || !strings.Contains(string(out), "spiffe://cluster.local/ns/default/sa/ratings") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := get(up, "/x"); err != nil {
		t.Error(err)
	}
	// By now what the start has given back and is needed is there again; what these requests
	// took goes with the next collection of garbage.
	eventually(t, "no more memory than that", func() error {
		n, err := resident(ratings.cmd.Process.Pid)
		if err == nil && n > idleMemory {
			return fmt.Errorf("%d KiB are resident", n>>10)
		}
		t.Logf("%d KiB are resident", n>>10)
		return err
	})
	if code := ratings.end(); code != 0 && code != 143 {
		t.Errorf("it ended with %d", code)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sidecar", "--", "true"}, "--service is missing"},
		{[]string{"control", "mesh.yaml"}, `there is no command "control"`},
		{[]string{"edge", "--access-log-omit", "colour"}, "--access-log-omit: "},
	} {
		out, err := exec.Command(small, c.args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}

// resident is how many bytes a process has in memory.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return n << 10, err
		}
	}
	return 0, errors.New("there is no VmRSS")
}
