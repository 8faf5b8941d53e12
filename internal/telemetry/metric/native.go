package metric

import (
	"math"
	"time"
)

// Native histograms have exponential buckets: eight for each doubling (schema 3 of
// Prometheus, scale 3 of OTLP), so that a quantile is off by at most 4.4 %. They
// span 15 µs to 128 s and are 184 at most; what is below counts in the bucket of
// zero, what is above in the last.
const (
	nativeSchema  = 3
	nativeParts   = 1 << nativeSchema
	nativeLowest  = -16 // 2^-16 s ≈ 15.3 µs
	nativeHighest = 7
	nativeFirst   = nativeLowest*nativeParts + 1
	nativeBuckets = (nativeHighest - nativeLowest) * nativeParts
)

// nativeCounts are those of the bucket of zero, and of bucket nativeFirst+i at i+1.
type nativeCounts [nativeBuckets + 1]uint64

// count counts d, in new counts if there are none.
func (n *nativeCounts) count(d time.Duration) *nativeCounts {
	if n == nil {
		n = new(nativeCounts)
	}
	n[nativeSlot(d)]++
	return n
}

// plus adds o, which may be nil, to n or to new counts.
func (n *nativeCounts) plus(o *nativeCounts) *nativeCounts {
	if o == nil {
		return n
	}
	if n == nil {
		n = new(nativeCounts)
	}
	for i, v := range o {
		n[i] += v
	}
	return n
}

// nativeBounds divides [0.5, 1): bound i is 2^(i/8-1).
var nativeBounds = func() (b [nativeParts]float64) {
	for i := range b {
		b[i] = math.Exp2(float64(i)/nativeParts - 1)
	}
	return b
}()

// nativeSlot is the place of d in nativeCounts. Bucket i covers (2^((i-1)/8), 2^(i/8)].
func nativeSlot(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	fraction, exponent := math.Frexp(d.Seconds())
	part := 0
	for part < nativeParts && nativeBounds[part] < fraction {
		part++
	}
	index := part + (exponent-1)*nativeParts
	return max(0, min(index-nativeFirst+1, nativeBuckets))
}

// nativeZero is where the bucket of zero ends, in seconds.
func nativeZero() float64 { return math.Exp2(nativeLowest) }
