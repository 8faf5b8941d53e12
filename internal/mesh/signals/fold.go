package signals

import (
	"maps"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// heap is what was folded of one kind, by slot, so that a thousand edges are added to
// "other" as one.
type heap struct {
	slots [len(resolutions)]map[int64]*signal.Counts
	seen  time.Time
}

// fold makes room: the edges that were silent for longest are added to those of "other",
// until a tenth of the memory is free. t.mu is held.
func (t *Table) fold() {
	list := make([]*edge, 0, len(t.edges))
	for _, e := range t.edges {
		if e.key.Destination != signal.TheOthers {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *edge) int { return a.seen.Compare(b.seen) })
	heaps := map[signal.Key]*heap{}
	for _, e := range list {
		if t.memory <= t.opt.Memory-t.opt.Memory/10 {
			break
		}
		t.memory -= e.size()
		t.remove(e.key)
		t.folded++
		k := e.key.Folded()
		if heaps[k] == nil {
			heaps[k] = new(heap)
		}
		heaps[k].add(e)
	}
	for k, h := range heaps {
		others := t.edges[k]
		if others == nil {
			others = t.add(k)
		} else {
			t.memory -= others.size()
		}
		for i := range others.rings {
			others.rings[i].merge(h.ring(i, &t.scratch), &t.scratch)
		}
		if h.seen.After(others.seen) {
			others.seen = h.seen
		}
		t.memory += others.size()
	}
}

func (h *heap) add(e *edge) {
	for i := range e.rings {
		if h.slots[i] == nil {
			h.slots[i] = map[int64]*signal.Counts{}
		}
		e.rings[i].each(func(slot int64, body []byte) bool {
			c := h.slots[i][slot]
			if c == nil {
				c = new(signal.Counts)
				h.slots[i][slot] = c
			}
			addCounts(c, body)
			return true
		})
	}
	if e.seen.After(h.seen) {
		h.seen = e.seen
	}
}

// ring is all of one resolution.
func (h *heap) ring(i int, s *scratch) *ring {
	r := new(ring)
	for _, slot := range slices.Sorted(maps.Keys(h.slots[i])) {
		r.add(slot, h.slots[i][slot], s)
	}
	return r
}
