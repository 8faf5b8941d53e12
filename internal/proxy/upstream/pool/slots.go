package pool

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// ErrFull: the limits on connections and on waiters are both reached.
var ErrFull = errors.New("too many exchanges wait for a connection")

// ErrDeadline: no connection became free in time.
var ErrDeadline = errors.New("no connection became free in time")

// ErrGone: who waited has gone.
var ErrGone = errors.New("the client has gone while it waited for a connection")

// Slots bounds the connections of a cluster. Beyond the limit callers wait in
// line, first come, first served; each gets a slot for a connection of its own,
// or a connection to its endpoint that became free.
type Slots struct {
	max, pending int

	used atomic.Int64
	// waiting is written with mu held and read without.
	waiting atomic.Int32

	mu         sync.Mutex // guards the queue, and used when there is a limit
	head, tail *waiter
	free       sync.Pool
}

// NewSlots: a limit of zero is none; pending zero lets any number wait.
func NewSlots(limit, pending int) *Slots { return &Slots{max: limit, pending: pending} }

type waiter struct {
	stack      *Stack
	grant      chan *netx.Conn // nil grants a slot
	timer      *time.Timer
	next, prev *waiter
	queued     bool
}

// Limited tells whether there is a limit.
func (s *Slots) Limited() bool { return s.max > 0 }

// Used and Waiting are for snapshots; Waiting also tells Put that somebody is in line.
func (s *Slots) Used() int    { return int(s.used.Load()) }
func (s *Slots) Waiting() int { return int(s.waiting.Load()) }

// Wait is what a caller puts up with.
type Wait struct {
	Stack *Stack // its endpoint's
	By    int64  // monotonic deadline
	// Gone is asked every 100 ms; nil is never gone.
	Gone func() bool
	// Task is who waits; nil is an ordinary goroutine.
	Task *loop.Task
	// Idle finds an idle connection of any endpoint, best of prefer; it is
	// asked by those who must wait. own tells that it is prefer's.
	Idle func(prefer *Stack) (c *netx.Conn, own bool)
}

// Acquire takes a slot, or returns a connection that already has one.
func (s *Slots) Acquire(w *Wait) (*netx.Conn, error) {
	if s.max <= 0 {
		s.used.Add(1)
		return nil, nil
	}
	s.mu.Lock()
	if s.head == nil && s.used.Load() < int64(s.max) {
		s.used.Add(1)
		s.mu.Unlock()
		return nil, nil
	}
	// An idle connection elsewhere holds a slot that is of no use there.
	if s.head == nil {
		if c, own := w.Idle(w.Stack); c != nil {
			s.mu.Unlock()
			if own {
				return c, nil
			}
			_ = c.Close()
			return nil, nil
		}
	}
	if s.pending > 0 && int(s.waiting.Load()) >= s.pending {
		s.mu.Unlock()
		return nil, ErrFull
	}
	me := s.enqueue(w.Stack)
	// Put looks for waiters after it made a connection idle, and this looks for
	// idle ones after it has queued: one of them sees the other.
	var spare *netx.Conn
	if s.head == me {
		if c, own := w.Idle(w.Stack); c != nil {
			s.dequeue(me)
			if own {
				me.grant <- c
			} else {
				spare = c
				me.grant <- nil
			}
		}
	}
	s.mu.Unlock()
	if spare != nil {
		_ = spare.Close()
	}
	w.Task.Detach()
	return s.wait(me, w)
}

func (s *Slots) wait(me *waiter, w *Wait) (*netx.Conn, error) {
	defer s.recycle(me)
	for {
		left := w.By - netx.Monotonic()
		if left <= 0 {
			return s.abandon(me, ErrDeadline)
		}
		if w.Gone != nil {
			left = min(left, int64(100*time.Millisecond))
		}
		me.timer.Reset(time.Duration(left))
		select {
		case c := <-me.grant:
			return c, nil
		case <-me.timer.C:
			if w.Gone != nil && w.Gone() {
				return s.abandon(me, ErrGone)
			}
		}
	}
}

// abandon leaves the line, unless a grant came at the last moment.
func (s *Slots) abandon(me *waiter, err error) (*netx.Conn, error) {
	s.mu.Lock()
	if me.queued {
		s.dequeue(me)
		s.mu.Unlock()
		return nil, err
	}
	s.mu.Unlock()
	return <-me.grant, nil
}

// Release gives back the slot of a connection that was closed, or not made.
func (s *Slots) Release() {
	if s.max <= 0 {
		s.used.Add(-1)
		return
	}
	s.mu.Lock()
	if w := s.head; w != nil {
		s.dequeue(w)
		w.grant <- nil
	} else {
		s.used.Add(-1)
	}
	s.mu.Unlock()
}

// Offer gives a connection of a stack's endpoint to the first in line: as it is
// if that waits for this endpoint, otherwise its slot. It tells whether
// somebody took it; if so and closeIt is true the caller closes it without
// releasing its slot.
func (s *Slots) Offer(c *netx.Conn, of *Stack) (taken, closeIt bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.head
	if w == nil {
		return false, false
	}
	s.dequeue(w)
	if w.stack == of {
		w.grant <- c
		return true, false
	}
	w.grant <- nil
	return true, true
}

// Adopt counts a connection that comes from elsewhere, if there is room.
func (s *Slots) Adopt() bool {
	if s.max <= 0 {
		s.used.Add(1)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used.Load() >= int64(s.max) {
		return false
	}
	s.used.Add(1)
	return true
}

func (s *Slots) enqueue(stack *Stack) *waiter {
	w, _ := s.free.Get().(*waiter)
	if w == nil {
		w = &waiter{grant: make(chan *netx.Conn, 1), timer: time.NewTimer(time.Hour)}
	}
	w.stack, w.queued = stack, true
	w.prev = s.tail
	if s.tail != nil {
		s.tail.next = w
	} else {
		s.head = w
	}
	s.tail = w
	s.waiting.Add(1)
	return w
}

func (s *Slots) dequeue(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		s.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		s.tail = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	s.waiting.Add(-1)
}

func (s *Slots) recycle(w *waiter) {
	w.timer.Stop()
	w.stack = nil
	s.free.Put(w)
}
