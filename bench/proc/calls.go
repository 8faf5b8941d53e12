package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// calls that proxies are made of. The others are counted together.
var calls = []string{
	"read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg", "splice", "epoll_wait", "epoll_pwait", "epoll_ctl",
	"futex", "timerfd_settime", "setsockopt", "getsockopt", "accept4", "connect", "close", "clock_gettime", "getrusage",
}

// What Counts has beside the names of system calls.
const (
	AllCalls = "system calls"
	Switches = "context switches"
	RunTime  = "run time"
)

// Counts are how often a process has made which system calls, was put aside by the
// kernel, and for how many nanoseconds it ran.
type Counts map[string]float64

// A Counter watches a process until Stop.
type Counter struct {
	cmd          *exec.Cmd
	out          bytes.Buffer
	control, ack *os.File
}

// Count begins to watch a process, its descendants and all their threads with perf, which needs root or
// a kernel.perf_event_paranoid of -1. It returns when what happens is counted.
func Count(ctx context.Context, pid int) (*Counter, error) {
	pids, err := Tree(pid)
	if err != nil {
		return nil, err
	}
	var watched []string
	for _, p := range pids {
		watched = append(watched, strconv.Itoa(p))
	}
	events := []string{"raw_syscalls:sys_enter", "context-switches", "task-clock"}
	for _, c := range calls {
		events = append(events, "syscalls:sys_enter_"+c)
	}
	hear, control, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hear.Close()
	ack, say, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	defer say.Close()
	c := &Counter{control: control, ack: ack}
	c.cmd = exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-D", "-1", "--control", "fd:3,4", "-e", strings.Join(events, ","), "-p", strings.Join(watched, ","))
	c.cmd.Stderr, c.cmd.ExtraFiles = &c.out, []*os.File{hear, say}
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("counting system calls: %w", err), control.Close(), ack.Close())
	}
	if err := c.tell("enable"); err != nil {
		_, stopped := c.Stop()
		return nil, errors.Join(err, stopped)
	}
	return c, nil
}

// tell has perf do something and waits until it is done.
func (c *Counter) tell(what string) error {
	if _, err := c.control.WriteString(what + "\n"); err != nil {
		return err
	}
	if err := c.ack.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	_, err := bufio.NewReader(c.ack).ReadString('\n')
	return err
}

// Stop ends the counting. It must be called once.
func (c *Counter) Stop() (Counts, error) {
	told := c.tell("disable")
	_ = c.cmd.Process.Signal(syscall.SIGINT) // it may have ended for an error, which Wait knows
	_ = c.cmd.Wait()                         // perf ends by the signal
	if err := errors.Join(told, c.control.Close(), c.ack.Close()); err != nil {
		return nil, fmt.Errorf("perf: %w: %s", err, bytes.TrimSpace(c.out.Bytes()))
	}
	return parseCounts(c.out.String())
}

// parseCounts reads perf's values, one to a line: VALUE,UNIT,EVENT,…
func parseCounts(text string) (Counts, error) {
	counts := Counts{}
	for line := range strings.Lines(text) {
		f := strings.Split(line, ",")
		if len(f) < 3 {
			continue
		}
		n, err := strconv.ParseFloat(f[0], 64)
		if err != nil && f[0] != "<not counted>" { // it has not run
			return nil, fmt.Errorf("perf does not count %s: %q", f[2], f[0])
		}
		switch name := f[2]; name {
		case "raw_syscalls:sys_enter":
			counts[AllCalls] = n
		case "context-switches":
			counts[Switches] = n
		case "task-clock":
			counts[RunTime] = n * float64(time.Millisecond)
		default:
			counts[strings.TrimPrefix(name, "syscalls:sys_enter_")] = n
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("perf counted nothing: %s", strings.TrimSpace(text))
	}
	return counts, nil
}
