package metric

import (
	"math/bits"
	"time"
)

// Latencies are kept log-linearly: from 100 µs on, each doubling is divided
// into four equal parts, and so is what lies below 100 µs. That is fine enough
// for percentiles (the error is below 12.5 %); Prometheus gets the doublings only.
const (
	latencyUnit    = 25 * time.Microsecond
	latencyParts   = 4
	latencyOctaves = 20 // the last one ends at 100 µs × 2^20 ≈ 105 s
	latencyBuckets = latencyParts*(latencyOctaves+1) + 1
	// exported buckets end at 100 µs × 2^0 … 2^19 ≈ 52 s.
	exportedBuckets = latencyOctaves
)

// latencyBucket returns the bucket that d belongs to. Upper bounds are
// inclusive, as Prometheus's "le" is.
func latencyBucket(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	u := uint64(d-1) / uint64(latencyUnit)
	if u < latencyParts {
		return int(u)
	}
	octave := bits.Len64(u) - 3 // u in [4·2^octave, 8·2^octave)
	if octave >= latencyOctaves {
		return latencyBuckets - 1
	}
	return latencyParts*(octave+1) + int(u>>octave) - latencyParts
}

// latencyBounds returns what a bucket covers: (low, high]. The last one has no
// upper bound and answers its lower one twice.
func latencyBounds(bucket int) (low, high time.Duration) {
	if bucket < latencyParts {
		return time.Duration(bucket) * latencyUnit, time.Duration(bucket+1) * latencyUnit
	}
	octave := bucket/latencyParts - 1
	part := bucket % latencyParts
	low = time.Duration(latencyParts+part) << octave * latencyUnit
	if bucket == latencyBuckets-1 {
		return low, low
	}
	return low, low + latencyUnit<<octave
}

// quantile returns the latency that a share q of the events did not exceed.
func quantile(buckets *[latencyBuckets]uint64, q float64) time.Duration {
	var total uint64
	for _, n := range buckets {
		total += n
	}
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var before uint64
	for i, n := range buckets {
		if n > 0 && float64(before+n) >= rank {
			low, high := latencyBounds(i)
			share := (rank - float64(before)) / float64(n)
			return low + time.Duration(share*float64(high-low))
		}
		before += n
	}
	low, _ := latencyBounds(latencyBuckets - 1)
	return low
}

// exportedBound is the upper bound of the i-th Prometheus bucket, in seconds.
func exportedBound(i int) float64 { return (100 * time.Microsecond << i).Seconds() }
