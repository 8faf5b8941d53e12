package redis_test

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/proxy/limit/redis"
	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

// patience is how long an answer may take on a machine that is short of time.
const patience = 20 * time.Second

type metrics struct{ calls, failed, unasked, lost atomic.Int64 }

func (m *metrics) Call(_ time.Duration, err error) {
	m.calls.Add(1)
	if err != nil {
		m.failed.Add(1)
	}
}
func (m *metrics) Unasked()   { m.unasked.Add(1) }
func (m *metrics) Lost(n int) { m.lost.Add(int64(n)) }
func (m *metrics) Up(bool)    {}

// proxy is what counts in a store.
type proxy struct {
	*redis.Store
	metrics metrics
	limits  limit.Set
}

func open(t *testing.T, cfg ir.RedisStore) *proxy {
	if cfg.Mode == "" {
		cfg.Mode = ir.RedisSingle
	}
	if cfg.Connections == 0 {
		cfg.Connections = 2
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 2 * time.Second
	}
	cfg.KeyPrefix = "test:"
	p := &proxy{}
	p.Store = redis.Open(redis.Options{
		Name: "default/store", Config: &cfg, Client: redis.ClientOption(&cfg, nil), Metrics: &p.metrics, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(p.Close)
	return p
}

func on(addr string) ir.RedisStore { return ir.RedisStore{Addresses: []string{addr}} }

func named(l ir.RateLimit, name string) *ir.RateLimit {
	l.Name, l.Policy, l.State = name, "default/api", name
	l.MaxKeys = 1000
	if l.Global == nil {
		l.Global = &ir.GlobalLimit{Store: "default/store", Group: "default/api", Counter: name}
	}
	return &l
}

func rate(name string, units int64, period time.Duration, burst int64) *ir.RateLimit {
	return named(ir.RateLimit{Rate: &ir.Rate{Units: units, Period: period, Burst: burst}}, name)
}

func quota(name string, amount int64) *ir.RateLimit {
	return named(ir.RateLimit{Quota: &ir.Quota{Amount: amount, Window: ir.QuotaMonth, TimeZone: "Europe/Berlin"}}, name)
}

func (p *proxy) charge(l *ir.RateLimit, who string, cost int64) limit.Charge {
	sum := sha256.Sum256([]byte(who))
	return limit.Charge{Cfg: l, Limit: p.limits.Get(l), Key: limit.Key(sum[:16]), Cost: cost}
}

// take charges, and tells whether all let it pass.
func (p *proxy) take(t *testing.T, charges ...limit.Charge) bool {
	t.Helper()
	if err := p.Take(charges, patience); err != nil {
		t.Fatal(err)
	}
	for _, c := range charges {
		if c.Refused && !c.Cfg.DryRun {
			return false
		}
	}
	return true
}

// used is what a key has used, as the store says.
func (p *proxy) used(t *testing.T, l *ir.RateLimit, who string) uint64 {
	t.Helper()
	c := []limit.Charge{p.charge(l, who, 0)}
	if err := p.Take(c, patience); err != nil {
		t.Fatal(err)
	}
	return c[0].Use.Used
}

// TestManyProxiesCountExactly: whoever asks, there is as much as there is.
func TestManyProxiesCountExactly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const amount = 500
	for name, l := range map[string]*ir.RateLimit{"rate": rate("r", amount, 24*365*time.Hour, amount), "quota": quota("q", amount)} {
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 3 {
			p := open(t, on(server.Addr))
			for range 8 {
				wg.Go(func() {
					for range 40 {
						if p.take(t, p.charge(l, "somebody", 1)) {
							passed.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		if passed.Load() != amount {
			t.Errorf("%s: %d of %d passed", name, passed.Load(), amount)
		}
	}
}

// TestAllOrNothing: a limit that refuses leaves the others as they are.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	p := open(t, on(redistest.Start(t).Addr))
	wide, narrow := rate("wide", 100, time.Hour, 100), quota("narrow", 5)
	dry := rate("dry", 1, time.Hour, 1)
	dry.DryRun = true
	ask := func(cost int64) []limit.Charge {
		c := []limit.Charge{p.charge(wide, "a", cost), p.charge(narrow, "a", cost), p.charge(dry, "a", cost)}
		if err := p.Take(c, patience); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := ask(1); c[0].Refused || c[1].Refused || c[2].Refused || c[0].Use.Used != 1 || c[1].Use.Used != 1 || c[2].Use.Used != 1 {
		t.Errorf("%+v", c)
	}
	if c := ask(2); c[0].Refused || c[1].Refused || !c[2].Refused || c[0].Use.Used != 3 || c[1].Use.Used != 3 || c[2].Use.Used != 1 {
		t.Errorf("a dry limit refuses nothing and is not charged: %+v", c)
	}
	if c := ask(3); c[0].Refused || !c[1].Refused || c[0].Use.Used != 3 || c[1].Use.Used != 3 {
		t.Errorf("nothing is charged: %+v", c)
	}
}

// TestTimes: what comes back, and when.
func TestTimes(t *testing.T) {
	t.Parallel()
	p := open(t, on(redistest.Start(t).Addr))
	hourly := rate("hourly", 4, time.Hour, 2)
	near := func(d, want time.Duration) bool { return d <= want && d > want-time.Minute }
	for i, want := range []struct {
		left  uint64
		after time.Duration
		ok    bool
	}{{1, 15 * time.Minute, true}, {0, 15 * time.Minute, true}, {0, 15 * time.Minute, false}, {0, 15 * time.Minute, false}} {
		c := []limit.Charge{p.charge(hourly, "a", 1)}
		if err := p.Take(c, patience); err != nil {
			t.Fatal(err)
		}
		tally := c[0].Limit.Learn(uint64(7), limit.At(time.Now()), c[0].Use, 1, c[0].Refused)
		if tally.OK != want.ok || tally.Left != want.left || !near(tally.After, want.after) {
			t.Errorf("%d: %+v, want %+v", i, tally, want)
		}
	}
	// The proxy's own counter goes on from there.
	if t2, _ := p.limits.Get(hourly).Take(7, limit.At(time.Now()), 1); t2.OK || !near(t2.After, 15*time.Minute) {
		t.Errorf("its own: %+v", t2)
	}
	month := quota("month", 2)
	c := []limit.Charge{p.charge(month, "a", 1)}
	if err := p.Take(c, patience); err != nil {
		t.Fatal(err)
	}
	_, end := c[0].Limit.Window(time.Now())
	if left := time.Until(time.Unix(end, 0)); c[0].Use.Next > left+time.Minute || c[0].Use.Next < left-time.Minute {
		t.Errorf("a window of %s ends in %s", left, c[0].Use.Next)
	}
}

// TestCorrections: what a response has cost is charged, or given back.
func TestCorrections(t *testing.T) {
	t.Parallel()
	p := open(t, on(redistest.Start(t).Addr))
	l, q := rate("l", 10, time.Hour, 10), quota("q", 10)
	for _, one := range []*ir.RateLimit{l, q} {
		p.take(t, p.charge(one, "a", 5))
		p.Add(p.charge(one, "a", 20), p.charge(one, "a", -3))
		wait(t, "the debt", func() bool { return p.used(t, one, "a") == 22 })
		p.Add(p.charge(one, "a", -100))
		wait(t, "it is given back", func() bool { return p.used(t, one, "a") == 0 })
	}
}

// TestForgottenScript: a Redis that has lost everything is one that begins anew.
func TestForgottenScript(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := open(t, on(server.Addr))
	l := rate("l", 1, time.Hour, 1)
	if !p.take(t, p.charge(l, "a", 1)) || p.take(t, p.charge(l, "a", 1)) {
		t.Error("not counted")
	}
	server.Do("SCRIPT", "FLUSH")
	if p.take(t, p.charge(l, "a", 1)) {
		t.Error("a script that is gone is sent again, and counts what there was")
	}
	server.Do("FLUSHALL")
	if !p.take(t, p.charge(l, "a", 1)) {
		t.Error("keys that are gone begin anew")
	}
	if n := p.metrics.failed.Load(); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// TestGone: while Redis is gone nobody waits, and afterwards it counts again.
func TestGone(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct{ leave, come func(*redistest.Server) }{
		"killed":    {(*redistest.Server).Kill, (*redistest.Server).Run},
		"stopped":   {(*redistest.Server).Pause, (*redistest.Server).Continue},
		"read-only": {func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") }, func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			p := open(t, on(server.Addr))
			l := rate("l", 1000, time.Hour, 1000)
			p.take(t, p.charge(l, "a", 1))
			f.leave(server)
			wait(t, "it is down", func() bool {
				begun := time.Now()
				err := p.Take([]limit.Charge{p.charge(l, "a", 1)}, 20*time.Millisecond)
				if took := time.Since(begun); took > patience/2 {
					t.Fatalf("a request waited %s", took)
				}
				return errors.Is(err, redis.ErrDown)
			})
			f.come(server)
			wait(t, "it counts again", func() bool { return p.Take([]limit.Charge{p.charge(l, "a", 1)}, time.Second) == nil })
		})
	}
}

// TestFirstConnection: a proxy that starts before Redis does waits for it.
func TestFirstConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	p := open(t, on(server.Addr))
	l := rate("l", 1000, time.Hour, 1000)
	if err := p.Take([]limit.Charge{p.charge(l, "a", 1)}, 10*time.Millisecond); !errors.Is(err, redis.ErrDown) {
		t.Error(err)
	}
	server.Run()
	if !p.take(t, p.charge(l, "a", 1)) {
		t.Error("it does not pass")
	}
}

func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !f(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s", what, patience)
		}
	}
}

// TestMemoryOfRedis holds what the documentation says that a key takes there.
func TestMemoryOfRedis(t *testing.T) {
	t.Parallel()
	const keyBytes = 250
	server := redistest.Start(t)
	p := open(t, on(server.Addr))
	for _, l := range []*ir.RateLimit{rate("hourly", 100, time.Hour, 100), quota("monthly", 100_000)} {
		p.take(t, p.charge(l, "somebody", 7))
	}
	keys := strings.Fields(strings.Trim(server.Do("KEYS", "test:*"), "[]"))
	if len(keys) != 2 {
		t.Fatalf("%q", keys)
	}
	for _, key := range keys {
		n, err := strconv.Atoi(server.Do("MEMORY", "USAGE", key))
		t.Logf("%s: %d bytes", key, n)
		if err != nil || n > keyBytes {
			t.Errorf("%s: %d bytes, of which %d are documented, %v", key, n, keyBytes, err)
		}
	}
}
