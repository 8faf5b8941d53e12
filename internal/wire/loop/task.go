package loop

import (
	"fmt"
	"iter"
	"runtime/debug"
)

// op is what a task says when it stops running.
type op uint8

const (
	opWait   op = iota // for side
	opYield            // to give others a turn
	opDetach           // will block for other reasons than sockets
	opIdle             // its socket waits for a next request
	opDone
)

// turnSteps is how many reads and writes in a row a task may do without having
// to wait before the others get a turn.
const turnSteps = 64

// Handler is called on a task when its socket, which was idle, has something to
// read, or when its deadline has passed or it was closed.
type Handler interface {
	// Resume handles what there is. It returns true to leave the socket idle;
	// the socket's Read side must then have nothing more to read that an
	// earlier event has announced. It returns false when it is done with the
	// socket, which it has closed.
	Resume(t *Task) (idle bool)
}

// Task is a flow of control that loops carry: a coroutine. At most one
// goroutine runs it at a time.
type Task struct {
	loop  *Loop
	next  func() (op, bool)
	stop  func()
	yield func(op) bool

	sock    *Sock // whose handler it runs
	handler Handler
	on      *Sock // with side: what it waits for
	side    *side
	// attached: a loop's goroutine has resumed the task, so that others wait for
	// it, unless the loop was taken from that goroutine since. So what belongs to
	// the loop's goroutine is not the task's to touch.
	attached bool
	steps    int

	// bell is set for the stand-in of an ordinary goroutine that waits.
	bell chan struct{}
}

func newTask(l *Loop, w work) *Task {
	t := &Task{loop: l, sock: w.sock, handler: w.handler}
	t.next, t.stop = iter.Pull(t.body)
	return t
}

func (t *Task) body(yield func(op) bool) {
	t.yield = yield
	defer func() {
		// The panic comes out where the task is resumed; its own stack is here.
		if r := recover(); r != nil {
			panic(fmt.Sprintf("%v\n\n%s", r, debug.Stack()))
		}
	}()
	for {
		o := opDone
		if t.handler.Resume(t) {
			o = opIdle
		}
		if !yield(o) {
			return
		}
	}
}

// Detach is called before the task blocks for anything but a socket: a timer, a
// lock that is held for long, another goroutine. It moves the task to a
// goroutine of its own until it next waits for a socket. A task that blocks
// without it delays the others of its loop by some ten milliseconds, until the
// loop goes on with another goroutine. A nil Task is an ordinary goroutine.
func (t *Task) Detach() {
	if t != nil && t.attached {
		t.yield(opDetach)
	}
}

// Home is the loop that the task belongs to, nil for an ordinary goroutine.
func (t *Task) Home() *Loop {
	if t == nil {
		return nil
	}
	return t.loop
}

// Go lets a further task of the same loop run h, whose Resume returns false. The
// two never run at the same time unless one of them is detached.
func (t *Task) Go(h Handler) {
	t.loop.post(work{handler: h})
}

// Go runs h, whose Resume returns false, on a task of the loop. Any goroutine
// may call it.
func (l *Loop) Go(h Handler) { l.post(work{handler: h}) }

// Share is called after the task has started or woken a goroutine that ought to
// run soon, beside it.
func (t *Task) Share() {
	if t != nil && t.attached {
		t.loop.woke.Store(true)
	}
}

// wait sets the task aside until the side is ready, closed or out of time.
func (t *Task) wait(s *Sock, sd *side) {
	t.on, t.side, t.steps = s, sd, 0
	t.yield(opWait)
}

// step counts a read or write that need not wait.
func (t *Task) step() {
	if t.steps++; t.steps > turnSteps && t.attached {
		t.steps = 0
		t.yield(opYield)
	}
}

// settle makes a task that has stopped to wait known to what it waits for. Only
// now may it be woken: before, it still ran. It is true if it can go on at once.
func (t *Task) settle() bool { return t.on.publish(t.side, t) }

// drive runs a detached task until it waits for a socket. The op is what it
// has stopped with.
func (t *Task) drive(o op) {
	for {
		switch o {
		case opWait:
			if !t.settle() {
				return // from here on the task is somebody else's
			}
		case opIdle:
			s := t.sock
			if s.settle() {
				s.loop.Load().post(work{sock: s})
			}
			t.stop()
			return
		case opDone:
			t.stop()
			return
		}
		o, _ = t.next()
	}
}
