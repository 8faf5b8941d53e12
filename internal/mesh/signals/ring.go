package signals

import (
	"encoding/binary"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// ring has the counts of one edge at one resolution, in the order of time: records of
//
//	uvarint  by how many slots it is behind the record before
//	uvarint  bytes that follow
//	…        counts, see appendCounts
//
// of which the first is in slot base+its uvarint. Slots without anything have none.
type ring struct {
	log []byte
	// base is the slot that the first record counts from, last that of the last record,
	// which begins at lastAt. They mean nothing while log is empty.
	base, last int64
	lastAt     int
}

// add puts counts into a slot. Nearly always it is the last one, or a new one behind it.
func (r *ring) add(slot int64, c *signal.Counts, scratch *scratch) {
	switch {
	case len(r.log) == 0:
		r.base, r.last, r.lastAt = slot, slot, 0
		r.push(0, c, scratch)
	case slot > r.last:
		r.lastAt = len(r.log)
		r.push(uint64(slot-r.last), c, scratch)
		r.last = slot
	case slot == r.last:
		rec, _ := readRecord(r.log[r.lastAt:])
		sum := *c
		addCounts(&sum, rec.body)
		r.log = r.log[:r.lastAt]
		r.push(rec.gap, &sum, scratch)
	default:
		var other ring
		other.add(slot, c, scratch)
		r.merge(&other, scratch)
	}
}

// scratch is room for one record.
type scratch [1024]byte

func (r *ring) push(gap uint64, c *signal.Counts, s *scratch) {
	body := appendCounts(s[:0], c)
	need := len(r.log) + 2*binary.MaxVarintLen32 + len(body)
	if need > cap(r.log) { // append would double it
		grown := make([]byte, len(r.log), need+need/4+16)
		copy(grown, r.log)
		r.log = grown
	}
	r.log = binary.AppendUvarint(r.log, gap)
	r.log = binary.AppendUvarint(r.log, uint64(len(body)))
	r.log = append(r.log, body...)
}

type record struct {
	gap  uint64
	body []byte
	size int
}

func readRecord(b []byte) (rec record, ok bool) {
	gap, n := binary.Uvarint(b)
	if n <= 0 {
		return rec, false
	}
	size, m := binary.Uvarint(b[n:])
	if m <= 0 || uint64(len(b)-n-m) < size {
		return rec, false
	}
	end := n + m + int(size)
	return record{gap, b[n+m : end], end}, true
}

// each calls do with each record, until it returns false.
func (r *ring) each(do func(slot int64, body []byte) bool) {
	slot := r.base
	for b := r.log; len(b) > 0; {
		rec, ok := readRecord(b)
		if !ok {
			return
		}
		slot += int64(rec.gap)
		if !do(slot, rec.body) {
			return
		}
		b = b[rec.size:]
	}
}

// sum adds up the slots from first to last.
func (r *ring) sum(first, last int64, into *signal.Counts) {
	if len(r.log) == 0 || r.last < first || r.base > last {
		return
	}
	r.each(func(slot int64, body []byte) bool {
		if slot > last {
			return false
		}
		if slot >= first {
			addCounts(into, body)
		}
		return true
	})
}

// merge adds all that another ring of the same resolution has.
func (r *ring) merge(o *ring, s *scratch) {
	if r.empty() {
		*r = *o
		return
	}
	type at struct {
		slot int64
		body []byte
	}
	var a, b []at
	r.each(func(slot int64, body []byte) bool { a = append(a, at{slot, body}); return true })
	o.each(func(slot int64, body []byte) bool { b = append(b, at{slot, body}); return true })
	var out ring
	for len(a) > 0 || len(b) > 0 {
		var c signal.Counts
		var slot int64
		takeA := len(b) == 0 || len(a) > 0 && a[0].slot <= b[0].slot
		takeB := len(a) == 0 || len(b) > 0 && b[0].slot <= a[0].slot
		if takeA {
			slot = a[0].slot
			addCounts(&c, a[0].body)
			a = a[1:]
		}
		if takeB {
			slot = b[0].slot
			addCounts(&c, b[0].body)
			b = b[1:]
		}
		out.add(slot, &c, s)
	}
	*r = out
}

// trim forgets slots before first.
func (r *ring) trim(first int64) {
	if len(r.log) == 0 || r.base >= first {
		return
	}
	if r.last < first {
		*r = ring{}
		return
	}
	slot, at := r.base, 0
	for at < len(r.log) {
		rec, ok := readRecord(r.log[at:])
		if !ok {
			*r = ring{}
			return
		}
		if slot+int64(rec.gap) >= first {
			break
		}
		slot += int64(rec.gap)
		at += rec.size
	}
	// What is before the first record that stays is counted from the one that goes.
	if at == 0 {
		return
	}
	kept := make([]byte, len(r.log)-at)
	copy(kept, r.log[at:])
	r.log, r.base, r.lastAt = kept, slot, r.lastAt-at
}

// cut forgets slots after last.
func (r *ring) cut(last int64) {
	if len(r.log) == 0 || r.last <= last {
		return
	}
	slot, at, end := r.base, 0, 0
	for end < len(r.log) {
		rec, ok := readRecord(r.log[end:])
		if !ok || slot+int64(rec.gap) > last {
			break
		}
		slot += int64(rec.gap)
		at = end
		end += rec.size
	}
	if end == 0 {
		*r = ring{}
		return
	}
	kept := make([]byte, end)
	copy(kept, r.log)
	r.log, r.last, r.lastAt = kept, slot, at
}

// empty tells whether nothing is left.
func (r *ring) empty() bool { return len(r.log) == 0 }
