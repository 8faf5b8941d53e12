package window_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream/window"
)

// The counter against a list of events.
func TestAgainstOracle(t *testing.T) {
	const w = int64(time.Second)
	r := rand.New(rand.NewPCG(1, 2))
	c := window.New(time.Second)
	type event struct {
		at   int64
		a, b uint32
	}
	var events []event
	now := int64(5)
	for range 20000 {
		now += r.Int64N(int64(20 * time.Millisecond))
		if r.IntN(100) == 0 {
			now += r.Int64N(3 * w)
		}
		e := event{now, r.Uint32N(3), r.Uint32N(2)}
		events = append(events, e)
		c.Add(e.at, e.a, e.b)
		a, b := c.Sum(now)
		// Whole tenths leave: the window ends now and starts at a tenth's edge.
		from := (now/(w/10) - 9) * (w / 10)
		var wantA, wantB uint64
		for i := len(events) - 1; i >= 0 && events[i].at >= from; i-- {
			wantA += uint64(events[i].a)
			wantB += uint64(events[i].b)
		}
		if a != wantA || b != wantB {
			t.Fatalf("at %d: got %d %d, want %d %d", now, a, b, wantA, wantB)
		}
	}
	c.Reset()
	if a, b := c.Sum(now); a+b != 0 {
		t.Fatal(a, b)
	}
}

func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	c := window.New(time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				c.Add(100, 1, 2)
			}
		})
	}
	wg.Wait()
	if a, b := c.Sum(100); a != 40000 || b != 80000 {
		t.Fatal(a, b)
	}
}

func TestFullPartStandsStill(t *testing.T) {
	c := window.New(time.Hour)
	for range 5 {
		c.Add(0, 1<<23, 0)
	}
	if a, b := c.Sum(0); a != 1<<24-1 || b != 0 {
		t.Fatal(a, b)
	}
}
