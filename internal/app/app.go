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
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/acme"
	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/leasing"
	"github.com/gridway/gridway/internal/mesh/history"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// Options of a gateway that reads its configuration from a source.
type Options struct {
	// Source delivers objects; see Files and Objects.
	Source Source
	// Admin is the address of the admin API; "off" means none.
	Admin string
	// AdminToken is what the API asks for; needed when Admin is not loopback.
	AdminToken adminapi.Token
	// AdminTLS are files with its certificate; without one it speaks plain HTTP, beyond
	// loopback only if AdminPlain says so.
	AdminTLS   *adminapi.TLSFiles
	AdminPlain bool
	// ConsoleLogin is where people may log in to the console besides; nil is with tokens
	// alone.
	ConsoleLogin *signin.Settings
	// AccessLog is "stdout", "stderr", "off" or the path of a file.
	AccessLog string
	// AccessLogOmit are fields that it leaves out.
	AccessLogOmit accesslog.Omitted
	// Stdout is where an access log on stdout goes.
	Stdout, Stderr io.Writer
	Log            *slog.Logger
	// LogStats reads what became of the lines of Log, for the metrics; may be nil.
	LogStats func() metric.LogStats
	Level    *slog.LevelVar
	// DrainTimeout is how long work may go on after a stop was asked for.
	DrainTimeout time.Duration
	// TelemetryMemory is for what is remembered of requests, in bytes; 0 is nothing.
	TelemetryMemory int
	// SharePorts lets other gateways of the same user have the same ports.
	SharePorts bool
	Zone       string
	// SessionKey authenticates session persistence tokens. Empty means a random
	// one, with which sessions end with the process.
	SessionKey []byte
	Build      metric.Build
	Metrics    metric.Settings
	// StateDir is the folder of what must outlive the process: certificates that
	// were issued, and the accounts with their authorities. It is made when it is
	// needed. Empty means the working directory.
	StateDir string
	// State is the state store; nil is none.
	State *statedb.Location
	// StateKeyFile has the secrets by which Secrets are sealed in it. Empty is the file of
	// Mesh, or, with SQLite, one in the state folder, which is made when it is needed.
	StateKeyFile string
	// Revisions is how many changes of the configuration the state store keeps; 0 is
	// objects.DefaultRevisions.
	Revisions int
	// Mesh makes it the control plane of a mesh; nil is that it is none.
	Mesh *Mesh
	// SignalsMemory bounds what is kept of the service graph, in bytes; 0 is
	// signals.DefaultMemory.
	SignalsMemory int64
	// SignalsHistory is how long the service graph is kept in the state store; 0 is not
	// at all.
	SignalsHistory time.Duration
	// ControlOnly leaves the Gateways of the configuration to the edges of the mesh.
	ControlOnly bool
	// ShowTokens is given the tokens of the admin API that are made when a state
	// store is used for the first time. If it fails, so does the start.
	ShowTokens func([]access.CreatedToken) error
	// Upgrade lets the process be replaced, and replace another one; nil neither.
	Upgrade *Upgrade
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
	opt       Options
	log       *slog.Logger
	accessLog *accesslog.Destination
	// remembered has records of exchanges; nil is that there are none.
	remembered *trace.Recorder
	admin      *adminapi.Server
	// signIn is where people log in to the console; nil is with tokens alone.
	signIn    *signin.Provider
	plane     *proxy.Proxy
	metrics   *metric.Registry
	discovery *discovery.Hub
	// stopDiscovery ends discovery and waits for that; nil before it was begun.
	stopDiscovery func()
	acme          *acme.Source
	storage       *acme.Files // of acme
	issued        chan struct{}
	started       time.Time
	// serving is closed when connections are accepted.
	serving chan struct{}
	upgrades
	stored
	fileRevisions
	control *control // nil without a mesh
	taps    *tap.Set
	// table is the service graph, and edges what the own proxy counts for it.
	table *signals.Table
	edges *signal.Observer
	// troubles are what is not well on the own proxy's way to others.
	troubles *trouble.Watch
	history  *history.History // nil is that none is kept

	applying sync.Mutex      // held while a configuration is put in service
	out      *compile.Output // guarded by applying
	base     file.Snapshot   // guarded by applying; of the source, without issued certificates
	// failing is told that a listener could not be opened.
	failing chan struct{}

	// applied counts what record was told.
	applied atomic.Uint64

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
	g := &Gateway{
		opt: o, log: o.Log, started: time.Now(),
		fileRevisions: fileRevisions{filesNews: make(chan struct{}, 1)},
		failing:       make(chan struct{}, 1), issued: make(chan struct{}, 1), serving: make(chan struct{}),
	}
	g.state.phase = adminapi.Starting
	err := g.start(ctx)
	if err != nil {
		g.abandon(err)
		return nil, err
	}
	return g, nil
}

func (g *Gateway) start(ctx context.Context) error {
	if err := g.inherit(); err != nil {
		return err
	}
	g.opt = g.opt.withDefaults()
	g.log = g.opt.Log
	snap, err := g.opt.Source.Load()
	if err != nil {
		return err
	}
	if err := g.judge(snap); err != nil {
		return err
	}
	if err := g.open(ctx, snap); err != nil {
		return err
	}
	if g.predecessor() != nil {
		return nil // Run takes over
	}
	if err := g.plane.Begin(); err != nil {
		return err
	}
	g.serves()
	return nil
}

// serves notes that connections are accepted.
func (g *Gateway) serves() {
	g.mu.Lock()
	g.state.phase = adminapi.Serving
	g.mu.Unlock()
	g.metrics.SetReady(true)
	close(g.serving)
}

// Serving is closed once connections are accepted, which Run may have to do
// first.
func (g *Gateway) Serving() <-chan struct{} { return g.serving }

// open builds the parts and puts the first configuration in service.
func (g *Gateway) open(ctx context.Context, snap file.Snapshot) (err error) {
	o := g.opt
	if g.accessLog, err = accesslog.Open(o.AccessLog, o.Stdout, o.Stderr, accesslog.Options{Log: o.Log, Omit: o.AccessLogOmit}); err != nil {
		return err
	}
	g.metrics = proxy.NewMetrics(o.Build, o.Metrics)
	if o.TelemetryMemory > 0 {
		g.remembered = trace.New(o.TelemetryMemory)
	}
	g.table = signals.New(signals.Options{Memory: o.SignalsMemory})
	g.openIssuing()
	if err := g.openState(ctx); err != nil {
		return err
	}
	if err := g.openHistory(ctx); err != nil {
		return err
	}
	if err := g.openControl(ctx); err != nil {
		return err
	}
	if err := g.startIssuing(ctx, snap); err != nil {
		return err
	}
	plane := proxy.Options{
		Log: o.Log, Metrics: g.metrics, AccessLog: g.accessLog.Logger, Records: g.remembered, Zone: o.Zone, DrainTimeout: o.DrainTimeout, SharePorts: o.SharePorts,
		AccessLogOmit: o.AccessLogOmit, Stdout: o.Stdout, Resource: resource(o.Build.Version),
		Challenges: g.acme.Responder(),
		Held:       true, Taps: g.openTaps(),
	}
	if g.db != nil {
		plane.Leases = &leasing.Authority{DB: g.db}
	}
	if g.control != nil {
		plane.Identities = g.control.own
	}
	g.edges = g.observeSignals()
	g.metrics.SetEdges(g.edges.Totals)
	if metric.Counting {
		plane.Signals = g.edges
	}
	g.inheritTo(&plane)
	g.plane = proxy.New(plane)
	g.troubles = trouble.NewWatch(g.plane.Upstreams().Troubles)
	g.discover()
	g.observe()
	if err := g.openAdmin(ctx); err != nil {
		return err
	}
	if err := g.apply(ctx, snap, true); err != nil {
		return err
	}
	return g.openUpgrades()
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
	case len(out.Config.Listeners) == 0 && g.opt.Mesh == nil && g.opt.State == nil:
		return ErrNoListener
	}
	g.out = out
	return nil
}

func (g *Gateway) input(snap file.Snapshot) compile.Input {
	return compile.Input{Set: snap.Set, Refused: store.Refused(snap.Set, append(slices.Clone(snap.Problems), g.managedProblems()...)), Now: time.Now(), SessionKey: g.opt.SessionKey, Mesh: g.opt.Mesh != nil}
}

// abandon gives back what Start opened before it failed.
func (g *Gateway) abandon(why error) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if g.stopDiscovery != nil {
		g.stopDiscovery()
	}
	if g.plane != nil {
		_ = g.plane.Shutdown(done) // the error of Start is the one to tell
	}
	if g.giver != nil {
		g.giver.Release()
	}
	if g.admin != nil {
		if g.predecessor() != nil {
			g.admin.Yield() // it is the predecessor's
		}
		_ = g.admin.Close()
	}
	g.closeLogin()
	if t := g.predecessor(); t != nil {
		t.Fail(why)
	}
	if g.accessLog != nil {
		_ = g.accessLog.Close()
	}
	if g.control != nil {
		_ = g.control.listener.Close()
	}
	_ = g.closeState()
}

// ReopenLogs opens the access log's file anew, after it was renamed.
func (g *Gateway) ReopenLogs(ctx context.Context) error {
	return errors.Join(g.accessLog.Reopen(ctx), g.plane.ReopenLogs(ctx))
}

// resource says to receivers of telemetry who sends it.
func resource(version string) *otlp.Resource {
	host, _ := os.Hostname() // without a name there is none
	return otlp.NewResource(version, otlp.Attribute{Key: "service.name", Value: "gridway"}, otlp.Attribute{Key: "service.version", Value: version},
		otlp.Attribute{Key: "service.instance.id", Value: otlp.Instance(host)},
		otlp.Attribute{Key: "host.name", Value: host})
}

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
