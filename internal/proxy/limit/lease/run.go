package lease

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/budget"
)

// run asks the Source until ctx ends.
func (s *Store) run(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
			s.sweep(s.opt.Now(), false)
		}
		for ctx.Err() == nil {
			batch := s.next()
			if len(batch) == 0 {
				if !s.back {
					break
				}
				s.back = false
				s.sweep(s.opt.Now(), true)
				continue
			}
			s.call(ctx, batch)
		}
	}
}

// next takes what is asked in one call out of the queue.
func (s *Store) next() []*account {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), atOnce)
	batch := append([]*account(nil), s.queue[:n]...)
	s.queue = append(s.queue[:0], s.queue[n:]...)
	return batch
}

// call asks about the accounts of a batch, and again about those whose window had
// ended.
func (s *Store) call(ctx context.Context, batch []*account) {
	for range 2 {
		if len(batch) == 0 {
			return
		}
		asks := make([]budget.Ask, len(batch))
		sent, clock := s.opt.Now(), s.now()
		for i, a := range batch {
			a.mu.Lock()
			asks[i] = a.ask(sent, clock)
			a.mu.Unlock()
		}
		calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		grants, err := s.opt.Source.Lease(calling, s.opt.Holder, asks)
		cancel()
		now := s.opt.Now()
		s.opt.Metrics.Call(time.Duration(now-sent), err)
		s.opt.Metrics.Up(err == nil)
		if err != nil {
			s.fail(batch, asks, now, err)
			return
		}
		if s.failing.Swap(0) != 0 {
			s.back = true
			s.trouble.Store(nil)
			s.opt.Log.Info("leases of limits can be had again", "store", s.opt.Name)
		}
		batch = s.answer(batch, asks, grants, sent, now)
	}
	if len(batch) > 0 {
		s.fail(batch, make([]budget.Ask, len(batch)), s.opt.Now(), errClock)
	}
}

// answer gives out what was granted, and returns the accounts to ask about again.
func (s *Store) answer(batch []*account, asks []budget.Ask, grants []budget.Grant, sent, now int64) (again []*account) {
	for i, a := range batch {
		g := &grants[i]
		s.clock.Store(&clock{g.Now, now})
		a.mu.Lock()
		if a.answer(&asks[i], g, sent, now) {
			again = append(again, a)
		} else {
			a.asking = false
		}
		more := len(a.waiters) > 0 && a.toAsk() || s.crowded(a, now)
		a.mu.Unlock()
		if more {
			s.enqueue(a)
		}
	}
	return again
}

func (s *Store) fail(batch []*account, asks []budget.Ask, now int64, err error) {
	trouble := &Trouble{time.Now(), err.Error()}
	if was := s.trouble.Load(); was != nil {
		trouble.Since = was.Since
	}
	s.trouble.Store(trouble)
	if s.failing.Swap(now+int64(retry)) == 0 {
		s.opt.Log.Warn("leases of limits cannot be had: only what is leased can be spent, and then onError decides", "store", s.opt.Name, "error", err)
	}
	for i, a := range batch {
		a.mu.Lock()
		a.fail(&asks[i])
		a.asking = false
		a.mu.Unlock()
	}
}

// now is the Source's clock, or nearly.
func (s *Store) now() time.Time {
	if c := s.clock.Load(); c != nil {
		return time.Unix(0, c.wall+s.opt.Now()-c.at)
	}
	return time.Now()
}

// sweep gives back what nobody has used for so long, keeps what is used from
// ending, and forgets keys of which nothing is here. Forgotten: the Source may know
// nothing of what it has granted.
func (s *Store) sweep(now int64, forgotten bool) {
	down := now < s.failing.Load()
	for i := range s.shards {
		sh := &s.shards[i]
		var list []*account
		sh.mu.Lock()
		for of, a := range sh.accounts {
			a.mu.Lock()
			if !a.asking && len(a.waiters) == 0 {
				a.lapse(now)
				ask, gone := s.look(a, now, down, forgotten)
				switch {
				case ask && a.toAsk():
					list = append(list, a)
				case gone:
					a.gone = true
					delete(sh.accounts, of)
					s.forget(of.counter)
				}
			}
			a.mu.Unlock()
		}
		sh.mu.Unlock()
		for _, a := range list {
			s.enqueue(a)
		}
	}
}

// look tells what becomes of an account: the Source is to be asked, or it is gone.
func (s *Store) look(a *account, now int64, down, forgotten bool) (ask, gone bool) {
	switch {
	case a.limit.places > 0:
		if down {
			return false, false
		}
		return s.tend(a, now, forgotten)
	case now-a.used < int64(idle):
		return !down && a.limit.unit > 0 && a.left > 0 && a.until-now < int64(budget.HoldTime/2), false
	case a.left > 0 || a.delta != 0 || a.held > 0 && a.limit.unit > 0:
		return !down, false
	}
	return false, true
}

func (s *Store) forget(of counter) {
	if n, ok := s.keys.Load(of); ok {
		n.(*atomic.Int64).Add(-1)
	}
}

// Close gives everything back, until ctx ends. Nothing may be taken any more.
func (s *Store) Close(ctx context.Context) {
	s.stop()
	<-s.done
	long := s.opt.Now() - int64(idle)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, a := range sh.accounts {
			a.mu.Lock()
			a.inUse = 0
			if !a.asking && (a.left > 0 || a.delta != 0 || a.limit.places > 0) {
				a.asking = true
				s.queue = append(s.queue, a)
			}
			a.used = long // so that nothing is kept
			if a.limit.places > 0 {
				a.left = 0
			}
			a.mu.Unlock()
		}
		sh.mu.Unlock()
	}
	for ctx.Err() == nil {
		batch := s.next()
		if len(batch) == 0 {
			return
		}
		s.call(ctx, batch)
		if s.failing.Load() != 0 {
			return
		}
	}
}

var errClock = errors.New("the store's clock jumps")
