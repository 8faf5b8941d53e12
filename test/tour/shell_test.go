package tour

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shell is one bash in which the tour's commands run, jobs in the background
// included.
type shell struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	n     int
	errs  string // file of standard error
}

func startShell(t *testing.T, dir, errs string, env []string) *shell {
	t.Helper()
	return startShellAt(t, dir, errs, env, (*exec.Cmd).Start)
}

// startShellAt starts it elsewhere, on a host of a test's network say.
func startShellAt(t *testing.T, dir, errs string, env []string, start func(*exec.Cmd) error) *shell {
	t.Helper()
	s := &shell{cmd: exec.Command("bash", "--norc"), lines: make(chan string, 1024), errs: errs}
	s.cmd.Dir, s.cmd.Env = dir, env
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.cmd.Stdout = in, w
	if err := start(s.cmd); err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(s.lines)
		for scan := bufio.NewScanner(r); scan.Scan(); {
			s.lines <- scan.Text()
		}
	})
	t.Cleanup(func() {
		// Whatever the tour left: its jobs, each of which is a process group, which may
		// outlive the process that began it (an upgrade).
		fmt.Fprintf(in, "kill -KILL -- $(sort -u %s | sed 's/^/-/') 2>/dev/null\nexit\n", s.groups())
		in.Close()
		for range s.lines {
		}
		s.cmd.Wait()
		w.Close()
		reader.Wait()
		r.Close()
	})
	w.Close()
	fmt.Fprintf(in, "exec 2>%s\nset -m\n", errs)
	return s
}

var errSilent = errors.New("the command does not end")

// run runs a command and returns its exit code and what it printed.
func (s *shell) run(command string, by <-chan time.Time) (code int, out string, err error) {
	s.n++
	mark := fmt.Sprintf("--- end of command %d: ", s.n)
	if _, err := fmt.Fprintf(s.in, "%s\necho \"%s$?\"\njobs -p >>%s\n", command, mark, s.groups()); err != nil {
		return 0, "", err
	}
	var b strings.Builder
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				return 0, b.String(), errors.New("the shell has ended")
			}
			if before, status, ended := strings.Cut(l, mark); ended {
				b.WriteString(before)
				code, err = strconv.Atoi(status)
				return code, b.String(), err
			}
			b.WriteString(l + "\n")
		case <-by:
			return 0, b.String(), errSilent
		}
	}
}

// groups is a file with the process groups of all jobs that there were.
func (s *shell) groups() string { return s.errs + ".groups" }

// complaints is what was written to standard error.
func (s *shell) complaints() string {
	text, err := os.ReadFile(s.errs)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
