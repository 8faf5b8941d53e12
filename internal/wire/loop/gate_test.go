package loop_test

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// errand runs f as a task of its own.
type errand struct {
	f func(t *loop.Task)
}

func (e *errand) Resume(t *loop.Task) bool {
	e.f(t)
	return false
}

// onLoop runs f on a task of a fresh group and waits for it.
func onLoop(t *testing.T, loops int, f func(t *loop.Task)) {
	t.Helper()
	done := make(chan struct{})
	s := serve(t, loops, func(task *loop.Task, s *loop.Sock) bool {
		f(task)
		s.Close()
		close(done)
		return false
	})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the task has not ended")
	}
}

// TestGateBetweenTasks lets two tasks take turns for many rounds, and a
// goroutine with one of them.
func TestGateBetweenTasks(t *testing.T) {
	const rounds = 20_000
	for _, detached := range []bool{false, true} {
		onLoop(t, 2, func(task *loop.Task) {
			var a, b loop.Gate
			a.Init(task.Home())
			b.Init(task.Home())
			var turn atomic.Int32
			var ended loop.Gate
			ended.Init(task.Home())
			var over atomic.Bool
			task.Go(&errand{func(other *loop.Task) {
				for range rounds {
					for turn.Load() != 1 {
						_ = b.Wait(other, 0)
					}
					if detached {
						other.Detach()
					}
					turn.Store(0)
					a.Open()
				}
				over.Store(true)
				ended.Open()
			}})
			for range rounds {
				turn.Store(1)
				b.Open()
				for turn.Load() != 0 {
					_ = a.Wait(task, 0)
				}
			}
			for !over.Load() {
				_ = ended.Wait(task, 0)
			}
		})
	}
}

func TestGateAndGoroutines(t *testing.T) {
	const rounds = 5_000
	onLoop(t, 1, func(task *loop.Task) {
		var a, b loop.Gate
		a.Init(task.Home())
		b.Init(task.Home())
		var turn atomic.Int32
		go func() {
			for range rounds {
				for turn.Load() != 1 {
					_ = b.Wait(nil, 0)
				}
				turn.Store(0)
				a.Open()
			}
		}()
		for range rounds {
			turn.Store(1)
			b.Open()
			for turn.Load() != 0 {
				_ = a.Wait(task, 0)
			}
		}
	})
}

func TestGateDeadline(t *testing.T) {
	onLoop(t, 1, func(task *loop.Task) {
		var g loop.Gate
		g.Init(task.Home())
		const d = 30 * time.Millisecond
		for range 3 {
			by := loop.Now() + int64(d)
			var err error
			for err == nil {
				err = g.Wait(task, by)
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || loop.Now() < by {
				t.Errorf("Wait returned %v, %v before its time", err, time.Duration(by-loop.Now()))
			}
		}
		if err := g.Wait(task, 1); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Wait until the past returned %v", err)
		}
		// An opening before the wait is not lost, and Rest forgets it.
		g.Open()
		if err := g.Wait(task, loop.Now()+int64(20*time.Second)); err != nil {
			t.Errorf("Wait at an open gate returned %v", err)
		}
		g.Open()
		g.Rest()
		var err error
		for err == nil {
			err = g.Wait(task, loop.Now()+int64(d))
			if err == nil {
				t.Error("Wait returned although Rest had closed the gate")
			}
		}
	})
}
