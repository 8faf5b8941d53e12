package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// moved marks, in the environment, that this process was started on its cores.
const moved = "GRIDWAY_BENCH_CORES"

// LeaveCore puts this process and all that it starts on the cores other than
// the first that it may use, and returns that first one, which is then the
// proxies'. It replaces the process by itself under taskset, because the
// threads of a Go process cannot all be moved once they run. It needs two cores.
func LeaveCore() (proxy int, err error) {
	if own := os.Getenv(moved); own != "" {
		return strconv.Atoi(own)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, err
	}
	var cores []string
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, strconv.Itoa(i))
		}
	}
	if len(cores) < 2 {
		return 0, errors.New("two cores are needed: one for the proxy, the rest for backend and load")
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return 0, fmt.Errorf("%w: run scripts/setup bench", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	args := append([]string{taskset, "-c", strings.Join(cores[1:], ","), exe}, os.Args[1:]...)
	return 0, syscall.Exec(taskset, args, append(os.Environ(), moved+"="+cores[0]))
}
