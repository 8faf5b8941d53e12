package supervise_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/supervise"
	"github.com/gridway/gridway/internal/testport"
)

// The test program is the sidecar and the application, too: Run needs a process
// of its own.
const role = "GRIDWAY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "sidecar":
		sidecar()
	case "app":
		app(os.Args[1], os.Args[2:])
	default:
		os.Exit(m.Run())
	}
}

// sidecar runs the command of its arguments and says on stderr what happens.
func sidecar() {
	port, _ := strconv.Atoi(os.Getenv("PORT"))
	duration := func(name string) time.Duration {
		d, _ := time.ParseDuration(os.Getenv(name))
		return d
	}
	var also []uint16
	if n, err := strconv.Atoi(os.Getenv("ALSO")); err == nil {
		also = []uint16{uint16(n)}
	}
	os.Setenv(role, "app")
	code, err := supervise.App{
		Command:      os.Args[1:],
		Port:         uint16(port),
		Also:         also,
		Listens:      func(at netip.AddrPort) { fmt.Fprintln(os.Stderr, "also", at) },
		StartTimeout: duration("START"), DrainTimeout: duration("DRAIN"), StopTimeout: duration("STOP"),
		Ready: func(_ context.Context, at netip.AddrPort) error {
			fmt.Fprintln(os.Stderr, "ready", at)
			if os.Getenv("REFUSE") != "" {
				return errors.New("nobody wants it")
			}
			return nil
		},
		Drain: func(ctx context.Context) {
			fmt.Fprintln(os.Stderr, "drain")
			if os.Getenv("BUSY") != "" {
				<-ctx.Done()
				fmt.Fprintln(os.Stderr, "drain ended")
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}.Run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	os.Exit(code)
}

// app is the application: what it says goes to stderr as well.
func app(verb string, args []string) {
	// The runtime sends itself SIGURG, and much of it when the machine is busy: none of
	// the others may be lost for it.
	signals := make(chan os.Signal, 10000)
	say := func(a ...any) { fmt.Fprintln(os.Stderr, append([]any{"app"}, a...)...) }
	switch verb {
	case "exit":
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "die":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "serve": // listens, and ends with the number of the signal that it gets
		signal.Notify(signals)
		for _, at := range args {
			l, err := net.Listen("tcp", at)
			if err != nil {
				say(err)
				os.Exit(1)
			}
			say("listens", l.Addr())
		}
	case "signals": // ends with SIGTERM or SIGINT, and says which others come
		signal.Notify(signals)
		say("pid", os.Getpid())
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		say("pid", os.Getpid())
		select {}
	case "read": // echoes a line of the terminal
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		say("read", strings.TrimSpace(line), err)
		os.Exit(3)
	}
	for s := range signals {
		n := s.(syscall.Signal)
		switch n {
		case syscall.SIGURG, syscall.SIGCHLD, syscall.SIGCONT:
		case syscall.SIGTERM, syscall.SIGINT:
			say("ends by", n)
			os.Exit(40 + int(n))
		default:
			say("got", n)
		}
	}
}

// running is a sidecar under test.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
}

func start(t *testing.T, env []string, command ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(os.Args[0], command...), lines: make(chan string, 100)}
	r.cmd.Env = append(append(os.Environ(), role+"=sidecar"), env...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stderr = in
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	go r.read(out)
	return r
}

func (r *running) read(out io.ReadCloser) {
	defer close(r.lines)
	defer out.Close()
	for s := bufio.NewScanner(out); s.Scan(); {
		r.lines <- s.Text()
	}
}

// await returns the next line that begins so.
func (r *running) await(prefix string) string {
	r.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("the sidecar ended without saying %q", prefix)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest)
			}
		case <-timeout:
			r.t.Fatalf("the sidecar did not say %q", prefix)
		}
	}
}

// rest is what is said until everybody who could say something is gone.
func (r *running) rest() (lines []string) {
	r.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				return lines
			}
			lines = append(lines, line)
		case <-timeout:
			r.t.Fatalf("somebody goes on; said until now: %q", lines)
		}
	}
}

func (r *running) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// ends checks the exit code and what was said on the way, but for when it was
// ready, which is said by another process than the rest.
func (r *running) ends(code int, said ...string) {
	r.t.Helper()
	lines := r.rest()
	_ = r.cmd.Wait()
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Errorf("exit code %d, want %d; said %q", got, code, lines)
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "ready") })
	if !slices.Equal(lines, said) {
		r.t.Errorf("said %q, want %q", lines, said)
	}
}

func self(verb ...string) []string { return append([]string{os.Args[0]}, verb...) }

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(testport.Free(t))
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	empty := t.TempDir() + "/empty"
	if err := os.WriteFile(empty, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		command []string
		code    int
	}{
		{"its own", self("exit", "7"), 7},
		{"zero", self("exit", "0"), 0},
		{"by a signal", self("die"), 128 + 9},
		{"of a shell", []string{"sh", "-c", "exit 5"}, 5},
		{"not found", []string{"gridway-no-such-command"}, 127},
		{"not found by path", []string{t.TempDir() + "/nothing"}, 127},
		{"not executable", []string{empty}, 126},
		{"a folder", []string{t.TempDir()}, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, nil, c.command...)
			_ = r.rest()
			_ = r.cmd.Wait()
			if got := r.cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
		})
	}
}

func TestReadyWhenItListens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, at string }{
		{"127.0.0.1:", "127.0.0.1:"}, {"[::1]:", "[::1]:"}, {":", "[::1]:"},
	} {
		t.Run(c.listen, func(t *testing.T) {
			t.Parallel()
			port := freePort(t)
			r := start(t, []string{"PORT=" + port}, self("serve", c.listen+port)...)
			if at := r.await("ready"); at != c.at+port {
				t.Errorf("ready at %s, want %s%s", at, c.at, port)
			}
			r.signal(syscall.SIGTERM)
			r.await("drain")
			r.ends(40+15, "app ends by terminated")
		})
	}
}

// Further ports are found where they are, whether they are open before the first one or
// after it.
func TestFurtherPorts(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint("first ", first), func(t *testing.T) {
			t.Parallel()
			port, other := freePort(t), freePort(t)
			at := []string{"127.0.0.1:" + port, "[::1]:" + other}
			if first {
				slices.Reverse(at)
			}
			r := start(t, []string{"PORT=" + port, "ALSO=" + other}, self(append([]string{"serve"}, at...)...)...)
			if got := r.await("also"); got != "[::1]:"+other {
				t.Errorf("found at %s", got)
			}
			r.signal(syscall.SIGTERM)
			r.await("app ends")
		})
	}
}

func TestFurtherPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, taken, _ := net.SplitHostPort(l.Addr().String())
	r := start(t, []string{"PORT=" + freePort(t), "ALSO=" + taken}, self("exit", "0")...)
	r.ends(1, "error: port "+taken+" is taken: another process listens at 127.0.0.1:"+taken+
		"; end it, or give the application another port")
}

func TestPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := start(t, []string{"PORT=" + port}, self("serve", "127.0.0.1:"+port)...)
	r.ends(1, "error: port "+port+" is taken: another process listens at 127.0.0.1:"+port+
		"; end it, or give the application another port")
}

func TestNeverListens(t *testing.T) {
	t.Parallel()
	port, other := freePort(t), freePort(t)
	r := start(t, []string{"PORT=" + port, "START=2s"}, self("serve", "127.0.0.1:"+other)...)
	r.await("app listens")
	r.await("app ends by terminated")
	said := r.await("error:")
	if !strings.Contains(said, "did not listen on port "+port+" within 2s") || !strings.Contains(said, "127.0.0.1:"+other) {
		t.Error("unclear:", said)
	}
	r.ends(40 + 15)
}

func TestEndsBeforeItListens(t *testing.T) {
	t.Parallel()
	start(t, []string{"PORT=" + freePort(t)}, self("exit", "9")...).ends(9)
}

func TestReadyRefuses(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	r := start(t, []string{"REFUSE=1", "PORT=" + port}, self("serve", "127.0.0.1:"+port)...)
	r.await("app ends by terminated")
	r.await("error: nobody wants it")
	r.ends(40 + 15)
}

// While it starts nobody sends requests, so there is nothing to drain.
func TestEndsWhileItStarts(t *testing.T) {
	t.Parallel()
	r := start(t, []string{"PORT=" + freePort(t)}, self("signals")...)
	r.await("app pid")
	r.signal(syscall.SIGINT)
	r.ends(40+2, "app ends by interrupt")
}

func TestSignalsPassOn(t *testing.T) {
	t.Parallel()
	r := start(t, nil, self("signals")...)
	r.await("app pid")
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGQUIT, 35, 64} {
		if signal.Ignored(s) {
			continue // under nohup both ignore it
		}
		r.signal(s)
		if got := r.await("app got"); got != s.String() {
			t.Errorf("%v came as %s", s, got)
		}
	}
	r.signal(syscall.SIGTERM)
	r.await("drain")
	r.ends(40+15, "app ends by terminated")
}

func TestSecondSignalDoesNotWait(t *testing.T) {
	t.Parallel()
	r := start(t, []string{"BUSY=1"}, self("signals")...)
	r.await("app pid")
	r.signal(syscall.SIGTERM)
	r.await("drain")
	r.signal(syscall.SIGUSR1)
	r.await("app got user defined signal 1") // it still runs
	r.signal(syscall.SIGINT)
	r.await("drain ended")
	r.ends(40+2, "app ends by interrupt")
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	r := start(t, []string{"BUSY=1", "DRAIN=50ms"}, self("signals")...)
	r.await("app pid")
	r.signal(syscall.SIGTERM)
	r.await("drain ended")
	r.ends(40+15, "app ends by terminated")
}

func TestKilledWhenItDoesNotEnd(t *testing.T) {
	t.Parallel()
	r := start(t, []string{"STOP=50ms"}, self("deaf")...)
	r.await("app pid")
	r.signal(syscall.SIGTERM)
	r.await("drain")
	r.ends(128 + 9)
}

// A stopped application can be ended without SIGKILL.
func TestEndsWhileStopped(t *testing.T) {
	t.Parallel()
	r := start(t, nil, self("signals")...)
	pid, _ := strconv.Atoi(r.await("app pid"))
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	r.signal(syscall.SIGTERM)
	r.await("drain")
	r.ends(40+15, "app ends by terminated")
}

// The application does not outlive a sidecar that was killed: rest returns when
// nobody has stderr open any more.
func TestSidecarKilled(t *testing.T) {
	t.Parallel()
	r := start(t, nil, self("deaf")...)
	r.await("app pid")
	r.signal(syscall.SIGKILL)
	r.ends(-1)
}

// What an application leaves behind ends with it, wherever it has gone, and the
// exit code is the application's.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"in its group":        `"$0" signals & exit 4`,
		"in its own session":  `setsid "$0" signals & exit 4`,
		"of a child":          `(setsid "$0" signals &) ; exit 4`,
		"that does not end":   `"$0" deaf & exit 4`,
		"that left something": `setsid sh -c '"$0" deaf & "$0" signals' "$0" & exit 4`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A leftover says its process ID before the application ends.
			script := strings.Replace(script, "exit 4", "read line; exit 4", 1)
			r := start(t, []string{"STOP=200ms"}, "sh", "-c", script, os.Args[0])
			r.await("app pid")
			fmt.Fprintln(r.stdin, "go on")
			_ = r.rest()
			_ = r.cmd.Wait()
			if got := r.cmd.ProcessState.ExitCode(); got != 4 {
				t.Errorf("exit code %d, want 4", got)
			}
		})
	}
}
