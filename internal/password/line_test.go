package password

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func from(t *testing.T, address string) netip.Prefix {
	t.Helper()
	return network(netip.MustParseAddr(address))
}

// One address has all places in the line; others come after it, and are served in
// turn with it all the same.
func TestNobodyFillsTheLineAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(1, 8)
		if !l.take(from(t, "192.0.2.1"), time.Hour) {
			t.Fatal("the first finds no place")
		}
		var (
			mu     sync.Mutex
			served []string
			turned = map[string]int{}
			wg     sync.WaitGroup
		)
		come := func(name, address string) {
			wg.Go(func() {
				ok := l.take(from(t, address), time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if !ok {
					turned[name]++
					return
				}
				served = append(served, name)
			})
			synctest.Wait()
		}
		for range 20 {
			come("flood", "192.0.2.1")
		}
		come("a", "192.0.2.2")
		come("b", "2001:db8::1")
		come("b", "2001:db8::2") // of the same network
		if turned["flood"] != 12+3 || turned["a"]+turned["b"] != 0 {
			t.Fatalf("turned away: %v", turned)
		}
		for range 8 {
			l.leave()
			synctest.Wait()
		}
		wg.Wait()
		want := []string{"flood", "a", "b", "flood", "b", "flood", "flood", "flood"}
		for i := range want {
			if len(served) != len(want) || served[i] != want[i] {
				t.Fatalf("served %v, want %v", served, want)
			}
		}
		l.leave()
		if l.free != 1 || l.waiting != 0 || len(l.clients) != 0 {
			t.Errorf("%d free, %d waiting, %d clients", l.free, l.waiting, len(l.clients))
		}
	})
}

// A line of clients with one waiting each is full for one more.
func TestTheLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(1, 3)
		l.take(from(t, "192.0.2.1"), time.Hour)
		var wg sync.WaitGroup
		for _, a := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"} {
			wg.Go(func() {
				if l.take(from(t, a), time.Second) {
					t.Errorf("%s has a place", a)
				}
			})
		}
		synctest.Wait()
		if l.take(from(t, "192.0.2.5"), time.Hour) {
			t.Error("a fourth has a place")
		}
		wg.Wait() // they lose patience
		if l.waiting != 0 || len(l.clients) != 0 {
			t.Errorf("%d waiting, %d clients", l.waiting, len(l.clients))
		}
		l.leave()
		if !l.take(netip.Prefix{}, 0) {
			t.Error("the place is lost")
		}
	})
}

// Whoever loses patience in the moment of their turn keeps nothing.
func TestLineUnderLoad(t *testing.T) {
	l := newLine(2, 16)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 200 {
				if l.take(network(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 7)})), time.Duration(i)*time.Microsecond) {
					l.leave()
				}
			}
		})
	}
	wg.Wait()
	if l.free != 2 || l.waiting != 0 || len(l.clients) != 0 {
		t.Errorf("%d free, %d waiting, %d clients", l.free, l.waiting, len(l.clients))
	}
}
