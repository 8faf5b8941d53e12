package stripe_test

import (
	"runtime"
	"sync"
	"testing"

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
	runtime.GC()
	runtime.GC()
	c.Choose()
}

func BenchmarkChoose(b *testing.B) {
	c := stripe.New()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Choose()
		}
	})
}
