// Package testport hands out ports of the loopback interface to tests whose programs
// open them later. They lie below those that kernels give to connections, and no two tests
// have the same at a time, whichever processes they run in. Only tests import the package.
package testport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Others use ports near these: the tours of the documentation up to 26999, Linux for
// connections 32768 and more.
const first, last = 27000, 32699

// Free is a port that nobody listens at, for TCP and UDP. It is the test's until that
// ends.
func Free(tb testing.TB) int {
	tb.Helper()
	port, free, err := Take()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(free)
	return port
}

// Take is Free where there is no testing.TB.
func Take() (port int, free func(), err error) {
	for range 4 * (last - first) {
		port := first + rand.IntN(last-first+1)
		if held := hold(port); held != nil {
			return port, func() { _ = held.Close() }, nil
		}
	}
	return 0, nil, fmt.Errorf("testport: none of the ports from %d to %d is free", first, last)
}

// hold is nil for a port that somebody has. The name of an abstract socket stands for it
// until its program opens it.
func hold(port int) net.Listener {
	ctx, lc := context.Background(), net.ListenConfig{} // listening does not wait
	held, err := lc.Listen(ctx, "unix", fmt.Sprintf("@gridway-test-port-%d", port))
	if err != nil {
		return nil
	}
	at := fmt.Sprintf(":%d", port)
	if l, err := lc.Listen(ctx, "tcp", at); err == nil {
		_ = l.Close()
		if u, err := lc.ListenPacket(ctx, "udp", at); err == nil {
			_ = u.Close()
			return held
		}
	}
	_ = held.Close()
	return nil
}
