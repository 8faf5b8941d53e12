// Package memberadmin is the admin API of a member of a mesh, wired to it.
//
// It owns the goroutines of its servers, which who runs them waits for. Commands that join a
// mesh are its users.
package memberadmin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/app/live"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// API is the admin API of a member of a mesh: what that serves, without what is
// in a state store.
type API struct {
	// Address is as that of a gateway's, on loopback or a Unix socket; empty is
	// Socket in the member's state folder, "off" none.
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

// Socket is the admin API's in a member's state folder.
const Socket = "admin.sock"

// MaxSocketPath is how long a socket's path may be in bytes (unix(7), without its end).
const MaxSocketPath = 107

// Open implements member.Admin.
func (a *API) Open(ctx context.Context, m member.Running) (run func(context.Context) error, err error) {
	r := &runtime{
		View: live.View{Plane: m.Plane(), Metrics: m.Metrics(), Discovery: m.Discovery()}, member: m, version: a.Version, started: time.Now(),
	}
	r.Measure()
	r.Metrics.SetDiscovery(r.Discovered)
	if a.LogStats != nil {
		r.Metrics.SetLog(a.LogStats)
	}
	seen := m.Observer()
	o := adminapi.Options{
		Process: r, Configuration: r, Explainer: r, Sampler: r.Metrics, Metrics: r.Metrics.Handler(), Observer: seen, Records: seen, Level: a.Level, Log: a.Log,
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
		if err = open(o); a.Address == "" && errors.Is(err, adminapi.ErrTaken) {
			err = fmt.Errorf("another sidecar or node uses this state folder: %s; end it, or give this one a folder of its own (--state-dir)", strings.TrimSuffix(strings.TrimPrefix(o.Address, "unix:"), "/"+Socket))
		}
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
func (a *API) address(m member.Running) (string, error) {
	switch a.Address {
	case "off":
		return "", nil
	case "":
	default:
		return a.Address, nil
	}
	path, err := m.StateFile(Socket)
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

// runtime is a member as its admin API sees it.
type runtime struct {
	live.View
	member  member.Running
	version string
	started time.Time
	table   live.Tables
}

// State implements adminapi.Process.
func (r *runtime) State() adminapi.State { return adminapi.State(r.member.Phase()) }

// Status implements adminapi.Process.
func (r *runtime) Status() adminapi.Status {
	d := r.member.Distribution()
	out := adminapi.Status{
		State: r.State(), Version: r.version, PID: os.Getpid(), Started: r.started, Dependencies: r.Needs(), Sinks: r.Sinks(),
		RateLimitStores: live.RateLimitStores(r.Plane.RateLimitStores()), Member: r.status(),
	}
	out.Revision.Number = d.Serving.Number
	out.Troubles, out.MoreTroubles = r.Troubles()
	cfg := r.Config()
	if cfg == nil {
		return out
	}
	connections, open := r.Plane.Connections(), r.Plane.Listening()
	for _, l := range cfg.Listeners {
		s := live.Listener(l, connections[l.Name])
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

// Troubles implements adminapi.Process.
func (r *runtime) Troubles() ([]adminapi.Trouble, int) {
	list, more := r.member.Troubles()
	out := make([]adminapi.Trouble, len(list))
	for i := range list {
		out[i] = live.Trouble(&list[i], nil)
		out[i].Cluster = live.ClusterOf(out[i].Cluster)
	}
	return out, more
}

// status is how the member stands in its mesh.
func (r *runtime) status() *adminapi.MemberStatus {
	d, keys, p := r.member.Distribution(), r.member.Keys(), r.member.Proxy()
	out := &adminapi.MemberStatus{
		Name: p.Name, Role: string(p.Role), Zone: p.Zone, Identity: keys.Own().String(), Address: r.member.Address().String(),
		Control:  adminapi.MemberControl{Target: d.Target, Name: d.Control, Since: d.Since, Problem: d.Problem, FromDisk: d.FromDisk},
		Services: append([]string{}, d.Services...), SVIDs: []adminapi.SVID{}, TrustDomains: []adminapi.TrustDomain{}, Denied: len(keys.Denials()),
	}
	for _, refusal := range d.Refusals {
		out.Control.Refused = append(out.Control.Refused, refusal.String())
	}
	withheld := r.member.Withheld()
	for _, key := range slices.Sorted(maps.Keys(withheld)) {
		out.Withheld = append(out.Withheld, adminapi.WithheldWorkload{Workload: key, Reason: withheld[key]})
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
func (r *runtime) Config() *ir.Config { return r.member.Config() }

// Objects implements adminapi.Configuration: a member knows none, but what was compiled
// of them.
func (r *runtime) Objects(bool) []adminapi.Object { return nil }

// Clusters implements adminapi.Configuration.
func (r *runtime) Clusters() []adminapi.Cluster { return r.View.Clusters(r.Config()) }

// Consumers implements adminapi.Configuration.
func (r *runtime) Consumers(namespace, name string) iter.Seq[adminapi.Consumer] {
	return r.ConsumersAfter(r.Config(), namespace, name)
}

// Explain implements adminapi.Explainer.
func (r *runtime) Explain(_ context.Context, req dryrun.Request) (*dryrun.Decision, error) {
	return r.View.Explain(&r.table, r.Config(), req)
}
