package bufpool_test

import (
	"testing"

	"github.com/gridway/gridway/internal/wire/bufpool"
)

func TestSizes(t *testing.T) {
	for _, tc := range []struct{ ask, want int }{
		{0, bufpool.Small},
		{1, bufpool.Small},
		{bufpool.Small, bufpool.Small},
		{bufpool.Small + 1, bufpool.Medium},
		{bufpool.Medium, bufpool.Medium},
		{bufpool.Medium + 1, bufpool.Large},
		{bufpool.Large, bufpool.Large},
		{bufpool.Large + 1, bufpool.Large + 1},
	} {
		b := bufpool.Get(tc.ask)
		if len(b.B) != tc.want {
			t.Errorf("Get(%d) gave %d bytes, want %d", tc.ask, len(b.B), tc.want)
		}
		b.Release()
	}
}

func TestReleasedBufferIsWholeAgain(t *testing.T) {
	for range 100 {
		b := bufpool.Get(10)
		if len(b.B) != bufpool.Small {
			t.Fatalf("a reused buffer has %d bytes", len(b.B))
		}
		b.B = b.B[5:7]
		b.Release()
	}
}

func TestDoubleReleasePanics(t *testing.T) {
	b := bufpool.Get(bufpool.Large + 1)
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("the second Release did not panic")
		}
	}()
	b.Release()
}

func TestNilRelease(t *testing.T) {
	var b *bufpool.Buf
	b.Release()
}

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	if n := testing.AllocsPerRun(1000, func() {
		a, b := bufpool.Get(bufpool.Small), bufpool.Get(bufpool.Large)
		a.Release()
		b.Release()
	}); n != 0 {
		t.Errorf("%v allocations per use", n)
	}
}
