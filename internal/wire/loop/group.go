package loop

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is how often the group looks for loops that a task holds up. A task
// that runs for that long without a wait, or up to twice that, has a loop taken
// from it.
const patience = 10 * time.Millisecond

// Group is a set of loops that share the sockets of a process.
type Group struct {
	loops  []*Loop
	began  int64 // of Now
	table  table
	serial atomic.Int32

	running sync.WaitGroup
	parked  atomic.Int32
	watch   alarm
	done    chan struct{}
	end     sync.Once
}

// alarm wakes the group's watcher, which sleeps while every loop is parked.
type alarm struct {
	asleep atomic.Bool
	bell   chan struct{}
}

func (a *alarm) wake() {
	if a.asleep.Load() && a.asleep.CompareAndSwap(true, false) {
		a.bell <- struct{}{}
	}
}

// NewGroup starts n loops.
func NewGroup(n int) (*Group, error) {
	g := &Group{began: Now(), done: make(chan struct{}), watch: alarm{bell: make(chan struct{}, 1)}}
	for range n {
		l, err := newLoop(g)
		if err != nil {
			for _, l := range g.loops {
				l.close()
			}
			return nil, fmt.Errorf("loop: start: %w", err)
		}
		g.loops = append(g.loops, l)
	}
	g.makeRoom()
	for _, l := range g.loops {
		g.running.Add(1)
		go l.run()
	}
	g.running.Go(g.watchOver)
	return g, nil
}

// makeRoom lets the kernel's table of descriptors grow now. When it grows with
// the connections, each doubling makes accept(2) wait for all processors, for
// some ten milliseconds.
func (g *Group) makeRoom() {
	for room := 16 << 10; room >= 1<<10; room /= 2 {
		fd, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(g.loops[0].bell), syscall.F_DUPFD_CLOEXEC, uintptr(room-1))
		if errno == 0 {
			_ = syscall.Close(int(fd))
			return
		}
	}
}

// Close ends the loops and waits for them. Their sockets must be closed, and
// their handlers have returned. Further calls do nothing.
func (g *Group) Close() { g.end.Do(g.close) }

func (g *Group) close() {
	close(g.done)
	for _, l := range g.loops {
		l.stopped.Store(true)
		l.resting.Store(true)
		l.ring()
	}
	g.running.Wait()
	for _, l := range g.loops {
		l.close()
	}
}

// Loops is the number of loops.
func (g *Group) Loops() int { return len(g.loops) }

// Sockets counts the open sockets.
func (g *Group) Sockets() int {
	n := 0
	for _, l := range g.loops {
		n += int(l.load.Load())
	}
	return n
}

// calmest is the loop with the fewest sockets.
func (g *Group) calmest() *Loop {
	best := g.loops[0]
	for _, l := range g.loops[1:] {
		if l.load.Load() < best.load.Load() {
			best = l
		}
	}
	return best
}

// watchOver takes the loop from tasks that hold it up, so that code that blocks
// unannounced costs the others of its loop some milliseconds and no more.
func (g *Group) watchOver() {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	seen := make([]uint64, len(g.loops))
	calm := 0
	for {
		select {
		case <-tick.C:
		case <-g.done:
			return
		}
		for i, l := range g.loops {
			turn := l.turn.Load()
			if turn&1 == 1 && turn == seen[i] && l.turn.CompareAndSwap(turn, turn+1) {
				l.usage.taken.Add(1)
				g.running.Add(1)
				go l.run()
			}
			seen[i] = turn
		}
		if calm++; int(g.parked.Load()) < len(g.loops) {
			calm = 0
		}
		if calm >= 2 && !g.sleep(tick) {
			return
		}
	}
}

// sleep waits until a loop has something to do. It is false at the end.
func (g *Group) sleep(tick *time.Ticker) bool {
	tick.Stop()
	defer tick.Reset(patience)
	g.watch.asleep.Store(true)
	if int(g.parked.Load()) < len(g.loops) { // one may have missed that we sleep
		g.watch.wake()
	}
	select {
	case <-g.watch.bell:
		return true
	case <-g.done:
		return false
	}
}

// table finds a socket by its descriptor.
type table struct {
	chunks [maxDescriptors / chunkSize]atomic.Pointer[chunk]
}

type chunk [chunkSize]atomic.Pointer[Sock]

const (
	maxDescriptors = 1 << 21
	chunkSize      = 1 << 10
)

func (t *table) get(fd int32) *Sock {
	c := t.chunks[uint32(fd)/chunkSize%uint32(len(t.chunks))].Load()
	if c == nil {
		return nil
	}
	return c[uint32(fd)%chunkSize].Load()
}

func (t *table) put(fd int, s *Sock) error {
	if fd >= maxDescriptors {
		return fmt.Errorf("loop: descriptor %d is over the limit of %d", fd, maxDescriptors)
	}
	at := &t.chunks[fd/chunkSize]
	c := at.Load()
	if c == nil {
		c = new(chunk)
		if !at.CompareAndSwap(nil, c) {
			c = at.Load()
		}
	}
	c[fd%chunkSize].Store(s)
	return nil
}

func (t *table) drop(fd int) { t.chunks[fd/chunkSize].Load()[fd%chunkSize].Store(nil) }
