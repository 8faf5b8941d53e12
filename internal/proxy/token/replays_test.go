package token_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/token"
)

func used(i int) *token.Digest {
	d := sha256.Sum256(fmt.Append(nil, i))
	return &d
}

func TestReplays(t *testing.T) {
	const limit, span = 1000, 5 * time.Minute
	all := token.NewReplays()
	r := all.Of("default/a")
	now := time.Unix(1_790_000_000, 0)
	for i := range limit {
		if got := r.Use(used(i), now, now.Add(span), span, limit); got != token.Fresh {
			t.Fatalf("%d: %d", i, got)
		}
	}
	if got := r.Use(used(7), now.Add(span-time.Second), now.Add(span), span, limit); got != token.Replayed {
		t.Errorf("used again: %d", got)
	}
	if got := r.Use(used(limit), now, now.Add(span), span, limit); got != token.Full {
		t.Errorf("one too many: %d", got)
	}
	if all.Of("default/a") != r {
		t.Error("a policy's memory is another one while somebody has it")
	}
	if got := all.Of("default/b").Use(used(7), now, now.Add(span), span, limit); got != token.Fresh {
		t.Errorf("of another policy: %d", got)
	}
	// All is forgotten in its time, by whoever comes next.
	later := now.Add(2 * span)
	if got := r.Use(used(limit), later, later.Add(span), span, limit); got != token.Fresh {
		t.Errorf("later: %d", got)
	}
	if got := r.Use(used(7), later, later.Add(span), span, limit); got != token.Fresh {
		t.Errorf("what is forgotten: %d", got)
	}
}

// Of many that come at the same time with the same thing, one gets through.
func TestReplaysOnce(t *testing.T) {
	r := token.NewReplays().Of("a")
	now := time.Unix(1_790_000_000, 0)
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				if r.Use(used(i), now, now.Add(time.Minute), time.Minute, 1000) == token.Fresh {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 200 {
		t.Errorf("%d of 200 got through", fresh.Load())
	}
}

func BenchmarkReplays(b *testing.B) {
	r := token.NewReplays().Of("a")
	now := time.Unix(1_790_000_000, 0)
	var i int
	for b.Loop() {
		i++
		at := now.Add(time.Duration(i) * time.Millisecond)
		r.Use(used(i), at, at.Add(5*time.Minute), 5*time.Minute, 1_000_000)
	}
}
