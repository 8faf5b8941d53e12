package signals_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// honest is a report of one proxy with an edge to each of ten services.
func honest(i int, sequence uint64) *signals.Batch {
	own := service(fmt.Sprintf("honest%d", i))
	b := &signals.Batch{Proxy: fmt.Sprintf("honest%d", i), Incarnation: 1, Sequence: sequence, Who: own, Length: 5 * time.Second}
	for k := range 10 {
		e := signal.Edge{Key: signal.Key{Source: own, Destination: service(fmt.Sprintf("s%d", k)), Side: signal.Client, Protocol: signal.HTTP}}
		e.Classes[2], e.Latency[latency.Bucket(time.Millisecond)] = 1, 1
		b.Edges = append(b.Edges, e)
	}
	return b
}

// A proxy of one workload tells of a hundred thousand edges with names as long as may be, in
// ever new processes with as much open, of times that were a day ago or will be. Memory
// stays bounded, and what others tell stays told apart.
func TestHostileReports(t *testing.T) {
	const limit = 16 << 20
	now := noon
	table := signals.New(signals.Options{Memory: limit, Now: func() time.Time { return now }})
	mallory := service("mallory")
	long := strings.Repeat("x", 550)
	sequence := uint64(0)
	for i := range 20 {
		now = now.Add(5 * time.Second)
		for h := range 100 {
			if i%4 == 0 { // which is silent in between
				sequence++
				table.Add(honest(h, sequence))
			}
		}
		b := &signals.Batch{Proxy: "mallory", Incarnation: uint64(i), Sequence: 1, Who: mallory, Age: time.Duration(i%3-1) * 24 * time.Hour, Length: time.Duration(i%2) * 48 * time.Hour}
		for k := range signal.MaxEdges {
			e := signal.Edge{Open: 1, Key: signal.Key{
				Source: mallory, Destination: signal.Of(signal.Party{Kind: signal.External, Name: fmt.Sprint(long, i, k)}),
				Route: signal.RouteOf(fmt.Sprint(long, i, k)), Side: signal.Client, Protocol: signal.TCP,
			}}
			e.Classes[2], e.Latency[3] = 1, 1
			b.Edges = append(b.Edges, e)
		}
		table.Add(b)
		if s := table.State(); s.Memory > limit {
			t.Fatalf("after %d reports %d bytes of %d", i, s.Memory, s.Limit)
		}
	}
	for h := range 100 {
		sequence++
		table.Add(honest(h, sequence))
	}
	g, err := table.Graph(signals.Query{Window: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	apart, told := 0, map[string]uint64{}
	for _, e := range g.Edges {
		if strings.HasPrefix(e.Source, "shop/honest") {
			apart++
			told["honest"] += e.Count
		} else {
			told["mallory"] += e.Count
		}
	}
	if apart != 1000 || told["honest"] != 6000 {
		t.Errorf("%d edges of others with %d requests, of 1000 with 6000", apart, told["honest"])
	}
	if g.State.Folded == 0 || g.State.History != signals.Most.Seconds() {
		t.Errorf("%d were folded, and the history is %gs", g.State.Folded, g.State.History)
	}
	t.Logf("%d edges in %d KiB, %d folded; %d requests of who is hostile", g.State.Edges, g.State.Memory>>10, g.State.Folded, told["mallory"])
}

// BenchmarkDay is a report with as many edges as may be of a whole day, as a proxy makes one
// that was cut off for so long.
func BenchmarkDay(b *testing.B) {
	now := noon
	table := signals.New(signals.Options{Memory: 1 << 30, Now: func() time.Time { return now }})
	batch := &signals.Batch{Proxy: "p", Incarnation: 1, Who: service("p"), Length: 24 * time.Hour}
	for k := range signal.MaxEdges {
		e := signal.Edge{Key: signal.Key{Source: service("p"), Destination: service(fmt.Sprint("s", k)), Side: signal.Client, Protocol: signal.HTTP}}
		e.Classes[2], e.Latency[3] = 1000, 1000
		batch.Edges = append(batch.Edges, e)
	}
	for b.Loop() {
		batch.Sequence++
		now = now.Add(5 * time.Second)
		table.Add(batch)
	}
}
