package lb

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// weighted maps numbers in [0, total) to members so that each owns as many
// numbers as its weight, in constant expected time. Round robin walks the
// numbers with a fixed stride, random draws them.
type weighted struct {
	members []int32  // indexes into the View
	weights []uint64 // by position, divided by their greatest common divisor
	ends    []uint64 // ends[i] is the first number that is not member i's; nil when all weights are 1
	guide   []int32  // first candidate for the numbers of each bucket
	shift   uint     // bucket = number >> shift
	total   uint64
	// stride is coprime to total and near total divided by the golden ratio:
	// total steps visit every number exactly once, and any run of steps is
	// spread almost evenly.
	stride uint64
	div    uint64 // what weights were divided by
	mean   float64
	// start is random, so that views that follow each other quickly do not
	// favour the members that a regular sequence happens to meet.
	start uint64
}

// newWeighted takes ownership of its arguments. Weights of zero get nothing.
func newWeighted(members []int32, weights []uint64) *weighted {
	w := &weighted{members: members[:0], weights: weights[:0]}
	var div uint64
	for i, x := range weights {
		if x > 0 {
			w.members = append(w.members, members[i])
			w.weights = append(w.weights, x)
			div = gcd(div, x)
		}
	}
	n := len(w.members)
	if n == 0 {
		return w
	}
	equal := true
	for i := range w.weights {
		w.weights[i] /= div
		w.total += w.weights[i]
		equal = equal && w.weights[i] == 1
	}
	w.div = div
	w.mean = float64(w.total) / float64(n)
	w.stride = goldenStride(w.total)
	w.start = below(rand.Uint64(), w.total)
	if !equal {
		w.index()
	}
	return w
}

func (w *weighted) index() {
	n := len(w.members)
	w.ends = make([]uint64, n)
	var sum uint64
	for i, x := range w.weights {
		sum += x
		w.ends[i] = sum
	}
	for w.total>>w.shift > uint64(4*n) {
		w.shift++
	}
	w.guide = make([]int32, (w.total-1)>>w.shift+1)
	i := int32(0)
	for b := range w.guide {
		for w.ends[i] <= uint64(b)<<w.shift {
			i++
		}
		w.guide[b] = i
	}
}

// at returns the position of the owner of number p.
func (w *weighted) at(p uint64) int {
	if w.ends == nil {
		return int(p)
	}
	b := p >> w.shift
	lo := int(w.guide[b])
	for steps := 0; steps < 4; steps++ {
		if w.ends[lo] > p {
			return lo
		}
		lo++
	}
	// A bucket crowded by small weights: search it instead.
	hi := len(w.ends) - 1
	if int(b)+1 < len(w.guide) {
		hi = int(w.guide[b+1])
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if w.ends[mid] <= p {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// turn returns the position whose turn it is in step seq.
func (w *weighted) turn(seq uint64) int {
	s := (seq + w.start) % w.total
	if w.total <= math.MaxUint32 {
		return w.at(s * w.stride % w.total)
	}
	hi, lo := bits.Mul64(s, w.stride)
	return w.at(bits.Rem64(hi, lo, w.total))
}

// draw returns a random position, by weight.
func (w *weighted) draw() int { return w.at(below(rand.Uint64(), w.total)) }

// drawOther returns a random position other than not, by weight. It gives up
// and returns not when one member has nearly all the weight.
func (w *weighted) drawOther(not int) int {
	n := len(w.members)
	if n == 2 {
		return 1 - not
	}
	if w.ends == nil {
		i := int(below(rand.Uint64(), uint64(n-1)))
		if i >= not {
			i++
		}
		return i
	}
	for range 4 {
		if i := w.draw(); i != not {
			return i
		}
	}
	return not
}

// below scales a random word to [0, n).
func below(r, n uint64) uint64 {
	hi, _ := bits.Mul64(r, n)
	return hi
}

// goldenStride looks near total/φ for a stride that is coprime to total and
// whose ratio to it has a continued fraction of small terms: the smaller they
// are, the more evenly the steps are spread.
func goldenStride(total uint64) uint64 {
	if total <= 2 {
		return 1
	}
	mid := uint64(float64(total) / math.Phi)
	best, least := uint64(1), uint64(math.MaxUint64)
	for d := uint64(0); d < min(total, 512) && least > 3; d++ {
		for _, s := range [2]uint64{mid + d, mid - d} {
			if s == 0 || s >= total {
				continue
			}
			if g, term := euclid(total, s); g == 1 && term < least {
				best, least = s, term
			}
		}
	}
	return best
}

// euclid returns the greatest common divisor and the greatest term of the
// continued fraction of b/a. The last term is taken one less, as in [… n-1, 1].
func euclid(a, b uint64) (g, term uint64) {
	for b != 0 {
		q, r := a/b, a%b
		if r == 0 {
			q--
		}
		term = max(term, q)
		a, b = b, r
	}
	return a, term
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
