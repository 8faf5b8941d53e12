package signals

import (
	"slices"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// own is whose proxies tell of an edge.
func own(k *signal.Key) signal.Who {
	if k.Side == signal.Server {
		return k.Destination
	}
	return k.Source
}

// full tells whether an edge is one too many of its workload, which then counts with the
// others: nobody's proxies take the memory of all. t.mu is held.
func (t *Table) full(k *signal.Key) bool {
	return t.of[own(k)] >= t.maxOf() && t.edges[*k] == nil && *k != k.Folded()
}

// add makes an edge whose size is not counted yet. t.mu is held.
func (t *Table) add(k signal.Key) *edge {
	e := &edge{key: k, names: namesOf(&k)}
	t.edges[k] = e
	t.of[own(&k)]++
	return e
}

// remove forgets an edge whose size is not counted any more. t.mu is held.
func (t *Table) remove(k signal.Key) {
	delete(t.edges, k)
	who := own(&k)
	if t.of[who]--; t.of[who] <= 0 {
		delete(t.of, who)
	}
}

// maxOf is how many edges a workload may have: where memory is scarce, fewer.
func (t *Table) maxOf() int { return int(min(maxOfOne, t.opt.Memory/shareOfOne/(2*edgeBytes))) }

func namesOf(k *signal.Key) (n int) {
	for _, w := range []signal.Who{k.Source, k.Destination} {
		p := w.Party()
		n += len(p.Domain) + len(p.Namespace) + len(p.Name)
	}
	return n + len(k.Route.String())
}

// forget makes room among what is known of proxies, until a tenth of what that may need is
// free: those that have told nothing for longest go first. A report that is repeated by one that was forgotten counts again. t.mu is held.
func (t *Table) forget() {
	type known struct {
		key reporterKey
		*reporter
	}
	list := make([]known, 0, len(t.reporters))
	for k, r := range t.reporters {
		list = append(list, known{k, r})
	}
	slices.SortFunc(list, func(a, b known) int { return a.seen.Compare(b.seen) })
	limit := t.opt.Memory / reportersShare
	for _, r := range list {
		if t.told <= limit-limit/10 {
			return
		}
		t.tell(-r.size())
		delete(t.reporters, r.key)
	}
}
