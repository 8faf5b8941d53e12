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
	maxRing = 1 << 19 // by default
	// maxPoints bounds what configuration may ask for.
	maxPoints = 1 << 23
	// pointsEach is how many points a member of the greatest weight has by
	// default, or up to twice as many; the load then varies by about a twentieth.
	pointsEach = 256
)

// newRing gives a member of weight w about w×scale points.
func newRing(v *View, all []int32) *ring {
	scale := v.ringScale(all)
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

// ringScale is a power of two, and by default depends on the greatest weight
// alone: who else comes or goes, a member's points stay where they are, and only
// keys of the ones that changed move. A ring of a given size, or one that would
// grow out of bounds, changes all counts as its weight passes a power of two.
func (v *View) ringScale(all []int32) float64 {
	sum := float64(v.tableSum(all))
	if want := v.cfg.Balance.RingSize; want > 0 {
		want = max(min(want, maxPoints), len(all))
		return math.Exp2(math.Ceil(math.Log2(float64(want) / sum)))
	}
	var most uint64
	for _, m := range all {
		most = max(most, v.tableWeight(m))
	}
	scale := pointsEach / math.Exp2(math.Floor(math.Log2(float64(most))))
	for sum*scale > maxRing {
		scale /= 2
	}
	return scale
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
