// Package harness runs Gridway's binary, and other programs, for the suites, which
// are modules of their own. It needs nothing but the standard library, so that what
// one suite needs is no matter of the others.
package harness

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// FreePorts returns ports that nobody listens at, for TCP and UDP. They are the test's
// until it ends, and lie below those that the kernel gives to connections. Package
// internal/freeport does the same, by the same names.
func FreePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	const first, last = 27000, 32699
	for tries := 0; len(ports) < n; tries++ {
		if tries == 4*(last-first) {
			t.Fatalf("none of the ports from %d to %d is free", first, last)
		}
		port := first + rand.IntN(last-first+1)
		if held := hold(t.Context(), port); held != nil {
			t.Cleanup(func() { _ = held.Close() })
			ports = append(ports, port)
		}
	}
	return ports
}

// hold is nil for a port that somebody has. The name of an abstract socket stands for it
// until its program opens it.
func hold(ctx context.Context, port int) net.Listener {
	lc := net.ListenConfig{}
	held, err := lc.Listen(ctx, "unix", fmt.Sprintf("@gridway-port-%d", port))
	if err != nil {
		return nil
	}
	at := fmt.Sprintf(":%d", port)
	l, err := lc.Listen(ctx, "tcp", at)
	if err == nil {
		_ = l.Close()
		var u net.PacketConn
		if u, err = lc.ListenPacket(ctx, "udp", at); err == nil {
			_ = u.Close()
			return held
		}
	}
	_ = held.Close()
	return nil
}

// FreePort is one of those.
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
