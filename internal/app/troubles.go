package app

import (
	"errors"
	"time"

	"github.com/gridway/gridway/internal/app/live"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/troubles"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// maxMoreTroubles is how many a proxy can say it has left out.
const maxMoreTroubles = 1_000_000

// takeTroubles takes in what a proxy says is not well. Each speaks for itself alone.
func (c *control) takeTroubles(who identity.ID, r *meshpb.TroubleReport) error {
	now := time.Now()
	list, err := report.ReadTroubles(r, now)
	if err != nil {
		return err
	}
	if r.GetProxy() == "" {
		return errors.New("a report of troubles does not say which proxy's they are")
	}
	// One whose stream has not begun, or that has just gone elsewhere, says it again.
	if c.distrib.Has(r.GetProxy(), who.String()) {
		c.troubles.Put(r.GetProxy(), list, int(min(r.GetMore(), maxMoreTroubles)), now)
	}
	return nil
}

// ownTroubles are those of the process's own proxy, if it has one.
func (g *Gateway) ownTroubles(now time.Time) []troubles.Seen {
	if g.opt.ControlOnly {
		return nil
	}
	list, more := g.troubles.Look(now)
	if len(list) == 0 && more == 0 {
		return nil
	}
	return []troubles.Seen{{Proxy: processName(), Troubles: list, More: more}}
}

// seenTroubles are those of the proxies of this process, and its own.
func (g *Gateway) seenTroubles(proxies []*distrib.ProxyStatus) []troubles.Seen {
	there := make(map[string]bool, len(proxies))
	for _, p := range proxies {
		there[p.Name] = p.State != distrib.StateGone
	}
	now := time.Now()
	return append(g.ownTroubles(now), g.control.troubles.Seen(func(proxy string) bool { return there[proxy] }, now)...)
}

// Troubles implements adminapi.Process.
func (r *runtime) Troubles() ([]adminapi.Trouble, int) {
	if r.g.control == nil {
		return r.g.troublesIn(nil)
	}
	return r.g.troublesIn(r.g.fleet())
}

// troublesIn are those of a mesh or, without one, of the process.
func (g *Gateway) troublesIn(f *fleet.Fleet) ([]adminapi.Trouble, int) {
	var seen []troubles.Seen
	if f != nil {
		seen = f.Troubles
	} else {
		seen = g.ownTroubles(time.Now())
	}
	list, more := troubles.Merge(seen, live.ClusterOf)
	out := make([]adminapi.Trouble, len(list))
	for i := range list {
		t := &list[i]
		if f == nil {
			t.Proxies = nil
		}
		out[i] = live.Trouble(&t.Trouble, t.Proxies)
	}
	return out, more
}
