package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Program is a process that ends with its test, at the latest.
type Program struct {
	// Output is all that it has written.
	Output Buffer

	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

// Run starts a program with env beside the environment, and waits until it is ready.
func Run(t testing.TB, ready func() bool, env []string, name string, args ...string) *Program {
	t.Helper()
	p := &Program{t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.Output, &p.Output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if strings.Contains(p.Output.String(), "DATA RACE") {
			t.Error("a data race")
		}
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(name), &p.Output)
		}
	})
	if !Soon(func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s ended: %v", filepath.Base(name), p.err)
		default:
		}
		return ready()
	}) {
		t.Fatalf("%s is not ready", filepath.Base(name))
	}
	return p
}

// Kill ends it at once, and waits for that.
func (p *Program) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Stop ends it as a user does, and waits for that.
func (p *Program) Stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(Patience):
		p.t.Errorf("%s does not end", filepath.Base(p.cmd.Path))
		p.Kill()
	}
}

// Buffer takes what a program writes, while others read it.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
