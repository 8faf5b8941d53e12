package dns

import (
	"container/heap"
	"time"
)

// lane is the names that one resolver is asked for.
type lane struct {
	queue   queue
	running int // lookups
}

// enqueue notes when a name is to be looked up. The caller holds mu.
func (s *Source) enqueue(n *name, next time.Time) {
	l := s.lanes[n.key.resolver]
	if l == nil {
		l = &lane{}
		s.lanes[n.key.resolver] = l
	}
	l.queue.add(n, next)
}

// due takes the names out of the queues whose time has come, as far as their
// resolvers may be asked now, and tells when the next one is due.
func (s *Source) due() (list []*name, wait time.Duration) {
	now := time.Now()
	wait = time.Hour
	s.mu.Lock()
	defer s.mu.Unlock()
	for resolver, l := range s.lanes {
		for l.running < s.opts.Lookups && len(l.queue) > 0 && !l.queue[0].next.After(now) {
			n := l.queue[0]
			l.queue.remove(n)
			l.running++
			list = append(list, n)
		}
		switch {
		case l.running == s.opts.Lookups: // the next result makes room
		case len(l.queue) > 0:
			wait = min(wait, l.queue[0].next.Sub(now))
		case l.running == 0:
			delete(s.lanes, resolver)
		}
	}
	return list, wait
}

// queue is a heap of names by the time of their next lookup.
type queue []*name

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push and Pop are for container/heap.
func (q *queue) Push(x any) {
	n := x.(*name)
	n.index = len(*q)
	*q = append(*q, n)
}

// Pop removes the last.
func (q *queue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	n.index = -1
	return n
}

func (q *queue) add(n *name, next time.Time) {
	n.next = next
	heap.Push(q, n)
}

func (q *queue) remove(n *name) {
	if n.index >= 0 {
		heap.Remove(q, n.index)
	}
}
