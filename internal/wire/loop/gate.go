package loop

import "os"

// Gate is where one task or goroutine waits for others that are in the same
// process: a socket's side without a socket. Opening it lets who waits go on, or
// the next who would wait; so does a deadline, and now and then nothing at all:
// whoever waits looks again at what it waits for. Init comes before all else.
type Gate struct {
	s     Sock
	armed bool
}

// Init readies a gate, which nobody uses, whose deadlines the loop l watches.
func (g *Gate) Init(l *Loop) {
	if g.s.rd.sock == nil {
		g.s.fd = -1
		g.s.rd.sock = &g.s
		g.s.rd.timer.side = &g.s.rd
	}
	switch old := g.s.loop.Load(); old {
	case l:
	case nil:
		g.s.loop.Store(l)
	default: // which may have ended
		old.mu.Lock()
		old.timers.remove(&g.s.rd.timer)
		g.s.loop.Store(l)
		old.mu.Unlock()
	}
}

// Wait waits until the gate is opened, or until the time by of Now (0: for
// ever), when it returns os.ErrDeadlineExceeded. With a nil task the caller is
// an ordinary goroutine. Only one may wait at a time.
func (g *Gate) Wait(t *Task, by int64) error {
	if by != 0 || g.armed {
		now := int64(0)
		if by != 0 {
			if now = Now(); by <= now {
				return os.ErrDeadlineExceeded
			}
		}
		g.armed = by != 0
		_ = g.s.setDeadlineAt(&g.s.rd, by, now) // gates are never closed
	}
	if t != nil {
		t.wait(&g.s, &g.s.rd)
	} else {
		g.s.waitHere(&g.s.rd)
	}
	if by != 0 && g.s.rd.expired.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Open lets who waits go on. Any goroutine may call it.
func (g *Gate) Open() { g.s.wake(&g.s.rd, nil) }

// Rest forgets the deadline, and that the gate was opened. Nobody may wait.
func (g *Gate) Rest() {
	if g.armed {
		g.armed = false
		_ = g.s.setDeadline(&g.s.rd, 0)
	}
	if g.s.rd.waiter.Load() == ready {
		g.s.rd.waiter.CompareAndSwap(ready, nil)
	}
}
