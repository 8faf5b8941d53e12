package latency_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

func TestBucketsCoverAllTime(t *testing.T) {
	before := time.Duration(0)
	for i := range latency.Buckets - 1 {
		low, high := latency.Bounds(i)
		if low != before || high <= low {
			t.Fatalf("bucket %d is from %s to %s, and the one before ends at %s", i, low, high, before)
		}
		if latency.Bucket(high) != i || latency.Bucket(low+1) != i {
			t.Errorf("bucket %d: its bounds are in %d and %d", i, latency.Bucket(low+1), latency.Bucket(high))
		}
		before = high
	}
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, time.Hour: latency.Buckets - 1, math.MaxInt64: latency.Buckets - 1} {
		if got := latency.Bucket(d); got != want {
			t.Errorf("%s is in %d", d, got)
		}
	}
}

func TestQuantileIsExactToAnEighth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var counts [latency.Buckets]uint64
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
		counts[latency.Bucket(d)]++
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.95, 0.99} {
		want, got := all[int(q*float64(len(all)))], latency.Quantile(&counts, q)
		if off := float64(got-want) / float64(want); off < -0.125 || off > 0.125 {
			t.Errorf("p%g is %s, not %s", q*100, got, want)
		}
	}
	if got := latency.Quantile(new([latency.Buckets]uint32), 0.5); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
	if got := latency.Quantile(&[latency.Buckets]uint32{latency.Buckets - 1: 1}, 0.5); got < 100*time.Second {
		t.Errorf("of one beyond the last bound: %s", got)
	}
}
