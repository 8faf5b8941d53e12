package proxy

import (
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// returnWithin bounds the time in which leases are given back at the end.
const returnWithin = 5 * time.Second

// openLeases is nil without a source of leases.
func openLeases(source lease.Source, metrics *metric.Registry, log *slog.Logger) *lease.Store {
	if source == nil {
		return nil
	}
	return lease.Open(lease.Options{
		Name: metric.StateStore, Source: source, Holder: rand.Text(), Metrics: metrics.RateLimitStore(metric.StateStore), Log: log,
		Now: func() int64 { return limit.At(time.Now()).Monotonic },
	})
}

// leased counts in leases of the state store.
type leased struct{ leases *lease.Store }

// Take implements ratelimit.Store.
func (l leased) Take(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error {
	var few [4]lease.Charge
	list := asked(few[:0], charges)
	if err := l.leases.Take(list, timeout, x.Detach); err != nil {
		return err
	}
	for i := range charges {
		c := &charges[i]
		c.Use, c.Refused, c.Passing = limit.Use{Used: uint64(list[i].Used), Next: list[i].Next}, list[i].Refused, true
		if p := list[i].Place; p != nil {
			c.Slot = p
		}
	}
	return nil
}

// Add implements ratelimit.Store.
func (l leased) Add(charges ...limit.Charge) { l.leases.Add(asked(nil, charges)...) }

func asked(list []lease.Charge, charges []limit.Charge) []lease.Charge {
	for i := range charges {
		c := &charges[i]
		where, one := c.Cfg.Shared(), c.Limit.Budget()
		list = append(list, lease.Charge{
			Group: where.Group, Counter: where.Counter, Key: c.Key, Unit: one.Unit, Burst: one.Burst, Places: one.Places, Amount: one.Amount,
			Calendar: c.Limit, Cost: c.Cost, Dry: c.Cfg.DryRun, MaxKeys: c.Cfg.MaxKeys,
		})
	}
	return list
}
