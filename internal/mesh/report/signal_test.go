package report_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

func edges(n int) []signal.Edge {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	service := func(i int) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: fmt.Sprintf("s%d", i)})
	}
	var out []signal.Edge
	for i := range n {
		e := signal.Edge{Key: signal.Key{
			Source: service(0), Destination: service(i + 1), Route: signal.RouteOf(fmt.Sprintf("HTTPRoute/shop/r%d/rules/0", i%3)),
			Side: signal.Side(1 + i%2), Protocol: signal.Protocol(1 + i%3), MutualTLS: i%2 == 0,
		}, Open: int64(i % 4)}
		for range i % 5 {
			d := time.Duration(r.IntN(1e9))
			e.Classes[2]++
			e.Latency[latency.Bucket(d)]++
			e.Nanos += uint64(d / time.Microsecond * time.Microsecond)
			e.In, e.Out = e.In+10, e.Out+100
		}
		out = append(out, e)
	}
	return out
}

func anything(signal.Party) bool { return true }

func TestSignalsSurviveTheWay(t *testing.T) {
	want := edges(100)
	r := report.Signals(want)
	r.Sequence = 1
	b, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back := new(meshpb.SignalReport)
	if err := proto.Unmarshal(b, back); err != nil {
		t.Fatal(err)
	}
	got, refused, _, err := report.ReadSignals(back, anything)
	if err != nil || refused != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %d refused, %d edges", err, refused, len(got))
	}
	t.Logf("%d bytes for each edge", len(b)/len(want))
}

// A proxy speaks for its own workloads alone; what cannot be true is not taken at all.
func TestSignalsAreJudged(t *testing.T) {
	r := report.Signals(edges(10))
	r.Sequence = 1
	got, refused, why, err := report.ReadSignals(r, func(own signal.Party) bool { return own.Name == "s0" })
	if err != nil || len(got) != 5 || refused != 5 || !strings.Contains(why, "shop/s") {
		t.Errorf("%d edges, %d refused: %q, %v", len(got), refused, why, err)
	}
	r.Edges[3].Protocol = 200 // a later version's
	if got, refused, why, err = report.ReadSignals(r, anything); err != nil || len(got) != 9 || refused != 1 || !strings.Contains(why, "protocol 200") {
		t.Errorf("a protocol that is not known: %d edges, %d refused: %q, %v", len(got), refused, why, err)
	}
	for name, spoil := range map[string]func(*meshpb.SignalReport){
		"sequence":                         func(r *meshpb.SignalReport) { r.Sequence = 0 },
		"kind is not known":                func(r *meshpb.SignalReport) { r.Parties[0].Kind = 99 },
		"has no namespace":                 func(r *meshpb.SignalReport) { r.Parties[0].Namespace = "" },
		"no namespace and name":            func(r *meshpb.SignalReport) { r.Parties[0].Name = "a/b" },
		"too long or no text":              func(r *meshpb.SignalReport) { r.Parties[0].Name = "a\nb" },
		"has a name that has none":         func(r *meshpb.SignalReport) { r.Parties[0].Kind = meshpb.SignalPartyKind_SIGNAL_PARTY_KIND_INTERNET },
		"route's name":                     func(r *meshpb.SignalReport) { r.Routes[0] = strings.Repeat("x", 601) },
		"not there":                        func(r *meshpb.SignalReport) { r.Edges[3].Source = 99 },
		"names a party or a route":         func(r *meshpb.SignalReport) { r.Edges[3].Route = 99 },
		"not complete":                     func(r *meshpb.SignalReport) { r.Edges[3].Classes = []uint64{1} },
		"counts are not of the same":       func(r *meshpb.SignalReport) { r.Edges[3].Classes[2]++ },
		"counts too much":                  func(r *meshpb.SignalReport) { r.Edges[3].InBytes = 1 << 63 },
		"histogram is not in order":        func(r *meshpb.SignalReport) { r.Edges[3].Buckets[0] = 999 },
		"edges at most":                    func(r *meshpb.SignalReport) { r.Edges = make([]*meshpb.SignalEdge, 5000) },
		"are not of the same requests":     func(r *meshpb.SignalReport) { r.Edges[3].Errors = 1 << 20 },
		"an edge names a party or a route": func(r *meshpb.SignalReport) { r.Edges[3].Destination = 0 },
	} {
		r := report.Signals(edges(10))
		r.Sequence = 1
		spoil(r)
		if _, _, _, err := report.ReadSignals(r, anything); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What many long connections take together is more than a report may count, and is cut off.
func TestLongTimesAreTaken(t *testing.T) {
	list := edges(5)
	list[4].Nanos = 10_000 * uint64(14*24*time.Hour)
	r := report.Signals(list)
	r.Sequence = 1
	if got, _, _, err := report.ReadSignals(r, anything); err != nil || len(got) != 5 {
		t.Errorf("%d edges, %v", len(got), err)
	}
}

func FuzzReadSignals(f *testing.F) {
	r := report.Signals(edges(5))
	r.Sequence = 1
	b, err := proto.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := new(meshpb.SignalReport)
		if proto.Unmarshal(b, r) != nil {
			return
		}
		got, _, _, err := report.ReadSignals(r, anything)
		if err != nil {
			return
		}
		again := report.Signals(got)
		again.Sequence = 1
		back, _, _, err := report.ReadSignals(again, anything)
		if err != nil || len(got) != len(back) || len(got) > 0 && !reflect.DeepEqual(got, back) {
			t.Fatalf("%v: %+v, then %+v", err, got, back)
		}
	})
}
