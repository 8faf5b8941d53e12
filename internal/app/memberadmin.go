package app

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// MemberAdmin is the admin API of a member of a mesh: what that serves, without what is
// in a state store.
type MemberAdmin struct {
	// Address is as that of a gateway's, on loopback or a Unix socket; empty is
	// MemberSocket in the member's state folder, "off" none.
	Address string
	// Probes is an address, which others may reach, for health and metrics alone; empty
	// is none.
	Probes  string
	Version string
	Level   *slog.LevelVar
	// LogStats counts lines of the log; it may be nil.
	LogStats func() metric.LogStats
	Log      *slog.Logger
}

// MemberSocket is the admin API's in a member's state folder.
const MemberSocket = "admin.sock"

// MaxSocketPath is how long a socket's path may be in bytes (unix(7), without its end).
const MaxSocketPath = 107

// Open implements member.Admin.
func (a *MemberAdmin) Open(ctx context.Context, m member.Running) (run func(context.Context) error, err error) {
	r := &memberRuntime{
		live: live{plane: m.Plane(), metrics: m.Metrics(), discovery: m.Discovery()}, member: m, version: a.Version, started: time.Now(),
	}
	r.measure()
	r.metrics.SetDiscovery(r.discovered)
	if a.LogStats != nil {
		r.metrics.SetLog(a.LogStats)
	}
	seen := m.Observer()
	o := adminapi.Options{
		Process: r, Configuration: r, Explainer: r, Sampler: r.metrics, Metrics: r.metrics.Handler(), Observer: seen, Records: seen, Level: a.Level, Log: a.Log,
	}
	if o.Address, err = a.address(m); err != nil {
		return nil, err
	}
	var servers []*adminapi.Server
	open := func(o adminapi.Options) error {
		s, err := adminapi.New(ctx, o)
		if err == nil {
			servers = append(servers, s)
		}
		return err
	}
	if o.Address != "" {
		err = open(o)
	}
	if a.Probes != "" && err == nil {
		o.Address, o.ProbesOnly = a.Probes, true
		err = open(o)
	}
	if err != nil {
		for _, s := range servers {
			_ = s.Close()
		}
		return nil, err
	}
	return func(ctx context.Context) error { return runAll(ctx, servers) }, nil
}

// address is where the API is; empty is nowhere.
func (a *MemberAdmin) address(m member.Running) (string, error) {
	switch a.Address {
	case "off":
		return "", nil
	case "":
	default:
		return a.Address, nil
	}
	path, err := m.StateFile(MemberSocket)
	if err != nil {
		return "", err
	}
	if len(path) > MaxSocketPath {
		a.Log.Warn("there is no admin API: the path of its socket would be too long; give another address with --admin", "path", path)
		return "", nil
	}
	return "unix:" + path, nil
}

// runAll runs servers until ctx ends or one fails, which ends the others.
func runAll(ctx context.Context, servers []*adminapi.Server) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			if errs[i] = s.Run(ctx); errs[i] != nil {
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// memberRuntime is a member as its admin API sees it.
type memberRuntime struct {
	live
	member  member.Running
	version string
	started time.Time
	table   tableCache
}

// State implements adminapi.Process.
func (r *memberRuntime) State() adminapi.State { return adminapi.State(r.member.Phase()) }

// Status implements adminapi.Process.
func (r *memberRuntime) Status() adminapi.Status {
	d := r.member.Distribution()
	out := adminapi.Status{
		State: r.State(), Version: r.version, PID: os.Getpid(), Started: r.started, Dependencies: r.needs(),
		RateLimitStores: rateLimitStores(r.plane.RateLimitStores()), Member: r.status(),
	}
	out.Revision.Number = d.Serving.Number
	cfg := r.Config()
	if cfg == nil {
		return out
	}
	connections, open := r.plane.Connections(), r.plane.Listening()
	for _, l := range cfg.Listeners {
		s := listenerStatus(l, connections[l.Name])
		if _, is := open[l.Name]; !is {
			s.State = "failed"
			if out.State == adminapi.Draining {
				s.State = "draining"
			}
		}
		out.Listeners = append(out.Listeners, s)
	}
	return out
}

// status is how the member stands in its mesh.
func (r *memberRuntime) status() *adminapi.MemberStatus {
	d, keys, p := r.member.Distribution(), r.member.Keys(), r.member.Proxy()
	out := &adminapi.MemberStatus{
		Name: p.Name, Role: string(p.Role), Zone: p.Zone, Identity: keys.Own().String(), Address: r.member.Address().String(),
		Control:  adminapi.MemberControl{Target: d.Target, Name: d.Control, Since: d.Since, Problem: d.Problem, FromDisk: d.FromDisk},
		Services: append([]string{}, d.Services...), SVIDs: []adminapi.SVID{}, TrustDomains: []adminapi.TrustDomain{}, Denied: len(keys.Denials()),
	}
	for _, refusal := range d.Refusals {
		out.Control.Refused = append(out.Control.Refused, refusal.String())
	}
	for _, s := range keys.SVIDs() {
		leaf := s.Leaf()
		out.SVIDs = append(out.SVIDs, adminapi.SVID{ID: s.ID().String(), Serial: s.Serial(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter})
	}
	for _, b := range keys.Bundles() {
		out.TrustDomains = append(out.TrustDomains, trusted(b))
	}
	return out
}

func trusted(b *identity.Bundle) adminapi.TrustDomain {
	out := adminapi.TrustDomain{Name: b.TrustDomain().Name(), Roots: len(b.Roots())}
	for _, root := range b.Roots() {
		if root.NotAfter.After(out.NotAfter) {
			out.NotAfter = root.NotAfter
		}
	}
	return out
}

// Config implements adminapi.Configuration.
func (r *memberRuntime) Config() *ir.Config { return r.member.Config() }

// Objects implements adminapi.Configuration: a member knows none, but what was compiled
// of them.
func (r *memberRuntime) Objects(bool) []adminapi.Object { return nil }

// Clusters implements adminapi.Configuration.
func (r *memberRuntime) Clusters() []adminapi.Cluster { return r.clusters(r.Config()) }

// Consumers implements adminapi.Configuration.
func (r *memberRuntime) Consumers(namespace, name string) iter.Seq[adminapi.Consumer] {
	return r.consumersAfter(namespace, name)
}

// Explain implements adminapi.Explainer.
func (r *memberRuntime) Explain(_ context.Context, req dryrun.Request) (*dryrun.Decision, error) {
	return r.explain(&r.table, r.Config(), req)
}
