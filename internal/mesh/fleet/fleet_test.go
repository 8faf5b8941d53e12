package fleet_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/statedb"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func proxy(name string, state distrib.State, since time.Time) *distrib.ProxyStatus {
	return &distrib.ProxyStatus{Name: name, State: state, Since: since}
}

func report(control string, version uint64, sum distrib.Summary, proxies ...*distrib.ProxyStatus) *fleet.Report {
	return fleet.NewReport(control, proxies, map[string]*distrib.Summary{"HTTPRoute/shop/cart": &sum}, func(string) uint64 { return version })
}

func TestMerge(t *testing.T) {
	late := distrib.Other{Proxy: "b", State: distrib.StatePending, Why: "has not answered yet"}
	own := report("one", 7, distrib.Summary{Proxies: 2, Serving: 1, Others: []distrib.Other{late}},
		proxy("moved", distrib.StateGone, noon.Add(time.Minute)), proxy("b", distrib.StatePending, noon))
	other := report("two", 7, distrib.Summary{Proxies: 3, Serving: 3}, proxy("moved", distrib.StateServing, noon), proxy("a", distrib.StateServing, noon))
	behind := report("three", 6, distrib.Summary{Proxies: 4, Serving: 4})
	f := fleet.Merge(own, other, behind)
	var names []string
	for _, p := range f.Proxies {
		names = append(names, p.Name+" at "+p.Control)
	}
	if got := strings.Join(names, ", "); got != "a at two, b at one, moved at two" {
		t.Errorf("proxies: %s", got)
	}
	r := f.Objects["HTTPRoute/shop/cart"]
	if r.Proxies != 9 || r.Serving != 4 || len(r.Others) != 2 || r.Others[1].Why != "their control plane has another version of it" {
		t.Errorf("the route: %+v", r)
	}
	if own := own.Objects["HTTPRoute/shop/cart"]; own.Proxies != 2 || len(own.Others) != 1 {
		t.Errorf("the report has changed: %+v", own)
	}
}

// replica is a control plane whose report can be set.
type replica struct {
	*fleet.Shared
	report atomic.Pointer[fleet.Report]
	moment atomic.Uint64
	mu     sync.Mutex
	known  map[string]time.Time
	made   atomic.Int64
	stop   func()
}

func share(t *testing.T, db *statedb.DB, name string) *replica {
	r := &replica{}
	r.report.Store(&fleet.Report{Control: name})
	r.Shared = fleet.Share(fleet.SharedOptions{
		DB: db, Every: 5 * time.Millisecond, Moment: r.moment.Load,
		Collect: func() *fleet.Report { r.made.Add(1); return r.report.Load() },
		Elsewhere: func(since map[string]time.Time) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.known = since
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_ = r.Run(ctx)
		close(done)
	}()
	r.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(r.stop)
	return r
}

func (r *replica) say(p *fleet.Report) {
	r.report.Store(p)
	r.moment.Add(1)
}

func (r *replica) hears(t *testing.T, what string, holds func([]*fleet.Report) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds(r.Others()) {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}

func TestReplicasTellEachOther(t *testing.T) {
	at, err := statedb.ParseLocation("sqlite:"+t.TempDir()+"/state.db", "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{Location: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	one := share(t, db, "one")
	one.say(report("one", 7, distrib.Summary{Proxies: 1, Serving: 1}, proxy("a", distrib.StateServing, noon)))
	two := share(t, db, "two")
	two.hears(t, "what the first has", func(list []*fleet.Report) bool { return len(list) == 1 && len(list[0].Proxies) == 1 })
	one.hears(t, "that there is another", func(list []*fleet.Report) bool { return len(list) == 1 && list[0].Control == "two" })
	two.mu.Lock()
	if !two.known["a"].Equal(noon) {
		t.Errorf("proxies that are elsewhere: %v", two.known)
	}
	two.mu.Unlock()
	one.say(report("one", 7, distrib.Summary{Proxies: 1}, proxy("a", distrib.StateRefused, noon)))
	two.hears(t, "the change", func(list []*fleet.Report) bool {
		return len(list) == 1 && list[0].Objects["HTTPRoute/shop/cart"].Serving == 0 && list[0].Proxies[0].State == distrib.StateRefused
	})
	made := one.made.Load()
	one.stop()
	two.hears(t, "that the first has ended", func(list []*fleet.Report) bool { return len(list) == 0 })
	if now := one.made.Load(); now != made {
		t.Errorf("%d reports were made of what did not change", now-made)
	}
}
