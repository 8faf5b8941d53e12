package limit_test

import (
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// moment is d after the start by both clocks.
func moment(d time.Duration) limit.Moment {
	return limit.Moment{Monotonic: int64(time.Hour + d), Wall: start.Add(d)}
}

func perSecond(n, burst int64) *ir.RateLimit {
	return &ir.RateLimit{State: "s", MaxKeys: 1000, Rate: &ir.Rate{Units: n, Period: time.Second, Burst: burst}}
}

func get(cfg *ir.RateLimit) *limit.Limit { return new(limit.Set).Get(cfg) }

// count is how many requests of a key get through at a moment.
func count(l *limit.Limit, tag uint64, at limit.Moment, tries int) (n int) {
	for range tries {
		if t, _ := l.Take(tag, at, 1); t.OK {
			n++
		}
	}
	return n
}

func TestRate(t *testing.T) {
	l := get(perSecond(10, 3))
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 3},                      // the burst
		{99 * time.Millisecond, 0},  // nothing has come back
		{100 * time.Millisecond, 1}, // one has
		{350 * time.Millisecond, 2}, // at 200 and 300 ms
		{399 * time.Millisecond, 0}, //
		{400 * time.Millisecond, 1}, //
		{10 * time.Second, 3},       // no more than the burst, however long the pause
		{10050 * time.Millisecond, 0},
	} {
		if got := count(l, 1, moment(c.at), 20); got != c.want {
			t.Errorf("after %s %d requests got through, want %d", c.at, got, c.want)
		}
	}
	if got := count(l, 2, moment(0), 20); got != 3 {
		t.Errorf("another key: %d, want 3", got)
	}
}

// TestRateNeverGivesMore asks at random for an hour: in no stretch of time more
// than the burst and what comes back.
func TestRateNeverGivesMore(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 5))
		units, burst := 1+rng.Int64N(50), 1+rng.Int64N(20)
		period := time.Duration(1+rng.IntN(100)) * time.Second
		l := get(&ir.RateLimit{State: "s", MaxKeys: 10, Rate: &ir.Rate{Units: units, Period: period, Burst: burst}})
		var at time.Duration
		total := int64(0)
		for at < time.Hour {
			at += time.Duration(rng.Int64N(int64(4 * period / time.Duration(units))))
			cost := 1 + rng.Int64N(burst)
			if tally, _ := l.Take(9, moment(at), cost); tally.OK {
				total += cost
			} else if again, _ := l.Take(9, moment(at+tally.After), cost); !again.OK {
				t.Fatalf("seed %d: refused again after the %s that were said", seed, tally.After)
			} else {
				at += tally.After
				total += cost
			}
		}
		most := burst + int64(float64(units)*float64(at)/float64(period)) + 1
		if total > most {
			t.Errorf("seed %d: %d units in %s, of %d/%s with burst %d", seed, total, at, units, period, burst)
		}
	}
}

func TestTally(t *testing.T) {
	l := get(perSecond(10, 5))
	first, _ := l.Take(1, moment(0), 2)
	if first.Left != 3 || first.After != 100*time.Millisecond {
		t.Errorf("after 2 of 5: %+v", first)
	}
	refused, _ := l.Take(1, moment(0), 4)
	if refused.OK || refused.Left != 3 || refused.After != 100*time.Millisecond {
		t.Errorf("4 of 3: %+v", refused)
	}
	if look := l.Look(1, moment(0), 3); !look.OK || look.Left != 3 {
		t.Errorf("looking at 3 of 3: %+v", look)
	}
	if back := l.Add(1, moment(0), -2); back.Left != 5 || back.After != 0 {
		t.Errorf("after 2 were given back: %+v", back)
	}
	if more := l.Add(1, moment(0), -100); more.Left != 5 {
		t.Errorf("no more than the burst can be given back: %+v", more)
	}
	debt := l.Add(1, moment(0), 25)
	if debt.Left != 0 || debt.After != 2100*time.Millisecond {
		t.Errorf("25 of 5: %+v", debt)
	}
	if got := count(l, 1, moment(2099*time.Millisecond), 1); got != 0 {
		t.Error("a debt was forgotten")
	}
	if got := count(l, 1, moment(2100*time.Millisecond), 1); got != 1 {
		t.Error("a debt was not paid when it should be")
	}
	forever := l.Add(2, moment(0), 1_000_000_000_000)
	if forever.After > 24*time.Hour+time.Second {
		t.Errorf("a debt of %s", forever.After)
	}
}

// TestZeroCost gets through as long as anything is left, and takes nothing.
func TestZeroCost(t *testing.T) {
	l := get(perSecond(1, 2))
	for range 10 {
		if tally, _ := l.Take(1, moment(0), 0); !tally.OK || tally.Left != 2 {
			t.Fatalf("%+v", tally)
		}
	}
	l.Add(1, moment(0), 2)
	if tally, _ := l.Take(1, moment(0), 0); tally.OK || tally.After != time.Second {
		t.Errorf("nothing is left: %+v", tally)
	}
	if l.Stats(moment(0)).Keys != 1 {
		t.Errorf("%+v", l.Stats(moment(0)))
	}
}

// TestExactly has many goroutines ask at one moment for the same few keys.
func TestExactly(t *testing.T) {
	for name, cfg := range map[string]*ir.RateLimit{
		"rate":  perSecond(1, 1000),
		"quota": {State: "s", MaxKeys: 1000, Quota: &ir.Quota{Amount: 1000, Window: ir.QuotaDay, TimeZone: "UTC"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := get(cfg)
			var through [4]atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 4 * 400 {
						if tally, _ := l.Take(uint64(i%4)<<60|7, moment(0), 1); tally.OK {
							through[i%4].Add(1)
						}
					}
				})
			}
			wg.Wait()
			for i := range through {
				if n := through[i].Load(); n != 1000 {
					t.Errorf("key %d: %d got through, want exactly 1000", i, n)
				}
			}
		})
	}
}

func TestConcurrency(t *testing.T) {
	l := get(&ir.RateLimit{State: "s", MaxKeys: 100, Concurrency: 3})
	var held []*atomic.Uint64
	for i := range 5 {
		tally, hold := l.Take(1, moment(0), 1)
		if tally.OK != (i < 3) || (hold != nil) != tally.OK {
			t.Fatalf("request %d: %+v", i, tally)
		}
		if hold != nil {
			held = append(held, hold)
		}
	}
	limit.Leave(held[0])
	if tally, _ := l.Take(1, moment(0), 1); !tally.OK || tally.Left != 0 {
		t.Errorf("a place was given back: %+v", tally)
	}
	// Never more at once, whoever comes and goes.
	l = get(&ir.RateLimit{State: "s", MaxKeys: 1, Concurrency: 3})
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				tally, hold := l.Take(5, moment(0), 1)
				if !tally.OK {
					continue
				}
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				now.Add(-1)
				limit.Leave(hold)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || l.Stats(moment(0)).Keys != 0 {
		t.Errorf("%d at once, %d left", most.Load(), l.Stats(moment(0)).Keys)
	}
}

func TestBandwidth(t *testing.T) {
	l := get(&ir.RateLimit{State: "s", MaxKeys: 10, Bandwidth: &ir.Bandwidth{Response: 1_000_000}})
	if n := l.Piece(false, 1<<20); n != 1<<20 {
		t.Errorf("requests have no bandwidth, and pieces of %d", n)
	}
	piece := l.Piece(true, 1<<20)
	if piece != 62500 {
		t.Errorf("pieces of %d bytes", piece)
	}
	now, sent := int64(time.Hour), 0
	begin := now
	for sent < 10_000_000 {
		now += int64(l.Pace(1, true, piece, now))
		sent += piece
	}
	// A second's worth passes at once.
	if took := time.Duration(now - begin); took < 8900*time.Millisecond || took > 9100*time.Millisecond {
		t.Errorf("10 MB took %s at 1 MB/s", took)
	}
	if wait := l.Pace(2, true, piece, now); wait != 0 {
		t.Errorf("another key waits %s", wait)
	}
}

// TestSettingsChange: what counts stays, whatever else changes.
func TestSettingsChange(t *testing.T) {
	var s limit.Set
	cfg := ir.RateLimit{State: "s", MaxKeys: 10, Quota: &ir.Quota{Amount: 10, Window: ir.QuotaDay, TimeZone: "UTC"}}
	l := s.Get(&cfg)
	count(l, 1, moment(0), 8)
	more := cfg
	more.Quota = &ir.Quota{Amount: 12, Window: ir.QuotaDay, TimeZone: "UTC"}
	if again := s.Get(&more); again != l {
		t.Error("another limit for the same state")
	}
	if got := count(l, 1, moment(0), 20); got != 4 {
		t.Errorf("%d more of 12 after 8", got)
	}
	// One that goes and comes back soon has its counters still.
	s.Keep(nil, start)
	s.Keep(nil, start.Add(limit.Grace-time.Second))
	if s.Get(&cfg) != l {
		t.Error("the counters were forgotten at once")
	}
	s.Keep(nil, start)
	s.Keep(nil, start.Add(limit.Grace))
	if s.Get(&cfg) == l {
		t.Error("the counters were never forgotten")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for name, cfg := range map[string]*ir.RateLimit{
		"rate":        perSecond(1_000_000, 1_000_000),
		"quota":       {State: "s", MaxKeys: 1000, Quota: &ir.Quota{Amount: 1 << 30, Window: ir.QuotaDay, TimeZone: "Europe/Berlin"}},
		"concurrency": {State: "s", MaxKeys: 1000, Concurrency: 1 << 20},
	} {
		l := get(cfg)
		at := moment(0)
		tag := maphash.Bytes(l.Seed(), []byte("key"))
		if n := testing.AllocsPerRun(100, func() { l.Take(tag, at, 1); l.Look(tag, at, 1) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkTake shows what a limit costs, with one key that all have in common
// and with a key for each.
func BenchmarkTake(b *testing.B) {
	for name, keys := range map[string]uint64{"oneKey": 1, "1Mkeys": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			cfg := perSecond(1_000_000, 1_000_000_000)
			cfg.MaxKeys = 1_000_000
			l := get(cfg)
			at := moment(0)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := rand.Uint64()
				for pb.Next() {
					i = i*6364136223846793005 + 1442695040888963407
					l.Take((i>>20%keys+1)*0x9e3779b97f4a7c15, at, 1)
				}
			})
		})
	}
}
