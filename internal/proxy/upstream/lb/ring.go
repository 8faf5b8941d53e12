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
	maxRing = 1 << 20 // by default
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

// placePoints sorts by the top bits in one pass, which leaves about one point
// per bucket, and then within buckets.
func placePoints(v *View, all []int32, counts []int, total int) *ring {
	b := uint(bits.Len(uint(max(total, 2) - 1)))
	r := &ring{points: make([]uint64, total), owners: make([]int32, total), shift: 64 - b}
	r.guide = make([]int32, 1<<b+1)
	for i, m := range all {
		for j := range counts[i] {
			r.guide[pointOf(v.members[m].Hash, j)>>r.shift+1]++
		}
	}
	for k := 1; k < len(r.guide); k++ {
		r.guide[k] += r.guide[k-1]
	}
	for i, m := range all {
		for j := range counts[i] {
			p := pointOf(v.members[m].Hash, j)
			bucket := p >> r.shift
			at := r.guide[bucket]
			r.guide[bucket]++
			r.points[at], r.owners[at] = p, int32(i)
		}
	}
	// Each guide entry now holds its bucket's end, which is the next one's start.
	copy(r.guide[1:], r.guide)
	r.guide[0] = 0
	for i := 1; i < total; i++ {
		p, o := r.points[i], r.owners[i]
		j := i
		for ; j > 0 && r.points[j-1] > p; j-- {
			r.points[j], r.owners[j] = r.points[j-1], r.owners[j-1]
		}
		r.points[j], r.owners[j] = p, o
	}
	return r
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
