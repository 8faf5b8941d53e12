package loop

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSparesGoWhenNobodyNeedsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s spares
		ended := 0
		fill := func(n int) {
			for len(s.tasks) < n {
				s.put(&Task{stop: func() { ended++ }})
			}
		}
		look := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after) // simulated
			if due := s.trim(); len(s.tasks) != want || (due != 0) != (want > keepTasks) {
				t.Fatalf("%d tasks are left, and the next look is at %d; want %d tasks", len(s.tasks), due, want)
			}
		}
		fill(keepTasks)
		look(time.Hour, keepTasks)
		fill(100)
		look(0, 100)
		look(time.Duration(keepFor)-1, 100)
		for range 40 { // as many are needed at a time
			s.take()
		}
		fill(100)
		look(1, 40)
		look(time.Duration(keepFor), keepTasks) // since then none was needed
		if ended != 60+24 {
			t.Errorf("%d tasks were ended, want 84", ended)
		}
		s.dismiss(0)
		if s.take() != nil {
			t.Error("there is one left")
		}
	})
}
