// Package app builds the roles of the binary out of their parts and runs them:
// it is the only package that may import everything. A Gateway owns the
// goroutines of its source, its discovery, its admin API and its data plane;
// Run returns when all of them have ended.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/acme"
	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Options of a gateway that reads its configuration from a source.
type Options struct {
	// Source delivers objects; see Files and Objects.
	Source Source
	// Admin is the address of the admin API; "off" means none.
	Admin string
	// AdminToken is what the API asks for; needed when Admin is not loopback.
	AdminToken adminapi.Token
	// AccessLog is "stdout", "stderr", "off" or the path of a file.
	AccessLog string
	// Stdout is where an access log on stdout goes.
	Stdout, Stderr io.Writer
	Log            *slog.Logger
	// LogStats reads what became of the lines of Log, for the metrics; may be nil.
	LogStats func() metric.LogStats
	Level    *slog.LevelVar
	// DrainTimeout is how long work may go on after a stop was asked for.
	DrainTimeout time.Duration
	// SharePorts lets other gateways of the same user have the same ports.
	SharePorts bool
	Zone       string
	// SessionKey authenticates session persistence tokens. Empty means a random
	// one, with which sessions end with the process.
	SessionKey []byte
	Build      metric.Build
	// StateDir is the folder of what must outlive the process: certificates that
	// were issued, and the accounts with their authorities. It is made when it is
	// needed. Empty means the working directory.
	StateDir string
}

// Source is where objects come from. Load is called once, before Run.
type Source interface {
	Load() (file.Snapshot, error)
	// Run delivers changes until ctx ends.
	Run(ctx context.Context, deliver func(file.Snapshot)) error
	// Names are shown to people: paths.
	Names() []string
}

// Gateway is a running gateway.
type Gateway struct {
	opt     Options
	log     *slog.Logger
	plane   *proxy.Proxy
	metrics *metric.Registry
	access  *accessLog
	admin   *adminapi.Server
	dns     *dns.Source
	acme    *acme.Source
	storage *acme.Files // of acme
	issued  chan struct{}
	started time.Time

	applying sync.Mutex      // held while a configuration is put in service
	out      *compile.Output // guarded by applying
	base     file.Snapshot   // guarded by applying; of the source, without issued certificates
	// failing is told that a listener could not be opened.
	failing chan struct{}

	mu    sync.Mutex
	state state // guarded by mu
}

// StartError says why a gateway does not start because of its configuration.
type StartError struct {
	Problems []store.Problem
}

func (e *StartError) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].String()
	}
	return fmt.Sprintf("%s (and %d more problems)", e.Problems[0], len(e.Problems)-1)
}

// ErrNoListener: the configuration is valid and serves nothing.
var ErrNoListener = errors.New("the configuration opens no listener")

// Start reads the configuration, opens every socket and serves. What is wrong
// is fatal here, and only a warning once the gateway runs.
func Start(ctx context.Context, o Options) (*Gateway, error) {
	o = o.withDefaults()
	g := &Gateway{opt: o, log: o.Log, started: time.Now(), failing: make(chan struct{}, 1), issued: make(chan struct{}, 1)}
	g.state.phase = adminapi.Starting
	snap, err := o.Source.Load()
	if err != nil {
		return nil, err
	}
	if err := g.judge(snap); err != nil {
		return nil, err
	}
	if err := g.open(ctx, snap); err != nil {
		g.abandon()
		return nil, err
	}
	return g, nil
}

// open builds the parts and puts the first configuration in service.
func (g *Gateway) open(ctx context.Context, snap file.Snapshot) (err error) {
	o := g.opt
	if g.access, err = openAccessLog(o); err != nil {
		return err
	}
	g.metrics = proxy.NewMetrics(o.Build)
	g.openIssuing()
	if err := g.startIssuing(ctx, snap); err != nil {
		return err
	}
	g.plane = proxy.New(proxy.Options{
		Log: o.Log, Metrics: g.metrics, AccessLog: g.access.logger, Zone: o.Zone, DrainTimeout: o.DrainTimeout, SharePorts: o.SharePorts,
		Challenges: g.acme.Responder(),
	})
	g.observe()
	g.dns = dns.New(dns.Options{Log: o.Log, Update: func(u ir.EndpointUpdate) { g.plane.Update(u) }})
	if err := g.openAdmin(ctx); err != nil {
		return err
	}
	return g.apply(ctx, snap, true)
}

func (o Options) withDefaults() Options {
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Level == nil {
		o.Level = &slog.LevelVar{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(o.Stderr, &slog.HandlerOptions{Level: o.Level}))
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 30 * time.Second
	}
	if len(o.SessionKey) == 0 {
		o.SessionKey = randomKey()
	}
	return o
}

// judge finds what must not be there at a start.
func (g *Gateway) judge(snap file.Snapshot) error {
	out := compile.Compile(g.input(snap), nil)
	var bad []store.Problem
	for _, p := range append(append([]store.Problem{}, snap.Problems...), out.Problems...) {
		if p.Severity == store.Error {
			bad = append(bad, p)
		}
	}
	switch {
	case len(bad) > 0:
		return &StartError{Problems: bad}
	case len(out.Config.Listeners) == 0:
		return ErrNoListener
	}
	g.out = out
	return nil
}

func (g *Gateway) input(snap file.Snapshot) compile.Input {
	return compile.Input{Set: snap.Set, Refused: store.Refused(snap.Set, snap.Problems), Now: time.Now(), SessionKey: g.opt.SessionKey}
}

// Run serves until ctx ends, then lets work finish for DrainTimeout, or until
// cut ends, and returns when nothing runs any more. An error means that work
// had to be cut off, or that a part failed.
func (g *Gateway) Run(ctx, cut context.Context) error {
	parts, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, 4)
	part := func(name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(parts); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	// The source ends before the drain begins: what is changed then is not for us.
	sourceCtx, stopSource := context.WithCancel(parts)
	defer stopSource()
	sourceEnded := make(chan struct{})
	part("source", func(context.Context) error {
		defer close(sourceEnded)
		return g.opt.Source.Run(sourceCtx, func(s file.Snapshot) { _ = g.apply(sourceCtx, s, false) }) // it reports what fails
	})
	part("issued certificates", func(context.Context) error { g.applyIssued(sourceCtx); return nil })
	part("certificates", func(ctx context.Context) error { g.acme.Run(ctx); return nil })
	part("listeners", func(context.Context) error { g.reopen(sourceCtx); return nil })
	part("memory", func(context.Context) error { trimMemory(); return nil })
	part("discovery", func(ctx context.Context) error { g.dns.Run(ctx); return nil })
	part("metrics", func(ctx context.Context) error { g.metrics.Run(ctx); return nil })
	if g.admin != nil {
		part("admin API", g.admin.Run)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		g.log.Error("a part of the gateway failed; shutting down", "error", err)
	}
	stopSource()
	<-sourceEnded
	g.setPhase(adminapi.Draining)
	err = errors.Join(err, g.drain(cut))
	stop()
	wg.Wait()
	return errors.Join(err, g.access.close())
}

func (g *Gateway) drain(cut context.Context) error {
	g.log.Info("draining", "timeout", g.opt.DrainTimeout)
	ctx, cancel := context.WithTimeout(cut, g.opt.DrainTimeout)
	defer cancel()
	began := time.Now()
	err := g.plane.Shutdown(ctx)
	g.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return err
}

// abandon gives back what Start opened before it failed.
func (g *Gateway) abandon() {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if g.plane != nil {
		_ = g.plane.Shutdown(done) // the error of Start is the one to tell
	}
	if g.admin != nil {
		_ = g.admin.Close()
	}
	if g.access != nil {
		_ = g.access.close()
	}
}

// ReopenLogs opens the access log's file anew, after it was renamed.
func (g *Gateway) ReopenLogs(ctx context.Context) error { return g.access.reopen(ctx) }

// AdminAddr is where the admin API listens; nil without one.
func (g *Gateway) AdminAddr() net.Addr {
	if g.admin == nil {
		return nil
	}
	return g.admin.Addr()
}

// Listening lists the open sockets by the listener's name.
func (g *Gateway) Listening() map[string]netip.AddrPort { return g.plane.Listening() }

// Problems are what the present configuration is warned about.
func (g *Gateway) Problems() []store.Problem {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state.problems
}
