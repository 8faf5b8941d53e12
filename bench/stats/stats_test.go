package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/bench/stats"
)

func TestQuantilesAgainstSortedValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, half stats.Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(math.Exp(r.Float64() * 23)) // 1 ns to about 10 s
		all = append(all, d)
		if i%2 == 0 {
			h.Record(d)
		} else {
			half.Record(d)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	if h.Count() != uint64(len(all)) || h.Max() != all[len(all)-1] {
		t.Fatalf("count %d, max %v; want %d, %v", h.Count(), h.Max(), len(all), all[len(all)-1])
	}
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
		got := h.Quantile(q)
		if got < want || float64(got) > float64(want)*1.008+1 {
			t.Errorf("quantile %v = %v, want %v to 0.8 %% above it", q, got, want)
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	var h stats.Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty histogram has no quantiles")
	}
	h.Record(-5)
	h.Record(math.MaxInt64)
	if h.Quantile(0) != 0 || h.Quantile(1) != math.MaxInt64 {
		t.Errorf("got %v and %v", h.Quantile(0), h.Quantile(1))
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want stats.Spread
	}{
		{nil, stats.Spread{}},
		{[]float64{3}, stats.Spread{Median: 3, Min: 3, Max: 3, N: 1}},
		{[]float64{9, 1, 2}, stats.Spread{Median: 2, Min: 1, Max: 9, N: 3}},
		{[]float64{4, 1, 3, 2}, stats.Spread{Median: 2.5, Min: 1, Max: 4, N: 4}},
	} {
		if got := stats.Of(c.in); got != c.want {
			t.Errorf("Of(%v) = %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestRatioComparesWithinARound(t *testing.T) {
	// The second round ran on a machine half as fast; its ratio does not show it.
	got := stats.Ratio([]float64{8, 16, 9, 7}, []float64{10, 20, 10, 0})
	if want := (stats.Spread{Median: 0.8, Min: 0.8, Max: 0.9, N: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
