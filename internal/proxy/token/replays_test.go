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
		if got := r.Use(used(i), now, now, now.Add(span), span, limit); got != token.Fresh {
			t.Fatalf("%d: %d", i, got)
		}
	}
	if got := r.Use(used(7), now.Add(span-time.Second), now, now.Add(span), span, limit); got != token.Replayed {
		t.Errorf("used again: %d", got)
	}
	if got := r.Use(used(limit), now, now, now.Add(span), span, limit); got != token.Full {
		t.Errorf("one too many: %d", got)
	}
	if all.Of("default/a") != r {
		t.Error("a policy's memory is another one while somebody has it")
	}
	if got := all.Of("default/b").Use(used(7), now, now, now.Add(span), span, limit); got != token.Fresh {
		t.Errorf("of another policy: %d", got)
	}
	// All is forgotten in its time, by whoever comes next.
	later := now.Add(2 * span)
	if got := r.Use(used(limit), later, later, later.Add(span), span, limit); got != token.Fresh {
		t.Errorf("later: %d", got)
	}
	if got := r.Use(used(7), later, later, later.Add(span), span, limit); got != token.Fresh {
		t.Errorf("what is forgotten: %d", got)
	}
}

// What may be older than before is not known again, if it may have been used and
// forgotten meanwhile.
func TestReplaysOlder(t *testing.T) {
	const short, long = time.Minute, 10 * time.Minute
	r := token.NewReplays().Of("a")
	began := time.Unix(1_790_000_000, 0)
	use := func(i int, now, made time.Time, age time.Duration) token.Use {
		return r.Use(used(i), now, made, made.Add(age), age, 1000)
	}
	for _, c := range []struct {
		name      string
		i         int
		now, made time.Duration
		age       time.Duration
		want      token.Use
	}{
		{"used", 1, 0, 0, short, token.Fresh},
		{"others, when it is forgotten", 2, 4 * time.Minute, 4 * time.Minute, short, token.Fresh},
		{"again, as what may be older now", 1, 5 * time.Minute, 0, long, token.Forgotten},
		{"what is still known", 2, 5 * time.Minute, 4 * time.Minute, long, token.Replayed},
		{"what nobody has seen, as old as that", 3, 5 * time.Minute, 4 * time.Minute, long, token.Fresh},
		{"what is new", 4, 6 * time.Minute, 6 * time.Minute, long, token.Fresh},
		{"again, long after", 4, 15 * time.Minute, 6 * time.Minute, long, token.Replayed},
		{"what is not to be as old", 5, 16 * time.Minute, 16 * time.Minute, short, token.Fresh},
		{"what is kept from before", 4, 16 * time.Minute, 6 * time.Minute, long, token.Forgotten},
	} {
		if got := use(c.i, began.Add(c.now), began.Add(c.made), c.age); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
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
				if r.Use(used(i), now, now, now.Add(time.Minute), time.Minute, 1000) == token.Fresh {
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
		r.Use(used(i), at, at, at.Add(5*time.Minute), 5*time.Minute, 1_000_000)
	}
}
