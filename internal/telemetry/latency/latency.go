// Package latency has the buckets in which latencies are counted, the same in all
// proxies and for all time, so that histograms of many can be added up. It imports the
// standard library only; any package may import it.
package latency

import (
	"math/bits"
	"time"
)

// Latencies are counted log-linearly: from 100 µs on, each doubling is divided into four
// equal parts, and so is what lies below 100 µs. A percentile is wrong by an eighth at
// most.
const (
	unit = 25 * time.Microsecond
	// Parts is how many buckets there are to a doubling.
	Parts   = 4
	octaves = 20 // the last one ends at 100 µs × 2^20 ≈ 105 s
	// Buckets is how many there are. The last one has no upper bound.
	Buckets = Parts*(octaves+1) + 1
)

// Bucket is the one that d belongs to. Upper bounds are inclusive.
func Bucket(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	u := uint64(d-1) / uint64(unit)
	if u < Parts {
		return int(u)
	}
	octave := bits.Len64(u) - 3 // u in [4·2^octave, 8·2^octave)
	if octave >= octaves {
		return Buckets - 1
	}
	return Parts*(octave+1) + int(u>>octave) - Parts
}

// Bounds is what a bucket covers: (low, high]. The last one has no upper bound and
// answers its lower one twice.
func Bounds(bucket int) (low, high time.Duration) {
	if bucket < Parts {
		return time.Duration(bucket) * unit, time.Duration(bucket+1) * unit
	}
	octave := bucket/Parts - 1
	part := bucket % Parts
	low = time.Duration(Parts+part) << octave * unit
	if bucket == Buckets-1 {
		return low, low
	}
	return low, low + unit<<octave
}

// Quantile is the latency that a share q of the events did not exceed; 0 if there are
// none.
func Quantile[N uint32 | uint64](counts *[Buckets]N, q float64) time.Duration {
	var total uint64
	for _, n := range counts {
		total += uint64(n)
	}
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var before uint64
	for i, n := range counts {
		if n > 0 && float64(before+uint64(n)) >= rank {
			low, high := Bounds(i)
			share := (rank - float64(before)) / float64(n)
			return low + time.Duration(share*float64(high-low))
		}
		before += uint64(n)
	}
	low, _ := Bounds(Buckets - 1)
	return low
}
