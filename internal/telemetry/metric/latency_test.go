package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestLatencyBucketsCoverAllWithoutGaps(t *testing.T) {
	end := time.Duration(0)
	for i := range latencyBuckets - 1 {
		low, high := latencyBounds(i)
		if low != end || high <= low {
			t.Fatalf("bucket %d covers (%v, %v], the one before ended at %v", i, low, high, end)
		}
		for _, d := range []time.Duration{low + 1, (low + high) / 2, high} {
			if got := latencyBucket(d); got != i {
				t.Fatalf("latencyBucket(%v) = %d, want %d", d, got, i)
			}
		}
		end = high
	}
	for _, d := range []time.Duration{end + 1, time.Hour, math.MaxInt64} {
		if got := latencyBucket(d); got != latencyBuckets-1 {
			t.Errorf("latencyBucket(%v) = %d", d, got)
		}
	}
	if latencyBucket(-1) != 0 || latencyBucket(0) != 0 {
		t.Error("no latency is not in the first bucket")
	}
}

func TestExportedBoundsAreBucketBounds(t *testing.T) {
	for i := range exportedBuckets {
		_, high := latencyBounds(latencyParts*(i+1) - 1)
		if high.Seconds() != exportedBound(i) {
			t.Errorf("bound %d is %v, the bucket ends at %v", i, exportedBound(i), high)
		}
	}
}

func TestQuantileIsNearTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var buckets [latencyBuckets]uint64
	var all []time.Duration
	for range 20000 {
		d := time.Duration(math.Exp(rng.NormFloat64()*1.5+1) * float64(time.Millisecond))
		all = append(all, d)
		buckets[latencyBucket(d)]++
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		truth, got := all[int(q*float64(len(all)))-1], quantile(&buckets, q)
		if e := math.Abs(float64(got-truth)) / float64(truth); e > 0.125 {
			t.Errorf("p%v = %v, truth %v: off by %.1f %%", q*100, got, truth, e*100)
		}
	}
	if quantile(&[latencyBuckets]uint64{}, 0.5) != 0 {
		t.Error("the median of nothing is not zero")
	}
	over := [latencyBuckets]uint64{latencyBuckets - 1: 1}
	if got := quantile(&over, 0.5); got < 100*time.Second {
		t.Errorf("the median of a value beyond the last bound is %v", got)
	}
}

func TestStatusesAreBounded(t *testing.T) {
	seen := map[[2]string]bool{}
	for status := -1; status < 1000; status++ {
		i := slot(status)
		seen[slotLabels[i]] = true
		want := status / 100
		if status < 100 || status > 599 {
			want = 0
		}
		if classOf(i) != want {
			t.Errorf("class of %d is %d", status, classOf(i))
		}
	}
	if len(seen) != slots {
		t.Errorf("%d label pairs for %d slots", len(seen), slots)
	}
}
