package netset

import "math/bits"

// table are the bounds of the ranges of a family: at even places where one
// begins, at odd ones the address after its end. A range up to the last address
// has no end. K holds an address of IPv4, or the first half of one of IPv6.
type table[K uint32 | uint64] struct {
	keys []K
	lows []uint64 // of IPv6, the other halves; the same length as keys
	// top finds for each value of the leading bits the bounds that have it; one
	// entry more at the end. Where many have it, sub does so again for the bits
	// that follow: registries give out a few blocks of IPv6, which are full.
	top   []block
	sub   []uint32
	shift int // of a key, to its leading bits
}

// block are the bounds with some leading bits.
type block struct {
	from uint32 // how many bounds are below
	sub  uint32 // where its part of sub begins; noSub if it has none
}

const (
	noSub = ^uint32(0)
	// maxTopBits bounds top to 512 KiB.
	maxTopBits = 16
	// few bounds are searched without an index.
	few = 8
)

func newTable[K uint32 | uint64](keys []K, lows []uint64) table[K] {
	t := table[K]{keys: keys, lows: lows, shift: 8 * sizeOf(keys)}
	if len(keys) <= few {
		return t
	}
	n := min(bits.Len(uint(len(keys))), maxTopBits)
	t.shift -= n
	t.top = make([]block, 1<<n+1)
	at := 0
	for i := range t.top {
		t.top[i] = block{from: uint32(at), sub: noSub}
		first := at
		for at < len(keys) && int(keys[at]>>t.shift) == i {
			at++
		}
		if at-first > few {
			t.top[i].sub = uint32(len(t.sub))
			t.index(keys[first:at])
		}
	}
	return t
}

func sizeOf[K uint32 | uint64]([]K) int {
	if uint64(^K(0)) == 1<<32-1 {
		return 4
	}
	return 8
}

// index appends to sub how many of a block's keys are below each value of the
// bits after the leading ones.
func (t *table[K]) index(keys []K) {
	shift, values := t.subShift(len(keys))
	at := 0
	for v := range values + 1 {
		t.sub = append(t.sub, uint32(at))
		for at < len(keys) && int(keys[at]>>shift)&(values-1) == v {
			at++
		}
	}
}

// subShift is by how much keys of a block of so many are shifted, and how many
// values there are.
func (t *table[K]) subShift(n int) (shift, values int) {
	more := min(bits.Len(uint(n)), t.shift)
	return t.shift - more, 1 << more
}

// rank is how many bounds are at or below the address.
func (t *table[K]) rank(key K, low uint64) int {
	from, to := t.among(key)
	i := from
	for n := to - from; n > 0; {
		half := n / 2
		if t.keys[i+half] <= key {
			i += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	if t.lows == nil || i == from || t.keys[i-1] != key {
		return i
	}
	return t.rankOfLow(from, i, key, low)
}

// among returns the bounds that have to be looked at: those before are below the
// address, those behind are above it.
func (t *table[K]) among(key K) (from, to int) {
	if t.top == nil {
		return 0, len(t.keys)
	}
	at := key >> t.shift
	b := t.top[at]
	from, to = int(b.from), int(t.top[at+1].from)
	if b.sub == noSub {
		return from, to
	}
	shift, values := t.subShift(to - from)
	sub := t.sub[int(b.sub)+int(key>>shift)&(values-1):]
	return from + int(sub[0]), from + int(sub[1])
}

// rankOfLow goes by the other halves, where first halves are equal.
func (t *table[K]) rankOfLow(from, to int, key K, low uint64) int {
	for from < to {
		mid := int(uint(from+to) >> 1)
		if t.keys[mid] < key || t.lows[mid] <= low {
			from = mid + 1
		} else {
			to = mid
		}
	}
	return from
}

func (t *table[K]) len() int { return (len(t.keys) + 1) / 2 }

func (t *table[K]) bytes() int {
	return sizeOf(t.keys)*len(t.keys) + 8*len(t.lows) + 8*len(t.top) + 4*len(t.sub)
}
