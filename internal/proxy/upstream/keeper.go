package upstream

import (
	"container/heap"
	"math"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

const never = math.MaxInt64

// keeper runs the timed work of all clusters of a Set on one goroutine.
type keeper struct {
	mu    sync.Mutex // guards what follows and the clusters' keeperItems
	queue keeperQueue
	ended bool

	wake chan struct{}
	done chan struct{}
}

// keeperItem is a cluster's place in the queue.
type keeperItem struct {
	due   int64
	place int // 1 and up; zero is not queued
}

func newKeeper() *keeper {
	return &keeper{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// schedule lets the cluster's tick run at the monotonic time at, or earlier if
// it was already to.
func (k *keeper) schedule(c *Cluster, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ended:
		return
	case c.place == 0:
		c.due = at
		heap.Push(&k.queue, c)
	case at >= c.due:
		return
	default:
		c.due = at
		heap.Fix(&k.queue, c.place-1)
	}
	if c.place == 1 {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// forget takes a retired cluster out.
func (k *keeper) forget(c *Cluster) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.place > 0 {
		heap.Remove(&k.queue, c.place-1)
	}
}

// run is the goroutine.
func (k *keeper) run() {
	defer close(k.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := netx.Monotonic()
		c, wait, ended := k.next(now)
		switch {
		case ended:
			return
		case c != nil:
			if at := c.tick(now); at != never {
				k.schedule(c, at)
			}
		default:
			timer.Reset(wait)
			select {
			case <-k.wake:
			case <-timer.C:
			}
		}
	}
}

// next takes the cluster that is due out of the queue, or says how long to wait.
func (k *keeper) next(now int64) (c *Cluster, wait time.Duration, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return nil, 0, true
	}
	if len(k.queue) == 0 {
		return nil, time.Hour, false
	}
	if first := k.queue[0]; first.due > now {
		// Work that is due at nearly the same time shares a wake-up.
		return nil, max(time.Duration(first.due-now), time.Millisecond), false
	}
	return heap.Pop(&k.queue).(*Cluster), 0, false
}

func (k *keeper) close() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
	<-k.done
}

// keeperQueue is a heap by due time.
type keeperQueue []*Cluster

func (q keeperQueue) Len() int           { return len(q) }
func (q keeperQueue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q keeperQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

func (q *keeperQueue) Push(x any) {
	c := x.(*Cluster)
	*q = append(*q, c)
	c.place = len(*q)
}

func (q *keeperQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	c.place = 0
	return c
}
