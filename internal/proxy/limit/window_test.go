package limit_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func wall(at time.Time) limit.Moment {
	return limit.Moment{Monotonic: int64(time.Hour), Wall: at}
}

// TestWindows: when the amount is there again, seen from a moment.
func TestWindows(t *testing.T) {
	berlin, newYork, beirut := zone(t, "Europe/Berlin"), zone(t, "America/New_York"), zone(t, "Asia/Beirut")
	for _, c := range []struct {
		name   string
		window ir.QuotaWindow
		zone   *time.Location
		at     time.Time
		next   time.Time
	}{
		{"hour", ir.QuotaHour, time.UTC, time.Date(2026, 11, 21, 12, 59, 59, 5, time.UTC), time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)},
		{"day", ir.QuotaDay, time.UTC, time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"day elsewhere", ir.QuotaDay, newYork, time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 0, 0, 0, 0, newYork)},
		{"Sunday", ir.QuotaWeek, berlin, time.Date(2026, 11, 22, 23, 59, 59, 0, berlin), time.Date(2026, 11, 23, 0, 0, 0, 0, berlin)},
		{"Monday", ir.QuotaWeek, berlin, time.Date(2026, 11, 23, 0, 0, 0, 0, berlin), time.Date(2026, 11, 30, 0, 0, 0, 0, berlin)},
		{"month", ir.QuotaMonth, berlin, time.Date(2028, 2, 29, 12, 0, 0, 0, berlin), time.Date(2028, 3, 1, 0, 0, 0, 0, berlin)},
		{"December", ir.QuotaMonth, berlin, time.Date(2026, 12, 1, 0, 0, 0, 0, berlin), time.Date(2027, 1, 1, 0, 0, 0, 0, berlin)},
		// 29 March 2026 has 23 hours in Berlin, 25 October has 25.
		{"short day", ir.QuotaDay, berlin, time.Date(2026, 3, 29, 0, 0, 0, 0, berlin), time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC).Add(23 * time.Hour)},
		{"long day", ir.QuotaDay, berlin, time.Date(2026, 10, 25, 0, 0, 0, 0, berlin), time.Date(2026, 10, 24, 22, 0, 0, 0, time.UTC).Add(25 * time.Hour)},
		{"repeated hour, first", ir.QuotaHour, berlin, time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)},
		{"repeated hour, second", ir.QuotaHour, berlin, time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC), time.Date(2026, 10, 25, 2, 0, 0, 0, time.UTC)},
		// Clocks in Beirut are put forward at midnight: the day begins at one o'clock.
		{"no midnight", ir.QuotaDay, beirut, time.Date(2026, 3, 28, 12, 0, 0, 0, beirut), time.Date(2026, 3, 28, 22, 0, 0, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := get(&ir.RateLimit{State: "s", MaxKeys: 10, Quota: &ir.Quota{Amount: 2, Window: c.window, TimeZone: c.zone.String()}})
			if n := count(l, 1, wall(c.at), 5); n != 2 {
				t.Fatalf("%d got through, want 2", n)
			}
			tally := l.Look(1, wall(c.at), 1)
			if in := c.next.Sub(c.at.Truncate(time.Second)); tally.After != in {
				t.Errorf("a new window in %s, want %s", tally.After, in)
			}
			if n := count(l, 1, wall(c.next.Add(-time.Second)), 5); n != 0 {
				t.Errorf("%d got through a second before the window ends", n)
			}
			if n := count(l, 1, wall(c.next), 5); n != 2 {
				t.Errorf("%d got through in the new window, want 2", n)
			}
		})
	}
}

// TestEveryWindowHasAnEnd walks through years in zones with odd rules: windows
// must follow each other without gaps, and each must be counted anew.
func TestEveryWindowHasAnEnd(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca"} {
		for _, w := range []ir.QuotaWindow{ir.QuotaDay, ir.QuotaWeek, ir.QuotaMonth} {
			l := get(&ir.RateLimit{State: "s", MaxKeys: 10, Quota: &ir.Quota{Amount: 1, Window: w, TimeZone: name}})
			at := time.Date(2009, 12, 20, 10, 7, 0, 0, time.UTC)
			for at.Year() < 2028 {
				tally, _ := l.Take(1, wall(at), 1)
				if !tally.OK {
					t.Fatalf("%s, %s, %s: not counted anew", name, w, at)
				}
				if n := count(l, 1, wall(at.Add(tally.After-time.Second)), 1); n != 0 {
					t.Fatalf("%s, %s, %s: ended before the %s that were said", name, w, at, tally.After)
				}
				at = at.Add(tally.After)
			}
		}
	}
}

// TestClocksThatJump: a clock that is put forward by mistake, and back, gives the
// amount once more, and not each time.
func TestClocksThatJump(t *testing.T) {
	l := get(&ir.RateLimit{State: "s", MaxKeys: 10, Quota: &ir.Quota{Amount: 3, Window: ir.QuotaDay, TimeZone: "UTC"}})
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	total := count(l, 1, wall(now), 10)
	for range 5 {
		total += count(l, 1, wall(now.AddDate(0, 0, 3)), 10)
		total += count(l, 1, wall(now), 10)
	}
	if total != 6 {
		t.Errorf("%d got through, want 6", total)
	}
	if n := count(l, 1, wall(now.AddDate(0, 0, 4)), 10); n != 3 {
		t.Errorf("%d on a later day, want 3", n)
	}
	// A clock that shows a time before 1970 is no reason to fail.
	if n := count(l, 2, wall(time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)), 10); n != 3 {
		t.Errorf("%d before 1970, want 3", n)
	}
}
