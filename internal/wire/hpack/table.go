package hpack

import "github.com/gridway/gridway/internal/wire/httpmsg"

// entryOverhead is what an entry counts beside its bytes (RFC 7541 §4.1).
const entryOverhead = 32

// DefaultTableSize is the size of a dynamic table before SETTINGS say otherwise.
const DefaultTableSize = 4096

// entry is a field of the dynamic table. Its bytes start at buf[at-base].
type entry struct {
	at          uint32
	name, value uint32 // lengths
	id          httpmsg.Name
	pseudo      Pseudo
	flaw        Flaw
}

// table is a dynamic table (RFC 7541 §2.3.2). Entries are numbered as they come;
// the numbers of those present are from first up to, not including, next.
type table struct {
	ring        []entry // a power of two; the entry of number n is ring[n&mask]
	first, next uint32
	// buf holds the bytes of all entries, oldest first, perhaps with some of
	// evicted ones in front; base is the at of buf[0].
	buf  []byte
	base uint32
	size uint32
	max  uint32
}

func (t *table) len() int { return int(t.next - t.first) }

// at returns the entry of that number, which must be present.
func (t *table) entry(number uint32) *entry {
	return &t.ring[number&uint32(len(t.ring)-1)]
}

func (t *table) has(number uint32) bool { return number-t.first < t.next-t.first }

func (t *table) nameOf(e *entry) []byte {
	i := e.at - t.base
	return t.buf[i : i+e.name : i+e.name]
}

func (t *table) valueOf(e *entry) []byte {
	i := e.at - t.base + e.name
	return t.buf[i : i+e.value : i+e.value]
}

// setMax changes the maximum size, and evicts.
func (t *table) setMax(size uint32) {
	t.max = size
	t.evict(0)
}

// evict makes room for an entry of that size (RFC 7541 §4.3, §4.4).
func (t *table) evict(need uint32) {
	for t.first != t.next && uint64(t.size)+uint64(need) > uint64(t.max) {
		e := t.entry(t.first)
		t.size -= e.name + e.value + entryOverhead
		t.first++
	}
	if t.first == t.next {
		t.buf, t.base = t.buf[:0], 0
	}
}

// insert adds a field, and tells its number; ok is false if it does not fit into
// an empty table. name and value must not be the table's own bytes.
func (t *table) insert(name, value []byte, id httpmsg.Name, pseudo Pseudo, flaw Flaw) (number uint32, ok bool) {
	need := uint64(len(name)) + uint64(len(value)) + entryOverhead
	if need > uint64(t.max) {
		t.evict(t.max + 1)
		return 0, false
	}
	t.evict(uint32(need))
	if t.len() == len(t.ring) {
		t.growRing()
	}
	t.makeRoom(len(name) + len(value))
	number = t.next
	*t.entry(number) = entry{
		at: t.base + uint32(len(t.buf)), name: uint32(len(name)), value: uint32(len(value)),
		id: id, pseudo: pseudo, flaw: flaw,
	}
	t.buf = append(append(t.buf, name...), value...)
	t.size += uint32(need)
	t.next++
	return number, true
}

func (t *table) growRing() {
	ring := make([]entry, max(16, 2*len(t.ring)))
	for n := t.first; n != t.next; n++ {
		ring[n&uint32(len(ring)-1)] = *t.entry(n)
	}
	t.ring = ring
}

// makeRoom lets n bytes be appended to buf. What is live moves to the front when
// at least as much is free, so that the cost per byte is constant.
func (t *table) makeRoom(n int) {
	if len(t.buf)+n <= cap(t.buf) {
		return
	}
	start := len(t.buf)
	if t.len() > 0 {
		start = int(t.entry(t.first).at - t.base)
	}
	live := t.buf[start:]
	if 2*(len(live)+n) > cap(t.buf) {
		grown := make([]byte, 0, max(512, min(4*(len(live)+n), 2*int(t.max)), len(live)+n))
		t.buf = append(grown, live...)
	} else {
		t.buf = append(t.buf[:0], live...)
	}
	t.base += uint32(start)
}
