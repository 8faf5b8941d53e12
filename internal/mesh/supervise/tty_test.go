package supervise_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// startOnTerminal starts a sidecar as a shell would: leader of a session, in the
// foreground of its terminal. typed is the other end of the terminal.
func startOnTerminal(t *testing.T, command ...string) (r *running, typed *os.File) {
	t.Helper()
	typed, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { typed.Close() })
	n, err := unix.IoctlGetInt(int(typed.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(typed.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r = &running{t: t, cmd: exec.Command(os.Args[0], command...), lines: make(chan string, 100)}
	r.cmd.Env = append(os.Environ(), role+"=sidecar")
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = tty, tty, in
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	go r.read(out)
	return r, typed
}

// The application reads what is typed, which a process in the background cannot.
func TestTerminalIsRead(t *testing.T) {
	t.Parallel()
	r, typed := startOnTerminal(t, self("read")...)
	fmt.Fprintln(typed, "hello")
	if got := r.await("app read"); got != "hello <nil>" {
		t.Error("the application read", got)
	}
	r.ends(3)
}

// Ctrl-C comes to the application from its terminal, once, and from nobody else.
func TestTerminalInterrupts(t *testing.T) {
	t.Parallel()
	r, typed := startOnTerminal(t, self("signals")...)
	r.await("app pid")
	fmt.Fprint(typed, "\x03")
	r.ends(40+2, "app ends by interrupt")
}

// A change of the terminal's size comes once: the signal after it is the next.
func TestTerminalResizes(t *testing.T) {
	t.Parallel()
	r, typed := startOnTerminal(t, self("signals")...)
	r.await("app pid")
	if err := unix.IoctlSetWinsize(int(typed.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	r.await("app got window changed")
	r.signal(syscall.SIGUSR1)
	r.await("app got user defined signal 1")
	r.signal(syscall.SIGTERM)
	r.await("drain")
	r.ends(40+15, "app ends by terminated")
}

// Ctrl-Z stops the whole job, which goes on with the terminal when the shell says so.
func TestTerminalStops(t *testing.T) {
	t.Parallel()
	r, typed := startOnTerminal(t, "sh", "-c", `echo app up >&2; read line; echo app read $line >&2; exit 6`)
	r.await("app up")
	fmt.Fprint(typed, "\x1a")
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(r.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the sidecar did not stop with its job: %v, %v", status, err)
	}
	r.signal(syscall.SIGCONT)
	fmt.Fprintln(typed, "more")
	if got := r.await("app read"); got != "more" {
		t.Error("the application read", got)
	}
	r.ends(6)
}
