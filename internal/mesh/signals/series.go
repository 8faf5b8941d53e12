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
	out := &Series{Of: q.Of.String(), From: r.time(first), To: r.time(end), Step: step.Seconds(), Points: make([]Point, points)}
	var total signal.Counts
	for p := range out.Points {
		out.Points[p] = Point{At: out.From.Add(time.Duration(p) * step), Traffic: traffic(&w.sums[p], step.Seconds())}
		total.Add(&w.sums[p])
	}
	out.Total = traffic(&total, out.To.Sub(out.From).Seconds())
	return out, nil
}

// walk adds up points.
type walk struct {
	resolution  int
	first, each int64
	sums        []signal.Counts
	// ofRoute says that lines are nodes that took a route: what came in knows all of its time.
	ofRoute bool
	// sides are of one edge, first what clients and then what servers have told.
	sides [2][]signal.Counts
}

// walk adds up the edges that were asked for, of each the side that counts in that
// moment. It tells whether anything was seen of them at any time.
//
// A request takes a route at one node, which tells of it twice if it is an edge: as what
// has come in and as what it has sent on. So a route is counted by the node that took it.
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
			l := line{name(e.key.Source), name(e.key.Destination), e.key.Protocol.String()}
			if q.Of.Route != "" {
				l = line{source: l.destination}
				if e.key.Side == signal.Client {
					l.source = name(e.key.Source)
				}
			}
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
			if p := (slot - w.first) / w.each; slot >= w.first && p < int64(len(side)) {
				addCounts(&side[p], body)
			}
			return true
		})
	}
	for p := range w.sums {
		client, server := &w.sides[0][p], &w.sides[1][p]
		if client.Count() > server.Count() || client.Count() == server.Count() && !w.ofRoute {
			w.sums[p].Add(client)
		} else {
			w.sums[p].Add(server)
		}
	}
}
