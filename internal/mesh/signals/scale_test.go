package signals_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// fleet is a mesh of 1,000 services, each with one proxy, that call ten others each: what
// each proxy reports every five seconds has ten edges as client and ten as server.
func fleet() []*signals.Batch {
	const services, calls = 1000, 10
	who := make([]signal.Who, services)
	for i := range who {
		who[i] = service(fmt.Sprintf("s%d", i))
	}
	out := make([]*signals.Batch, services)
	edge := func(side signal.Side, from, to int) signal.Edge {
		e := signal.Edge{Key: signal.Key{Source: who[from], Destination: who[to], Side: side, Protocol: signal.HTTP, MutualTLS: true, Route: signal.RouteOf(fmt.Sprintf("HTTPRoute/shop/s%d/rules/0", to))}}
		for i := range 12 {
			e.Latency[latency.Bucket(time.Duration(from%7+1)*time.Millisecond)+i]++
		}
		e.Classes[2], e.Nanos, e.In, e.Out = 12, 40e6, 2000, 90_000
		return e
	}
	for i := range out {
		b := &signals.Batch{Proxy: fmt.Sprintf("p%d", i), Incarnation: 1, Who: who[i], Length: 5 * time.Second}
		for k := range calls {
			b.Edges = append(b.Edges, edge(signal.Client, i, (i+k*k+1)%services), edge(signal.Server, (i-k*k-1+services)%services, i))
		}
		out[i] = b
	}
	return out
}

// filled is a table of that mesh after a time, and its clock.
func filled(tb testing.TB, memory int64, after time.Duration) (*signals.Table, []*signals.Batch, *time.Time) {
	tb.Helper()
	now := noon
	t := signals.New(signals.Options{Memory: memory, Now: func() time.Time { return now }})
	batches := fleet()
	for sequence := uint64(1); now.Before(noon.Add(after)); sequence++ {
		for _, b := range batches {
			b.Sequence = sequence
			t.Add(b)
		}
		now = now.Add(5 * time.Second)
	}
	return t, batches, &now
}

// BenchmarkReports is what a control plane does with the reports of five seconds of 1,000
// proxies.
func BenchmarkReports(b *testing.B) {
	t, batches, now := filled(b, 1<<30, 10*time.Minute)
	sequence := uint64(1 << 20)
	for b.Loop() {
		sequence++
		for _, batch := range batches {
			batch.Sequence = sequence
			t.Add(batch)
		}
		*now = now.Add(5 * time.Second)
	}
	b.ReportMetric(float64(t.State().Memory)/(1<<20), "MiB")
	b.ReportMetric(float64(t.State().Edges), "edges")
}

// BenchmarkGraph asks that mesh for its graph, and BenchmarkSeries for one edge over time.
func BenchmarkGraph(b *testing.B) {
	t, _, _ := filled(b, 1<<30, 15*time.Minute)
	for _, window := range []time.Duration{5 * time.Minute, 15 * time.Minute} {
		b.Run(window.String(), func(b *testing.B) {
			for b.Loop() {
				if g, err := t.Graph(signals.Query{Window: window}); err != nil || len(g.Edges) != 10_000 {
					b.Fatalf("%d edges, %v", len(g.Edges), err)
				}
			}
		})
	}
}

func BenchmarkSeries(b *testing.B) {
	t, _, _ := filled(b, 1<<30, 15*time.Minute)
	for of, q := range map[string]signals.Query{
		"edge": {Window: 15 * time.Minute, Of: signals.Subject{Source: "shop/s1", Destination: "shop/s2"}},
		"mesh": {Window: 15 * time.Minute},
	} {
		b.Run(of, func(b *testing.B) {
			for b.Loop() {
				if _, err := t.Series(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
