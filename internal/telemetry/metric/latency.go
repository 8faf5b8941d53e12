package metric

import "github.com/gridway/gridway/internal/telemetry/latency"

// exportedBuckets are Prometheus's: it gets the doublings alone, and the last one has no
// upper bound.
const exportedBuckets = (latency.Buckets-1)/latency.Parts - 1

// exportedBound is the upper bound of the i-th of them, in seconds.
func exportedBound(i int) float64 {
	_, high := latency.Bounds(latency.Parts*(i+1) - 1)
	return high.Seconds()
}
