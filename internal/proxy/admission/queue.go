package admission

import (
	"sync"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

const priorities = 10

// waiter is one exchange in the queue.
type waiter struct {
	priority   int
	verdict    chan bool
	place      Place // with the verdict true
	timer      *time.Timer
	next, prev *waiter
	queued     bool
}

// queue holds a line of waiters for each priority.
type queue struct {
	lines [priorities]struct{ head, tail *waiter }
	len   int
	free  sync.Pool
}

// enqueue puts an exchange in line, if need be in place of the last one of a
// lower priority. It is called with mu held and returns nil if there is no room.
func (l *Limiter) enqueue(priority int) *waiter {
	if l.cfg.MaxQueue <= 0 {
		l.counts.Refused++
		return nil
	}
	if l.queue.len >= l.cfg.MaxQueue {
		last := l.queue.last()
		if last.priority >= priority {
			l.counts.Refused++
			return nil
		}
		l.queue.remove(last)
		l.counts.Evicted++
		last.verdict <- false
	}
	return l.queue.add(priority)
}

// wait blocks until there is a verdict.
func (l *Limiter) wait(w *waiter, by int64, gone func() bool) (Place, bool) {
	defer l.queue.recycle(w)
	if l.verdict(w, by, gone) {
		return w.place, true
	}
	return Place{}, false
}

func (l *Limiter) verdict(w *waiter, by int64, gone func() bool) bool {
	for {
		left := by - netx.Monotonic()
		if left <= 0 {
			return l.abandon(w)
		}
		if gone != nil {
			left = min(left, int64(100*time.Millisecond))
		}
		w.timer.Reset(time.Duration(left))
		select {
		case ok := <-w.verdict:
			return ok
		case <-w.timer.C:
			if gone != nil && gone() {
				return l.abandon(w)
			}
		}
	}
}

// abandon leaves the line, unless a verdict came at the last moment.
func (l *Limiter) abandon(w *waiter) bool {
	l.mu.Lock()
	if w.queued {
		l.queue.remove(w)
		l.counts.TimedOut++
		l.mu.Unlock()
		return false
	}
	l.mu.Unlock()
	return <-w.verdict
}

func (q *queue) add(priority int) *waiter {
	w, _ := q.free.Get().(*waiter)
	if w == nil {
		w = &waiter{verdict: make(chan bool, 1), timer: time.NewTimer(time.Hour)}
	}
	w.priority, w.queued = priority, true
	line := &q.lines[priority]
	w.prev = line.tail
	if line.tail != nil {
		line.tail.next = w
	} else {
		line.head = w
	}
	line.tail = w
	q.len++
	return w
}

func (q *queue) remove(w *waiter) {
	line := &q.lines[w.priority]
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		line.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		line.tail = w.prev
	}
	w.next, w.prev, w.queued = nil, nil, false
	q.len--
}

// first is the oldest of the highest priority, last the newest of the lowest.
func (q *queue) first() *waiter {
	for p := priorities - 1; p >= 0; p-- {
		if w := q.lines[p].head; w != nil {
			return w
		}
	}
	return nil
}

func (q *queue) last() *waiter {
	for p := range priorities {
		if w := q.lines[p].tail; w != nil {
			return w
		}
	}
	return nil
}

func (q *queue) recycle(w *waiter) {
	w.timer.Stop()
	q.free.Put(w)
}
