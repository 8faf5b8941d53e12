// Package testport hands out ports of the loopback interface to tests whose programs
// open them later. They lie below those that kernels give to connections, and no two tests
// have the same at a time, whichever processes they run in. Only tests import the package.
package testport

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gridway/gridway/internal/freeport"
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
		if held := freeport.Hold("", port, true); held != nil {
			return port, func() { _ = held.Close() }, nil
		}
	}
	return 0, nil, fmt.Errorf("testport: none of the ports from %d to %d is free", first, last)
}
