// Package lease spends slices of limits that several proxies share. A Store holds,
// of each key that is in use, some units that its Source has granted to it alone:
// a request spends them without asking anybody. The more a key is used, the larger
// are its slices, and the earlier they are refilled; who comes for the first time
// waits for one round trip, together with all who come meanwhile. What nobody
// uses is given back. Places, of which a request has one for as long as it is in
// progress, are held likewise, and said to be held again and again: who does not say
// so has lost them.
//
// All asks of a moment are one call of the Source, and there is one call at a time,
// however much is asked: that bounds the load on it. A Store owns one goroutine,
// which Close ends. Package proxy imports it.
package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

// Source grants leases: all that are asked for, or none.
type Source interface {
	Lease(ctx context.Context, holder string, asks []budget.Ask) ([]budget.Grant, error)
}

// Metrics count what is asked of a Source.
type Metrics interface {
	// Call counts a call, and how long it took.
	Call(took time.Duration, err error)
	// Unasked counts requests that nobody was asked for, since the Source has failed.
	Unasked()
	// Up says whether the Source has answered the last call.
	Up(is bool)
}

// Options of a Store.
type Options struct {
	Name   string
	Source Source
	// Holder is a name that no other Store has.
	Holder  string
	Metrics Metrics
	Log     *slog.Logger
	// Now is the monotonic clock, in nanoseconds, above zero.
	Now func() int64
	// Exact: no place is kept that is not in use, and it is said each second which are,
	// for a Source that is cheap to ask and may forget.
	Exact bool
}

// Charge is what a request is to be charged, and the answer.
type Charge struct {
	// Group and Counter say of what.
	Group, Counter string
	Key            [16]byte
	// Unit is the time in which a unit of a rate comes back, and Burst how many there
	// can be. Places are how many may be in use at once, and Place is the one that was
	// taken. Without both Amount is of a quota, in the window of the Calendar.
	Unit     time.Duration
	Burst    int64
	Places   int64
	Place    *Place
	Amount   int64
	Calendar Calendar
	// Cost is at least zero; zero asks for anything to be left. Dry: what is refused
	// does not keep the others from being charged.
	Cost int64
	Dry  bool
	// MaxKeys bounds the keys of the Counter that are held here.
	MaxKeys int

	// Used are units, and Next is when there is one less of a rate, or when the
	// quota's window ends. Refused: there is not as much left.
	Used    int64
	Next    time.Duration
	Refused bool
}

// Calendar finds the window of a quota that holds a time, in Unix seconds.
type Calendar interface {
	Window(t time.Time) (begin, end int64)
}

// Errors of Take.
var (
	ErrDown     = errors.New("leases cannot be had now")
	ErrTimeout  = errors.New("a lease was not granted in time")
	ErrOverload = errors.New("too many keys at once")
)

const (
	shards = 64
	// callTimeout bounds a call of the Source.
	callTimeout = time.Second
	// retry is the wait after a call that has failed.
	retry = 250 * time.Millisecond
	// atOnce are asked in one call, and maxQueue wait for it.
	atOnce   = 256
	maxQueue = 1 << 16
	// sweepEvery is how often it is looked for what nobody uses.
	sweepEvery = time.Second
)

type id struct {
	counter
	key [16]byte
}

// counter is what counts keys.
type counter struct{ group, name string }

func (c *Charge) id() id { return id{counter{c.Group, c.Counter}, c.Key} }

type shard struct {
	mu       sync.Mutex // guards accounts
	accounts map[id]*account
}

// Store is leases in use.
type Store struct {
	opt    Options
	shards [shards]shard
	keys   sync.Map // from each counter to *atomic.Int64

	// back: the Source answers again, after it has failed. It is run's own.
	back bool
	// trouble is why the Source did not answer the last call; nil if it did.
	trouble atomic.Pointer[Trouble]
	// failing is until when nobody is asked, since the Source has failed.
	failing atomic.Int64
	// clock is the Source's before ours.
	clock atomic.Pointer[clock]

	mu    sync.Mutex // guards queue
	queue []*account
	wake  chan struct{}
	stop  context.CancelFunc
	done  chan struct{}
}

// clock: the Source's was at wall, or a little later, when ours was at.
type clock struct{ wall, at int64 }

// Trouble is why a Source does not answer.
type Trouble struct {
	Since time.Time
	Error string
}

// Trouble is nil while the Source answers, or was not asked yet.
func (s *Store) Trouble() *Trouble { return s.trouble.Load() }

// Open starts a Store.
func Open(o Options) *Store {
	s := &Store{opt: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
	for i := range s.shards {
		s.shards[i].accounts = map[id]*account{}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.run(ctx)
	return s
}

// Take charges all of the charges, or none of them if one refuses, and writes the
// answers into them. It waits no longer than timeout, and before it waits at all it
// calls before, which may be nil.
func (s *Store) Take(charges []Charge, timeout time.Duration, before func()) error {
	now := s.opt.Now()
	down := now < s.failing.Load()
	accounts, waiters, is := make([]*account, len(charges)), make([]*waiter, len(charges)), make([]outcome, len(charges))
	var err error
	refusing, waiting := false, false
	for i := range charges {
		c := &charges[i]
		if accounts[i], err = s.account(c, now); err != nil {
			break
		}
		var ask bool
		a := accounts[i]
		is[i], waiters[i], ask = a.take(c.Cost, now, down)
		a.mu.Unlock()
		if ask && !s.enqueue(a) {
			err = ErrOverload
			break
		}
		if is[i] == failed {
			s.opt.Metrics.Unasked()
			err = ErrDown
			break
		}
		refusing = refusing || is[i] == refused && !c.Dry
		waiting = waiting || is[i] == open
	}
	if err == nil && waiting && !refusing {
		if before != nil {
			before()
		}
		err = wait(waiters, is, timeout)
	}
	for i := range charges {
		refusing = refusing || is[i] == refused && !charges[i].Dry
	}
	for i, a := range accounts {
		if a != nil && s.conclude(&charges[i], a, waiters[i], is[i], err == nil && !refusing) {
			s.enqueue(a)
		}
	}
	return err
}

// wait waits for the grants that are open.
func wait(waiters []*waiter, is []outcome, timeout time.Duration) error {
	t := time.NewTimer(timeout)
	defer t.Stop()
	for i, w := range waiters {
		if is[i] != open {
			continue
		}
		select {
		case is[i] = <-w.done:
			if is[i] == failed {
				return ErrDown
			}
		case <-t.C:
			return ErrTimeout
		}
	}
	return nil
}

// conclude writes the answer, and gives back what is not charged after all, of which
// the Source is to be told if ask is true.
func (s *Store) conclude(c *Charge, a *account, w *waiter, is outcome, charged bool) (ask bool) {
	if is == open && w != nil {
		a.leave(w)
	}
	now := s.opt.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case is == granted && !charged:
		a.back(c.Cost)
	case is == granted && c.Places > 0:
		c.Place = &Place{s, a}
	}
	c.Refused = is == refused
	c.Used, c.Next = a.use(now)
	return s.crowded(a, now)
}

// Add charges what goes beyond what was taken, or gives it back where Cost is below
// zero. It waits for nothing.
func (s *Store) Add(charges ...Charge) {
	now := s.opt.Now()
	for i := range charges {
		c := &charges[i]
		a, err := s.account(c, now)
		if err != nil {
			continue // there is no room to remember it
		}
		a.used = now
		a.lapse(now)
		fromHeld := min(max(c.Cost, 0), a.left)
		a.left -= fromHeld
		a.delta = min(max(a.delta+c.Cost-fromHeld, -budget.MaxUnits), budget.MaxUnits)
		ask := a.delta > 0 && a.toAsk()
		a.mu.Unlock()
		if ask {
			s.enqueue(a)
		}
	}
}

func (s *Store) shard(of id) *shard { return &s.shards[of.key[15]%shards] }

func (s *Store) find(of id) *account {
	sh := s.shard(of)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.accounts[of]
}

// account is the one of a key, locked.
func (s *Store) account(c *Charge, now int64) (*account, error) {
	of := c.id()
	for {
		a := s.find(of)
		if a == nil {
			var err error
			if a, err = s.add(of, c.MaxKeys); err != nil {
				return nil, err
			}
		}
		a.mu.Lock()
		if a.gone {
			a.mu.Unlock()
			continue
		}
		l := limitOf{int64(c.Unit), c.Burst, c.Places, c.Amount, c.Calendar}
		if a.limit != l {
			a.limit, a.refused = l, 0
		}
		if a.used == 0 {
			a.used = now
		}
		return a, nil
	}
}

func (s *Store) add(of id, most int) (*account, error) {
	n, ok := s.keys.Load(of.counter)
	if !ok {
		n, _ = s.keys.LoadOrStore(of.counter, new(atomic.Int64))
	}
	count := n.(*atomic.Int64)
	sh := s.shard(of)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if a := sh.accounts[of]; a != nil {
		return a, nil
	}
	if count.Add(1) > int64(most) {
		count.Add(-1)
		return nil, ErrOverload
	}
	a := &account{id: of}
	sh.accounts[of] = a
	return a, nil
}

// Keys is how many keys of a counter are held here.
func (s *Store) Keys(group, name string) int {
	if n, ok := s.keys.Load(counter{group, name}); ok {
		return int(n.(*atomic.Int64).Load())
	}
	return 0
}

// enqueue has the Source asked about an account, whose asking is set. It is false
// if too many wait.
func (s *Store) enqueue(a *account) bool {
	s.mu.Lock()
	full := len(s.queue) >= maxQueue
	if !full {
		s.queue = append(s.queue, a)
	}
	s.mu.Unlock()
	if full {
		a.mu.Lock()
		a.asking = false
		a.mu.Unlock()
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}
