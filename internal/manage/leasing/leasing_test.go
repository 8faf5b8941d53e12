package leasing_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/manage/leasing"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

func window() budget.Limit {
	begin := time.Now().Unix() - 3600
	return budget.Limit{Amount: 1000, Begin: begin, End: begin + 86_400}
}

func keyed(counter string, n int, l budget.Limit, waiting int64) budget.Ask {
	a := budget.Ask{Counter: counter, Limit: l, Waiting: waiting, Least: 1}
	a.Key[0], a.Key[1] = byte(n), byte(n>>8)
	return a
}

// TestTogether: several who ask at once get all of each budget, and no more.
func TestTogether(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		const keys, holders = 5, 6
		l := window()
		var sums [keys]atomic.Int64
		var all sync.WaitGroup
		for h := range holders {
			all.Go(func() {
				a := &leasing.Authority{DB: statetest.Open(t, place)}
				for {
					var asks []budget.Ask
					for k := range keys { // in an order of its own
						asks = append(asks, keyed("q", (k+h)%keys, l, int64(1+h)))
					}
					grants, err := a.Lease(t.Context(), fmt.Sprint("holder", h), asks)
					if err != nil {
						t.Error(err)
						return
					}
					got := int64(0)
					for i, g := range grants {
						sums[asks[i].Key[0]].Add(g.Units)
						got += g.Units
					}
					if got == 0 {
						return
					}
				}
			})
		}
		all.Wait()
		for k := range sums {
			if n := sums[k].Load(); n != l.Amount {
				t.Errorf("key %d: %d of %d were granted", k, n, l.Amount)
			}
		}
	})
}

// A budget is the same one after the store was closed and opened, and of another
// counter another.
func TestKept(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		l := window()
		for i, want := range []int64{600, 400, 0} {
			db := statetest.Open(t, place)
			g, err := (&leasing.Authority{DB: db}).Lease(t.Context(), fmt.Sprint(i), []budget.Ask{keyed("a", 1, l, 600), keyed("b", 1, l, 1)})
			if err != nil {
				t.Fatal(err)
			}
			if g[0].Units != want || g[1].Units != 1 {
				t.Errorf("%d: %+v", i, g)
			}
			if off := time.Since(time.Unix(0, g[0].Now)).Abs(); off > time.Minute {
				t.Errorf("the store's clock is off by %s", off)
			}
		}
	})
}

// What expired long ago is forgotten, and nothing else.
func TestForget(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a := &leasing.Authority{DB: statetest.Open(t, place)}
		old := budget.Limit{Unit: 1, Burst: 10}
		if _, err := a.Lease(t.Context(), "h", []budget.Ask{keyed("a", 1, window(), 1), keyed("old", 1, old, 1)}); err != nil {
			t.Fatal(err)
		}
		if more, err := a.Forget(t.Context()); err != nil || more {
			t.Errorf("what is young is forgotten: %t, %v", more, err)
		}
	})
}

// Hundreds of keys are leased at once.
func TestMany(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		a := &leasing.Authority{DB: statetest.Open(t, place)}
		l := window()
		var asks []budget.Ask
		for k := range leasing.MaxAsks {
			asks = append(asks, keyed("q", k, l, 1))
		}
		for range 2 {
			grants, err := a.Lease(t.Context(), "h", asks)
			if err != nil {
				t.Fatal(err)
			}
			for i, g := range grants {
				if g.Units != 1 {
					t.Fatalf("%d: %+v", i, g)
				}
			}
		}
	})
}
