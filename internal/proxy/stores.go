package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/ratelimit"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
	"github.com/gridway/gridway/internal/proxy/limit/redis"
	"github.com/gridway/gridway/internal/proxy/limit/service"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// stores are where limits are counted by several proxies, by the names of
// RateLimitStores. Limits keep what get returns whatever becomes of the store; its
// connections stay as long as its configuration does.
type stores struct {
	metrics *metric.Registry
	log     *slog.Logger
	// leases of the state store; nil without one.
	leases *lease.Store
	// unkept is set when it was said that quotas do not outlive the process.
	unkept sync.Once

	mu      sync.Mutex // guards what follows
	byName  map[string]*sharedStore
	stopped bool
	closing sync.WaitGroup
}

// sharedStore is a store by its name.
type sharedStore struct {
	cfg     *ir.RateLimitStore // guarded by stores.mu; nil while there is none
	redis   *redis.Store       // guarded by stores.mu; nil if it is none
	places  *redisPlaces       // guarded by stores.mu; nil if it is no Redis
	counter atomic.Pointer[counting]
}

// counting is a way to count.
type counting struct {
	// places are of requests in progress; nil where they cannot be counted.
	places *lease.Store

	take  func(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error
	add   func(charges ...limit.Charge)
	close func()
}

func inRedis(s *redis.Store, p *redisPlaces) *counting {
	return &counting{places: p.leases, close: s.Close, add: s.Add, take: func(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error {
		x.Detach()
		return s.Take(charges, timeout)
	}}
}

// byServer asks one, which takes no corrections.
func byServer(s *ir.RateLimitService, m *metric.RateLimitStore) *counting {
	return &counting{close: func() {}, add: func(...limit.Charge) {}, take: func(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error {
		begun := time.Now()
		err := service.Take(x, s.Domain, charges, timeout)
		m.Call(time.Since(begun), err)
		return err
	}}
}

var errNoStore = errors.New("there is no such rate limit store")

// get returns the store of a name, which there may not be yet.
func (s *stores) get(name string) ratelimit.Store {
	if name == "" {
		if s.leases == nil {
			return nil
		}
		return leased{s.leases}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named(name)
}

// inProgress returns the store of a name, for requests in progress.
func (s *stores) inProgress(name string) ratelimit.Places {
	s.mu.Lock()
	defer s.mu.Unlock()
	return inProgress{s.named(name)}
}

func (s *stores) named(name string) *sharedStore {
	h := s.byName[name]
	if h == nil {
		if s.byName == nil {
			s.byName = map[string]*sharedStore{}
		}
		h = &sharedStore{}
		s.byName[name] = h
	}
	return h
}

// Apply opens stores that are new and closes what is not configured any more, when
// what is under way there is over.
func (s *stores) Apply(list []*ir.RateLimitStore) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	var errs []error
	configured := make(map[string]bool, len(list))
	for _, cfg := range list {
		configured[cfg.Name] = true
		h := s.named(cfg.Name)
		if h.cfg != nil && (h.cfg == cfg || h.cfg.StateStore == cfg.StateStore && reflect.DeepEqual(h.cfg.Redis, cfg.Redis) && reflect.DeepEqual(h.cfg.Service, cfg.Service)) {
			h.cfg = cfg
			continue
		}
		counter, err := s.open(cfg, h)
		if err != nil {
			errs = append(errs, fmt.Errorf("rate limit store %s: %w", cfg.Name, err))
			continue // the one before goes on
		}
		s.replace(h, cfg, counter)
	}
	for name, h := range s.byName {
		if !configured[name] {
			s.replace(h, nil, nil)
		}
	}
	return errors.Join(errs...)
}

// warnUnkept says once that what is used of quotas is forgotten when the process ends,
// or is replaced, since there is no state store.
func (s *stores) warnUnkept(limits []*ir.RateLimit) {
	if s.leases != nil {
		return
	}
	for _, l := range limits {
		if l.Kept != nil {
			s.unkept.Do(func() {
				s.log.Warn("quotas begin anew when this process ends or is upgraded, since there is no state store to keep them in; start with --state", "limit", l.Policy+"/"+l.Name)
			})
			return
		}
	}
}

func (s *stores) open(cfg *ir.RateLimitStore, h *sharedStore) (*counting, error) {
	if cfg.StateStore {
		if s.leases == nil {
			s.log.Warn("a rate limit store is the state store, and there is none: onError holds for its limits; start with --state", "store", cfg.Name)
			return nil, nil
		}
		l := leased{s.leases}
		return &counting{places: s.leases, take: l.Take, add: l.Add, close: func() {}}, nil
	}
	if cfg.Service != nil {
		return byServer(cfg.Service, s.metrics.RateLimitStore(cfg.Name)), nil
	}
	var config *tls.Config
	if cfg.Redis.TLS != nil {
		var err error
		if config, err = tlsx.ClientConfig(cfg.Redis.TLS); err != nil {
			return nil, err
		}
	}
	m := s.metrics.RateLimitStore(cfg.Name)
	in := redis.Open(redis.Options{Name: cfg.Name, Config: cfg.Redis, Client: redis.ClientOption(cfg.Redis, config), Metrics: m, Log: s.log})
	if h.places == nil {
		h.places = openPlaces(cfg.Name, in, m, s.log)
	} else {
		h.places.redis.Store(in)
	}
	h.redis = in
	return inRedis(in, h.places), nil
}

func (s *stores) replace(h *sharedStore, cfg *ir.RateLimitStore, counter *counting) {
	h.cfg = cfg
	if cfg == nil || cfg.Redis == nil {
		h.redis = nil
	}
	old := h.counter.Swap(counter)
	var places *redisPlaces
	if h.places != nil && (cfg == nil || cfg.Redis == nil) {
		places, h.places = h.places, nil
	}
	s.closing.Go(func() {
		if places != nil {
			places.close()
		}
		if old != nil {
			old.close()
		}
	})
}

// Close closes all stores and waits until they are.
func (s *stores) Close() {
	s.mu.Lock()
	s.stopped = true
	for _, h := range s.byName {
		s.replace(h, nil, nil)
	}
	s.mu.Unlock()
	s.closing.Wait()
	if s.leases != nil {
		ctx, cancel := context.WithTimeout(context.Background(), returnWithin)
		defer cancel()
		s.leases.Close(ctx)
	}
}

// Take implements ratelimit.Store.
func (h *sharedStore) Take(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error {
	for {
		c := h.counter.Load()
		if c == nil {
			return errNoStore
		}
		// Another may have taken its place since.
		if err := c.take(x, charges, timeout); !errors.Is(err, redis.ErrClosed) || h.counter.Load() == c {
			return err
		}
	}
}

// Add implements ratelimit.Store.
func (h *sharedStore) Add(charges ...limit.Charge) {
	if c := h.counter.Load(); c != nil {
		c.add(charges...)
	}
}
