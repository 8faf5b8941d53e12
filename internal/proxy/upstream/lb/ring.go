package lb

import (
	"math"
	"math/bits"
)

// ring is a consistent-hash ring (Karger et al.): each member owns a number of
// points by weight, and a hash belongs to the next point at or after it.
type ring struct {
	points []uint64 // ascending
	owners []int32  // positions in tier.all
	guide  []int32  // first point whose top bits are ≥ the bucket
	shift  uint
}

const (
	minRing = 1024
	maxRing = 1 << 19 // by default
	// maxPoints bounds what configuration may ask for.
	maxPoints = 1 << 23
	// pointsEach is how many points a member has by default; the load then
	// varies by about a tenth.
	pointsEach = 128
)

// newRing gives a member of weight w about w×scale points. The scale is a
// power of two, so that it does not change with each member that comes or
// goes: a member's points stay where they are, and only keys of the ones that
// changed move.
func newRing(v *View, all []int32) *ring {
	sum := v.tableSum(all)
	want := v.cfg.Balance.RingSize
	if want <= 0 {
		want = min(max(minRing, pointsEach*len(all)), maxRing)
	}
	want = max(min(want, maxPoints), len(all))
	scale := math.Exp2(math.Ceil(math.Log2(float64(want) / float64(sum))))
	counts := make([]int, len(all))
	total := 0
	for i, m := range all {
		if w := v.tableWeight(m); w > 0 {
			counts[i] = max(1, int(float64(w)*scale+0.5))
		}
		total += counts[i]
	}
	return placePoints(v, all, counts, total)
}

// placePoints sorts in two steps by the top bits, each within what the cache
// holds, which leaves about one point per bucket of the guide, and then within
// buckets.
func placePoints(v *View, all []int32, counts []int, total int) *ring {
	b := uint(max(bits.Len(uint(max(total, 2)-1)), partBits))
	r := &ring{points: make([]uint64, total), owners: make([]int32, total), shift: 64 - b}
	r.guide = make([]int32, 1<<b+1)
	var start [1<<partBits + 1]int
	for i, m := range all {
		for j := range counts[i] {
			start[pointOf(v.members[m].Hash, j)>>(64-partBits)+1]++
		}
	}
	for p := range 1 << partBits {
		start[p+1] += start[p]
	}
	points, owners := make([]uint64, total), make([]int32, total)
	fill := start
	for i, m := range all {
		for j := range counts[i] {
			x := pointOf(v.members[m].Hash, j)
			at := &fill[x>>(64-partBits)]
			points[*at], owners[*at] = x, int32(i)
			*at++
		}
	}
	for p := range 1 << partBits {
		lo, hi := start[p], start[p+1]
		r.sortPart(points[lo:hi], owners[lo:hi], lo, p<<(b-partBits), (p+1)<<(b-partBits))
	}
	r.guide[1<<b] = int32(total)
	return r
}

const partBits = 8

// sortPart puts the points whose buckets are from first to last, last not
// included, in order from place on, and fills in that part of the guide.
func (r *ring) sortPart(points []uint64, owners []int32, place, first, last int) {
	guide := r.guide[first:last]
	for _, x := range points {
		guide[int(x>>r.shift)-first]++
	}
	at := int32(place)
	for k, n := range guide {
		guide[k] = at
		at += n
	}
	for i, x := range points {
		g := &guide[int(x>>r.shift)-first]
		r.points[*g], r.owners[*g] = x, owners[i]
		*g++
	}
	// Each entry now is its bucket's end: move them up to be starts again.
	copy(guide[1:], guide)
	if len(guide) > 0 {
		guide[0] = int32(place)
	}
	end := place + len(points)
	for i := place + 1; i < end; i++ {
		x, o := r.points[i], r.owners[i]
		j := i
		for ; j > place && r.points[j-1] > x; j-- {
			r.points[j], r.owners[j] = r.points[j-1], r.owners[j-1]
		}
		r.points[j], r.owners[j] = x, o
	}
}

func pointOf(hash uint64, j int) uint64 { return mix64(hash + uint64(j+1)*0x9E3779B97F4A7C15) }

// find returns the index of the first point at or after h, around the ring.
func (r *ring) find(h uint64) int {
	h = mix64(h)
	i := int(r.guide[h>>r.shift])
	for i < len(r.points) && r.points[i] < h {
		i++
	}
	if i == len(r.points) {
		return 0
	}
	return i
}
