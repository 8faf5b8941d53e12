package table_test

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/gridway/gridway/internal/proxy/limit/table"
)

// times makes a table whose words are times that are idle once they have passed.
func times(keys int) *table.Table {
	return table.New(table.Options{Keys: keys, Idle: func(word uint64, now int64) bool { return word <= uint64(now) }})
}

func tags(n int, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	out := make([]uint64, n)
	for i := range out {
		out[i] = rng.Uint64()
	}
	return out
}

func TestKeysKeepTheirWords(t *testing.T) {
	for _, n := range []int{1, 7, 100, 1000, 4095, 9000} {
		tb := times(n)
		list := tags(n, uint64(n))
		list[0] = 0 // is a key like others
		for i, tag := range list {
			if _, added, shared := tb.Put(tag, uint64(1000+i), 10); !added || shared {
				t.Fatalf("%d keys: key %d: added %t, shared %t", n, i, added, shared)
			}
		}
		for i, tag := range list {
			c, ok := tb.Find(tag)
			if !ok {
				t.Fatalf("%d keys: key %d is not there", n, i)
			}
			if word, ok := c.Load(); !ok || word != uint64(1000+i) {
				t.Fatalf("%d keys: key %d has word %d, %t", n, i, word, ok)
			}
			if again, added, _ := tb.Put(tag, 1, 10); added || again.Word != c.Word {
				t.Fatalf("%d keys: key %d was added twice", n, i)
			}
		}
		if s := tb.Stats(10); s.Active != n {
			t.Errorf("%d keys: %d are active", n, s.Active)
		}
	}
}

// TestMemory holds what the documentation says of it.
func TestMemory(t *testing.T) {
	const n = 100_000
	list := tags(n, 3)
	before := heap()
	tb := times(n)
	for i, tag := range list {
		if _, added, _ := tb.Put(tag, uint64(1000+i), 10); !added {
			t.Fatalf("key %d found no room", i)
		}
	}
	perKey := float64(heap()-before) / n
	t.Logf("%.1f bytes per key", perKey)
	if perKey > table.KeyBytes+1 {
		t.Errorf("%.1f bytes per key, of which %d are documented", perKey, table.KeyBytes)
	}
	for i, tag := range list {
		c, ok := tb.Find(tag)
		if !ok {
			t.Fatalf("key %d is not there", i)
		}
		if word, _ := c.Load(); word != uint64(1000+i) {
			t.Fatalf("key %d has word %d", i, word)
		}
	}
	runtime.KeepAlive(tb)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAFullTableTakesNothingAway: whoever makes up keys gets none of those that
// others use, and no more words than there are shards.
func TestAFullTableTakesNothingAway(t *testing.T) {
	const n = 3000
	tb := times(n)
	mine := tags(100, 1)
	for _, tag := range mine {
		tb.Put(tag, 1000, 10)
	}
	words := map[any]bool{}
	for _, tag := range tags(2*n, 2) {
		if c, _, shared := tb.Put(tag, 1000, 10); shared {
			words[c.Word] = true
		}
	}
	if len(words) == 0 || len(words) > 64 {
		t.Errorf("keys without room share %d words", len(words))
	}
	for i, tag := range mine {
		c, ok := tb.Find(tag)
		if !ok {
			t.Fatalf("key %d was pushed out", i)
		}
		if word, _ := c.Load(); word != 1000 {
			t.Fatalf("key %d has word %d", i, word)
		}
	}
	if s := tb.Stats(10); s.Slots*16 > n*table.KeyBytes+64*16*16 {
		t.Errorf("%d slots for %d keys", s.Slots, n)
	}
	// Once the words are idle there is room again, without anybody's doing.
	for i, tag := range tags(n, 4) {
		if _, added, _ := tb.Put(tag, 5000, 2000); !added {
			t.Fatalf("key %d found no room among idle ones", i)
		}
	}
}

// TestNobodyChangesAnothersWord has few slots change hands all the time, while
// everybody counts: each key's count must come out.
func TestNobodyChangesAnothersWord(t *testing.T) {
	tb := table.New(table.Options{
		Keys:  8,
		Idle:  func(word uint64, _ int64) bool { return word&0xffffffff == 0 },
		Renew: func(old, first uint64) uint64 { return (old>>32+1)<<32 | first },
	})
	list := tags(200, 9)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 4_000 {
				tag := list[rng.IntN(len(list))]
				word := enter(tb, tag)
				if word == nil {
					t.Error("no word")
					return
				}
				if n := word.Add(^uint64(0)) & 0xffffffff; n > 1000 {
					t.Errorf("a count of %d: somebody else's place was given back", n)
					return
				}
			}
		})
	}
	wg.Wait()
	if s := tb.Stats(0); s.Active != 0 {
		t.Errorf("%d keys have a count, and nobody is there", s.Active)
	}
}

func enter(tb *table.Table, tag uint64) interface{ Add(uint64) uint64 } {
	for {
		c, ok := tb.Find(tag)
		if !ok {
			var added bool
			if c, added, _ = tb.Put(tag, 1, 0); added {
				return c.Word
			}
		}
		word, ok := c.Load()
		if !ok {
			tb.Settle(tag)
			continue
		}
		if c.Word.CompareAndSwap(word, word+1) {
			return c.Word
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{100, 10_000, 1_000_000} {
		tb := times(n)
		list := tags(n, 3)
		for _, tag := range list {
			tb.Put(tag, 1<<60, 10)
		}
		b.Run(map[int]string{100: "100", 10_000: "10k", 1_000_000: "1M"}[n], func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				i := rand.IntN(n)
				for pb.Next() {
					if _, ok := tb.Find(list[i%n]); !ok {
						b.Error("not there")
					}
					i += 7919
				}
			})
		})
	}
}
