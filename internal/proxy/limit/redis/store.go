// Package redis counts limits in Redis, for all proxies that do. A request waits for
// one round trip: one script charges all of its limits or none; in a cluster there
// is one for each policy, and what the others have charged is given back if one
// refuses.
//
// Calls have goroutines of their own, so that a request gives up in time whatever
// the connection does; a Store bounds how many there are. A Store that fails again
// and again is not asked until a goroutine of its own finds that it takes writes.
// Close waits for all of them. Package proxy imports it.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/limit"
)

const (
	// tolerated failures one after the other make a Store one that is down.
	tolerated = 5
	// probeEvery is how often it is tried then.
	probeEvery = 250 * time.Millisecond
	// tellEvery is how often the log is told that the reason is another one.
	tellEvery = 10 * time.Second
	// callsPerConnection may be under way.
	callsPerConnection = 512
)

// Errors of Take.
var (
	ErrDown     = errors.New("the store has failed and is not asked")
	ErrTimeout  = errors.New("the store did not answer in time")
	ErrOverload = errors.New("too much is asked of the store at once")
	ErrClosed   = errors.New("the store is not used any more")
)

// Metrics count what is asked of a store.
type Metrics interface {
	// Call counts an answer, or that there is none, and how long that took.
	Call(took time.Duration, err error)
	// Unasked counts what was not asked because the store is down.
	Unasked()
	// Lost counts corrections that did not reach the store.
	Lost(n int)
	// Up says that the store is asked, or that it is not since it fails.
	Up(is bool)
}

// Options of a Store.
type Options struct {
	Name    string
	Config  *ir.RedisStore
	Client  rueidis.ClientOption // see ClientOption
	Metrics Metrics
	Log     *slog.Logger
}

// Store is one that limits are counted in.
type Store struct {
	opt Options
	// client is nil until the first connection.
	client atomic.Pointer[rueidis.Client]
	// ready is closed when the first connection is there.
	ready chan struct{}
	// skew is the clock of Redis before ours, in nanoseconds.
	skew atomic.Int64

	failures atomic.Int32
	// trouble is why the store is not asked, and since when; nil while it is.
	trouble     atomic.Pointer[Trouble]
	up          atomic.Bool
	calls       atomic.Int64
	corrections chan limit.Charge

	mu     sync.Mutex // guards closed, and goroutines that begin
	closed bool
	owned  sync.WaitGroup // the calls, too
	ctx    context.Context
	stop   context.CancelFunc
}

// Trouble is why a store is not asked.
type Trouble struct {
	Since time.Time
	Error string
	told  time.Time // the log
}

// Trouble is nil while the store is asked.
func (s *Store) Trouble() *Trouble { return s.trouble.Load() }

// fail notes why the store is not asked, and tells whether that is news for the log.
func (s *Store) fail(err error) (news bool) {
	now, was := time.Now(), s.trouble.Load()
	next := &Trouble{Since: now, Error: err.Error(), told: now}
	if was != nil {
		next.Since = was.Since
		if news = was.Error != next.Error && now.Sub(was.told) >= tellEvery; !news {
			next.told = was.told
		}
	}
	s.trouble.Store(next)
	s.opt.Metrics.Up(false)
	return was == nil || news
}

func (s *Store) serves() {
	s.failures.Store(0)
	s.trouble.Store(nil)
	s.up.Store(true)
	s.opt.Metrics.Up(true)
}

// Open begins to connect and does not wait.
func Open(o Options) *Store {
	s := &Store{opt: o, ready: make(chan struct{}), corrections: make(chan limit.Charge, maxCorrections)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.begin(s.connect)
	s.begin(s.correct)
	return s
}

// begin runs f on a goroutine that Close waits for.
func (s *Store) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.owned.Go(f)
	return true
}

// Close ends all connections when the calls that are under way are over.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.owned.Wait()
	if c := s.client.Load(); c != nil {
		(*c).Close()
	}
}

// connect tries until there is a connection.
func (s *Store) connect() {
	for {
		client, err := rueidis.NewClient(s.opt.Client)
		if err == nil {
			s.client.Store(&client)
			if was := s.Trouble(); was != nil {
				s.opt.Log.Info("a rate limit store answers", "store", s.opt.Name, "after", time.Since(was.Since).Round(time.Millisecond))
			}
			s.serves()
			close(s.ready)
			return
		}
		if s.fail(err) {
			s.opt.Log.Warn("a rate limit store cannot be reached; limits do what onError says", "store", s.opt.Name, "error", err)
		}
		if !s.pause() {
			return
		}
	}
}

// pause waits before the next try; it is false when the Store is closed.
func (s *Store) pause() bool {
	t := time.NewTimer(probeEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// Take charges all of the charges, or none if one refuses, and writes the answers
// into them. It waits no longer than timeout; what was sent may be charged all the
// same.
func (s *Store) Take(charges []limit.Charge, timeout time.Duration) error {
	t := time.NewTimer(timeout)
	defer t.Stop()
	if s.client.Load() == nil {
		select {
		case <-s.ready:
		case <-s.ctx.Done():
			return ErrClosed
		case <-t.C:
			s.opt.Metrics.Unasked()
			return ErrDown
		}
	}
	if !s.up.Load() {
		s.opt.Metrics.Unasked()
		return ErrDown
	}
	if s.calls.Add(1) > int64(s.opt.Config.Connections)*callsPerConnection {
		s.calls.Add(-1)
		s.opt.Metrics.Unasked()
		return ErrOverload
	}
	begun := time.Now()
	c := &call{charges: append([]limit.Charge(nil), charges...), done: make(chan error, 1)}
	if !s.begin(func() {
		c.done <- s.take(c.charges)
		s.calls.Add(-1)
	}) {
		s.calls.Add(-1)
		return ErrClosed
	}
	select {
	case err := <-c.done:
		s.judge(err)
		s.opt.Metrics.Call(time.Since(begun), err)
		if err == nil {
			copy(charges, c.charges)
		}
		return err
	case <-t.C:
		s.judge(ErrTimeout)
		s.opt.Metrics.Call(time.Since(begun), ErrTimeout)
		return ErrTimeout
	}
}

// call is what a goroutine of its own asks.
type call struct {
	charges []limit.Charge
	done    chan error
}

// take asks, and once more if the window of a quota was another one.
func (s *Store) take(charges []limit.Charge) error {
	steps := s.steps(charges)
	for range 2 {
		answers, err := s.run(take, charges, steps)
		if err != nil {
			s.undo(charges, steps, answers, true)
			return err
		}
		refused, other := false, false
		for i := range answers {
			refused = refused || answers[i].status == statusRefused
			other = other || answers[i].status == statusOtherWindow
		}
		if !other {
			for i := range answers {
				answers[i].learn(charges, steps[i].places)
			}
			if refused {
				s.undo(charges, steps, answers, false)
			}
			return nil
		}
		s.undo(charges, steps, answers, false)
	}
	return fmt.Errorf("%w: its clock jumps", errAnswer)
}

// steps are the runs of the script: in a cluster one for each policy, whose keys are
// in one slot.
func (s *Store) steps(charges []limit.Charge) []step {
	out := make([]step, 0, 1)
	for i := range charges {
		at := 0
		if s.opt.Config.Mode == ir.RedisCluster {
			for at < len(out) && charges[out[at].places[0]].Cfg.Global.Group != charges[i].Cfg.Global.Group {
				at++
			}
		}
		if at == len(out) {
			out = append(out, step{})
		}
		out[at].places = append(out[at].places, i)
		out[at].keys = append(out[at].keys, keyOf(s.opt.Config.KeyPrefix, &charges[i]))
	}
	return out
}

// run runs the script for each step in one round trip. With an error there are
// answers of status -1, which say nothing.
func (s *Store) run(mode string, charges []limit.Charge, steps []step) ([]answer, error) {
	c, ctx := *s.client.Load(), context.Background() // bounded by the connection
	now := time.Now().Add(time.Duration(s.skew.Load()))
	answers := make([]answer, len(steps))
	commands := make([]rueidis.Completed, len(steps))
	arguments := make([][]string, len(steps))
	for i := range steps {
		arguments[i] = args(mode, charges, steps[i].places, now)
		commands[i] = chargeScript.command(c, true, steps[i].keys, arguments[i])
	}
	var errs []error
	for i, r := range c.DoMulti(ctx, commands...) {
		if e, ok := rueidis.IsRedisErr(r.Error()); ok && e.IsNoScript() {
			r = c.Do(ctx, chargeScript.command(c, false, steps[i].keys, arguments[i]))
		}
		a, err := parse(r, len(steps[i].keys))
		if err != nil {
			a = answer{status: -1}
			errs = append(errs, err)
		} else {
			s.skew.Store(int64(time.Unix(a.seconds, 0).Sub(time.Now().Truncate(time.Second))))
		}
		answers[i] = a
	}
	return answers, errors.Join(errs...)
}

// undo gives back what steps have charged beside others that have not.
func (s *Store) undo(charges []limit.Charge, steps []step, answers []answer, failed bool) {
	for i := range steps {
		if answers[i].status != statusCharged {
			continue
		}
		for _, at := range steps[i].places {
			c := charges[at]
			if failed {
				answers[i].learn(charges, steps[i].places)
				c = charges[at]
			}
			if c.Refused || c.Cost == 0 {
				continue
			}
			c.Cost = -c.Cost
			s.Add(c)
			charges[at].Use.Used -= min(charges[at].Use.Used, uint64(-c.Cost))
		}
	}
}

// judge counts failures one after the other. Who makes the Store one that is down
// has it looked after.
func (s *Store) judge(err error) {
	if err == nil {
		if s.failures.Load() != 0 {
			s.failures.Store(0)
		}
		return
	}
	if s.failures.Add(1) >= tolerated && s.up.CompareAndSwap(true, false) {
		s.fail(err)
		s.opt.Log.Warn("a rate limit store fails; limits do what onError says", "store", s.opt.Name, "error", err)
		s.begin(s.recover)
	}
}

// recover looks for the Store to take writes again.
func (s *Store) recover() {
	c, begun := *s.client.Load(), time.Now()
	for s.pause() {
		ctx, cancel := context.WithTimeout(s.ctx, s.opt.Config.ConnectTimeout)
		err := c.Do(ctx, c.B().Set().Key(s.opt.Config.KeyPrefix+"probe").Value("1").PxMilliseconds(1000).Build()).Error()
		cancel()
		if err != nil {
			if s.ctx.Err() == nil && s.fail(err) {
				s.opt.Log.Warn("a rate limit store fails still", "store", s.opt.Name, "error", err)
			}
		} else {
			s.serves()
			s.opt.Log.Info("a rate limit store answers again", "store", s.opt.Name, "after", time.Since(begun).Round(time.Millisecond))
			return
		}
	}
}
