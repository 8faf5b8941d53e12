// Package supervise runs the program that a sidecar stands beside: it starts it,
// waits until it listens, passes signals on, has requests end before it is
// stopped, and tells how it ended. It restarts nothing.
//
// A process that calls Run has no children but the application's: Run makes it
// their subreaper and reaps every child, so that nothing the application leaves
// behind stays as a zombie or goes on outside of the mesh. Run owns its
// goroutines; the one that waits for children keeps its thread, since the kernel
// ends the application with the thread that started it. Package app imports it;
// it imports nothing of Gridway.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// App is a program and how it is looked after.
type App struct {
	// Command is the program, looked up in PATH if it has no slash, and its arguments.
	Command []string
	// Env is its whole environment; nil is this process's own.
	Env []string
	// Port is where it takes requests; 0 if it takes none, and nothing is waited for.
	Port uint16
	// Also are further ports where it may take requests. Nobody waits for them; Listens
	// is told of each that it listens on, as it begins to, until StartTimeout is over.
	Also    []uint16
	Listens func(at netip.AddrPort)
	// StartTimeout is how long it may take to listen there; 0 is DefaultStartTimeout.
	StartTimeout time.Duration
	// DrainTimeout bounds Drain; 0 is DefaultDrainTimeout.
	DrainTimeout time.Duration
	// StopTimeout is how long it may take to end once it was told to; then it is
	// killed. 0 is DefaultStopTimeout.
	StopTimeout time.Duration
	// Cgroup is an open folder of cgroup v2 that it starts in; nil is this process's.
	Cgroup *os.File
	// Credential is whom it runs as; nil is whom this process runs as.
	Credential *syscall.Credential
	// Ready is called once, when it listens at an address that this host reaches, or
	// as soon as it runs if Port is 0 (the address is then invalid). An error stops it.
	Ready func(ctx context.Context, at netip.AddrPort) error
	// Drain has others send no more requests and returns when those under way are
	// over. It is called once, before the application is told to end, and not if it
	// has ended by itself. Its context ends when nobody may wait any longer.
	Drain func(ctx context.Context)
	// Log gets what is worth knowing of its life; nil is slog.Default.
	Log *slog.Logger

	// before are the sockets that listened before the application was started.
	before []netip.AddrPort
	// awaited are those of Also that have not listened yet. It belongs to who waits for
	// Port and then to who waits for these.
	awaited []uint16
}

// Defaults of App.
const (
	DefaultStartTimeout = 60 * time.Second
	DefaultDrainTimeout = 30 * time.Second
	DefaultStopTimeout  = 10 * time.Second
)

// Exit codes of commands that did not run, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitFailed        = 1
	exitSignalled     = 128
)

// Run starts the application and returns when it has ended, with the exit code
// that this process should have: its own, or 128 and the number of the signal
// that killed it. An error says why it did not run, or was stopped; the exit code
// holds all the same. The end of ctx stops it as SIGTERM does.
func (a App) Run(ctx context.Context) (code int, err error) {
	a.defaults()
	if err := a.valid(); err != nil {
		return exitFailed, err
	}
	// Before the start, so that no signal ends this process and leaves the program.
	signals := notify()
	defer signals.stop()
	p, err := a.start()
	if err != nil {
		return startCode(err), err
	}
	a.Log.Info("application started", "command", a.Command[0], "pid", p.pid)
	err = a.attend(ctx, p, signals)
	code = p.end.code()
	a.Log.Info("application ended", "command", a.Command[0], "pid", p.pid, "code", code)
	return code, err
}

func (a *App) defaults() {
	a.StartTimeout = orDefault(a.StartTimeout, DefaultStartTimeout)
	a.DrainTimeout = orDefault(a.DrainTimeout, DefaultDrainTimeout)
	a.StopTimeout = orDefault(a.StopTimeout, DefaultStopTimeout)
	a.awaited = slices.Clone(a.Also)
	if a.Env == nil {
		a.Env = os.Environ()
	}
	if a.Log == nil {
		a.Log = slog.Default()
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (a *App) valid() error {
	if len(a.Command) == 0 || a.Command[0] == "" {
		return errors.New("there is no command to run: write it after --")
	}
	if a.Port == 0 {
		return nil
	}
	var err error
	if a.before, err = sockets("self"); err != nil {
		return err
	}
	for _, port := range append([]uint16{a.Port}, a.Also...) {
		if at := addressOf(a.before, port); at.IsValid() {
			return fmt.Errorf("port %d is taken: another process listens at %s; end it, or give the application another port", port, at)
		}
	}
	return nil
}

// attend goes through the application's life until it is over.
func (a *App) attend(ctx context.Context, p *process, signals *signals) error {
	starting, cancel := context.WithCancel(ctx)
	ready, readied := make(chan error, 1), false // readied: others may send it requests
	go func() { ready <- a.ready(starting, p) }()
	// settle has nobody wait for the application to listen any more.
	settle := func() {
		cancel()
		if ready != nil {
			readied = <-ready == nil
			ready = nil
		}
	}
	var looking sync.WaitGroup
	defer looking.Wait()
	defer settle()
	for {
		select {
		case <-p.done:
			return nil
		case err := <-ready:
			ready, readied = nil, err == nil
			if readied {
				looking.Go(func() { a.awaitAlso(starting, p) })
			}
			if err != nil && err != errEarly {
				a.Log.Error("application is stopped", "error", err)
				a.stop(p, syscall.SIGTERM, signals)
				return err
			}
		case s := <-signals.all:
			if !ends(s) {
				p.signal(s)
				continue
			}
			a.Log.Info("application is to end", "signal", s.String())
			settle()
			if readied {
				s = a.drain(p, s, signals)
			}
			a.stop(p, s, signals)
			return nil
		case <-ctx.Done():
			settle()
			s := syscall.SIGTERM
			if readied {
				s = a.drain(p, s, signals)
			}
			a.stop(p, s, signals)
			return nil
		}
	}
}

// errEarly is that the application ended, or was to end, before it was ready.
var errEarly = errors.New("ended before it was ready")

// ready waits for the application to listen and says so.
func (a *App) ready(ctx context.Context, p *process) error {
	var at netip.AddrPort
	if a.Port != 0 {
		var err error
		if at, err = a.awaitPort(ctx, p); err != nil {
			return err
		}
		a.Log.Info("application listens", "address", at.String())
		a.lookAlso(p) // before others learn of it
	}
	if a.Ready == nil {
		return nil
	}
	return a.Ready(ctx, at)
}

// drain waits for the requests under way, and returns the signal to end the
// application with: a further one that asks for its end is that nobody waits.
func (a *App) drain(p *process, s syscall.Signal, signals *signals) syscall.Signal {
	if a.Drain == nil {
		return s
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.DrainTimeout)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		a.Drain(ctx)
	}()
	defer func() {
		cancel()
		<-drained
	}()
	for {
		select {
		case <-drained:
			return s
		case <-p.done:
			return s
		case <-ctx.Done():
			a.Log.Warn("requests are still under way, the application is stopped all the same", "after", a.DrainTimeout.String())
			return s
		case next := <-signals.all:
			if ends(next) {
				return next
			}
			p.signal(next)
		}
	}
}

// stop has the application end. Signals go on to be passed on meanwhile: what a
// second one means is the application's.
func (a *App) stop(p *process, s syscall.Signal, signals *signals) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if p.stop(s, a.StopTimeout) {
			a.Log.Warn("application was killed", "after", a.StopTimeout.String())
		}
	}()
	for {
		select {
		case <-stopped:
			return
		case next := <-signals.all:
			p.signal(next)
		}
	}
}

// startCode is what shells exit with when a command cannot be run.
func startCode(err error) int {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return exitNotFound
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.EISDIR):
		return exitNotExecutable
	}
	return exitFailed
}
