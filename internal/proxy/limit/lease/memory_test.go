package lease

import (
	"context"
	"encoding/binary"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

// keyBytes is what docs/guides/rate-limits.md says that a key takes that is held.
const keyBytes = 500

type nobody struct{}

func (nobody) Lease(context.Context, string, []budget.Ask) ([]budget.Grant, error) {
	return nil, ErrDown
}
func (nobody) Call(time.Duration, error) {}
func (nobody) Unasked()                  {}
func (nobody) Up(bool)                   {}

// TestMemory holds what the documentation says of it: of a key that is held, and that
// there are no more than there may be.
func TestMemory(t *testing.T) {
	const n = 200_000
	s := Open(Options{Source: nobody{}, Metrics: nobody{}, Log: slog.New(slog.DiscardHandler), Now: func() int64 { return 1 }})
	defer s.Close(context.Background())
	key := func(i int) id {
		of := id{counter: counter{"default/api", "monthly:0123456789ab"}}
		binary.BigEndian.PutUint64(of.key[8:], uint64(i)*0x9e3779b97f4a7c15)
		return of
	}
	before := heap()
	for i := range n {
		a, err := s.add(key(i), n)
		if err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		a.used = 1
		a.mu.Unlock()
	}
	perKey := float64(heap()-before) / n
	t.Logf("%.0f bytes per key", perKey)
	if perKey > keyBytes {
		t.Errorf("%.0f bytes per key, of which %d are documented", perKey, keyBytes)
	}
	if _, err := s.add(key(n), n); err != ErrOverload {
		t.Errorf("one more: %v", err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
