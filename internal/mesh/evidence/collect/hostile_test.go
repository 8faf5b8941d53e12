package collect_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/evidence/collect"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// A proxy with an identity of the mesh makes up sources, ports, policies, paths, days and
// numbers. What is kept is bounded, says how much it was, and can be read.
func TestHostileFlows(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		c, conn := collector(t, db)
		stream, err := meshpb.NewTelemetryClient(conn).Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		sent, sequence := uint64(0), uint64(0)
		say := func(n int, edit func(i int, f *meshpb.TrafficFlow)) {
			t.Helper()
			sequence++
			r := &meshpb.TrafficReport{Sequence: sequence}
			for i := range n {
				f := &meshpb.TrafficFlow{
					Source: cart, Namespace: "shop", Service: "orders", Port: 80, Protocol: meshpb.TrafficProtocol_TRAFFIC_PROTOCOL_HTTP, Method: "GET", Path: "/",
					Verdict: meshpb.TrafficVerdict_TRAFFIC_VERDICT_ALLOWED, Count: 1, First: now.UnixMilli(), Last: now.UnixMilli(),
				}
				edit(i, f)
				sent += f.Count
				r.Flows = append(r.Flows, f)
			}
			if err := stream.Send(r); err != nil {
				t.Fatal(err)
			}
			if got, err := stream.Recv(); err != nil || got.GetRefused() != 0 {
				t.Fatalf("%v, %v", got, err)
			}
		}
		const many = 1200
		say(many, func(i int, f *meshpb.TrafficFlow) { f.Path = fmt.Sprintf("/%d", i) })
		say(many, func(i int, f *meshpb.TrafficFlow) { // overflows of policies that are made up
			f.Overflow, f.Policy, f.Verdict = true, fmt.Sprintf("shop/p%d", i), meshpb.TrafficVerdict_TRAFFIC_VERDICT_DENIED
		})
		say(many, func(i int, f *meshpb.TrafficFlow) { // of sources and ports
			f.Overflow, f.Source, f.Port = true, fmt.Sprintf("spiffe://example.org/ns/x/sa/s%d", i), uint32(1000+i)
		})
		for back := range int64(4) { // and of days
			say(many, func(i int, f *meshpb.TrafficFlow) {
				f.Path, f.Port = fmt.Sprintf("/%d/%d", back, i), uint32(1+i%200)
				f.First, f.Last = 1, now.Add(-time.Duration(back)*24*time.Hour).UnixMilli()
			})
			if err := c.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		say(8192, func(_ int, f *meshpb.TrafficFlow) {
			f.Path, f.Duration, f.Failed = "/0", math.MaxUint64, math.MaxUint64
		})
		list, err := c.Flows(t.Context(), evidence.Query{Since: now.Add(-evidence.Keep)})
		if err != nil {
			t.Fatal(err)
		}
		var rows []statedb.MeshTraffic
		if err := db.Read(t.Context(), func(tx *statedb.Tx) (err error) {
			rows, err = tx.MeshTraffic(t.Context(), "", "", 0, 0, 1<<20)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if age := now.UnixMilli()/86_400_000 - r.Day; age > 1 { // whose kinds nobody bounds
				t.Errorf("a row is of %d days ago", age)
			}
		}
		if most := collect.MaxOfPair + 2*(collect.MaxOverflow+9) + 4*many; len(rows) > most {
			t.Errorf("%d rows, more than %d", len(rows), most)
		}
		told, policies, slowest := uint64(0), 0, uint64(0)
		for _, f := range list {
			told += f.Count
			if f.Policy != "" {
				policies++
			}
			slowest = max(slowest, f.MeanMicroseconds)
		}
		if told != sent || policies == 0 || policies > collect.MaxOverflow || slowest == 0 {
			t.Errorf("%d of %d were counted, with %d policies; the slowest took %d", told, sent, policies, slowest)
		}
		t.Logf("%d rows of %d kinds of traffic", len(rows), sent)
	})
}
