package signals

import (
	"cmp"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Step is the coarsest resolution, in which a longer history is kept elsewhere.
const Step = 10 * time.Minute

// Row is what passed in one Step.
type Row struct {
	// Begin is when it began, and Until how far it is known.
	Begin, Until time.Time
	Edges        []signal.Edge
}

// coarsest is the resolution of rows.
const coarsest = len(resolutions) - 1

// Row is what is known of the step that a time is in: the busiest edges, so many at most,
// and what is beyond as those that stand for many. Of one that goes on it is what there is.
func (t *Table) Row(at time.Time, most int) Row {
	r := resolutions[coarsest]
	slot := r.slot(at)
	out := Row{Begin: r.time(slot), Until: r.time(slot + 1)}
	if now := t.opt.Now().UTC(); now.Before(out.Until) {
		out.Until = now
	}
	if least := out.Begin.Add(time.Second); out.Until.Before(least) {
		out.Until = least
	}
	t.mu.RLock()
	for _, e := range t.edges {
		x := signal.Edge{Key: e.key}
		if e.rings[coarsest].sum(slot, slot, &x.Counts); x.Count() > 0 {
			out.Edges = append(out.Edges, x)
		}
	}
	t.mu.RUnlock()
	out.Edges = busiest(out.Edges, most)
	return out
}

// busiest are those of edges that have the most requests, and what is beyond as those that
// stand for many. Of one workload no more than its share are taken while others have some:
// what proxies count is not believed so far that it hides what others do.
func busiest(edges []signal.Edge, most int) []signal.Edge {
	if len(edges) <= most {
		return edges
	}
	slices.SortFunc(edges, func(a, b signal.Edge) int { return cmp.Compare(b.Count(), a.Count()) })
	out, beyond, of := make([]signal.Edge, 0, most), make([]*signal.Edge, 0, len(edges)), map[signal.Who]int{}
	for i := range edges {
		e := &edges[i]
		who := own(&e.Key)
		if len(out) == most || of[who] >= max(most/shareOfOne, 1) {
			beyond = append(beyond, e)
			continue
		}
		of[who]++
		out = append(out, *e)
	}
	room := most - len(out)
	for _, e := range beyond[:room] {
		out = append(out, *e)
	}
	folded := map[signal.Key]*signal.Counts{}
	for _, e := range beyond[room:] {
		k := e.Folded()
		if folded[k] == nil {
			folded[k] = new(signal.Counts)
		}
		folded[k].Add(&e.Counts)
	}
	for k, c := range folded {
		if i := slices.IndexFunc(out, func(e signal.Edge) bool { return e.Key == k }); i >= 0 {
			out[i].Add(c)
			continue
		}
		out = append(out, signal.Edge{Key: k, Counts: *c})
	}
	return out
}

// Restore takes up a row of a process before. Rows are restored in the order of time, before
// the first report. What is young enough is spread over its minutes in equal parts.
func (t *Table) Restore(row *Row) {
	now := t.opt.Now()
	if row.Begin.Before(now.Add(-t.opt.oldest())) {
		return
	}
	over := parts{resolution: coarsest, first: resolutions[coarsest].slot(row.Begin), last: resolutions[coarsest].slot(row.Begin)}
	if fine := resolutions[coarsest-1]; row.Begin.After(now.Add(-fine.span)) {
		first := fine.slot(row.Begin)
		over = parts{resolution: coarsest - 1, first: first, last: min(max(fine.slot(row.Until.Add(-1)), first), fine.slot(row.Begin.Add(Step-1)))}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if row.Begin.Before(t.restored) || t.restored.IsZero() {
		t.restored = row.Begin
	}
	for i := range row.Edges {
		if e := &row.Edges[i]; e.Count() > 0 {
			t.put(e, over, row.Until)
		}
	}
	for t.memory > t.opt.Memory && t.short < maxShort {
		t.short++
		t.tidy(now)
	}
	if t.memory > t.opt.Memory {
		t.fold()
	}
}

// oldest is how far back a Table goes.
func (o *Options) oldest() time.Duration { return resolutions[coarsest].span }

// Held is since when rows are in memory: those before have to come from elsewhere.
func (t *Table) Held() time.Time {
	r := resolutions[coarsest]
	t.mu.RLock()
	defer t.mu.RUnlock()
	return r.time(r.slot(t.opt.Now().Add(-t.span(coarsest))) + 1)
}

// known is since when a resolution tells of traffic. t.mu is not held.
func (t *Table) known(resolution int) time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if resolution > 0 && !t.restored.IsZero() && t.restored.Before(t.since) {
		return t.restored
	}
	return t.since
}
