package lease_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/proxy/limit/lease"
)

// ledger is a Source in memory, whose clock may be another than the proxies'.
type ledger struct {
	mu     sync.Mutex // guards what follows
	states map[string]*budget.State
	calls  int
	asks   int
	down   bool
	lost   bool // what is granted does not arrive
	ahead  time.Duration
	delay  time.Duration
}

var errDown = errors.New("down")

func (l *ledger) Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error) {
	l.mu.Lock()
	delay := l.delay
	l.mu.Unlock()
	time.Sleep(delay)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.asks += len(asks)
	if l.down {
		return nil, errDown
	}
	if l.states == nil {
		l.states = map[string]*budget.State{}
	}
	grants := make([]budget.Grant, len(asks))
	for i := range asks {
		name := fmt.Sprintf("%s %x", asks[i].Counter, asks[i].Key)
		if l.states[name] == nil {
			l.states[name] = &budget.State{}
		}
		grants[i] = l.states[name].Step(holder, &asks[i], time.Now().Add(l.ahead).UnixNano())
	}
	if l.lost {
		return nil, errDown
	}
	return grants, ctx.Err()
}

func (l *ledger) set(f func(*ledger)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

func (l *ledger) counts() (calls, asks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls, l.asks
}

type unmetered struct{}

func (unmetered) Call(time.Duration, error) {}
func (unmetered) Unasked()                  {}
func (unmetered) Up(bool)                   {}

func store(l *ledger, name string) *lease.Store {
	return lease.Open(lease.Options{
		Name: name, Holder: name, Source: l, Metrics: unmetered{}, Log: slog.New(slog.DiscardHandler),
		Now: func() int64 { return time.Now().UnixNano() },
	})
}

type hours struct{}

func (hours) Window(t time.Time) (begin, end int64) { return hourly(t) }

// hourly is the window of an hour.
func hourly(t time.Time) (begin, end int64) {
	begin = t.Truncate(time.Hour).Unix()
	return begin, begin + 3600
}

func quota(amount int64) lease.Charge {
	return lease.Charge{Counter: "q", Amount: amount, Calendar: hours{}, Cost: 1, MaxKeys: 1000}
}

func rate(perSecond, burst int64) lease.Charge {
	return lease.Charge{Counter: "r", Unit: time.Second / time.Duration(perSecond), Burst: burst, Cost: 1, MaxKeys: 1000}
}

const timeout = 100 * time.Millisecond

// passes charges one, and tells whether it may pass.
func passes(t *testing.T, s *lease.Store, c lease.Charge) bool {
	t.Helper()
	list := []lease.Charge{c}
	if err := s.Take(list, timeout, nil); err != nil {
		t.Fatal(err)
	}
	return !list[0].Refused
}

func closing(list ...*lease.Store) {
	for _, s := range list {
		s.Close(context.Background())
	}
}

// TestQuotaTogether: all of a quota is had by several together, and no more; a
// round trip is an exception.
func TestQuotaTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{delay: 2 * time.Millisecond}
		const amount, proxies = 10_000, 4
		var mu sync.Mutex
		passed, asked := 0, 0
		var all sync.WaitGroup
		var stores []*lease.Store
		for p := range proxies {
			s := store(l, fmt.Sprint(p))
			stores = append(stores, s)
			for range 8 {
				all.Go(func() {
					for refusals := 0; refusals < 20; {
						ok := passes(t, s, quota(amount))
						mu.Lock()
						asked++
						if ok {
							passed++
						} else {
							refusals++
						}
						mu.Unlock()
						time.Sleep(time.Millisecond)
						if !ok {
							time.Sleep(200 * time.Millisecond)
						}
					}
				})
			}
		}
		all.Wait()
		if passed != amount {
			t.Errorf("%d of %d have passed", passed, amount)
		}
		if calls, _ := l.counts(); calls > asked/10 {
			t.Errorf("%d calls for %d requests", calls, asked)
		}
		closing(stores...)
	})
}

// TestRateTogether: several proxies together let pass what the rate gives, and never
// more, whatever stretch of time is looked at.
func TestRateTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{delay: time.Millisecond}
		const perSecond, burst, proxies, seconds = 200, 100, 3, 20
		var mu sync.Mutex
		var when []time.Duration
		start := time.Now()
		var all sync.WaitGroup
		var stores []*lease.Store
		for p := range proxies {
			s := store(l, fmt.Sprint(p))
			stores = append(stores, s)
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(p), 2))
				for time.Since(start) < seconds*time.Second {
					if passes(t, s, rate(perSecond, burst)) {
						mu.Lock()
						when = append(when, time.Since(start))
						mu.Unlock()
					}
					time.Sleep(time.Duration(r.IntN(6)) * time.Millisecond)
					if r.IntN(2000) == 0 {
						time.Sleep(time.Second)
					}
				}
			})
		}
		all.Wait()
		for i := range when {
			for j := i; j < len(when); j++ {
				// What is granted at once is spent when the answer has come.
				if most := burst + int((when[j]-when[i]+2*time.Millisecond)*perSecond/time.Second) + 1; j-i+1 > most {
					t.Fatalf("%d in %s, %d are allowed", j-i+1, when[j]-when[i], most)
				}
			}
		}
		if least := burst*3/4 + perSecond*seconds*95/100; len(when) < least {
			t.Errorf("%d have passed, %d should have", len(when), least)
		}
		closing(stores...)
	})
}

// What nobody uses is given back; what a process holds that dies is lost, and that
// is bounded.
func TestGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		const amount = 1000
		drain := func(s *lease.Store) (n int) {
			for passes(t, s, quota(amount)) {
				n++
			}
			return n
		}
		idle, dead, last := store(l, "idle"), store(l, "dead"), store(l, "last")
		for _, s := range []*lease.Store{idle, dead} {
			for range 200 {
				if !passes(t, s, quota(amount)) {
					t.Fatal("refused")
				}
				time.Sleep(time.Millisecond)
			}
		}
		stopped := make(chan struct{})
		l.set(func(l *ledger) { l.down = true })
		go func() { dead.Close(context.Background()); close(stopped) }() // its last words do not arrive
		<-stopped
		l.set(func(l *ledger) { l.down = false })
		time.Sleep(10 * time.Second)
		n := drain(last)
		if n > amount-400 || n < amount-400-amount/8 {
			t.Errorf("%d were left of %d", n, amount-400)
		}
		if idle.Keys("", "q") != 0 {
			t.Error("an idle key is held")
		}
		closing(idle, last)
	})
}

// Close gives everything back.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		for _, c := range []lease.Charge{quota(1000), rate(1, 1000)} {
			s := store(l, "a")
			for range 100 {
				passes(t, s, c)
				time.Sleep(time.Microsecond)
			}
			closing(s)
			s = store(l, "b")
			list := []lease.Charge{c}
			if err := s.Take(list, timeout, nil); err != nil || list[0].Used != 101 {
				t.Errorf("%s: %d used, %v", c.Counter, list[0].Used, err)
			}
			closing(s)
		}
	})
}

// TestSourceAway: what is held is spent, then there is an error, and all is as it was
// when the Source is back.
func TestSourceAway(t *testing.T) {
	for name, break_ := range map[string]func(*ledger, bool){
		"down": func(l *ledger, b bool) { l.down = b },
		"lost": func(l *ledger, b bool) { l.lost = b },
		"slow": func(l *ledger, b bool) { l.delay = map[bool]time.Duration{true: 2 * time.Second}[b] },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{}
				const amount = 1000
				s := store(l, "a")
				passed := 0
				take := func() error {
					list := []lease.Charge{quota(amount)}
					err := s.Take(list, timeout, nil)
					if err == nil && !list[0].Refused {
						passed++
					}
					return err
				}
				for range 200 {
					if err := take(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				time.Sleep(time.Second)
				l.set(func(l *ledger) { break_(l, true) })
				before := passed
				var err error
				for err == nil {
					err = take()
				}
				if passed == before || passed > before+amount/8 {
					t.Errorf("%d were spent without the Source", passed-before)
				}
				for range 20 {
					if err := take(); err == nil {
						t.Error("something was had of nobody")
					}
					time.Sleep(100 * time.Millisecond)
				}
				l.set(func(l *ledger) { break_(l, false) })
				time.Sleep(5 * time.Second)
				for range amount {
					_ = take()
					time.Sleep(time.Millisecond)
				}
				if passed > amount {
					t.Errorf("oversold: %d of %d", passed, amount)
				}
				if least := amount - 2*amount/8; passed < least {
					t.Errorf("%d of %d have passed", passed, amount)
				}
				closing(s)
			})
		})
	}
}

// A window ends by the Source's clock, whatever ours says.
func TestClocks(t *testing.T) {
	for _, ahead := range []time.Duration{0, 5 * time.Hour, -50 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := &ledger{ahead: ahead, delay: time.Millisecond}
			s := store(l, "a")
			for hour := range 3 {
				n := 0
				for passes(t, s, quota(100)) {
					n++
				}
				if n != 100 {
					t.Errorf("%s ahead, hour %d: %d have passed", ahead, hour, n)
				}
				_, end := hourly(time.Now().Add(ahead))
				wait := time.Unix(end, 0).Sub(time.Now().Add(ahead))
				time.Sleep(wait - 10*time.Millisecond)
				if passes(t, s, quota(100)) {
					t.Error("one more at the window's end")
				}
				time.Sleep(1100 * time.Millisecond)
			}
			closing(s)
		})
	}
}

// Several limits are charged together or not at all.
func TestAllOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{delay: time.Millisecond}
		s := store(l, "a")
		wide, narrow, dry := quota(1000), quota(3), quota(2)
		narrow.Key[0], dry.Key[0], dry.Dry = 1, 2, true
		for i := range 10 {
			list := []lease.Charge{wide, narrow, dry}
			if err := s.Take(list, timeout, nil); err != nil {
				t.Fatal(err)
			}
			if list[0].Refused || list[1].Refused != (i >= 3) || list[2].Refused != (i >= 2) {
				t.Errorf("request %d: %+v", i, list)
			}
			if want := int64(min(i+1, 3)); list[0].Used != want {
				t.Errorf("request %d: %d used of the wide one, want %d", i, list[0].Used, want)
			}
		}
		closing(s)
	})
}

func TestCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		s := store(l, "a")
		charge := func(cost int64) lease.Charge { c := quota(100); c.Cost = cost; return c }
		for _, c := range []struct {
			cost   int64
			passes bool
		}{{0, true}, {60, true}, {50, false}, {40, true}, {0, false}, {101, false}} {
			if got := passes(t, s, charge(c.cost)); got != c.passes {
				t.Errorf("cost %d: passed %t", c.cost, got)
			}
			time.Sleep(2 * time.Second)
		}
		s.Add(charge(-30)) // a response has cost less
		time.Sleep(5 * time.Second)
		if !passes(t, s, charge(20)) {
			t.Error("what was given back is not there")
		}
		s.Add(charge(50)) // and one more than there is
		time.Sleep(5 * time.Second)
		list := []lease.Charge{charge(1)}
		if err := s.Take(list, timeout, nil); err != nil || !list[0].Refused || list[0].Used != 100 {
			t.Errorf("%+v, %v", list, err)
		}
		closing(s)
	})
}

// TestLoad: keys that are used once cost a call together, and idle ones none; there
// is no room for more than there is.
func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{delay: 10 * time.Millisecond}
		s := store(l, "a")
		var all sync.WaitGroup
		for k := range 1000 {
			all.Go(func() {
				c := quota(100)
				c.Key[0], c.Key[1] = byte(k), byte(k>>8)
				passes(t, s, c)
			})
		}
		all.Wait()
		if calls, asks := l.counts(); calls > 10 || asks != 1000 {
			t.Errorf("%d calls with %d asks for 1,000 keys", calls, asks)
		}
		c := quota(100)
		c.Key[2] = 1
		if err := s.Take([]lease.Charge{c}, timeout, nil); !errors.Is(err, lease.ErrOverload) {
			t.Errorf("one more key: %v", err)
		}
		time.Sleep(time.Minute)
		before, _ := l.counts()
		time.Sleep(time.Hour)
		if after, _ := l.counts(); after != before || s.Keys("", "q") != 0 {
			t.Errorf("idle keys: %d calls, %d keys", after-before, s.Keys("", "q"))
		}
		closing(s)
	})
}

func BenchmarkTake(b *testing.B) {
	l := &ledger{}
	s := store(l, "a")
	c := quota(1 << 40)
	list := []lease.Charge{c}
	b.ReportAllocs()
	for b.Loop() {
		list[0] = c
		if err := s.Take(list, time.Second, nil); err != nil || list[0].Refused {
			b.Fatal(err)
		}
	}
	closing(s)
}
