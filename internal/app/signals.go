package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/history"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/signals"
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
		g.troubles.Look(now) // what is short is seen, too
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

// signalsGone notes that a process of a proxy has ended, or has lost its connection.
func (g *Gateway) signalsGone(who identity.ID, incarnation uint64) {
	g.table.Gone(who.String(), incarnation)
}

// takeReport takes in what a proxy of this process has counted, and tells other control
// planes.
func (g *Gateway) takeReport(b *signals.Batch) {
	if g.table.Add(b) && g.control != nil {
		g.control.feed.Put(b)
	}
}

// graph is what the admin API asks of the service graph.
type graph struct {
	table *signals.Table
	// history has what was before; nil is that nothing is kept.
	history *history.History
	// follower knows which other control planes are not heard; nil is that there are none.
	follower *replica.Follower
}

func (g *Gateway) graph() graph {
	out := graph{table: g.table, history: g.history}
	if g.control != nil {
		out.follower = g.control.follower
	}
	return out
}

// Graph implements adminapi.Signals.
func (g graph) Graph(ctx context.Context, q signals.Query) (out *signals.Graph, err error) {
	if g.history != nil {
		out, err = g.history.Graph(ctx, q)
	} else {
		out, err = g.table.Graph(q)
	}
	if err == nil {
		out.Unreached = g.unreached()
	}
	return out, err
}

// Series implements adminapi.Signals.
func (g graph) Series(ctx context.Context, q signals.Query) (out *signals.Series, err error) {
	if g.history != nil {
		out, err = g.history.Series(ctx, q)
	} else {
		out, err = g.table.Series(q)
	}
	if err == nil {
		out.Unreached = g.unreached()
	}
	return out, err
}

// Longest implements adminapi.Signals.
func (g graph) Longest() time.Duration {
	if g.history != nil {
		return g.history.Longest()
	}
	return signals.Most
}

func (g graph) unreached() []signals.Unreached {
	if g.follower == nil {
		return nil
	}
	return g.follower.Unreached()
}

// openHistory has the service graph kept in the state store, if that is wanted, and reads
// what there is of it.
func (g *Gateway) openHistory(ctx context.Context) error {
	if g.opt.SignalsHistory == 0 {
		return nil
	}
	switch {
	case g.db == nil:
		return errors.New("a history of the service graph needs a state store")
	case g.opt.Mesh == nil && !g.opt.State.Embedded():
		return errors.New("gateways that share a state store without a mesh have a service graph each, of which no history is kept together: leave --signals-history out, or give each a state store of its own")
	}
	g.history = history.New(history.Options{DB: g.db, Table: g.table, Keep: g.opt.SignalsHistory, Elected: g.election.Mandate, Log: g.log})
	if err := g.history.Load(ctx); err != nil {
		g.history = nil
		return err
	}
	return nil
}
