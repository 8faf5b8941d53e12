package app

import (
	"context"
	"log/slog"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// openTaps makes those of the process's own data plane.
func (g *Gateway) openTaps() *tap.Set {
	o := tap.Options{Omit: g.opt.AccessLogOmit}
	if g.control != nil {
		o.Self = g.control.edge.String()
	}
	g.taps = tap.New(o)
	return g.taps
}

// hub asks the proxies that have their configuration from here. For other control planes it
// asks the process's own, too.
func (c *control) hub(g *Gateway, td identity.TrustDomain, log *slog.Logger) *question.Hub {
	own := identity.Control(td).String()
	return question.NewHub(question.HubOptions{
		Identity: distrib.PeerIdentity, Known: func(p question.Proxy) bool { return c.distrib.Has(p.Name, p.Identity) },
		Control: func(id string) bool { return id == own }, Replica: c.shared.Replica(), Log: log,
		Own:   question.Answerers{question.KindSignals: c.feed},
		Local: func(ctx context.Context, q question.Ask) error { return g.observer().Local(ctx, q) },
	})
}

// observer answers what the admin API is asked about traffic.
func (g *Gateway) observer() *observe.Observer {
	o := &observe.Observer{}
	if !g.opt.ControlOnly {
		o.Own, o.OwnProxy = question.Answerers{question.KindTap: observe.Taps{Set: g.taps}}, question.Proxy{Name: processName()}
		if g.remembered != nil {
			o.Own[question.KindRecords] = observe.Records{Recorder: g.remembered}
		}
	}
	if c := g.control; c != nil {
		o.OwnProxy.Identity, o.Hub, o.Others = c.edge.String(), c.asked, c.replicas
	}
	return o
}
