package loop

import (
	"math/rand/v2"
	"testing"
)

// The heap is held to a list that is searched.
func TestHeapAgainstList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var h heap
		timers := make([]timer, 40)
		for i := range timers {
			timers[i].side = &side{}
		}
		now := Now()
		for range 300 {
			tm := &timers[rnd.IntN(len(timers))]
			switch rnd.IntN(4) {
			case 0:
				h.remove(tm)
				tm.deadline, tm.when = 0, 0
			case 1:
				tm.deadline = 0 // left in the heap, as SetReadBy(0) does
			default:
				tm.deadline = now + rnd.Int64N(1e12) + 1e12
				h.arm(tm)
			}
			check(t, h, timers)
		}
		// What is due fires once, earliest first; what was moved later does not.
		var due int
		for i := range timers {
			if tm := &timers[i]; tm.place != 0 && rnd.IntN(2) == 0 {
				h.remove(tm)
				tm.deadline = 1 + rnd.Int64N(now)
				h.arm(tm)
				due++
				if rnd.IntN(3) == 0 {
					tm.deadline = now + 1e12
					due--
				}
			}
		}
		fired := h.expire(nil)
		if len(fired) != due {
			t.Fatalf("%d fired, want %d", len(fired), due)
		}
		for _, sd := range fired {
			if !sd.expired.Load() {
				t.Fatal("a side that was not told")
			}
		}
		check(t, h, timers)
		if first := h.first(); first != 0 && first <= now {
			t.Fatal("something due is left")
		}
	}
}

func check(t *testing.T, h heap, timers []timer) {
	t.Helper()
	count, first := 0, int64(0)
	for i := range timers {
		tm := &timers[i]
		if tm.place == 0 {
			continue
		}
		count++
		if h[tm.place-1] != tm {
			t.Fatal("a timer is not where it says")
		}
		if tm.deadline != 0 && tm.when > tm.deadline {
			t.Fatal("a timer would fire too late")
		}
		if first == 0 || tm.when < first {
			first = tm.when
		}
	}
	if count != len(h) || first != h.first() {
		t.Fatalf("%d timers, first at %d; want %d, %d", len(h), h.first(), count, first)
	}
}

func TestQueueKeepsOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var q queue
	var want []*Task
	for range 5000 {
		if rnd.IntN(5) < 3 {
			task := new(Task)
			q.push(work{task: task})
			want = append(want, task)
		} else if len(want) > 0 {
			if got := q.pop(); got.task != want[0] {
				t.Fatal("out of order")
			}
			want = want[1:]
		}
		if q.len() != len(want) {
			t.Fatalf("%d, want %d", q.len(), len(want))
		}
	}
}
