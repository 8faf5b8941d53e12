package signals

import (
	"time"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Series answers how something has gone over time. It is ErrUnknown for what was not seen
// in the last 24 hours, but never for all of the mesh.
func (t *Table) Series(q Query) (*Series, error) {
	now := t.opt.Now()
	t.mu.RLock()
	i := finest(q.Window, t.short)
	t.mu.RUnlock()
	for i < len(resolutions)-1 && resolutions[i+1].step <= q.Step {
		i++
	}
	r := resolutions[i]
	each := max(int64((q.Step+r.step-1)/r.step), 1) // slots of a point
	step := r.step * time.Duration(each)
	points := max(int64((q.Window+step-1)/step), 1)
	end := r.slot(now.Add(-2 * lag)) // the first that is not whole
	first := end - points*each
	w := walk{resolution: i, first: first, each: each, ofRoute: q.Of.Route != "", sums: make([]signal.Counts, points)}
	if !t.walk(&q, &w) && q.Of != (Subject{}) {
		return nil, ErrUnknown
	}
	return w.series(&q), nil
}

// series is what was added up.
func (w *walk) series(q *Query) *Series {
	r := resolutions[w.resolution]
	step, points := r.step*time.Duration(w.each), int64(len(w.sums))
	out := &Series{Of: q.Of.String(), From: r.time(w.first), To: r.time(w.first + points*w.each), Step: step.Seconds(), Points: make([]Point, points)}
	var total signal.Counts
	for p := range out.Points {
		out.Points[p] = Point{At: out.From.Add(time.Duration(p) * step), Traffic: traffic(&w.sums[p], step.Seconds())}
		total.Add(&w.sums[p])
	}
	out.Total = traffic(&total, out.To.Sub(out.From).Seconds())
	return out
}

// walk adds up points.
type walk struct {
	resolution  int
	first, each int64
	sums        []signal.Counts
	// least is the first slot that counts.
	least int64
	// ofRoute says that lines are nodes that took a route: what came in knows all of its time.
	ofRoute bool
	// sides are of one edge, first what clients and then what servers have told.
	sides [2][]signal.Counts
}

// lineOf is what an edge is added up with.
//
// A request takes a route at one node, which tells of it twice if it is an edge: as what
// has come in and as what it has sent on. So a route is counted by the node that took it.
func (w *walk) lineOf(k *signal.Key, name func(signal.Who) string) line {
	switch {
	case !w.ofRoute:
		return line{name(k.Source), name(k.Destination), k.Protocol.String()}
	case k.Side == signal.Client:
		return line{source: name(k.Source)}
	}
	return line{source: name(k.Destination)}
}

// walk adds up the edges that were asked for, of each the side that counts in that
// moment. It tells whether anything was seen of them at any time.
func (t *Table) walk(q *Query, w *walk) (known bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	names := map[signal.Who]string{}
	name := func(who signal.Who) string {
		id, ok := names[who]
		if !ok {
			id = who.Party().ID()
			names[who] = id
		}
		return id
	}
	lines := map[line][]*edge{}
	for _, e := range t.edges {
		if !q.wants(&e.key, name) {
			continue
		}
		known = true
		if r := &e.rings[w.resolution]; !r.empty() && r.last >= w.first {
			l := w.lineOf(&e.key, name)
			lines[l] = append(lines[l], e)
		}
	}
	for _, edges := range lines {
		w.line(edges)
	}
	return known
}

func (w *walk) line(edges []*edge) {
	for s := range w.sides {
		if w.sides[s] == nil {
			w.sides[s] = make([]signal.Counts, len(w.sums))
		}
		clear(w.sides[s])
	}
	for _, e := range edges {
		side := w.sides[e.key.Side-signal.Client]
		e.rings[w.resolution].each(func(slot int64, body []byte) bool {
			if p := (slot - w.first) / w.each; slot >= max(w.first, w.least) && p < int64(len(side)) {
				addCounts(&side[p], body)
			}
			return true
		})
	}
	for p := range w.sums {
		w.sums[p].Add(w.counting(&w.sides[0][p], &w.sides[1][p]))
	}
}

// counting is the side of a line that counts; see Edge.ReportedBy.
func (w *walk) counting(client, server *signal.Counts) *signal.Counts {
	if client.Count() > server.Count() || client.Count() == server.Count() && !w.ofRoute {
		return client
	}
	return server
}
