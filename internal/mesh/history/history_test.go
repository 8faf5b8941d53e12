package history_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/mesh/history"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(statetest.Stopping{TestingM: m}) }

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// process is a Table with a history, whose clock stands still.
type process struct {
	*history.History
	t        *testing.T
	table    *signals.Table
	sequence uint64
	clock    *clock
	stop     func()
}

type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, place string) *statedb.DB {
	t.Helper()
	at, err := statedb.ParseLocation(place, "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// start has read what there is, and writes when it ends.
func start(t *testing.T, db *statedb.DB, c *clock, keep time.Duration) *process {
	t.Helper()
	p := &process{t: t, clock: c, table: signals.New(signals.Options{Now: c.Now})}
	p.History = history.New(history.Options{DB: db, Table: p.table, Keep: keep, Now: c.Now, Every: time.Millisecond})
	if err := p.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	p.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(p.stop)
	return p
}

// sees has n requests from cart to orders in the last five seconds, of which some failed.
func (p *process) sees(n, failed uint64) {
	p.sequence++
	who := func(name string) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
	}
	e := signal.Edge{Key: signal.Key{Source: who("cart"), Destination: who("orders"), Route: signal.RouteOf("HTTPRoute/shop/orders/rules/0"), Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true}}
	e.Classes[2], e.Classes[5], e.Errors = n-failed, failed, failed
	e.Latency[latency.Bucket(time.Millisecond)] = n
	p.table.Add(&signals.Batch{Proxy: "cart", Incarnation: 1, Sequence: p.sequence, Length: 5 * time.Second, Edges: []signal.Edge{e}})
}

// graph is how many requests a window has, and how many edges.
func (p *process) graph(window time.Duration) (requests uint64) {
	p.t.Helper()
	g, err := p.Graph(p.t.Context(), signals.Query{Window: window})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range g.Edges {
		requests += e.Count
	}
	return requests
}

// series is the points of a window that have something, "requests/errors".
func (p *process) series(window time.Duration) (text string, total uint64) {
	p.t.Helper()
	s, err := p.Series(p.t.Context(), signals.Query{Window: window, Of: signals.Subject{Source: "shop/cart", Destination: "shop/orders"}})
	if err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for _, x := range s.Points {
		if x.Count > 0 {
			out = append(out, fmt.Sprintf("%d/%.1f", x.Count, x.Errors))
		}
	}
	return strings.Join(out, " "), s.Total.Count
}

// A process that starts again knows what was before, also in windows that memory does not
// reach; and what is older than wanted is dropped.
func TestHistory(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db, c := open(t, place), &clock{now: noon}
		p := start(t, db, c, 72*time.Hour)
		for range 4 { // an hour and a half, with forty requests in each half
			p.sees(40, 4)
			c.pass(30 * time.Minute)
		}
		p.sees(7, 0)
		p.stop()
		c.pass(time.Second)
		p = start(t, db, c, 72*time.Hour)
		if n := p.graph(24 * time.Hour); n != 167 {
			t.Errorf("%d requests after a start", n)
		}
		if n := p.graph(time.Minute); n != 0 {
			t.Errorf("%d requests at a resolution of which nothing is known", n)
		}
		if n := p.graph(30 * time.Minute); n < 7 {
			t.Errorf("%d requests in the last half hour", n)
		}
		p.sees(1, 0)
		if n := p.graph(72 * time.Hour); n != 168 {
			t.Errorf("%d requests in three days", n)
		}
		if s, n := p.series(24 * time.Hour); n < 160 || !strings.HasPrefix(s, "40/0.1 40/0.1") {
			t.Errorf("series of a day: %s", s)
		}

		p.stop() // which writes the last of it
		p = start(t, db, c, 72*time.Hour)
		c.pass(30 * time.Hour) // memory forgets
		p.sees(5, 0)
		if n := p.graph(24 * time.Hour); n != 5 {
			t.Errorf("%d requests in the last day", n)
		}
		if n := p.graph(72 * time.Hour); n != 173 {
			t.Errorf("%d requests in three days, of which one is in memory", n)
		}
		c.pass(time.Hour)
		if s, n := p.series(72 * time.Hour); n != 173 || s != "80/0.1 80/0.1 8/0.0 5/0.0" {
			t.Errorf("series of three days: %d, %s", n, s)
		}
		p.stop()

		p = start(t, db, c, 24*time.Hour)
		p.sees(1, 0)
		p.stop()
		var slots []int64
		err := db.Read(t.Context(), func(tx *statedb.Tx) error {
			slots = nil
			return tx.SignalHistory(t.Context(), 0, c.Now().Unix()+1, 100, func(h *statedb.SignalHistory) error {
				slots = append(slots, h.Slot)
				return nil
			})
		})
		if err != nil || len(slots) != 2 {
			t.Errorf("kept a day: %d, %v", slots, err)
		}
	})
}

// Who knows of less does not overwrite what another one has written.
func TestTheFullerRowStays(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db, c := open(t, place), &clock{now: noon}
		one, two := start(t, db, c, 24*time.Hour), start(t, db, c, 24*time.Hour)
		one.sees(50, 0)
		two.sees(20, 0)
		one.stop()
		two.stop()
		c.pass(time.Second)
		if n := start(t, db, c, 24*time.Hour).graph(24 * time.Hour); n != 50 {
			t.Errorf("%d requests", n)
		}
	})
}

// A row that somebody has damaged is left out, and the others are read.
func TestDamagedRows(t *testing.T) {
	db, c := open(t, "sqlite:"+t.TempDir()+"/state.db"), &clock{now: noon}
	p := start(t, db, c, 24*time.Hour)
	p.sees(3, 0)
	p.stop()
	for i, content := range []string{"", "no base64", "H4sIAAAAAAAA/w==", "aGVsbG8="} {
		err := db.Write(t.Context(), func(tx *statedb.Tx) error {
			at := noon.Add(-time.Duration(i+1) * signals.Step)
			return tx.PutSignalHistory(t.Context(), &statedb.SignalHistory{Slot: at.Unix(), Until: at.UnixMilli() + 1, Requests: 1, Content: content})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := start(t, db, c, 24*time.Hour).graph(24 * time.Hour); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// A workload whose proxy makes up numbers and thousands of edges neither keeps rows from
// being read again nor hides in them what others have done.
func TestLiesCostNobodyElseARow(t *testing.T) {
	db, c := open(t, "sqlite:"+t.TempDir()+"/state.db"), &clock{now: noon}
	p := start(t, db, c, 24*time.Hour)
	who := func(name string) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: name})
	}
	for n := range uint64(40) {
		b := &signals.Batch{Proxy: "mallory", Incarnation: 1, Sequence: n + 1, Length: 5 * time.Second}
		for k := range signal.MaxEdges - 1 {
			e := signal.Edge{Key: signal.Key{Source: who("mallory"), Destination: who(fmt.Sprint("s", n%2, "-", k)), Side: signal.Client, Protocol: signal.HTTP}}
			e.Classes[2] = 1 << 20
			if k == 0 {
				e.Classes[2], e.In = 1<<50, 1<<60
			}
			e.Latency[3] = e.Classes[2]
			b.Edges = append(b.Edges, e)
		}
		p.table.Add(b)
	}
	p.sees(3, 0)
	p.stop()
	p = start(t, db, c, 24*time.Hour)
	g, err := p.Graph(t.Context(), signals.Query{Window: 24 * time.Hour})
	if err != nil || len(g.Edges) < history.MaxEdges-2 {
		t.Fatalf("%d edges, %v", len(g.Edges), err)
	}
	for _, e := range g.Edges {
		if e.ID == "shop/cart>shop/orders" && e.Count == 3 {
			return
		}
	}
	t.Error("what others have done is not told apart")
}

// A clock that was ahead and is set back: the rows of the present are written at once, and
// what the store had of the present stays.
func TestHistoryOfAClockThatIsSetBack(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db, c := open(t, place), &clock{now: noon}
		written := func(at time.Time) (n int64) {
			t.Helper()
			err := db.Read(t.Context(), func(tx *statedb.Tx) error {
				n = 0
				return tx.SignalHistory(t.Context(), at.Unix(), at.Unix()+1, 1, func(h *statedb.SignalHistory) error {
					n = h.Requests
					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		wait := func(at time.Time, want int64) {
			t.Helper()
			for end := time.Now().Add(30 * time.Second); written(at) != want; {
				if time.Now().After(end) {
					t.Fatalf("%d requests are written at %s, not %d", written(at), at, want)
				}
			}
		}
		p := start(t, db, c, 24*time.Hour)
		p.sees(3, 0)
		wait(noon, 3)
		c.pass(5 * time.Hour)
		p.sees(7, 0)
		wait(noon.Add(5*time.Hour), 7)
		c.pass(time.Hour) // that row is done
		p.sees(2, 0)
		wait(noon.Add(6*time.Hour), 2)
		c.pass(-6*time.Hour + signals.Step)
		p.sees(11, 1)
		wait(noon.Add(signals.Step), 11)
		p.stop()
		p = start(t, db, c, 24*time.Hour)
		if n := p.graph(time.Hour); n != 14 {
			t.Errorf("%d requests after a restart", n)
		}
	})
}

// BenchmarkRow is what a row of as many edges as there may be costs, with its bytes in the
// store.
func BenchmarkRow(b *testing.B) {
	c := &clock{now: noon}
	table := signals.New(signals.Options{Now: c.Now, Memory: 256 << 20})
	for n := range 120 {
		batch := &signals.Batch{Proxy: "p", Incarnation: 1, Sequence: uint64(n + 1), Length: 5 * time.Second}
		for i := range history.MaxEdges {
			who := func(n int) signal.Who {
				return signal.Of(signal.Party{Kind: signal.Service, Namespace: "shop", Name: fmt.Sprint("service-", n%1000)})
			}
			e := signal.Edge{Key: signal.Key{Source: who(i), Destination: who(i*7 + 1 + i/1000), Route: signal.RouteOf(fmt.Sprintf("HTTPRoute/shop/service-%d/rules/0", (i*7+1+i/1000)%1000)), Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true}}
			for k := range 12 {
				e.Latency[20+(i*13+k*(n%5+1))%24]++
			}
			e.Classes[2], e.Nanos, e.In, e.Out = 12, uint64(40e6+i*1000), uint64(2000+i), uint64(90_000+i*3)
			batch.Edges = append(batch.Edges, e)
		}
		table.Add(batch)
		c.pass(5 * time.Second)
	}
	at, err := statedb.ParseLocation("sqlite:"+b.TempDir()+"/state.db", "")
	if err != nil {
		b.Fatal(err)
	}
	db, err := statedb.Open(b.Context(), statedb.Options{Location: at})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		history.New(history.Options{DB: db, Table: table, Keep: time.Hour, Now: func() time.Time { return noon.Add(9 * time.Minute) }, Every: time.Hour}).Run(ctx)
	}
	err = db.Read(b.Context(), func(tx *statedb.Tx) error {
		return tx.SignalHistory(b.Context(), 0, noon.Add(time.Hour).Unix(), 1, func(h *statedb.SignalHistory) error {
			b.ReportMetric(float64(len(h.Content)), "bytes/row")
			b.ReportMetric(float64(h.Edges), "edges/row")
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
}
