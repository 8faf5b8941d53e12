// Package live is a running data plane as those see it who ask how it is: the admin API and
// metrics, of a gateway as of a member of a mesh. It knows nothing of a control plane.
//
// It owns no goroutines. internal/app and the packages below it are its users.
package live

import (
	"cmp"
	"iter"
	"slices"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// View is a data plane, what it measures, and what finds its endpoints.
type View struct {
	Plane     *proxy.Proxy
	Metrics   *metric.Registry
	Discovery *discovery.Hub
}

// cluster is the live state of one cluster; false if it is not in use.
func (v View) cluster(name string) (upstream.Snapshot, bool) {
	c := v.Plane.Upstreams().Cluster(name)
	if c == nil {
		return upstream.Snapshot{}, false
	}
	return c.Snapshot(), true
}

// Needs lists what the data plane needs of others.
func (v View) Needs() (out []adminapi.Dependency) {
	v.Plane.Dependencies(func(d proxy.Dependency) {
		out = append(out, adminapi.Dependency{
			Kind: string(d.Kind), Owner: d.Owner, Name: d.Name, Place: d.Place, Up: d.Up, Since: d.Since, Error: d.Err, Kept: d.Kept,
		})
	})
	v.sourcesOfEndpoints(func(d adminapi.Dependency) { out = append(out, d) })
	return out
}

// ConsumersAfter are those of a configuration who may call, behind one of these names.
// The data plane knows when they last did, as far as it serves them itself.
func (v View) ConsumersAfter(cfg *ir.Config, namespace, name string) iter.Seq[adminapi.Consumer] {
	return func(yield func(adminapi.Consumer) bool) {
		if cfg == nil {
			return
		}
		d, all := v.Plane.Consumers(), cfg.Consumers
		first, found := slices.BinarySearchFunc(all, struct{}{}, func(c *ir.Consumer, _ struct{}) int {
			return cmp.Or(cmp.Compare(c.Namespace, namespace), cmp.Compare(c.Name, name))
		})
		if found {
			first++
		}
		for _, c := range all[first:] {
			out := adminapi.Consumer{Namespace: c.Namespace, Name: c.Name, Groups: c.Groups, Plan: c.Plan, Credentials: []adminapi.ConsumerCredential{}}
			for _, l := range c.Labels {
				if out.Labels == nil {
					out.Labels = map[string]string{}
				}
				out.Labels[l.Name] = l.Value
			}
			for i := range c.Credentials {
				cr := &c.Credentials[i]
				out.Credentials = append(out.Credentials, adminapi.ConsumerCredential{
					Name: cr.Name, Kind: cr.Kind(), NotBefore: cr.NotBefore, NotAfter: cr.NotAfter, LastUsed: d.LastUsed(c, cr),
				})
			}
			if !yield(out) {
				return
			}
		}
	}
}

// Clusters is the live state of those of a configuration, which may be nil.
func (v View) Clusters(cfg *ir.Config) []adminapi.Cluster {
	if cfg == nil {
		return nil
	}
	var out []adminapi.Cluster
	for _, c := range cfg.Clusters {
		s, ok := v.cluster(c.Name)
		if !ok {
			continue
		}
		x := adminapi.Cluster{
			Name: s.Name, Algorithm: s.Algorithm, Protocol: string(c.Protocol), Breaker: s.Breaker, Requests: s.Requests, Retries: s.Retries,
			Pending: s.Pending, RetryBudget: s.RetryBudget, Connections: s.Connections, Idle: s.Idle,
		}
		for _, e := range s.Endpoints {
			x.Endpoints = append(x.Endpoints, adminapi.Endpoint{
				Address: e.Address, Hostname: e.Hostname, Origin: e.Origin, Zone: e.Zone, Weight: e.Weight, Priority: e.Priority, State: e.State,
				Active: e.Active, Idle: e.Idle, Latency: e.Latency, Tries: e.Tries, Failures: e.Failures, EjectedFor: e.EjectedFor, Cause: e.Cause, SlowStart: e.SlowStart,
			})
		}
		out = append(out, x)
	}
	return out
}

// Explain decides an imagined request with a configuration and the endpoints that are
// known now.
func (v View) Explain(tables *Tables, cfg *ir.Config, req dryrun.Request) (*dryrun.Decision, error) {
	table, err := tables.of(cfg, v.Plane.Reflected, v.Plane.Keys)
	if err != nil {
		return nil, err
	}
	d, err := table.Decide(req)
	if err != nil {
		return nil, err
	}
	for i := range d.Backends {
		b := &d.Backends[i]
		s, ok := v.cluster(b.Cluster)
		if !ok {
			continue
		}
		b.Endpoints = nil
		for _, e := range s.Endpoints {
			b.Endpoints = append(b.Endpoints, ir.Endpoint{
				Address: e.Address, Weight: e.Weight, Zone: e.Zone, Priority: e.Priority, Hostname: e.Hostname, Origin: e.Origin, Draining: e.State == "draining",
			})
		}
	}
	return d, nil
}
