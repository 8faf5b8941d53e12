// Package harness runs Gridway's binary, and other programs, for the suites, which
// are modules of their own. It needs nothing but the standard library, so that what
// one suite needs is no matter of the others.
package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Patience is how long anything may take that should happen soon.
const Patience = 60 * time.Second

// Binary links Gridway with the race detector, and returns its path. It stays, so
// that the suites after this one need not link it again.
var Binary = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "bin", "gridway-race")
	return program, Build(root, "-race", "-o", program, "./cmd/gridway")
})

// Build runs "go build" in a folder.
func Build(folder string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w\n%s", args, err, out)
	}
	return nil
}

// Main links the binary before the tests run, so that none of them pays for it, and
// makes what else they need, in a folder that goes with them.
func Main(m *testing.M, others ...func(folder string) error) {
	code, err := run(m, others)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(m *testing.M, others []func(folder string) error) (code int, err error) {
	if _, err := Binary(); err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "gridway-suite")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	for _, other := range others {
		if err := other(folder); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// FreePorts returns ports that nobody listened on a moment ago.
func FreePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// FreePort is one that nobody listened on a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	return FreePorts(t, 1)[0]
}

// Soon polls until f is true; false if it never was.
func Soon(f func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(Patience)
	defer late.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late.C:
			return false
		}
	}
	return true
}

// Eventually fails the test if f is never true.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	if !Soon(f) {
		t.Fatalf("no %s within %s", what, Patience)
	}
}

// Listens says whether somebody listens on a port of this machine.
func Listens(port int) bool {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	return err == nil && c.Close() == nil
}
