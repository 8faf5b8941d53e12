package metric

import (
	"testing"
	"time"
)

// What Prometheus is told ends where buckets end, at 100 µs and its doublings up to 52 s.
func TestExportedBoundsAreDoublings(t *testing.T) {
	want := 100 * time.Microsecond
	for i := range exportedBuckets {
		if got := exportedBound(i); got != want.Seconds() {
			t.Errorf("bound %d is %v, not %v", i, got, want)
		}
		want *= 2
	}
	if want != 100*time.Microsecond<<20 {
		t.Errorf("the last bound is %v", want/2)
	}
}

func TestStatusesAreBounded(t *testing.T) {
	seen := map[[2]string]bool{}
	for status := -1; status < 1000; status++ {
		i := slot(status)
		seen[slotLabels[i]] = true
		want := status / 100
		if status < 100 || status > 599 {
			want = 0
		}
		if classOf(i) != want {
			t.Errorf("class of %d is %d", status, classOf(i))
		}
	}
	if len(seen) != slots {
		t.Errorf("%d label pairs for %d slots", len(seen), slots)
	}
}
