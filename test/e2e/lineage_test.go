package e2e

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// lineage is a gateway whose process is replaced again and again. Only the first
// one is the test's child.
type lineage struct {
	*process
	// bin is a binary of its own, to be replaced.
	bin, socket, logFile string
	// pids of all processes so far, the one that serves last.
	pids []int
}

// startLineage is start for a gateway that is going to be upgraded.
func startLineage(t *testing.T, yaml string, flags ...string) *lineage {
	t.Helper()
	l := &lineage{}
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	flags = append([]string{"--upgrade-socket", "placeholder"}, flags...)
	var file *os.File
	l.process = startWith(t, yaml, func(cmd *exec.Cmd) {
		dir := filepath.Dir(cmd.Args[2])
		l.bin, l.socket, l.logFile = filepath.Join(dir, "gridway"), filepath.Join(dir, "upgrade"), filepath.Join(dir, "log")
		copyFile(t, built, l.bin)
		cmd.Path, cmd.Args[0] = l.bin, l.bin
		cmd.Args[slices.Index(cmd.Args, "placeholder")] = l.socket
		if file, err = os.Create(l.logFile); err != nil { // a file, not a pipe: Wait must not wait for successors
			t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = file, file
	}, flags...)
	file.Close()
	l.pids = []int{l.cmd.Process.Pid}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the processes %v:\n%s", l.pids, l.logged())
		}
		for _, pid := range l.pids[1:] {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return l
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to+".next", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
		out.Close()
	}
	if err == nil {
		err = os.Rename(to+".next", to) // as package managers do: the running file stays
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ask runs `gridway upgrade` and returns its exit code and what it said.
func (l *lineage) ask() (int, string) {
	l.t.Helper()
	built, err := binary()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(built, "upgrade", "--upgrade-socket", l.socket)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

var upgraded = regexp.MustCompile(`^process (\d+) \((\S+)\) serves; process (\d+) finishes what is under way and ends\n$`)

// upgrade replaces the process that serves.
func (l *lineage) upgrade() (version string) {
	l.t.Helper()
	code, out := l.ask()
	m := upgraded.FindStringSubmatch(out)
	if code != 0 || m == nil || m[3] != strconv.Itoa(l.pid()) {
		l.t.Fatalf("gridway upgrade ended with %d and said %q; %d served", code, out, l.pid())
	}
	pid, _ := strconv.Atoi(m[1])
	l.pids = append(l.pids, pid)
	return m[2]
}

// pid is the process that serves.
func (l *lineage) pid() int { return l.pids[len(l.pids)-1] }

func (l *lineage) logged() string {
	b, _ := os.ReadFile(l.logFile)
	return string(b)
}

// says waits for a line of the log.
func (l *lineage) says(with ...string) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("a line of the log with %q", with), func() bool { return lineWith(l.logged(), with) != "" })
}

// gone tells whether a process has ended, reaped or not.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// stop ends the process that serves, and waits until none is left.
func (l *lineage) stop() {
	l.t.Helper()
	if err := syscall.Kill(l.pid(), syscall.SIGTERM); err != nil {
		l.t.Fatal(err)
	}
	for _, pid := range l.pids {
		eventually(l.t, fmt.Sprintf("process %d ends", pid), func() bool { return gone(pid) })
	}
}
