// Package faults breaks a mesh in all the ways that docs/guides/mesh-faults.md lists, and
// holds what that page promises. Hosts are network namespaces; control planes, sidecars,
// their programs and the databases are processes, which are killed, stopped, cut off and
// given bad disks and clocks while clients ask on.
package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/test/netns"
)

const patience = time.Minute

// asProgram is the variable that makes the test's own binary the program beside a sidecar.
const asProgram = "GRIDWAY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if text := os.Getenv(asProgram); text != "" {
		program(text)
	}
	code := statetest.Stopping{TestingM: m}.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// program answers with its name and its process on programPort.
func program(name string) {
	err := http.ListenAndServe("127.0.0.1:"+programPort, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(answer{Name: name, PID: os.Getpid()})
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// answer is what a program says.
type answer struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// process is a running gridway.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *buffer
	done chan struct{}
}

type buffer struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// run starts gridway on a host.
func run(t *testing.T, h *netns.Host, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: h.Command(path, args...), log: &buffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(append(os.Environ(), "GRIDWAY_CONTROL=", "GRIDWAY_STATE="), env...)
	h.Do(func() { err = p.cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s: %s\n%s", h.Name, strings.Join(args, " "), p.log)
		}
	})
	return p
}

// says waits until the process has written a text.
func (p *process) says(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q in the log of %s", text, p.cmd.Args[1]), func() error {
		if strings.Contains(p.log.String(), text) {
			return nil
		}
		select {
		case <-p.done:
			p.t.Fatalf("it ended: %s\n%s", p.cmd.ProcessState, p.log)
		default:
		}
		return errors.New(p.log.String())
	})
}

// end asks the process to.
func (p *process) end() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.ended()
}

// ended waits for its end, and returns its exit code.
func (p *process) ended() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends it without a word.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	within(t, patience, what, f)
}

func within(t *testing.T, d time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s, within %s: %v", what, d, err)
}
