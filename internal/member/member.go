package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/mesh/supervise"
	"github.com/gridway/gridway/internal/mesh/workloadapi"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// TokenVariable is the variable of the environment that may have a join token.
const TokenVariable = "GRIDWAY_JOIN_TOKEN"

const (
	defaultStart = time.Minute
	// forget is how long peers have to hear that the member leaves before its listeners
	// close.
	forget    = 500 * time.Millisecond
	cacheFile = "configuration"
)

// member is a running one.
type member struct {
	opt     Options
	log     *slog.Logger
	ports   ports
	held    holder
	keys    *identity.Keyring
	stay    *join.Stay
	plane   *plane
	client  *distrib.Client
	logging *accesslog.Destination
	// records are of what has passed; nil is that nothing is remembered.
	records *trace.Recorder
	// renewals are how those of its SVIDs go.
	renewals renewals
	// api is nil where no program is to have it.
	api *workloadapi.Server
	// admin is nil if nobody is to ask.
	admin func(context.Context) error
	phase atomic.Pointer[Phase]
	// taps look at what passes.
	taps *tap.Set
	// signals counts by edge of the service graph.
	signals *signal.Observer
	// troubles are what is not well on the way to others.
	troubles *trouble.Watch
	// node is nil but for the proxy of a host.
	node *node
}

// Run joins the mesh and serves until the program ends, or until ctx does where there
// is none. The exit code is the program's.
func Run(ctx context.Context, o Options) (code int, err error) {
	o.StartTimeout = cmp.Or(o.StartTimeout, defaultStart)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, supervise.DefaultDrainTimeout)
	m := &member{opt: o, log: o.Log}
	defer m.held.close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := m.open(ctx); err != nil {
		return 1, err
	}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	part := func(run func(context.Context) error) {
		wg.Go(func() {
			if err := run(work); err != nil && work.Err() == nil {
				stop(err)
			}
		})
	}
	part(func(ctx context.Context) error { m.stay.Run(ctx); return nil })
	part(m.plane.run)
	part(m.client.Run)
	part(m.touch)
	part(m.settle)
	part(m.reopen)
	if m.admin != nil {
		part(m.admin)
	}
	if m.api != nil {
		part(m.api.Run)
	}
	code, err = m.serve(ctx)
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		code, err = max(code, 1), cause
	}
	end() // the stream ends first, so that nobody sends anything more
	wg.Wait()
	return code, errors.Join(err, m.close())
}

// open makes the parts and has an identity for them.
func (m *member) open(ctx context.Context) (err error) {
	o := &m.opt
	if err := os.MkdirAll(o.StateDir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if m.ports, err = choosePorts(o, &m.held); err != nil {
		return err
	}
	m.keys = identity.NewKeyring(identity.Options{})
	if err := m.enter(ctx); err != nil {
		return err
	}
	if !o.Address.IsValid() {
		if o.Address, err = ownAddress(ctx, o.Control[0]); err != nil {
			return err
		}
		if o.Address.IsLoopback() && len(o.Ports) > 0 {
			m.log.Warn("only this host reaches this workload; for others name the control plane by this host's address, or give --address", "address", o.Address.String(), "control", o.Control[0])
		}
	}
	if m.logging, err = accesslog.Open(o.AccessLog, o.Stdout, o.Stderr, accesslog.Options{Log: m.log, Omit: o.AccessLogOmit}); err != nil {
		return err
	}
	metrics := proxy.NewMetrics(o.Build, o.Metrics)
	mark := uint32(0)
	if o.Intercept {
		mark = intercept.Mark
	}
	learn := m.learn
	if o.Role == distrib.RoleNode {
		learn = nil // what a name means depends on whose it is: the nameservers learn
	}
	flows, signals := flow.New(), m.observer()
	m.signals = signals
	metrics.SetEdges(signals.Totals)
	if o.TelemetryMemory > 0 {
		m.records = trace.New(o.TelemetryMemory)
	}
	m.taps = tap.New(tap.Options{Self: m.keys.Own().String()})
	m.plane = newPlane(m.log, m.keys, metrics, proxy.Options{
		Mark: mark, Log: m.log, Metrics: metrics, AccessLog: m.logging.Logger, Zone: o.Zone, DrainTimeout: o.DrainTimeout, Identities: m.keys, Held: true, Learn: learn, Flows: flows, Signals: signals, Taps: m.taps, Records: m.records,
		AccessLogOmit: o.AccessLogOmit, Stdout: o.Stdout, Resource: m.resource(),
	})
	m.troubles = trouble.NewWatch(m.plane.Upstreams().Troubles)
	if o.Role == distrib.RoleNode {
		if err := m.openNode(); err != nil {
			return err
		}
	}
	var withheld func([]distrib.Withheld)
	if m.node != nil {
		withheld = m.node.withhold
	}
	m.client, err = distrib.NewClient(distrib.ClientConfig{
		Withheld: withheld, Proxy: m.proxy(), Targets: o.Control, Credentials: credentials.NewTLS(join.ClientTLS(m.keys)), Applier: m.plane, Beside: m.beside(flows, signals.Recorder),
		CacheFile: filepath.Join(o.StateDir, cacheFile), Log: m.log,
	})
	if err == nil {
		m.observe()
		err = m.openAdmin(ctx)
	}
	switch {
	case err != nil:
		return err
	case m.node != nil:
		return m.openAPI(ctx, m.node.identify)
	case len(o.App.Command) > 0:
		return m.openAPI(ctx, nil)
	}
	return nil
}

// observer counts by edge of the service graph, as who the member is.
func (m *member) observer() *signal.Observer {
	o := &signal.Observer{Recorder: signal.New(nil), TrustDomain: m.keys.Own().TrustDomain().Name()}
	switch m.opt.Role {
	case distrib.RoleNode: // its listeners say whose they are
	case distrib.RoleEdge:
		o.Self = signal.Of(signal.Party{Kind: signal.EdgeProxy, Namespace: m.opt.Namespace, Name: m.opt.Service})
	default:
		o.Self = signal.Of(signal.Party{Kind: signal.Service, Namespace: m.opt.Namespace, Name: m.opt.Service})
	}
	return o
}

// enter returns when the member has an identity, from its state folder or by joining.
func (m *member) enter(ctx context.Context) error {
	o := &m.opt
	as := identity.Name{Role: identity.RoleWorkload, Namespace: o.Namespace, Service: o.Service}
	if o.Role == distrib.RoleNode {
		as = identity.Name{Role: identity.RoleNode, Node: o.Node}
	}
	client, err := join.NewClient(join.ClientOptions{Addresses: o.Control, Keyring: m.keys, Token: o.Token, SVID: o.SVID, Account: o.Account, Bundle: o.Bundle, As: as})
	if err != nil {
		return err
	}
	m.stay = &join.Stay{Client: client, Folder: o.StateDir, Log: m.log, Renewals: m.renewals.note}
	ctx, cancel := context.WithTimeout(ctx, o.StartTimeout)
	defer cancel()
	return m.stay.Begin(ctx)
}

// proxy is what the control plane is told of the member.
func (m *member) proxy() distrib.Proxy {
	if m.node != nil {
		m.node.mu.Lock()
		defer m.node.mu.Unlock()
		return m.node.proxy()
	}
	o := &m.opt
	p := distrib.Proxy{
		// Hosts may have the same name; nobody else has this address and port.
		Name: o.Namespace + "/" + o.Service + "/" + netip.AddrPortFrom(o.Address, m.ports.Mesh).String(), Role: o.Role, Labels: maps.Clone(o.Labels), Zone: o.Zone,
		Version: o.Build.Version, Listeners: o.Upstreams,
	}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	if m.ports.Proxy != 0 {
		p.Labels[distrib.LabelProxy] = netip.AddrPortFrom(netip.MustParseAddr(loopback), m.ports.Proxy).String()
	}
	if m.ports.Outbound != 0 {
		p.Labels[distrib.LabelCaptured] = sockets(m.ports.Outbound, locals())
	}
	if m.ports.Inbound != 0 {
		p.Labels[distrib.LabelInbound] = sockets(m.ports.Inbound, everywhere())
	}
	if len(o.Gateways) > 0 {
		p.Labels[distrib.LabelGateways] = strings.Join(o.Gateways, ",")
	}
	labels := o.Labels
	if o.EastWest.IsValid() {
		p.Labels[distrib.LabelEastWest] = o.EastWest.String()
		reached := o.EastWestAddress
		if !reached.IsValid() {
			reached = netip.AddrPortFrom(o.Address, o.EastWest.Port())
		}
		if labels = maps.Clone(labels); labels == nil {
			labels = map[string]string{}
		}
		labels[distrib.LabelEastWestAddress] = reached.String()
	}
	p.Workloads = []distrib.Workload{{
		Namespace: o.Namespace, Service: o.Service, Address: o.Address.String(), Ports: o.Ports, Labels: labels, Zone: o.Zone, Version: o.Version,
		Weight: o.Weight, MeshPort: m.ports.Mesh,
	}}
	return p
}

// serve runs the program, once there is a configuration.
func (m *member) serve(ctx context.Context) (int, error) {
	patience := time.NewTimer(m.opt.StartTimeout)
	defer patience.Stop()
	select {
	case <-m.client.Ready():
	case <-ctx.Done():
		return 0, nil
	case <-patience.C:
		s := m.client.Status()
		return 1, fmt.Errorf("no configuration within %s from %s: %s", m.opt.StartTimeout, strings.Join(m.opt.Control, ", "), cmp.Or(s.Problem, s.Refused(), "the control plane sends none"))
	}
	if err := m.plane.Begin(); err != nil {
		return 1, err
	}
	m.log.Info("in the mesh", "identity", m.keys.Own().String(), "address", m.opt.Address.String(), "port", m.ports.Mesh, "revision", m.client.Status().Serving.String())
	if m.node != nil {
		return 0, m.node.run(ctx)
	}
	if len(m.opt.App.Command) == 0 {
		m.healthy(true)
		<-ctx.Done()
		m.drain(context.WithoutCancel(ctx))
		return 0, nil
	}
	app := m.opt.App
	app.Log, app.DrainTimeout = m.log, m.opt.DrainTimeout
	if len(m.opt.Ports) > 0 {
		app.Port, app.Listens = m.opt.Ports[0].Number, m.plane.workload
		for _, p := range m.opt.Ports[1:] {
			app.Also = append(app.Also, p.Number)
		}
	}
	// A token that lets others in is nothing for the program.
	app.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, TokenVariable+"=") })
	if m.ports.Proxy != 0 {
		app.Env = supervise.ProxyEnv(app.Env, netip.AddrPortFrom(netip.MustParseAddr(loopback), m.ports.Proxy))
	}
	app.Env = m.apiEnv(app.Env)
	if m.opt.Intercept {
		c, err := m.capture(&app)
		if err != nil {
			return 1, err
		}
		defer c.close()
	}
	app.Ready = func(_ context.Context, at netip.AddrPort) error {
		if at.IsValid() {
			m.plane.workload(at)
		}
		m.healthy(true)
		return nil
	}
	app.Drain = m.drain
	return app.Run(ctx)
}

func (m *member) healthy(is bool) {
	phase := Draining
	if is {
		phase = Serving
	}
	m.enterPhase(phase)
	m.client.SetHealth(m.opt.Namespace, m.opt.Service, "", is)
}

// drain has peers send no more, and what is under way end. The program may go on to
// ask others meanwhile.
func (m *member) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, m.opt.DrainTimeout)
	defer cancel()
	m.healthy(false)
	m.part(ctx)
}

// part waits until peers have heard of it, and ends the listeners that they come to.
func (m *member) part(ctx context.Context) {
	select {
	case <-time.After(min(forget, m.opt.DrainTimeout/4)):
	case <-ctx.Done():
	}
	if err := m.plane.leave(ctx, m.opt.Role == distrib.RoleEdge); err != nil {
		m.log.Warn("not all requests have ended", "error", err)
	}
}

func (m *member) close() error {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.plane.Shutdown(done) // what is left was the program's, which has ended
	return m.logging.Close()
}

// ownAddress is that from which a control plane is reached; nothing is sent.
func ownAddress(ctx context.Context, control string) (netip.Addr, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", control)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the address that others reach this member by: %w; give it with --address", err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
