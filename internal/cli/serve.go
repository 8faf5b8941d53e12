package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/mesh/history"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// serving are the flags of every command that runs a gateway.
type serving struct {
	command.Proxy
	admin, adminTokenFile string
	adminTLS              adminapi.TLSFiles
	adminPlain            bool
	consoleOIDC           string
	sessionKeyFile        string
	state, stateKeyFile   string
	revisions             int
	// signalsMemory is in MiB.
	signalsMemory int
	// signalsHistory is how long the service graph is kept in the state store.
	signalsHistory time.Duration
	// stateDefault is the state store if nobody names one; empty is none.
	stateDefault string
	// named: the environment may name the state store, as it does not for a demo.
	named bool
}

func (s *serving) flags(t *term.Terminal, cmd *cobra.Command, accessLog, logLevel string) {
	f := cmd.Flags()
	f.StringVar(&s.admin, "admin", adminapi.DefaultAddress, "address of the admin API: HOST:PORT, unix:PATH or off")
	f.StringVar(&s.adminTokenFile, "admin-token-file", "", "file with the token that the admin API asks for (needed beyond loopback)")
	f.StringVar(&s.adminTLS.Certificate, "admin-tls-cert", "", "file with the certificate of the admin API, in PEM with its chain, read again when it changes: it speaks HTTPS then (needed beyond loopback)")
	f.StringVar(&s.adminTLS.Key, "admin-tls-key", "", "file with the private key of --admin-tls-cert")
	f.StringVar(&s.adminTLS.ClientCA, "admin-tls-client-ca", "", "file with authorities of which clients of the admin API must have a certificate")
	f.BoolVar(&s.adminPlain, "admin-allow-plain", false, "let the admin API speak plain HTTP beyond loopback, for something in front of it that has TLS: tokens are sent in the clear")
	f.StringVar(&s.consoleOIDC, "console-oidc", "", "file with the OpenID provider at which people log in to the console, and the roles that they get")
	f.StringVar(&s.sessionKeyFile, "session-key-file", "", "file with the secret of session persistence, to share sessions between proxies and restarts")
	f.StringVar(&s.state, "state", "", "state store, for objects, consumers and tokens made through the admin API: sqlite (a file in --state-dir), sqlite:PATH, postgres://USER@HOST/DATABASE or off (default $GRIDWAY_STATE or off)")
	f.StringVar(&s.stateKeyFile, "state-key-file", "", "file with the secrets that seal Secrets in the state store, one to a line, the first seals (default: that of --ca-key-file, or with SQLite a file that is made in --state-dir when it is needed)")
	f.IntVar(&s.revisions, "revisions", objects.DefaultRevisions, "changes of the configuration that the state store keeps, 1 to 100000; older than 400 days none is kept but the latest")
	f.IntVar(&s.signalsMemory, "signals-memory", signals.DefaultMemory>>20, "memory for the service graph and its last 24 hours, in MiB, 1 to 65536; when it is full, edges that were silent for longest are folded into one")
	f.DurationVar(&s.signalsHistory, "signals-history", 0, "how long the service graph is kept in the state store, ten minutes to a row, 1h to 2160h: it is there after a restart then, and for longer windows (default 0: not at all)")
	s.Proxy.Flags(t, cmd, accessLog, logLevel)
}

// options checks the flags.
func (s *serving) options(t *term.Terminal) (app.Options, error) {
	if s.signalsMemory < 1 || s.signalsMemory > 65536 {
		return app.Options{}, usagef("for example --signals-memory 256", "--signals-memory must be 1 to 65536 MiB, not %d", s.signalsMemory)
	}
	if d := s.signalsHistory; d != 0 && (d < history.Least || d > history.Most) {
		return app.Options{}, usagef("for example --signals-history 168h, which is a week", "--signals-history must be 1h to 2160h, or 0, not %s", d)
	}
	if s.revisions < 1 || s.revisions > 100000 {
		return app.Options{}, usagef("for example --revisions 1000", "--revisions must be 1 to 100000, not %d", s.revisions)
	}
	o := app.Options{
		Admin: s.admin, AccessLog: s.AccessLog, Stdout: t.RawOut, Stderr: t.RawErr, DrainTimeout: s.Drain, Zone: s.Zone, StateDir: s.StateFolder(t), Level: &slog.LevelVar{},
		SignalsMemory: int64(s.signalsMemory) << 20, Revisions: s.revisions, StateKeyFile: s.stateKeyFile,
	}
	var err error
	if o.AccessLogOmit, err = accesslog.ParseOmitted(s.AccessLogOmit); err != nil {
		return o, usagef("", "--access-log-omit: %v", err)
	}
	if err := o.Level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return o, usagef("", "--log-level must be debug, info, warn or error, not %q", s.LogLevel)
	}
	if s.Drain <= 0 {
		return o, usagef("", "--drain-timeout must be more than 0")
	}
	if o.Metrics, err = s.MetricSettings(); err != nil {
		return o, err
	}
	if o.TelemetryMemory, err = s.TelemetryMemory(trace.DefaultMemory); err != nil {
		return o, err
	}
	if err := s.stateOptions(t, &o); err != nil {
		return o, err
	}
	if o.SignalsHistory = s.signalsHistory; o.SignalsHistory != 0 && o.State == nil {
		return o, usagef("", "--signals-history needs a state store: give one with --state")
	}
	if s.adminTokenFile != "" {
		token, err := adminapi.ReadToken(s.adminTokenFile)
		if err != nil {
			return o, err
		}
		o.AdminToken = token
	}
	if err := s.adminTLSOptions(&o); err != nil {
		return o, err
	}
	if err := s.consoleOptions(&o); err != nil {
		return o, err
	}
	if s.sessionKeyFile != "" {
		key, err := os.ReadFile(s.sessionKeyFile)
		if err != nil {
			return o, fmt.Errorf("session key: %w", err)
		}
		if key = []byte(strings.TrimSpace(string(key))); len(key) < 32 {
			return o, hintError{Err: fmt.Errorf("%s: a session key needs at least 32 characters", s.sessionKeyFile), Hint: "make one with: head -c 32 /dev/urandom | base64"}
		}
		o.SessionKey = key
	}
	b := command.ReadBuild()
	o.Build = metric.Build{Version: b.Version, Commit: b.Commit, GoVersion: b.Go}
	o.Log, err = s.OpenLog(t.RawErr, &slog.HandlerOptions{Level: o.Level})
	o.LogStats = s.LogStats
	return o, err
}

// adminTLSOptions checks the flags of TLS.
func (s *serving) adminTLSOptions(o *app.Options) error {
	o.AdminPlain = s.adminPlain
	f := s.adminTLS
	switch {
	case f == adminapi.TLSFiles{}:
		return nil
	case f.Certificate == "" || f.Key == "":
		return usagef("", "TLS of the admin API needs both --admin-tls-cert and --admin-tls-key")
	case s.adminPlain:
		return usagef("", "--admin-allow-plain has no meaning with --admin-tls-cert")
	case strings.HasPrefix(s.admin, "unix:"):
		return usagef("", "a Unix socket (--admin %s) has no TLS: leave --admin-tls-cert out", s.admin)
	}
	o.AdminTLS = &f
	return nil
}

// consoleOptions reads where people log in to the console.
func (s *serving) consoleOptions(o *app.Options) (err error) {
	switch {
	case s.consoleOIDC == "":
		return nil
	case s.admin == "off":
		return usagef("", "--console-oidc has no meaning with --admin off: there is no console")
	case strings.HasPrefix(s.admin, "unix:"):
		// Its owner is an admin without a login, and so would be whatever a proxy passes on.
		return usagef("for example --admin 127.0.0.1:9901 --console-oidc FILE", "--console-oidc needs an address that browsers reach, and --admin is a Unix socket")
	}
	o.ConsoleLogin, err = signin.Read(s.consoleOIDC)
	return err
}

// hooks are called around the life of a gateway; each may be nil.
type hooks struct {
	started func(*app.Gateway)
	// stopping is called before the gateway drains because it was told to.
	stopping func()
}

// serve runs a gateway until a signal or ctx ends it.
func (s *serving) serve(ctx context.Context, t *term.Terminal, o app.Options, h hooks) error {
	return s.CloseLog(run(ctx, t, o, h))
}

func run(ctx context.Context, t *term.Terminal, o app.Options, h hooks) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	// Whoever asks for SIGPIPE gets EPIPE from writes. Without that the end of
	// what reads our log would be the end of the gateway.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	starting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	g, err := start(starting, giveUp, signals, o)
	if err != nil && starting.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was told to stop before it served
	}
	if err != nil {
		return startError(t, err, o.Admin)
	}
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	cut, cutNow := context.WithCancel(context.Background())
	defer cutNow()
	done := make(chan error, 1)
	go func() { done <- g.Run(running, cut) }()
	ended, serving := starting.Done(), g.Serving()
	var asides sync.WaitGroup
	defer asides.Wait()
	stop := func() {
		if running.Err() != nil {
			cutNow()
			return
		}
		if h.stopping != nil {
			h.stopping()
		}
		drain()
	}
	for {
		select {
		case <-serving:
			serving = nil
			if h.started != nil {
				h.started(g)
			}
		case err := <-done:
			if cut.Err() != nil {
				return errors.New("requests were cut off by a second signal")
			}
			return err
		case <-ended:
			ended = nil
			stop()
		case s := <-signals:
			switch s {
			// Beside the loop: what takes its time must not keep the next
			// signal waiting.
			case syscall.SIGHUP:
				asides.Go(func() { reopen(running, g, o.Log) })
				asides.Go(g.ReloadGrants)
			case syscall.SIGUSR2:
				asides.Go(func() { _, _ = g.Upgrade(running) }) // it is logged
			default:
				stop()
			}
		}
	}
}

// start starts a gateway, which may take seconds, and gives up when it is told to.
// Other signals are for the gateway that has started.
func start(ctx context.Context, giveUp func(), signals chan os.Signal, o app.Options) (g *app.Gateway, err error) {
	done := make(chan struct{})
	var later os.Signal
	go func() {
		g, err = app.Start(ctx, o)
		close(done)
	}()
	for {
		select {
		case <-done:
			if later != nil {
				select {
				case signals <- later:
				default: // there are more of them
				}
			}
			return g, err
		case s := <-signals:
			if s == os.Interrupt || s == syscall.SIGTERM {
				giveUp()
			} else {
				later = s
			}
		}
	}
}

// reopenTimeout bounds the wait for an access log that takes nothing.
const reopenTimeout = 5 * time.Second

func reopen(ctx context.Context, g *app.Gateway, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	if err := g.ReopenLogs(ctx); err != nil {
		log.Error("cannot reopen the access log", "error", err)
	}
}

// startError says what to do about a gateway that does not start.
func startError(t *term.Terminal, err error, admin string) error {
	var (
		bad    *app.StartError
		file   *fs.PathError
		socket *net.OpError
	)
	switch {
	case errors.As(err, &bad):
		printProblems(t, bad.Problems, nil)
		return hintError{Err: fmt.Errorf("the gateway does not start: %s in its configuration", excerpt.Count(len(bad.Problems), "error")), Hint: `"gridway check" finds the same without starting anything`}
	case errors.Is(err, app.ErrNoListener):
		return hintError{Err: err, Hint: `a Gateway with gatewayClassName "gridway" opens listeners; "gridway check" says what became of each object`}
	case errors.Is(err, app.ErrAdminTaken):
		return hintError{Err: err, Hint: fmt.Sprintf("another gateway may be running (\"gridway status --admin %s\"): replace it with \"gridway upgrade\", stop it,\nor choose another address with --admin, or --admin off", admin)}
	case errors.Is(err, adminapi.ErrTokenNeeded):
		return hintError{Err: err, Hint: "put a token of 16 characters or more into a file, and name it with --admin-token-file"}
	case errors.Is(err, adminapi.ErrTLSNeeded):
		return hintError{Err: err, Hint: "name a certificate with --admin-tls-cert and --admin-tls-key, listen on 127.0.0.1 or unix:PATH,\nor allow plain HTTP with --admin-allow-plain where TLS ends in front of it"}
	case errors.Is(err, fs.ErrNotExist) && !errors.As(err, &file):
		return hintError{Err: err, Hint: missingHint}
	case errors.As(err, &file) && !errors.As(err, &socket):
		return hintError{Err: err, Hint: "give files in folders that exist and that this user may use"}
	case errors.Is(err, syscall.EADDRINUSE):
		return hintError{Err: err, Hint: "stop the other program (\"ss -ltnp\" names it) or change the listener's port; a gateway is replaced with\n\"gridway upgrade\" or \"gridway run --upgrade\", and gateways that shall share a port all need --reuse-port"}
	case errors.Is(err, syscall.EACCES):
		return hintError{Err: err, Hint: "ports below 1024 need the capability CAP_NET_BIND_SERVICE: setcap cap_net_bind_service=+ep $(command -v gridway)"}
	}
	return err
}
