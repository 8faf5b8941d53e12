// Package stats holds the arithmetic of the benchmark: a histogram of
// latencies and summaries of interleaved rounds. It knows nothing of proxies
// and owns no goroutines. Only the packages of bench import it.
package stats

import (
	"math/bits"
	"time"
)

// subBits is the precision of a Histogram: a bucket is at most 1/128 of its
// value wide, so a quantile is off by less than 0.8 %.
const subBits = 7

// Histogram counts durations in log-linear buckets. The zero value is empty
// and ready. It is not safe for concurrent use; merge one per goroutine.
type Histogram struct {
	counts [(64 - subBits) << subBits]uint64
	n      uint64
	max    int64
}

// Record counts one duration; a negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	h.counts[bucket(uint64(v))]++
	h.n++
	h.max = max(h.max, v)
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, c := range other.counts {
		h.counts[i] += c
	}
	h.n += other.n
	h.max = max(h.max, other.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest duration, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile is the duration that the share q (0 to 1) of all did not exceed,
// rounded up to the end of its bucket; zero when nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) {
		rank++
	}
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(time.Duration(upper(i)), h.Max())
		}
	}
	return h.Max()
}

// bucket is the index for v: values below 2^(subBits+1) have a bucket each,
// above that each power of two has 2^subBits of them.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-(subBits+1), 0)
	return shift<<subBits + int(v>>shift)
}

// upper is the largest value of bucket i.
func upper(i int) uint64 {
	shift := max(i>>subBits-1, 0)
	return (uint64(i-shift<<subBits)+1)<<shift - 1
}
