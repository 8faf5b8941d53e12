package lease_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/proxy/limit/lease"
)

func places(n int64) lease.Charge {
	return lease.Charge{Counter: "p", Places: n, Cost: 1, MaxKeys: 1000}
}

// enter takes a place, or is nil.
func enter(t *testing.T, s *lease.Store, c lease.Charge) *lease.Place {
	t.Helper()
	list := []lease.Charge{c}
	if err := s.Take(list, timeout, nil); err != nil {
		t.Fatal(err)
	}
	if list[0].Refused == (list[0].Place != nil) {
		t.Errorf("refused %t, and a place %t", list[0].Refused, list[0].Place != nil)
	}
	return list[0].Place
}

func exact(l *ledger, name string) *lease.Store {
	return lease.Open(lease.Options{
		Name: name, Holder: name, Source: l, Metrics: unmetered{}, Log: slog.New(slog.DiscardHandler), Exact: true,
		Now: func() int64 { return time.Now().UnixNano() },
	})
}

// both runs a test with stores that keep places, and with such that do not.
func both(t *testing.T, f func(t *testing.T, open func(*ledger, string) *lease.Store, isExact bool)) {
	for name, open := range map[string]func(*ledger, string) *lease.Store{"kept": store, "exact": exact} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, open, name == "exact") })
		})
	}
}

// TestPlacesTogether: several together never have more requests in progress than there
// are places, and all places are had.
func TestPlacesTogether(t *testing.T) {
	both(t, func(t *testing.T, open func(*ledger, string) *lease.Store, _ bool) {
		l := &ledger{delay: time.Millisecond}
		const most, proxies = 24, 3
		var inside, highest atomic.Int64
		var all sync.WaitGroup
		var stores []*lease.Store
		served := make([]int, proxies)
		for p := range proxies {
			s := open(l, fmt.Sprint(p))
			stores = append(stores, s)
			var mu sync.Mutex
			for w := range 16 {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(p), uint64(w)))
					for begun := time.Now(); time.Since(begun) < 30*time.Second; {
						place := enter(t, s, places(most))
						if place == nil {
							time.Sleep(30 * time.Millisecond)
							continue
						}
						now := inside.Add(1)
						for was := highest.Load(); now > was && !highest.CompareAndSwap(was, now); was = highest.Load() {
						}
						time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
						if r.IntN(500) == 0 {
							time.Sleep(12 * time.Second) // a long one is renewed
						}
						inside.Add(-1)
						place.Leave()
						mu.Lock()
						served[p]++
						mu.Unlock()
					}
				})
			}
		}
		all.Wait()
		if n := highest.Load(); n != most {
			t.Errorf("%d were in progress, there are %d places", n, most)
		}
		for p, n := range served {
			if n < 200 {
				t.Errorf("proxy %d has served %d", p, n)
			}
		}
		time.Sleep(5 * time.Second)
		for _, s := range stores {
			if n := s.Keys("", "p"); n != 0 {
				t.Errorf("%d keys are held", n)
			}
		}
		got := 0
		for enter(t, stores[0], places(most)) != nil {
			got++
		}
		if got != most {
			t.Errorf("%d places are free of %d", got, most)
		}
		closing(stores...)
	})
}

// TestPlaceAgain: whoever is done can begin the next at once, and where places are not
// kept others can.
func TestPlaceAgain(t *testing.T) {
	both(t, func(t *testing.T, open func(*ledger, string) *lease.Store, _ bool) {
		l := &ledger{delay: 5 * time.Millisecond}
		one, other := open(l, "one"), open(l, "other")
		for i := range 100 {
			place := enter(t, one, places(1))
			if place == nil {
				t.Fatalf("request %d was refused", i)
			}
			place.Leave()
		}
		time.Sleep(10 * time.Millisecond)
		if enter(t, other, places(1)) == nil {
			t.Error("the place is not free for others")
		}
		closing(one, other)
	})
}

// TestPlacesOfDead: the places of a proxy that dies come back after ten seconds, those
// of one that is closed at once, and those of one that lives never.
func TestPlacesOfDead(t *testing.T) {
	both(t, func(t *testing.T, open func(*ledger, string) *lease.Store, _ bool) {
		l := &ledger{}
		dead, closed, living, last := open(l, "dead"), open(l, "closed"), open(l, "living"), open(l, "last")
		for _, s := range []*lease.Store{dead, closed, living} {
			for range 2 {
				if enter(t, s, places(6)) == nil {
					t.Fatal("refused")
				}
			}
		}
		free := func() (n int) {
			var got []*lease.Place
			for p := enter(t, last, places(6)); p != nil; p = enter(t, last, places(6)) {
				got = append(got, p)
			}
			for _, p := range got {
				p.Leave()
			}
			time.Sleep(2500 * time.Millisecond)
			return len(got)
		}
		if n := free(); n != 0 {
			t.Errorf("%d are free", n)
		}
		closing(closed)
		if n := free(); n != 2 {
			t.Errorf("%d are free when two were given back", n)
		}
		l.set(func(l *ledger) { l.down = true })
		closing(dead)
		l.set(func(l *ledger) { l.down = false })
		time.Sleep(11 * time.Second)
		if n := free(); n != 4 {
			t.Errorf("%d are free when four should be", n)
		}
		closing(living, last)
	})
}

// TestPlacesForgotten: a Source that has lost everything is told what is in use before
// it grants more than there is, and requests that were let in without it are counted.
func TestPlacesForgotten(t *testing.T) {
	both(t, func(t *testing.T, open func(*ledger, string) *lease.Store, isExact bool) {
		l := &ledger{}
		a, b := open(l, "a"), open(l, "b")
		held := []*lease.Place{enter(t, a, places(10)), enter(t, a, places(10)), enter(t, b, places(10))}
		l.set(func(l *ledger) { l.down = true })
		list := []lease.Charge{places(10)}
		if err := b.Take(list, timeout, nil); err == nil {
			t.Fatal("a place was had of nobody")
		}
		for range 4 {
			held = append(held, b.Occupy(places(10)))
		}
		time.Sleep(15 * time.Second) // what was granted has ended
		held[3].Leave()
		l.set(func(l *ledger) { l.down, l.states = false, nil })
		time.Sleep(2 * time.Second) // everybody has asked once
		got := 0
		for p := enter(t, a, places(10)); p != nil; p = enter(t, a, places(10)) {
			held, got = append(held, p), got+1
		}
		if got != 4 {
			t.Errorf("%d more, where six of ten are in use", got)
		}
		held[3] = nil
		for _, p := range held {
			if p != nil {
				p.Leave()
			}
		}
		time.Sleep(4 * time.Second)
		if isExact { // and when nobody notices that it has forgotten, it knows a second later
			p := enter(t, a, places(10))
			l.set(func(l *ledger) { l.states = nil })
			time.Sleep(2 * time.Second)
			n := 0
			for enter(t, b, places(10)) != nil {
				n++
			}
			if n != 9 {
				t.Errorf("%d of nine are free", n)
			}
			p.Leave()
		}
		closing(a, b)
	})
}

// A request that gives up leaves no place behind.
func TestPlaceTooLate(t *testing.T) {
	both(t, func(t *testing.T, open func(*ledger, string) *lease.Store, _ bool) {
		l := &ledger{delay: 150 * time.Millisecond}
		s := open(l, "a")
		for range 3 {
			if err := s.Take([]lease.Charge{places(1)}, timeout, nil); err == nil {
				t.Error("no error")
			}
			time.Sleep(time.Second)
		}
		l.set(func(l *ledger) { l.delay = 0 })
		time.Sleep(4 * time.Second)
		p := enter(t, s, places(1))
		if p == nil {
			t.Fatal("the place is taken")
		}
		// One of several limits refuses: the place is free again.
		p.Leave()
		narrow := quota(1)
		narrow.Cost = 2
		list := []lease.Charge{places(1), narrow}
		if err := s.Take(list, timeout, nil); err != nil || list[0].Place != nil || !list[1].Refused {
			t.Errorf("%+v, %v", list, err)
		}
		if enter(t, s, places(1)) == nil {
			t.Error("the place of a request that was refused is not free")
		}
		closing(s)
	})
}

func BenchmarkPlace(b *testing.B) {
	l := &ledger{}
	s := store(l, "a")
	c := places(1 << 20)
	list := []lease.Charge{c}
	b.ReportAllocs()
	for b.Loop() {
		list[0] = c
		if err := s.Take(list, time.Second, nil); err != nil || list[0].Refused {
			b.Fatal(err)
		}
		list[0].Place.Leave()
	}
	s.Close(context.Background())
}
