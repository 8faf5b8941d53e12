package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/demo"
)

const (
	// fleetStart bounds the wait for all services, fleetStop that for their end.
	fleetStart = time.Minute
	fleetStop  = 10 * time.Second
	fleetLook  = 50 * time.Millisecond
)

// fleet are the demo's services of the mesh: sidecars that were started as anybody
// would start them, each with its service. The goroutine that waits for a process is
// the fleet's until that has ended.
type fleet struct {
	dir      string // of the shop
	ended    chan error
	wg       sync.WaitGroup
	mu       sync.Mutex
	closing  bool             // guarded by mu
	sidecars map[int]*sidecar // guarded by mu, by process ID
	ports    *demo.PortPool
}

type sidecar struct {
	demo.Instance
	address string
	log     string
	process *os.Process
}

// startFleet starts all sidecars; what goes wrong with one later is told on ended.
func startFleet(dir, control, token string, ports *demo.PortPool, anyPort bool) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir, ended: make(chan error, len(demo.Instances())), sidecars: map[int]*sidecar{}, ports: ports}
	for _, i := range demo.Instances() {
		if err := f.start(self, control, token, i, anyPort); err != nil {
			f.close()
			return nil, fmt.Errorf("the sidecar of %s: %w", i.Name, err)
		}
	}
	return f, nil
}

func (f *fleet) start(self, control, token string, i demo.Instance, anyPort bool) error {
	usual := i.Port
	if anyPort {
		usual = 0
	}
	port, err := f.ports.Take(usual, false)
	if err != nil {
		return err
	}
	s := &sidecar{Instance: i, address: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(f.dir, i.Name+".log")}
	args := []string{
		"sidecar", "--control", control, "--service", i.Service, "--port", fmt.Sprintf("http:%d/http", port), "--state-dir", f.stateDir(i.Name),
		"--address", "127.0.0.1", "--label", "instance=" + i.Name, "--drain-timeout", "2s",
	}
	program := []string{self, "demo", "service", i.Name, "--listen", s.address, "--shop", f.dir}
	for _, service := range i.Calls {
		local, err := f.ports.Take(0, false)
		if err != nil {
			return err
		}
		args = append(args, "--upstream", fmt.Sprintf("%s=:%d", service, local))
		program = append(program, "--call", fmt.Sprintf("%s=http://127.0.0.1:%d", service, local))
	}
	log, err := os.OpenFile(s.log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), self, append(append(args, "--"), program...)...) //nolint:gosec // this program itself, which close ends in order
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "GRIDWAY_JOIN_TOKEN="+token, "GRIDWAY_CONTROL=", "GRIDWAY_ZONE=", "STATE_DIRECTORY=")
	// A group of its own: ctrl-c is for the demo, which ends them in order. They end
	// with it, too, if it is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	f.wg.Go(func() {
		// PR_SET_PDEATHSIG is about the thread that forked (prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.process = cmd.Process
			f.mu.Lock()
			f.sidecars[cmd.Process.Pid] = s
			f.mu.Unlock()
		}
		started <- err
		if err == nil {
			f.over(s, cmd.Wait())
		}
	})
	return <-started
}

// over takes note of a process that has ended.
func (f *fleet) over(s *sidecar, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.sidecars, s.process.Pid)
	if f.closing {
		return
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		text, _ := os.ReadFile(s.log) // what there is
		lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
		err = fmt.Errorf("%w: %s (%s)", err, lines[len(lines)-1], s.log)
	}
	if err == nil {
		err = errors.New("it was told to")
	}
	f.ended <- fmt.Errorf("the sidecar of %s has ended: %w", s.Name, err)
}

// wait returns when the services are in the mesh.
func (f *fleet) wait(ctx context.Context, healthy func(service string) int) error {
	want := map[string]int{}
	for _, i := range demo.Instances() {
		want[i.Service]++
	}
	ctx, cancel := context.WithTimeout(ctx, fleetStart)
	defer cancel()
	look := time.NewTicker(fleetLook)
	defer look.Stop()
	for {
		var missing []string
		for service, n := range want {
			if healthy(service) < n {
				missing = append(missing, service)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case err := <-f.ended:
			return err
		case <-look.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("not in the mesh after %s: %s; their logs are in %s", fleetStart, strings.Join(missing, ", "), f.dir)
			}
			return ctx.Err()
		}
	}
}

// pid is the process ID of the sidecar of an instance; 0 if it has ended.
func (f *fleet) pid(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for pid, s := range f.sidecars {
		if s.Name == name {
			return pid
		}
	}
	return 0
}

func (f *fleet) stateDir(name string) string { return filepath.Join(f.dir, "sidecars", name) }

// adminSocket is where the sidecar of an instance tells how it stands.
func (f *fleet) adminSocket(name string) string { return filepath.Join(f.stateDir(name), "admin.sock") }

// close ends all sidecars, and their services with them.
func (f *fleet) close() {
	if f == nil {
		return
	}
	f.signal(syscall.SIGTERM)
	late := time.AfterFunc(fleetStop, func() { f.signal(syscall.SIGKILL) })
	f.wg.Wait()
	late.Stop()
}

func (f *fleet) signal(s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closing = true
	for _, each := range f.sidecars {
		_ = each.process.Signal(s) // one that has ended a moment ago is what is wanted
	}
}
