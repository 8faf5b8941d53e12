package signals

import (
	"time"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// MaxPoints is how many points Series of a long time have at most.
const MaxPoints = 1000

// hour is how long a point of a long time is at least, in steps.
const hour = int64(time.Hour / Step)

// Rows gives rows of the time from one moment up to another, in their order.
type Rows func(from, to time.Time, take func(*Row) error) error

// LongGraph is Graph for windows beyond Most: what is not in memory comes from rows.
func (t *Table) LongGraph(q Query, rows Rows) (*Graph, error) {
	now, r := t.opt.Now(), resolutions[coarsest]
	in := span{resolution: coarsest, last: r.slot(now), to: now.Add(-lag).UTC()}
	in.first = in.last - int64(q.Window/r.step)
	in.from = r.time(in.first)
	held := t.Held()
	older, earliest := map[signal.Key]*aged{}, now
	err := rows(in.from, held, func(row *Row) error {
		if row.Begin.Before(earliest) {
			earliest = row.Begin
		}
		for i := range row.Edges {
			e := &row.Edges[i]
			a := older[e.Key]
			if a == nil {
				a = &aged{}
				older[e.Key] = a
			}
			a.Add(&e.Counts)
			a.seen = row.Until
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	in.first = max(in.first, r.slot(held))
	if known := t.known(coarsest); known.Before(earliest) {
		earliest = known
	}
	if earliest.After(in.from) {
		in.from = earliest.UTC()
	}
	return t.graph(&q, in, now, older), nil
}

// aged is what rows tell of an edge.
type aged struct {
	signal.Counts
	seen time.Time
}

// LongSeries is Series for windows beyond Most. Points are an hour apart at least.
func (t *Table) LongSeries(q Query, rows Rows) (*Series, error) {
	now, r := t.opt.Now(), resolutions[coarsest]
	slots := int64((q.Window + r.step - 1) / r.step)
	each := max(int64((q.Step+r.step-1)/r.step), hour, (slots+MaxPoints-1)/MaxPoints)
	points := max((slots+each-1)/each, 1)
	end := r.slot(now.Add(-2 * lag))
	held := t.Held()
	w := walk{resolution: coarsest, first: end - points*each, each: each, ofRoute: q.Of.Route != "", sums: make([]signal.Counts, points), least: r.slot(held)}
	known := t.walk(&q, &w)
	names := map[signal.Who]string{}
	name := func(who signal.Who) string {
		id, ok := names[who]
		if !ok {
			id = who.Party().ID()
			names[who] = id
		}
		return id
	}
	// The rows of one point are added up by edge, so that of each the side counts that does.
	at, sides := int64(-1), map[line]*[2]signal.Counts{}
	flush := func() {
		for _, s := range sides {
			w.sums[at].Add(w.counting(&s[0], &s[1]))
		}
		clear(sides)
	}
	err := rows(r.time(w.first), held, func(row *Row) error {
		p := (r.slot(row.Begin) - w.first) / each
		if p < 0 || p >= points {
			return nil
		}
		if p != at {
			flush()
			at = p
		}
		for i := range row.Edges {
			e := &row.Edges[i]
			if !q.wants(&e.Key, name) {
				continue
			}
			known = true
			l := w.lineOf(&e.Key, name)
			s := sides[l]
			if s == nil {
				s = new([2]signal.Counts)
				sides[l] = s
			}
			s[e.Side-signal.Client].Add(&e.Counts)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	flush()
	if !known && q.Of != (Subject{}) {
		return nil, ErrUnknown
	}
	return w.series(&q), nil
}
