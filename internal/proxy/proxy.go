// Package proxy is the data plane: it turns an ir.Config into listening
// sockets, route tables and clusters, and swaps one configuration for the next
// without dropping work. It owns the listeners, the clusters and their
// goroutines; Shutdown waits for all of them. It knows nothing of where a
// configuration comes from. Package app imports it.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/datagram"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/proxy/keyset"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
	"github.com/gridway/gridway/internal/proxy/listen"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/schema"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/otlp"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/push"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/ocspstaple"
)

// Options of a data plane.
type Options struct {
	Log     *slog.Logger
	Metrics *metric.Registry
	// AccessLog may be nil: no access log.
	AccessLog *accesslog.Logger
	// AccessLogOmit are fields that TelemetrySinks do not get either.
	AccessLogOmit accesslog.Omitted
	// Stdout is where the access logs of TelemetrySinks with standardOutput go.
	Stdout io.Writer
	// Resource says who sends to TelemetrySinks; nil is nothing of that.
	Resource *otlp.Resource
	// Flows gathers who speaks to workloads here; nil gathers nothing.
	Flows *flow.Recorder
	// Taps look at what passes; nil has none.
	Taps *tap.Set
	// Signals counts by edge of the service graph; nil counts nothing.
	Signals *signal.Observer
	// Records remembers exchanges and streams; nil remembers none.
	Records *trace.Recorder
	// Tracing is how exchanges are traced where no policy says otherwise; nil is
	// trace.Default, or trace.DefaultMesh with Identities.
	Tracing *trace.Policy
	// Zone is where this proxy runs; clusters may prefer endpoints there.
	Zone string
	// DrainTimeout is how long the connections of a removed listener may take to end.
	DrainTimeout time.Duration
	// IdleGrace is how long idle connections may still bring a request once a
	// drain has begun; zero means a second.
	IdleGrace time.Duration
	// LeaveWithin is how long a drain takes, after IdleGrace, to end WebSockets and
	// streams of events one by one; zero means a quarter of DrainTimeout, and ten
	// seconds at most.
	LeaveWithin time.Duration
	// SharePorts lets other processes of the same user have the same ports, if
	// they want it too. Without it a port that somebody has is an error.
	SharePorts bool
	// Challenges may be nil: no certificate authority is answered.
	Challenges Challenges
	// Inherited are sockets of a process that this one replaces, by the name of
	// the listener: "ADDRESS:PORT".
	Inherited map[string]*net.TCPListener
	// InheritedDatagrams are those of UDP, "ADDRESS:PORT/udp", and of HTTP/3, for
	// which InheritedPipes lead to the processes that have connections.
	InheritedDatagrams map[string]*net.UDPConn
	InheritedPipes     map[string]*net.UnixConn
	// InheritedTickets are the secrets of TLS session tickets of that process;
	// empty for new ones.
	InheritedTickets []byte
	// InheritedStaples are the OCSP responses of that process.
	InheritedStaples [][]byte
	// InheritedKeys are the keys for tokens that it had fetched.
	InheritedKeys [][]byte
	// Identities are those of the mesh; nil for a proxy that is in none.
	Identities tlsx.Identities
	// Mark is the mark of sockets to endpoints and others (SO_MARK), by which rules that
	// capture connections except the proxy's own; 0 is none. It needs CAP_NET_ADMIN.
	Mark uint32
	// Learn gets services of a mesh that the configuration lacks and that applications
	// ask for by an authority, a host with or without a port; true is that there may be
	// one by now. Nil is that the configuration is all there is. It may block.
	Learn func(authority string) bool
	// Leases are of a state store; nil is that there is none.
	Leases lease.Source
	// Loops carry its connections; nil makes a group that is closed with the proxy. Several
	// proxies of one process are to share one: loops keep processors from each other
	// for moments, which is right only as long as there is one for each processor.
	Loops *loop.Group
	// Held lets the proxy accept nothing before Begin.
	Held bool
}

// Challenges knows what certificate authorities look for before they issue.
type Challenges interface {
	pipeline.Challenges
	tlsx.Challenges
}

// Proxy is a running data plane.
type Proxy struct {
	opts     Options
	loops    *loop.Group
	loopsErr error
	set      *upstream.Set
	guard    *tlsx.Guard // of connections with peers of the mesh
	stapler  *ocspstaple.Stapler
	tickets  *tlsx.Tickets
	pipeline *pipeline.Pipeline
	streams  *stream.Server
	schemas  *schema.Set
	keys     *keyset.Set
	logins   *login.Set
	issuers  *issuing.Set
	// consumers change apart from snapshots.
	consumers      *consumer.Directory
	limits         *limit.Set
	stores         *stores
	authorizations *authorizations
	formulas       *formulas
	exporter       *export.Exporter
	outlets        *outlet.Set
	pusher         *push.Pusher
	lists          *accesslist.Directory
	revoked        *clientcert.Revocations
	deps           snapshot.Deps

	snap atomic.Pointer[snapshot.Snapshot]

	mu        sync.Mutex
	listeners map[string]socket   // guarded by mu
	leaving   map[socket]struct{} // guarded by mu: being drained
	held      bool                // guarded by mu
	sockets   *listen.Sockets
	datagrams map[string]*net.UDPConn // guarded by mu: inherited and not wanted yet
	stopped   bool                    // guarded by mu
	draining  sync.WaitGroup
	drainCtx  context.Context
	drainStop context.CancelFunc
}

const maxLeaveWithin = 10 * time.Second

// New makes a data plane that serves nothing yet.
func New(o Options) *Proxy {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(metric.Build{}, metric.Settings{})
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 30 * time.Second
	}
	if o.IdleGrace == 0 {
		o.IdleGrace = time.Second
	}
	if o.LeaveWithin == 0 {
		o.LeaveWithin = min(o.DrainTimeout/4, maxLeaveWithin)
	}
	if o.Tracing == nil {
		o.Tracing = &trace.Default
		if o.Identities != nil {
			o.Tracing = &trace.DefaultMesh
		}
	}
	if o.Resource == nil {
		o.Resource = otlp.NewResource("", otlp.Attribute{Key: "service.name", Value: "gridway"})
	}
	loops, err := o.Loops, error(nil)
	if loops == nil {
		loops, err = loop.NewGroup(runtime.GOMAXPROCS(0))
	}
	guard := tlsx.NewGuard(o.Identities)
	set := upstream.New(upstream.Options{
		Loops: loops, Zone: o.Zone, Log: o.Log, Metrics: clusterMetrics{o.Metrics}, ClientTLS: tlsx.ClientConfig,
		Identities: o.Identities, Guard: guard, Mark: o.Mark,
	})
	schemas := schema.New(schema.Options{Log: o.Log, Upstreams: set})
	keys, logins := keyset.New(keyset.Options{Log: o.Log}), login.New(login.Options{Log: o.Log})
	issuers := issuing.New(issuing.Options{Log: o.Log})
	consumers := consumer.New()
	limits, lists, certificates := &limit.Set{}, accesslist.New(), &clientcert.Cache{}
	revoked := clientcert.NewRevocations()
	stores := &stores{metrics: o.Metrics, log: o.Log, leases: openLeases(o.Leases, o.Metrics, o.Log)}
	formulas := &formulas{log: o.Log}
	authorizations := &authorizations{metrics: o.Metrics, log: o.Log}
	p := &Proxy{
		opts: o, loops: loops, loopsErr: err, set: set, guard: guard, stapler: ocspstaple.New(ocspstaple.Options{Log: o.Log}),
		tickets: tlsx.NewTickets(nil), schemas: schemas, keys: keys, logins: logins, issuers: issuers, consumers: consumers, limits: limits, stores: stores, lists: lists, revoked: revoked, authorizations: authorizations, formulas: formulas,
		pipeline: &pipeline.Pipeline{Metrics: o.Metrics, AccessLog: o.AccessLog, Flows: o.Flows, Taps: o.Taps, Signals: o.Signals, Records: o.Records, Resource: o.Resource, Log: o.Log, Upstreams: set, Certificates: certificates},
		streams:  &stream.Server{AccessLog: o.AccessLog, Flows: o.Flows, Taps: o.Taps, Signals: o.Signals, Records: o.Records, Log: o.Log},
		deps: snapshot.Deps{
			Upstreams: set, Admission: &admission.Set{}, Metrics: o.Metrics, Clock: snapshot.NewClock(time.Now), Signals: o.Signals,
			Filters: filters.Deps{
				Schemas: schemas, Consumers: consumers, Passwords: password.New(max(1, runtime.GOMAXPROCS(0)/2)),
				Tokens: tokens(keys), Logins: logins.Login, Issuers: issuers.Issuer, Certificates: certificates, Revocations: revoked,
				Policy: func(name string) filter.Decisions { return o.Metrics.Policy(name) },
				Method: func(policy, method string) authentication.Counts {
					return o.Metrics.Policy("AuthenticationPolicy/" + policy).Method(method)
				},
				Lists:      lists,
				RateLimits: rateLimitDeps(limits, stores, formulas, o.Metrics), Authorization: authorizations.get,
				Answers: &extauthz.Caches{},
			},
		},
		listeners: map[string]socket{}, leaving: map[socket]struct{}{},
		sockets: &listen.Sockets{Shared: o.SharePorts}, held: o.Held, exporter: export.New(export.Options{Log: o.Log}),
	}
	p.openOutlets()
	p.pusher = newPusher(&p.opts, p.exporter)
	p.deps.Tracing = tracing.NewSet(tracing.Options{Default: *o.Tracing, Sink: p.exporter.Sink, Log: o.Log})
	p.pipeline.Tracing = p.deps.Tracing
	p.pipeline.LeaveWithin, p.pipeline.Vouch = o.LeaveWithin, vouch.New(o.Identities)
	if v := p.pipeline.Vouch; v != nil {
		o.Metrics.SetCallerTokens(v.Counts)
	}
	p.pipeline.Learn, p.pipeline.Latest = o.Learn, func(name string) *snapshot.Listener {
		if s := p.snap.Load(); s != nil {
			return s.Listeners[name]
		}
		return nil
	}
	p.pipeline.Egress = egress.New(egress.Options{Loops: loops, Upstreams: set, Mark: o.Mark})
	if o.Challenges != nil {
		p.pipeline.Challenges = o.Challenges
	}
	if len(o.InheritedTickets) > 0 {
		if err := p.tickets.Adopt(o.InheritedTickets); err != nil {
			o.Log.Warn("TLS sessions of the process before cannot be resumed", "error", err)
		}
	}
	p.stapler.Adopt(o.InheritedStaples)
	p.keys.Adopt(o.InheritedKeys)
	p.inherit(o)
	p.drainCtx, p.drainStop = context.WithCancel(context.Background())
	return p
}

// Consumers are those who may call, with the last use of their credentials.
func (p *Proxy) Consumers() *consumer.Directory { return p.consumers }

// Reflected is the schema that the endpoints of a rule have told so far.
func (p *Proxy) Reflected(r *ir.Rule) transcode.Source { return p.schemas.Reflected(r) }

// Apply makes cfg the configuration of every request from now on: new sockets
// are open before old ones are closed, and connections with work keep it. An
// error names what could not be applied (a port that is taken, a certificate
// that cannot be used); the rest of cfg serves all the same. Endpoints of
// clusters with Discovery that were found already are in place before the
// clusters serve.
func (p *Proxy) Apply(ctx context.Context, cfg *ir.Config, found ...ir.EndpointUpdate) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("proxy: the data plane was shut down")
	}
	if p.loopsErr != nil {
		return fmt.Errorf("proxy: %w", p.loopsErr)
	}
	var errs []error
	if err := p.set.Apply(cfg.Clusters, found...); err != nil {
		errs = append(errs, err)
	}
	p.schemas.Begin(cfg)
	p.keys.Begin(cfg)
	p.logins.Begin(cfg)
	p.issuers.Begin(cfg)
	p.consumers.Apply(cfg.Consumers)
	if err := p.stores.Apply(cfg.RateLimitStores); err != nil {
		errs = append(errs, err)
	}
	if err := p.exporter.Apply(cfg.TelemetrySinks); err != nil {
		errs = append(errs, err)
	}
	if err := p.outlets.Apply(cfg.TelemetrySinks); err != nil {
		errs = append(errs, err)
	}
	p.pusher.Apply(cfg.TelemetrySinks)
	p.lists.Apply(cfg.AddressLists, cfg.UserAgentLists)
	p.revoked.Apply(cfg.RevocationLists)
	snap, err := snapshot.Build(cfg, p.snap.Load(), p.deps)
	if err != nil {
		errs = append(errs, err)
	}
	for _, l := range cfg.Listeners {
		built := snap.Listeners[l.Name]
		if built == nil {
			continue
		}
		if err := p.applyListener(ctx, l, built); err != nil {
			errs = append(errs, err)
		}
	}
	p.snap.Store(snap)
	p.streams.Recheck(snap.Stream)
	p.schemas.End(cfg)
	p.keys.End(cfg)
	p.logins.End(cfg)
	p.issuers.End(cfg)
	keepLimits(p.limits, cfg)
	p.stores.warnUnkept(cfg.RateLimits)
	p.authorizations.keep(cfg)
	p.formulas.keep(cfg)
	for name, l := range p.listeners {
		if snap.Listeners[name] == nil && !named(cfg, name) {
			delete(p.listeners, name)
			p.drain(l)
		}
	}
	return errors.Join(errs...)
}

// ListenError says that a listener's socket could not be opened. The listener
// stays wanted, and Reopen tries again.
type ListenError struct {
	Listener string
	Err      error
}

func (e *ListenError) Error() string { return e.Err.Error() }

func (e *ListenError) Unwrap() error { return e.Err }

// Reopen tries again to open the sockets that the configuration in service
// wants and that could not be opened.
func (p *Proxy) Reopen(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	snap := p.snap.Load()
	if p.stopped || snap == nil {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(snap.Listeners)) {
		switch l := p.listeners[name].(type) {
		case nil:
			errs = append(errs, p.applyListener(ctx, snap.Listeners[name].IR, snap.Listeners[name]))
		case *listen.Listener:
			errs = append(errs, listenErrors(name, l.Retry()))
		}
	}
	return errors.Join(errs...)
}

// applyListener opens or updates one socket.
func (p *Proxy) applyListener(ctx context.Context, l *ir.Listener, built *snapshot.Listener) error {
	if open := p.listeners[l.Name]; open != nil {
		return listenErrors(l.Name, open.Set(built))
	}
	open, err := p.openSocket(ctx, l)
	if err != nil {
		return &ListenError{Listener: l.Name, Err: err}
	}
	err = open.Set(built)
	p.listeners[l.Name] = open
	if p.held {
		return err
	}
	return errors.Join(err, p.begin(l.Name))
}

// listenErrors makes a *ListenError of one about the UDP side of HTTP/3, for
// Reopen to try again.
func listenErrors(name string, err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range many.Unwrap() {
			errs = append(errs, listenErrors(name, e))
		}
		return errors.Join(errs...)
	}
	var udp *listen.UDPError
	if errors.As(err, &udp) {
		return &ListenError{Listener: name, Err: err}
	}
	return err
}

func (p *Proxy) tlsOptions() tlsx.Options {
	o := tlsx.Options{Stapler: p.stapler, Tickets: p.tickets}
	if p.opts.Challenges != nil {
		o.Challenges = p.opts.Challenges
	}
	return o
}

// socket is a listener of either transport.
type socket interface {
	Set(*snapshot.Listener) error
	Current() *snapshot.Listener
	Start() error
	Drain(context.Context) error
	Addr() netip.AddrPort
	Active() int64
	heirloom
}

// heirloom is what a process that replaces this one gets (see handover.go).
type heirloom interface {
	Socket() syscall.Conn
	// Share says whether the other process receives from the socket too.
	Share(bool)
	Shared() bool
	SetIdleGrace(time.Duration)
}

func (p *Proxy) openSocket(ctx context.Context, l *ir.Listener) (socket, error) {
	if l.Protocol == ir.UDP {
		inherited := p.datagrams[l.Name]
		delete(p.datagrams, l.Name)
		return datagram.Open(l, datagram.Options{
			Loops: p.loops, AccessLog: p.opts.AccessLog, Outlets: p.outlets, Taps: p.opts.Taps, Log: p.opts.Log, Shared: p.opts.SharePorts,
			Inherited: inherited, IdleGrace: p.opts.IdleGrace,
		})
	}
	return listen.Open(ctx, l, listen.Options{
		Loops: p.loops, Pipeline: p.pipeline, Streams: p.streams, Egress: p.pipeline.Egress, Log: p.opts.Log, TLS: p.tlsOptions(), Sockets: p.sockets,
		Identities: p.opts.Identities, Guard: p.guard,
		IdleGrace: p.opts.IdleGrace, DrainTimeout: p.opts.DrainTimeout,
	})
}

// mirrorGrace is how long copies of requests may take to end after the last
// exchange has.
const mirrorGrace = time.Second

// named tells whether cfg has a listener of that name, even one that failed to build.
func named(cfg *ir.Config, name string) bool {
	for _, l := range cfg.Listeners {
		if l.Name == name {
			return true
		}
	}
	return false
}

// drain ends a listener that is no longer configured, in the background. The
// caller holds mu.
func (p *Proxy) drain(l socket) {
	p.leaving[l] = struct{}{}
	p.draining.Go(func() {
		defer p.left(l)
		ctx, cancel := context.WithTimeout(p.drainCtx, p.opts.DrainTimeout)
		defer cancel()
		if err := l.Drain(ctx); err != nil {
			p.opts.Log.Warn("drain", "error", err)
		}
	})
}

// Update replaces the endpoints of one cluster; it is false for a cluster that is not in use.
func (p *Proxy) Update(u ir.EndpointUpdate) bool { return p.set.Update(u) }

// Upstreams is the set of clusters, for status and explain.
func (p *Proxy) Upstreams() *upstream.Set { return p.set }

// Snapshot is what serves now; nil before the first Apply.
func (p *Proxy) Snapshot() *snapshot.Snapshot { return p.snap.Load() }

// Listening lists the open sockets by listener name.
func (p *Proxy) Listening() map[string]netip.AddrPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make(map[string]netip.AddrPort, len(p.listeners))
	for name, l := range p.listeners {
		open[name] = l.Addr()
	}
	return open
}

// Shutdown stops accepting, lets exchanges end until ctx is done, then cuts
// them off, and returns when everything has stopped.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	err := p.Leave(ctx, func(string) bool { return true })
	p.drainStop()
	p.mu.Lock()
	p.disown()
	p.mu.Unlock()
	p.draining.Wait()
	p.pipeline.Background.Wait()
	p.pipeline.Mirrors.Stop(mirrorGrace)
	p.schemas.Close()
	p.keys.Close()
	p.logins.Close()
	p.stores.Close()
	p.pusher.Close() // what was counted last goes to the exporter
	p.closeOutlets()
	p.set.Close()
	p.guard.Close()
	p.pipeline.Vouch.Close()
	p.stapler.Close()
	if p.loops != nil && p.opts.Loops == nil {
		p.loops.Close()
	}
	if err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

// Admission lists the state of the adaptive concurrency limits, by scope.
func (p *Proxy) Admission() []admission.State { return p.deps.Admission.States() }

// Connections counts the open connections of each listener, by its name.
func (p *Proxy) Connections() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make(map[string]int, len(p.listeners))
	for name, l := range p.listeners {
		open[name] = int(l.Active())
	}
	return open
}

// Left counts the open connections of all listeners, also of those that drain.
func (p *Proxy) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.listeners {
		n += int(l.Active())
	}
	for l := range p.leaving {
		n += int(l.Active())
	}
	return n
}

func (p *Proxy) left(l socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.leaving, l)
}
