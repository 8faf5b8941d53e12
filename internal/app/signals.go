package app

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// ownSignals is how often what the process's own proxy has counted is taken in.
const ownSignals = 2 * time.Second

// observeSignals counts for the process's own proxy.
func (g *Gateway) observeSignals() *signal.Observer {
	o := &signal.Observer{Recorder: signal.New(nil)}
	if g.control != nil {
		name := identity.NameOf(g.control.edge)
		o.TrustDomain = g.opt.Mesh.TrustDomain.Name()
		o.Self = signal.Of(signal.Party{Kind: signal.EdgeProxy, Namespace: name.Namespace, Name: name.Service})
	}
	return o
}

// feedSignals takes in what the own proxy has counted until ctx ends.
func (g *Gateway) feedSignals(ctx context.Context) {
	incarnation, last := rand.Uint64(), time.Now()
	tick := time.NewTicker(ownSignals)
	defer tick.Stop()
	for sequence := uint64(1); ; sequence++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		b := &signals.Batch{Proxy: ownProxy, Incarnation: incarnation, Sequence: sequence, Length: now.Sub(last), Edges: g.edges.Take()}
		if !g.opt.ControlOnly {
			b.Who = g.edges.Self
		}
		last = now
		if !g.opt.ControlOnly || len(b.Edges) > 0 {
			g.takeReport(b)
		}
	}
}

// ownProxy is what the table knows the process's own proxy by.
const ownProxy = "the process's own"

// takeSignals takes in what proxies of the mesh have counted, each for the workloads that
// it may speak for.
func (g *Gateway) takeSignals(may func(who identity.ID, namespace, service string) bool) func(identity.ID, *meshpb.SignalReport) (uint32, string, error) {
	return func(who identity.ID, r *meshpb.SignalReport) (refused uint32, why string, err error) {
		edges, refused, why, err := report.ReadSignals(r, func(own signal.Party) bool {
			return (own.Kind == signal.Service || own.Kind == signal.EdgeProxy) && own.Domain == "" && may(who, own.Namespace, own.Name)
		})
		if err != nil {
			return 0, "", err
		}
		b := &signals.Batch{
			Proxy: who.String(), Incarnation: r.GetIncarnation(), Sequence: r.GetSequence(), Age: report.Milliseconds(r.GetAge()), Length: report.Milliseconds(r.GetLength()), Edges: edges,
		}
		if name := identity.NameOf(who); name.Role == identity.RoleWorkload {
			kind := signal.Service
			if distrib.IsEdge(name.Service) {
				kind = signal.EdgeProxy
			}
			b.Who = signal.Of(signal.Party{Kind: kind, Namespace: name.Namespace, Name: name.Service})
		}
		g.takeReport(b)
		return refused, why, nil
	}
}

// takeReport takes in what a proxy of this process has counted, and tells other control
// planes.
func (g *Gateway) takeReport(b *signals.Batch) {
	if g.table.Add(b) && g.control != nil {
		g.control.feed.Put(b)
	}
}

// wholeMesh is the service graph of all control planes, as far as they are reached.
type wholeMesh struct {
	*signals.Table
	follower *replica.Follower
}

// graphOfAll is what the admin API asks.
func (g *Gateway) graphOfAll() adminapi.Signals {
	if g.control == nil {
		return g.table
	}
	return wholeMesh{g.table, g.control.follower}
}

// Graph implements adminapi.Signals.
func (w wholeMesh) Graph(q signals.Query) (*signals.Graph, error) {
	out, err := w.Table.Graph(q)
	if err == nil {
		out.Unreached = w.follower.Unreached()
	}
	return out, err
}

// Series implements adminapi.Signals.
func (w wholeMesh) Series(q signals.Query) (*signals.Series, error) {
	out, err := w.Table.Series(q)
	if err == nil {
		out.Unreached = w.follower.Unreached()
	}
	return out, err
}
