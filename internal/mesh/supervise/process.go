package supervise

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is the running application: a process group of its own.
type process struct {
	pid int
	tty *terminal // nil if it has none, or not in the foreground
	// done is closed when it and what it left behind are over; end is then set.
	done chan struct{}
	end  ending
	// exited is closed when the program itself is over.
	exited chan struct{}

	mu     sync.Mutex
	reaped bool // guarded by mu: its process ID may be somebody else's by now
}

// ending is how a process ended.
type ending struct{ status syscall.WaitStatus }

func (e ending) code() int {
	if e.status.Signaled() {
		return exitSignalled + int(e.status.Signal())
	}
	return e.status.ExitStatus()
}

// start starts the application and a goroutine that waits for it.
func (a *App) start() (*process, error) {
	path, err := exec.LookPath(a.Command[0])
	if errors.Is(err, exec.ErrDot) {
		err = nil // as the caller wrote it
	}
	if err != nil {
		return nil, fmt.Errorf("start %q: %w", a.Command[0], err)
	}
	// What the application's own children leave behind comes to this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the subreaper of %q: %w", a.Command[0], err)
	}
	p := &process{done: make(chan struct{}), exited: make(chan struct{})}
	attr := &os.ProcAttr{
		Env:   a.Env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: a.Credential},
	}
	if a.Cgroup != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(a.Cgroup.Fd())
	}
	if p.tty = foreground(); p.tty != nil {
		attr.Sys.Foreground, attr.Sys.Ctty = true, p.tty.fd
	}
	started := make(chan error)
	go func() {
		// PR_SET_PDEATHSIG is about the thread that forked (prctl(2)): it is this
		// goroutine's until the application is over.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		child, err := os.StartProcess(path, a.Command, attr)
		if err != nil {
			started <- fmt.Errorf("start %q: %w", a.Command[0], err)
			return
		}
		p.pid = child.Pid
		_ = child.Release()
		started <- nil
		defer close(p.done)
		p.wait(a.StopTimeout)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// wait reaps every child until the application is over and has left nothing behind.
func (p *process) wait(grace time.Duration) {
	for {
		pid, status := await()
		if pid == 0 {
			break // no child is left
		}
		switch {
		case pid != p.pid:
			reap(pid)
		case status.Stopped():
			_, _ = syscall.Wait4(pid, nil, syscall.WUNTRACED, nil)
			p.tty.suspend(p.pid, status.StopSignal())
		default:
			p.mu.Lock()
			reap(pid)
			p.reaped, p.end = true, ending{status}
			p.mu.Unlock()
			close(p.exited)
			p.tty.take()
			endLeftovers(grace)
			return
		}
	}
}

// signal passes s on to the application's process group.
func (p *process) signal(s syscall.Signal) {
	p.send(s)
	if s == syscall.SIGTSTP {
		// The job was asked to stop, which this process is a part of.
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	}
}

func (p *process) send(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.pid, s)
	}
}

// over tells whether the program has ended.
func (p *process) over() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// stop tells the application to end, kills it if it does not in time, and
// returns when it is over.
func (p *process) stop(s syscall.Signal, grace time.Duration) (killed bool) {
	p.send(s)
	p.send(syscall.SIGCONT) // one that was stopped can end, too
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		killed = true
		p.send(syscall.SIGKILL)
	}
	<-p.done
	return killed
}
