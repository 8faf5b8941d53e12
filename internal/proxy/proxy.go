// Package proxy is the data plane: it turns an ir.Config into listening
// sockets, route tables and clusters, and swaps one configuration for the next
// without dropping work. It owns the listeners, the clusters and their
// goroutines; Shutdown waits for all of them. It knows nothing of where a
// configuration comes from. Package app imports it.
package proxy

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/accesslist"
	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/clientcert"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/egress"
	"github.com/gridway/gridway/internal/proxy/extauthz"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/proxy/keyset"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/listen"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/proxy/schema"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/stream"
	"github.com/gridway/gridway/internal/proxy/tracing"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/outlet"
	"github.com/gridway/gridway/internal/telemetry/push"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/ocspstaple"
)

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
	credentials    anyCredentials

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

// New makes a data plane that serves nothing yet.
func New(o Options) *Proxy {
	o.defaults()
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
	p.pipeline.AnyCredentials = p.AnyCredentials
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

// Upstreams is the set of clusters, for status and explain.
func (p *Proxy) Upstreams() *upstream.Set { return p.set }

// Snapshot is what serves now; nil before the first Apply.
func (p *Proxy) Snapshot() *snapshot.Snapshot { return p.snap.Load() }

// Admission lists the state of the adaptive concurrency limits, by scope.
func (p *Proxy) Admission() []admission.State { return p.deps.Admission.States() }
