package signals

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// A ring has what a map of slots would have, in whatever order it comes.
func TestRingIsAMapOfSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var got ring
		var s scratch
		want := map[int64]*signal.Counts{}
		slot, first := int64(1000), int64(0)
		for range 60 {
			switch r.IntN(9) {
			case 8:
				last := slot - r.Int64N(400)
				got.cut(last)
				maps.DeleteFunc(want, func(k int64, _ *signal.Counts) bool { return k > last })
				continue
			case 0:
				first = slot - r.Int64N(20)
				got.trim(first)
				maps.DeleteFunc(want, func(k int64, _ *signal.Counts) bool { return k < first })
				continue
			case 1:
				slot -= r.Int64N(10)
			case 2, 3:
			default:
				slot += r.Int64N(300)
			}
			var c signal.Counts
			c.Classes[r.IntN(signal.Classes)] = r.Uint64N(1 << 40)
			c.Errors, c.Nanos, c.In, c.Out = r.Uint64N(3), r.Uint64N(1<<30)*1000, r.Uint64N(1<<40), 0
			if r.IntN(2) == 0 {
				c.InDatagrams, c.OutDatagrams = r.Uint64N(1<<20), r.Uint64N(1<<20)
			}
			c.Latency[r.IntN(latency.Buckets)] = r.Uint64N(1 << 20)
			got.add(slot, &c, &s)
			if want[slot] == nil {
				want[slot] = new(signal.Counts)
			}
			want[slot].Add(&c)
		}
		var order []int64
		got.each(func(slot int64, body []byte) bool {
			var c signal.Counts
			if rest, ok := addCounts(&c, body); !ok || len(rest) > 0 || want[slot] == nil || c != *want[slot] {
				t.Fatalf("slot %d: %+v, want %+v", slot, c, want[slot])
			}
			order = append(order, slot)
			return true
		})
		if all := slices.Sorted(maps.Keys(want)); !slices.Equal(order, all) {
			t.Fatalf("%v, want %v", order, all)
		}
		if !got.empty() {
			var c, sum signal.Counts
			for k, v := range want {
				if k >= slot-50 && k <= slot+50 {
					sum.Add(v)
				}
			}
			got.sum(slot-50, slot+50, &c)
			if c != sum {
				t.Fatal("sums differ")
			}
		}
	}
}

func FuzzCounts(f *testing.F) {
	var c signal.Counts
	c.Classes[2], c.Latency[7] = 9, 9
	f.Add(appendCounts(nil, &c))
	c.InDatagrams = 3
	f.Add(appendCounts(nil, &c))
	f.Add([]byte{0xff, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got signal.Counts
		rest, ok := addCounts(&got, b)
		if !ok {
			return
		}
		if len(rest) > len(b) {
			t.Fatal("it has grown")
		}
		got.Nanos = got.Nanos / 1000 * 1000
		var again signal.Counts
		if rest, ok := addCounts(&again, appendCounts(nil, &got)); !ok || len(rest) > 0 || again != got {
			t.Fatalf("%+v, then %+v", got, again)
		}
	})
}
