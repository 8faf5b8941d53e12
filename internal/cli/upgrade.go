package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/handover"
	"github.com/gridway/gridway/internal/systemd"
)

// replacing are the flags of commands that can be replaced by another process.
type replacing struct {
	upgrade bool
	socket  string
	drain   time.Duration
	pidFile string
}

const socketHelp = "Unix socket at which the gateway and the process that replaces it meet, or off"

func (r *replacing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&r.upgrade, "upgrade", false, "take over from the gateway that runs with the same --upgrade-socket, if one does; it then drains and ends")
	f.StringVar(&r.socket, "upgrade-socket", "", socketHelp+" (default: named after --admin, in $RUNTIME_DIRECTORY, /run/gridway or a folder of the user)")
	f.DurationVar(&r.drain, "upgrade-drain-timeout", 10*time.Minute, "how long connections may go on in this process once another one has taken over")
	f.StringVar(&r.pidFile, "pid-file", "", "file that holds the number of the process that serves")
}

// options finds the predecessor. With an error it was told, and goes on.
func (r *replacing) options(ctx context.Context, t *term.Terminal, o *app.Options, args []string) (err error) {
	taker, err := handover.Inherited()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && taker != nil {
			taker.Fail(err)
		}
	}()
	if r.drain <= 0 {
		return usagef("", "--upgrade-drain-timeout must be more than 0")
	}
	up := &app.Upgrade{Socket: r.socket, DrainTimeout: r.drain}
	switch r.socket {
	case "":
		up.Socket, up.Optional = handover.DefaultPath(o.Admin, t.Getenv), true
	case "off":
		up.Socket = ""
	}
	if taker == nil && r.upgrade {
		if up.Socket == "" {
			return usagef("name one with --upgrade-socket, for both processes", "--upgrade needs a socket at which the running gateway can be found")
		}
		taker, err = handover.Reach(ctx, up.Socket)
		if errors.Is(err, handover.ErrNobody) {
			o.Log.Info("there is no gateway to take over from; starting as usual", "socket", up.Socket)
		} else if err != nil {
			return err
		}
	}
	up.Predecessor = taker
	if up.Command, err = handover.Self(); err != nil {
		o.Log.Warn("this gateway will not be able to start its own successor", "error", err)
		err = nil
	}
	for _, a := range args {
		if a == "-" && up.Command != nil {
			up.Command.Refuse = "its configuration came from standard input, which cannot be read again"
		}
	}
	o.Upgrade = up
	return nil
}

// supervised tells the service manager and the PID file who serves.
type supervised struct {
	notify  systemd.Notifier
	pidFile string
	log     *slog.Logger
}

func (s *supervised) told(err error) {
	if err != nil {
		s.log.Warn("cannot tell who serves", "error", err)
	}
}

// serving is called when this process does.
func (s *supervised) serving() {
	if s.pidFile != "" {
		s.told(writePID(s.pidFile))
	}
	s.told(s.notify.Ready(os.Getpid()))
}

// stopping is called before this process drains because it was told to stop.
func (s *supervised) stopping() { s.told(s.notify.Stopping()) }

// replaced is called when a successor serves. Only a child of ours can be the
// service in our place.
func (s *supervised) replaced(y handover.Yielded) {
	if y.Child {
		s.told(s.notify.MainPID(y.PID))
	}
}

// ended removes the PID file unless it is a successor's.
func (s *supervised) ended() {
	if s.pidFile == "" {
		return
	}
	if b, err := os.ReadFile(s.pidFile); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(os.Getpid()) {
		s.told(os.Remove(s.pidFile))
	}
}

// writePID replaces the file as a whole, so that no reader finds it empty.
func writePID(path string) error {
	next := path + ".next"
	if err := os.WriteFile(next, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func newUpgrade(t *term.Terminal) *cobra.Command {
	var admin, socket string
	cmd := &cobra.Command{
		Use:     "upgrade",
		GroupID: groupRun,
		Short:   "Replace a running gateway by a new process, without losing a request",
		Long: `Lets the running gateway start the binary that is at its path now, with the
arguments that it was started with itself. The new process reads the configuration,
takes over the listening sockets, and serves; the old one finishes what is under way
and ends. If the new process cannot start, the old one goes on as if nothing had
been, and this command says why.

SIGUSR2 does the same without an answer. "gridway run --upgrade" does it from the
other side, with arguments of its own.`,
		Example: lines("gridway upgrade", "gridway upgrade --admin 127.0.0.1:9902", "gridway upgrade --upgrade-socket /run/gridway/upgrade.sock"),
		Args:    noArgs,
	}
	cmd.Flags().StringVar(&admin, "admin", "", "admin address of the gateway, which its socket is named after (default $GRIDWAY_ADMIN or "+defaultAdmin+")")
	cmd.Flags().StringVar(&socket, "upgrade-socket", "", "the gateway's --upgrade-socket, if it was started with one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path := socket
		if path == "" {
			for _, a := range []string{admin, t.Getenv("GRIDWAY_ADMIN"), defaultAdmin} {
				if a != "" {
					path = handover.DefaultPath(a, t.Getenv)
					break
				}
			}
		}
		if path == "" || path == "off" {
			return usagef("", "--upgrade-socket must name the gateway's socket")
		}
		out, err := handover.Ask(cmd.Context(), path)
		if err != nil {
			return upgradeError(err)
		}
		t.Printf("process %d (%s) serves; process %d finishes what is under way and ends\n", out.PID, out.Version, out.Before)
		return nil
	}
	return cmd
}

// upgradeError says what to do about it.
func upgradeError(err error) error {
	var refused *handover.RefusedError
	switch {
	case errors.As(err, &refused):
		return err
	case errors.Is(err, handover.ErrNobody), errors.Is(err, fs.ErrPermission):
		return unreachableError{Err: err, Hint: "is a gateway running (\"gridway run\"), as this user? If it has another --admin or an\n--upgrade-socket of its own, give the same here."}
	}
	return hintError{Err: err, Hint: "the gateway goes on as before; its log has what the new process said"}
}
