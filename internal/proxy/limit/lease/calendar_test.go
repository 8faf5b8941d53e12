package lease_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
)

// TestCalendarOfLeases: windows of a time zone whose clocks are put forward and back are
// had once each, however far the proxies' clocks are from the store's.
func TestCalendarOfLeases(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		window ir.QuotaWindow
		from   time.Time
		steps  []time.Duration // until the next window begins
	}{
		"short day":     {ir.QuotaDay, time.Date(2026, 3, 28, 12, 0, 0, 0, berlin), []time.Duration{12 * time.Hour, 23 * time.Hour}},
		"long day":      {ir.QuotaDay, time.Date(2026, 10, 24, 12, 0, 0, 0, berlin), []time.Duration{12 * time.Hour, 25 * time.Hour}},
		"lost hour":     {ir.QuotaHour, time.Date(2026, 3, 29, 1, 30, 0, 0, berlin), []time.Duration{30 * time.Minute, time.Hour, time.Hour}},
		"repeated hour": {ir.QuotaHour, time.Date(2026, 10, 25, 1, 30, 0, 0, berlin), []time.Duration{30 * time.Minute, time.Hour, time.Hour}},
		"month":         {ir.QuotaMonth, time.Date(2026, 10, 31, 23, 0, 0, 0, berlin), []time.Duration{time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{ahead: time.Until(c.from)} // the proxies' clocks are years behind
				var set limit.Set
				calendar := set.Get(&ir.RateLimit{State: "s", MaxKeys: 10, Quota: &ir.Quota{Amount: 1, Window: c.window, TimeZone: "Europe/Berlin"}})
				charge := lease.Charge{Counter: "q", Amount: 50, Calendar: calendar, Cost: 1, MaxKeys: 10}
				one, other := store(l, "one"), store(l, "other")
				all := func() (n int) {
					for range 30 { // what one holds comes back to the other
						for _, s := range []*lease.Store{one, other} {
							for passes(t, s, charge) {
								n++
							}
						}
						time.Sleep(time.Second)
					}
					return n
				}
				begun := time.Now()
				for i, step := range c.steps {
					if n := all(); n != 50 {
						t.Errorf("window %d: %d have passed, want 50", i, n)
					}
					begun = begun.Add(step)
					time.Sleep(time.Until(begun) - time.Second)
					if passes(t, one, charge) || passes(t, other, charge) {
						t.Errorf("window %d: one more a second before it ends", i)
					}
					time.Sleep(2 * time.Second)
				}
				closing(one, other)
			})
		})
	}
}
