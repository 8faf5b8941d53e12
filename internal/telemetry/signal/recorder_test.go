package signal_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

func service(name string) signal.Who {
	return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
}

func edge(from, to string) signal.Key {
	return signal.Key{
		Source: service(from), Destination: service(to), Route: signal.RouteOf("HTTPRoute/shop/" + to + "/rules/0"),
		Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true,
	}
}

func TestRecorder(t *testing.T) {
	r := signal.New(nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 100 {
				status := 200
				if i%10 == 0 {
					status = 503
				}
				r.Record(edge("cart", "orders"), &signal.Seen{Status: status, Duration: time.Millisecond, In: 1, Out: 2})
			}
			r.Record(edge("cart", "orders"), &signal.Seen{Cancelled: true})
			r.Record(edge("cart", "orders"), &signal.Seen{})
		})
	}
	all.Wait()
	list := r.Take()
	if len(list) != 1 {
		t.Fatalf("%d edges", len(list))
	}
	e := list[0]
	if e.Key != edge("cart", "orders") || e.Count() != 408 || e.Classes != [6]uint64{8, 0, 360, 0, 0, 40} || e.Errors != 44 || e.In != 400 || e.Out != 800 || e.Nanos != 400e6 {
		t.Errorf("%+v", e)
	}
	if n := e.Latency[latency.Bucket(time.Millisecond)]; n != 400 {
		t.Errorf("%d of a millisecond", n)
	}
	if list := r.Take(); len(list) != 0 {
		t.Errorf("again: %+v", list)
	}
	r.Record(edge("cart", "orders"), &signal.Seen{Status: 200})
	if list := r.Take(); len(list) != 1 || list[0].Count() != 1 {
		t.Errorf("what came then: %+v", list)
	}
	if totals, folded := r.Totals(); len(totals) != 1 || totals[0].Count() != 409 || folded != 0 {
		t.Errorf("%+v", totals)
	}
}

// What is open is told of as long as it is, and once more when it is not.
func TestOpen(t *testing.T) {
	r := signal.New(nil)
	r.Open(edge("cart", "db"), 1)
	r.Open(edge("cart", "db"), 1)
	for range 3 {
		if list := r.Take(); len(list) != 1 || list[0].Open != 2 {
			t.Fatalf("%+v", list)
		}
	}
	r.Open(edge("cart", "db"), -2)
	if list := r.Take(); len(list) != 1 || list[0].Open != 0 {
		t.Errorf("%+v", list)
	}
	if list := r.Take(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// However many edges there are, memory is bounded and nothing goes uncounted.
func TestRecorderIsBounded(t *testing.T) {
	now := time.Now()
	r := signal.New(func() time.Time { return now })
	const n = 3 * signal.MaxEdges
	for i := range n {
		k := edge("cart", fmt.Sprintf("s%d", i))
		r.Record(k, &signal.Seen{Status: 200})
	}
	list := r.Take()
	total, others := uint64(0), uint64(0)
	for _, e := range list {
		total += e.Count()
		if e.Destination == signal.TheOthers {
			others += e.Count()
		}
	}
	if len(list) > signal.MaxEdges+1 || total != n || others != n-signal.MaxEdges {
		t.Errorf("%d edges, %d of %d counted, %d of others", len(list), total, n, others)
	}
	if _, folded := r.Totals(); folded != n-signal.MaxEdges-1 && folded != n-signal.MaxEdges {
		t.Errorf("%d were folded", folded)
	}
	now = now.Add(signal.Keep + time.Second)
	if totals, _ := r.Totals(); len(totals) != 0 {
		t.Errorf("%d edges are still there", len(totals))
	}
}

// What a processor has forgotten, because nothing passed over it, counts again.
func TestAnEdgeComesBack(t *testing.T) {
	r, k := signal.New(nil), edge("cart", "orders")
	for i := range 3 {
		r.Record(k, &signal.Seen{Status: 200})
		r.Record(k, &signal.Seen{Status: 200})
		if list := r.Take(); len(list) != 1 || list[0].Count() != 2 {
			t.Fatalf("round %d: %+v", i, list)
		}
		for range 20 {
			r.Take()
		}
	}
}

func TestBothEdgesOfAnExchange(t *testing.T) {
	r, in, out := signal.New(nil), edge("web", "cart"), edge("cart", "orders")
	none := signal.Key{Destination: service("cart")}
	r.RecordBoth(&in, &out, &signal.Seen{Status: 200, In: 1}, &signal.Seen{Status: 503, In: 2})
	r.RecordBoth(&none, &out, &signal.Seen{Status: 200}, &signal.Seen{Status: 503, In: 2})
	r.RecordBoth(&in, &none, &signal.Seen{Status: 200, In: 1}, &signal.Seen{})
	list := r.Take()
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for _, e := range list {
		if e.Key == in && (e.Classes[2] != 2 || e.In != 2) || e.Key == out && (e.Classes[5] != 2 || e.In != 4) {
			t.Errorf("%+v", e)
		}
	}
}

func TestHostsAreBounded(t *testing.T) {
	now := time.Now()
	r := signal.New(func() time.Time { return now })
	for i := range signal.MaxHosts {
		if w := r.Host(fmt.Sprintf("h%d.example", i)); w.Party().Kind != signal.External {
			t.Fatalf("%+v", w.Party())
		}
	}
	if w := r.Host("one-more.example"); w != signal.TheOthers {
		t.Errorf("%+v", w.Party())
	}
	if _, folded := r.Totals(); folded != 1 {
		t.Errorf("%d are said to be folded", folded)
	}
	if w := r.Host("h7.example"); w.Party().ID() != "external:h7.example" {
		t.Errorf("%+v", w.Party())
	}
	now = now.Add(signal.Keep + time.Second)
	if w := r.Host("one-more.example"); w.Party().Name != "one-more.example" {
		t.Errorf("%+v", w.Party())
	}
}

func TestIdentified(t *testing.T) {
	for id, want := range map[string]string{
		"spiffe://mesh.example/ns/shop/sa/cart":      "shop/cart",
		"spiffe://other.example/ns/shop/sa/cart":     "other.example/shop/cart",
		"spiffe://mesh.example/gridway/control":      "unknown",
		"spiffe://mesh.example/ns/shop/sa/cart/more": "unknown",
		"": "unknown",
	} {
		if got := signal.Identified(id, "mesh.example").Party().ID(); got != want {
			t.Errorf("%s: %s", id, got)
		}
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	r, k := signal.New(nil), edge("cart", "orders")
	s := &signal.Seen{Status: 200, Duration: time.Millisecond}
	for range 100 {
		r.Record(k, s)
	}
	if n := testing.AllocsPerRun(1000, func() { r.Record(k, s) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, edges := range []int{1, 10, 1000} {
		b.Run(fmt.Sprintf("edges=%d", edges), func(b *testing.B) {
			r := signal.New(nil)
			keys := make([]signal.Key, edges)
			for i := range keys {
				keys[i] = edge("cart", fmt.Sprintf("s%d", i))
			}
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				s := signal.Seen{Status: 200, Duration: 3 * time.Millisecond, In: 100, Out: 1000}
				for i := 0; p.Next(); i++ {
					r.Record(keys[i%edges], &s)
				}
			})
		})
	}
}
