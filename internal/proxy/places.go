package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
	"github.com/gridway/gridway/internal/proxy/limit/redis"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// redisPlaces are the requests in progress that a Redis counts. They outlive changes of
// how it is reached: the next one is told of whoever is in progress then.
type redisPlaces struct {
	leases *lease.Store
	redis  atomic.Pointer[redis.Store]
}

// unwatched leaves it to the store itself to say whether it answers.
type unwatched struct{ *metric.RateLimitStore }

func (unwatched) Up(bool) {}

func openPlaces(name string, in *redis.Store, m *metric.RateLimitStore, log *slog.Logger) *redisPlaces {
	p := &redisPlaces{}
	p.redis.Store(in)
	p.leases = lease.Open(lease.Options{
		Name: name, Source: p, Holder: rand.Text(), Metrics: unwatched{m}, Log: log, Exact: true,
		Now: func() int64 { return limit.At(time.Now()).Monotonic },
	})
	return p
}

// Lease implements lease.Source.
func (p *redisPlaces) Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error) {
	for {
		in := p.redis.Load()
		// Another may have taken its place since.
		if grants, err := in.Lease(ctx, holder, asks); !errors.Is(err, redis.ErrClosed) || p.redis.Load() == in {
			return grants, err
		}
	}
}

func (p *redisPlaces) close() {
	ctx, cancel := context.WithTimeout(context.Background(), returnWithin)
	defer cancel()
	p.leases.Close(ctx)
}

// inProgress is a store as limits of requests in progress use it.
type inProgress struct{ store *sharedStore }

var errNoPlaces = errors.New("the rate limit store cannot count requests in progress")

func (p inProgress) places() *lease.Store {
	if c := p.store.counter.Load(); c != nil {
		return c.places
	}
	return nil
}

// Take implements ratelimit.Store.
func (p inProgress) Take(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error {
	in := p.places()
	if in == nil {
		return errNoPlaces
	}
	return leased{in}.Take(x, charges, timeout)
}

// Add implements ratelimit.Store: there is nothing to correct.
func (inProgress) Add(...limit.Charge) {}

// Occupy implements ratelimit.Places.
func (p inProgress) Occupy(c *limit.Charge) {
	if in := p.places(); in != nil {
		if place := in.Occupy(asked(nil, []limit.Charge{*c})[0]); place != nil {
			c.Slot = place
		}
	}
}
