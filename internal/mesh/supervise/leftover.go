package supervise

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// leftoverPoll is how often ended leftovers are looked for.
const leftoverPoll = 20 * time.Millisecond

// endLeftovers ends what the application left behind: orphans that this process
// inherited as their subreaper. They would go on without a sidecar. Whoever does
// not end in time is killed, with all that it leaves behind in turn.
func endLeftovers(grace time.Duration) {
	told := map[int]bool{}
	by := time.Now().Add(grace)
	for {
		pid, err := endedChild()
		switch {
		case err != nil:
			return // no child is left
		case pid != 0:
			delete(told, pid)
			reap(pid)
			continue
		}
		late := time.Now().After(by)
		for _, pid := range children() {
			switch {
			case late:
				_ = syscall.Kill(pid, syscall.SIGKILL)
			case !told[pid]:
				told[pid] = true
				_ = syscall.Kill(pid, syscall.SIGTERM)
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
		}
		time.Sleep(leftoverPoll)
	}
}

// children are the process IDs of this process's children. Nobody else reaps
// them, so they stay what they are until the caller does.
func children() []int {
	self := os.Getpid()
	folders, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, f := range folders {
		pid, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + f.Name() + "/stat")
		if err == nil && parentIn(stat) == self {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentIn is the parent in /proc/PID/stat, where the name of the program, which
// may have any bytes, stands in parentheses before it; 0 if there is none.
func parentIn(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(fields[1]))
	return ppid
}
