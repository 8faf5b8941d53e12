package signals_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// noon begins a step of all resolutions.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// clocked is a Table whose clock stands still.
type clocked struct {
	*signals.Table
	t        *testing.T
	now      time.Time
	sequence uint64
}

func table(t *testing.T, memory int64) *clocked {
	c := &clocked{t: t, now: noon}
	c.Table = signals.New(signals.Options{Memory: memory, Now: func() time.Time { return c.now }})
	return c
}

func service(name string) signal.Who {
	return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
}

func key(side signal.Side, from, to string) signal.Key {
	return signal.Key{
		Source: service(from), Destination: service(to), Route: signal.RouteOf("HTTPRoute/shop/" + to + "/rules/0"),
		Side: side, Protocol: signal.HTTP, MutualTLS: true,
	}
}

// seen is n requests that took a millisecond, of which some failed.
func seen(k signal.Key, n, failed uint64) signal.Edge {
	e := signal.Edge{Key: k}
	e.Classes[2], e.Classes[5], e.Errors, e.Nanos, e.In, e.Out = n-failed, failed, failed, n*1e6, n*10, n*100
	e.Latency[latency.Bucket(time.Millisecond)] = n
	return e
}

func (c *clocked) add(proxy string, edges ...signal.Edge) {
	c.t.Helper()
	c.sequence++
	if !c.Add(&signals.Batch{Proxy: proxy, Incarnation: 1, Sequence: c.sequence, Length: 5 * time.Second, Edges: edges}) {
		c.t.Fatalf("batch %d of %s was heard already", c.sequence, proxy)
	}
}

func (c *clocked) graph(q signals.Query) *signals.Graph {
	c.t.Helper()
	g, err := c.Graph(q)
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

func near(a, b float64) bool { return math.Abs(a-b) <= 0.03*math.Max(math.Abs(a), math.Abs(b)) }

func TestGraph(t *testing.T) {
	c := table(t, 0)
	edge := signal.Of(signal.Party{Kind: signal.EdgeProxy, Namespace: "shop", Name: "edge"})
	in := key(signal.Server, "", "")
	in.Source, in.Destination, in.MutualTLS = signal.TheInternet, edge, false
	out := key(signal.Client, "edge", "cart")
	out.Source = edge
	for range 60 {
		c.add("edge-1", seen(in, 50, 5), seen(out, 50, 5))
		c.add("cart-1", seen(key(signal.Server, "edge", "cart"), 25, 1), seen(key(signal.Client, "cart", "orders"), 10, 0))
		c.add("cart-2", seen(key(signal.Server, "edge", "cart"), 24, 1))
		c.now = c.now.Add(5 * time.Second)
	}
	g := c.graph(signals.Query{Window: 5 * time.Minute})
	var ids []string
	for _, n := range g.Nodes {
		ids = append(ids, n.Kind+" "+n.ID)
	}
	if want := []string{"internet internet", "service shop/cart", "edge shop/edge", "service shop/orders"}; !slices.Equal(ids, want) {
		t.Errorf("%q", ids)
	}
	if len(g.Edges) != 3 || g.Resolution != 60 || g.State.Proxies != 3 {
		t.Fatalf("%+v", g)
	}
	e := g.Edges[2]
	if e.ID != "shop/edge>shop/cart" || e.Count != 3000 || !near(e.Requests, 10) || !near(e.Errors, 0.1) || e.MutualTLS != 1 || !slices.Equal(e.ReportedBy, []string{"client", "server"}) || e.Protocol != "HTTP" {
		t.Errorf("%+v", e)
	}
	if e.P50 < 800*time.Microsecond || e.P99 > 1200*time.Microsecond || !near(e.Classes[2], 9) || !near(e.Classes[5], 1) || !near(e.ResponseBytes, 1000) {
		t.Errorf("%+v", e)
	}
	if len(e.Routes) != 1 || e.Routes[0].Route != "HTTPRoute/shop/cart" || !near(e.Routes[0].Requests, 10) {
		t.Errorf("%+v", e.Routes)
	}
	if e := g.Edges[0]; e.Source != "internet" || e.MutualTLS != 0 || !slices.Equal(e.ReportedBy, []string{"server"}) {
		t.Errorf("%+v", e)
	}
	cart := g.Nodes[1]
	if cart.In.Count != 3000 || cart.Out.Count != 600 || cart.Proxies != 2 {
		t.Errorf("%+v", cart)
	}
	if g := c.graph(signals.Query{Window: 5 * time.Minute, Namespace: "bank"}); len(g.Edges) != 0 || g.Edges == nil || len(g.Nodes) != 0 {
		t.Errorf("%+v", g)
	}
	c.now = c.now.Add(time.Hour)
	if g := c.graph(signals.Query{Window: 5 * time.Minute}); len(g.Edges) != 0 || g.State.Proxies != 0 {
		t.Errorf("after an hour: %+v", g.Edges)
	}
	if g := c.graph(signals.Query{Window: 2 * time.Hour}); len(g.Edges) != 3 || g.Edges[2].Count != 3000 || g.Resolution != 600 {
		t.Errorf("after an hour, of two: %+v", g.Edges)
	}
	c.now = c.now.Add(20 * time.Hour)
	if g := c.graph(signals.Query{Window: 24 * time.Hour}); len(g.Edges) != 3 || g.Edges[2].Count != 3000 || g.Resolution != 600 {
		t.Errorf("after a day: %+v", g.Edges)
	}
}

// A report that comes twice counts once; a process that begins anew is another.
func TestReportsCountOnce(t *testing.T) {
	c := table(t, 0)
	b := &signals.Batch{Proxy: "a", Incarnation: 7, Sequence: 1, Edges: []signal.Edge{seen(key(signal.Client, "a", "b"), 10, 0)}}
	if !c.Add(b) || c.Add(b) {
		t.Error("heard twice")
	}
	again := *b
	again.Incarnation = 8
	if !c.Add(&again) {
		t.Error("a new process was not heard")
	}
	if g := c.graph(signals.Query{Window: time.Minute}); len(g.Edges) != 1 || g.Edges[0].Count != 20 {
		t.Errorf("%+v", g.Edges)
	}
}

// What a proxy has seen while nobody listened is spread over that time.
func TestLongReports(t *testing.T) {
	c := table(t, 0)
	c.now = noon.Add(10*time.Minute + 5*time.Second)
	c.Add(&signals.Batch{Proxy: "a", Sequence: 1, Age: 5 * time.Second, Length: 5 * time.Minute, Edges: []signal.Edge{seen(key(signal.Client, "a", "b"), 1000, 7)}})
	s, err := c.Series(signals.Query{Window: 10 * time.Minute, Of: signals.Subject{Destination: "shop/b"}})
	if err != nil {
		t.Fatal(err)
	}
	sum, most := uint64(0), uint64(0)
	for _, p := range s.Points {
		sum += p.Count
		most = max(most, p.Count)
	}
	if g := c.graph(signals.Query{Window: 15 * time.Minute}); g.Edges[0].Count != 1000 || math.Abs(g.Edges[0].Errors-0.007) > 1e-9 {
		t.Errorf("%+v", g.Edges)
	}
	if sum < 960 || most > 40 {
		t.Errorf("%d, of which %d in 10 seconds", sum, most)
	}
}

func TestOpen(t *testing.T) {
	c := table(t, 0)
	open := func(side signal.Side, n int64) signal.Edge {
		k := key(side, "cart", "db")
		k.Protocol = signal.TCP
		return signal.Edge{Key: k, Open: n}
	}
	c.add("cart-1", open(signal.Client, 2))
	c.add("cart-2", open(signal.Client, 3))
	c.add("db-1", open(signal.Server, 5))
	g := c.graph(signals.Query{Window: time.Minute})
	if len(g.Edges) != 1 || g.Edges[0].Open != 5 || g.Edges[0].Protocol != "TCP" || g.Edges[0].Count != 0 || g.Nodes[1].Open != 5 {
		t.Errorf("%+v", g)
	}
	c.add("cart-1")
	if g := c.graph(signals.Query{Window: time.Minute}); g.Edges[0].Open != 5 { // the server's side says so
		t.Errorf("%+v", g.Edges)
	}
	c.now = c.now.Add(time.Minute)
	if g := c.graph(signals.Query{Window: time.Minute}); len(g.Edges) != 0 {
		t.Errorf("of proxies that are gone: %+v", g.Edges)
	}
}

func TestSeries(t *testing.T) {
	c := table(t, 0)
	for i := range 90 { // 15 minutes; in the second five of each ten seconds nothing fails
		failed := uint64(i % 2)
		c.add("a", seen(key(signal.Client, "a", "b"), 10, failed), seen(key(signal.Client, "a", "c"), 1, 0))
		c.now = c.now.Add(10 * time.Second)
	}
	for _, tt := range []struct {
		q      signals.Query
		points int
		step   float64
		count  uint64
	}{
		{signals.Query{Window: 10 * time.Minute, Of: signals.Subject{Source: "shop/a", Destination: "shop/b"}}, 60, 10, 600},
		{signals.Query{Window: 10 * time.Minute, Of: signals.Subject{Destination: "shop/c"}}, 60, 10, 60},
		{signals.Query{Window: 10 * time.Minute, Of: signals.Subject{Route: "HTTPRoute/shop/b"}}, 60, 10, 600},
		{signals.Query{Window: 10 * time.Minute}, 60, 10, 660},
		{signals.Query{Window: 10 * time.Minute, Step: 30 * time.Second}, 20, 30, 660},
		{signals.Query{Window: 10 * time.Minute, Step: time.Minute}, 10, 60, 660},
		{signals.Query{Window: time.Hour}, 60, 60, 924},
		{signals.Query{Window: 24 * time.Hour}, 144, 600, 660}, // the last ten minutes are not whole
		{signals.Query{Window: 10 * time.Second}, 1, 10, 11},
	} {
		s, err := c.Series(tt.q)
		if err != nil {
			t.Fatal(err)
		}
		sum := uint64(0)
		for i, p := range s.Points {
			sum += p.Count
			if want := s.From.Add(time.Duration(float64(i) * s.Step * 1e9)); !p.At.Equal(want) {
				t.Errorf("%+v: point %d is at %s", tt.q, i, p.At)
			}
		}
		if len(s.Points) != tt.points || s.Step != tt.step || math.Abs(float64(sum)-float64(tt.count)) > 0.02*float64(tt.count)+11 || s.Total.Count != sum {
			t.Errorf("%+v: %d points of %gs, %d and %d requests", tt.q, len(s.Points), s.Step, sum, s.Total.Count)
		}
		if last := s.To; last.After(c.now) {
			t.Errorf("%+v: ends at %s", tt.q, last)
		}
	}
	if _, err := c.Series(signals.Query{Window: time.Hour, Of: signals.Subject{Destination: "shop/x"}}); err != signals.ErrUnknown {
		t.Error(err)
	}
}

// An edge tells of a request twice: as what came in, and as what it has sent on.
func TestRouteCountsOnce(t *testing.T) {
	c := table(t, 0)
	edge := signal.Of(signal.Party{Kind: signal.EdgeProxy, Namespace: "shop", Name: "edge"})
	in, out := key(signal.Server, "", "cart"), key(signal.Client, "", "cart")
	in.Source, in.Destination, out.Source = signal.TheInternet, edge, edge
	canary := out
	canary.Destination = service("cart-v2")
	for range 30 {
		c.add("edge-1", seen(in, 50, 2), seen(out, 40, 0), seen(canary, 8, 0)) // two reached nobody
		c.add("orders-1", seen(key(signal.Client, "orders", "cart"), 7, 0))
		c.now = c.now.Add(5 * time.Second)
	}
	for of, want := range map[string]float64{"route:HTTPRoute/shop/cart": 30 * 57, "from:internet": 30 * 50, "from:shop/edge": 30 * 48} {
		q := signals.Query{Window: 10 * time.Minute}
		q.Of, _ = signals.ParseSubject(of)
		s, err := c.Series(q)
		if err != nil {
			t.Fatal(err)
		}
		// The last step is not whole.
		if got := float64(s.Total.Count); got > want || got < want*0.9 {
			t.Errorf("%s: %g requests, not %g", of, got, want)
		}
	}
}

// Where memory is scarce the past is given up before edges are folded.
func TestHistoryIsGivenUpFirst(t *testing.T) {
	c := table(t, signals.MinMemory)
	var edges []signal.Edge
	for k := range 300 {
		edges = append(edges, seen(key(signal.Client, "a", fmt.Sprintf("s%d", k)), 3, 1))
	}
	for range 400 {
		c.add("a", edges...)
		c.now = c.now.Add(30 * time.Second)
	}
	s := c.State()
	if s.Memory > s.Limit || s.Folded != 0 || s.Edges != 300 || s.History >= 24*3600 {
		t.Errorf("%+v", s)
	}
	if g := c.graph(signals.Query{Window: 5 * time.Minute}); len(g.Edges) != 300 || g.Edges[0].Count < 30 {
		t.Errorf("%d edges, %+v", len(g.Edges), g.Edges[0])
	}
}

// Memory is bounded; what does not fit is folded, and nothing goes uncounted.
func TestMemoryIsBounded(t *testing.T) {
	c := table(t, signals.MinMemory)
	total := uint64(0)
	for i := range 200 {
		var edges []signal.Edge
		for k := range 50 {
			edges = append(edges, seen(key(signal.Client, "a", fmt.Sprintf("s%d", i*50+k)), 3, 1))
			total += 3
		}
		c.add("a", edges...)
		c.now = c.now.Add(2 * time.Second)
		if s := c.State(); s.Memory > s.Limit {
			t.Fatalf("%d bytes of %d", s.Memory, s.Limit)
		}
	}
	g := c.graph(signals.Query{Window: 15 * time.Minute})
	sum := uint64(0)
	for _, e := range g.Edges {
		sum += e.Count
	}
	if sum != total || g.State.Folded == 0 || g.State.Edges+int(g.State.Folded) < 10_000 {
		t.Errorf("%d of %d requests, %+v", sum, total, g.State)
	}
	if last := g.Edges[len(g.Edges)-1]; last.Destination == "other" {
		t.Errorf("the newest was folded: %+v", last)
	}
	c.now = c.now.Add(25 * time.Hour)
	c.add("b")
	if s := c.State(); s.Edges != 0 || s.Memory > 2000 {
		t.Errorf("after a day: %+v", s)
	}
}

// A process that is gone has nothing open, also while another one of the same workload has,
// and is none that reports; one that only lost its connection is back with its next report.
func TestWhoIsGone(t *testing.T) {
	c := table(t, 0)
	open := signal.Edge{Key: key(signal.Client, "cart", "db"), Open: 4}
	tell := func(incarnation, sequence uint64) {
		t.Helper()
		if !c.Add(&signals.Batch{Proxy: "cart", Incarnation: incarnation, Sequence: sequence, Who: service("cart"), Length: 5 * time.Second, Edges: []signal.Edge{open}}) {
			t.Fatal("heard before")
		}
	}
	want := func(what string, proxies int, connections int64) {
		t.Helper()
		g := c.graph(signals.Query{Window: time.Minute})
		got, told := int64(0), 0
		for _, e := range g.Edges {
			got += e.Open
		}
		for _, n := range g.Nodes {
			if n.ID == "shop/cart" {
				told = n.Proxies
			}
		}
		if got != connections || g.State.Proxies != proxies || proxies > 0 && told != proxies {
			t.Errorf("%s: %d are open, with %d and %d proxies", what, got, g.State.Proxies, told)
		}
	}
	tell(1, 1)
	want("one", 1, 4)
	memory := c.State().Memory
	c.Gone("cart", 1)
	c.Gone("cart", 9) // whom nobody knows
	want("none", 0, 0)
	tell(2, 1)
	want("its next process", 1, 4)
	tell(1, 2)
	want("both", 2, 8)
	c.Gone("cart", 2)
	want("the first", 1, 4)
	if m := c.State().Memory; m < memory || m > memory+1000 {
		t.Errorf("%d bytes, and %d before", m, memory)
	}
}

// Reports that come in another order, as other control planes may tell of them, count once
// each.
func TestReportsOutOfOrder(t *testing.T) {
	c := table(t, 0)
	add := func(sequence uint64) bool {
		return c.Add(&signals.Batch{Proxy: "p", Incarnation: 1, Sequence: sequence, Length: 5 * time.Second, Edges: []signal.Edge{seen(key(signal.Client, "cart", "orders"), 1, 0)}})
	}
	for _, x := range []struct {
		sequence uint64
		fresh    bool
	}{{3, true}, {1, true}, {3, false}, {1, false}, {2, true}, {2, false}, {70, true}, {5, false}, {6, true}, {6, false}, {69, true}, {200, true}, {70, false}, {199, true}, {200, false}} {
		if got := add(x.sequence); got != x.fresh {
			t.Errorf("report %d: counted is %v", x.sequence, got)
		}
	}
	g, err := c.Graph(signals.Query{Window: time.Minute})
	if err != nil || len(g.Edges) != 1 || g.Edges[0].Count != 8 {
		t.Errorf("%+v, %v", g, err)
	}
}

// A clock that was ahead and is set back: the present counts as at any time, what was in the
// future is gone, takes no memory and does not count when its time comes.
func TestAClockThatIsSetBack(t *testing.T) {
	c := table(t, 0)
	total := func(window time.Duration) (n uint64) {
		t.Helper()
		g := c.graph(signals.Query{Window: window})
		for _, e := range g.Edges {
			n += e.Count
		}
		if g.From.After(g.To) || g.State.Since.After(c.now) {
			t.Errorf("from %s to %s, since %s", g.From, g.To, g.State.Since)
		}
		return n
	}
	k := key(signal.Client, "cart", "orders")
	c.add("cart", seen(k, 1, 0))
	const ahead = 300 * 24 * time.Hour
	c.now = c.now.Add(ahead)
	for range 2000 {
		c.now = c.now.Add(30 * time.Second)
		c.add("cart", seen(k, 1, 0), seen(key(signal.Client, "cart", "future"), 1, 0))
	}
	high := c.State().Memory
	c.now = noon.Add(30 * time.Second)
	c.add("cart", seen(k, 10, 0))
	if s := c.State(); s.Edges != 1 || s.Memory > high/4 || s.Proxies != 1 {
		t.Errorf("%d edges, %d proxies and %d bytes of %d are left", s.Edges, s.Proxies, s.Memory, high)
	}
	for _, window := range []time.Duration{10 * time.Second, time.Hour, signals.Most} {
		if n := total(window); n < 10 || n > 11 {
			t.Errorf("%d requests in the last %s", n, window)
		}
	}
	c.now = noon.Add(ahead + 1000*30*time.Second)
	if n := total(signals.Most); n != 0 {
		t.Errorf("%d requests of a time that was not yet", n)
	}
	// A few seconds, as clocks are set every day, cost nothing that was seen.
	c = table(t, 0)
	c.add("cart", seen(k, 5, 0))
	c.now = c.now.Add(-20 * time.Second)
	c.add("cart", seen(k, 5, 0))
	c.now = c.now.Add(time.Minute)
	if n := total(time.Hour); n != 10 {
		t.Errorf("%d requests of 10", n)
	}
	// A process that has begun in the future.
	c = table(t, 0)
	c.now = noon.Add(-ahead)
	c.add("cart", seen(k, 5, 0))
	if n := total(time.Hour); n != 5 {
		t.Errorf("%d requests of 5", n)
	}
}
