package stripe_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/telemetry/stripe"
)

func TestLenIsABoundedPowerOfTwo(t *testing.T) {
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 4, 8: 8, 33: 64, 1000: 64} {
		if got := stripe.NewN(n).Len(); got != want {
			t.Errorf("NewN(%d).Len() = %d, want %d", n, got, want)
		}
	}
}

func TestChooseStaysInRange(t *testing.T) {
	c := stripe.NewN(4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if i := c.Choose(); i < 0 || i >= c.Len() {
					t.Errorf("Choose() = %d of %d", i, c.Len())
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestChooseDoesNotAllocate(t *testing.T) {
	c := stripe.NewN(4)
	n := testing.AllocsPerRun(1000, func() { c.Choose() })
	if n != 0 {
		t.Errorf("Choose allocates %v times", n)
	}
}

// Goroutines that run at the same time are told different stripes: each is
// pinned to its processor by never giving it up.
func TestProcessorsHaveStripesOfTheirOwn(t *testing.T) {
	const n = 2
	if runtime.GOMAXPROCS(0) < n {
		t.Skip("one processor")
	}
	c := stripe.NewN(64)
	deadline := time.Now().Add(10 * time.Second)
	for { // what shares a processor with others may have to try again
		var ready atomic.Int32
		var got [n]int
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for ready.Add(1); ready.Load() < n && time.Now().Before(deadline); {
				}
				got[i] = c.Choose()
			})
		}
		wg.Wait()
		if got[0] != got[1] {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("both processors have stripe %d", got[0])
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	c := stripe.New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Choose()
		}
	})
}
