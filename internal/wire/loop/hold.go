package loop

import (
	"os"
	"syscall"
	"unsafe"
)

const (
	// holdFor is how long a loop without work keeps its processor and waits in
	// the kernel, in milliseconds. Then it parks like any other goroutine. While
	// traffic is dense this spares two trips through the scheduler per request;
	// for everybody else it is the longest time that a processor is withheld.
	holdFor = 1
	// streak is how many waits in a row must have brought something for the
	// pulse to be worth its while.
	streak = 32
)

// pulse ends the waits of a loop whose traffic is dense. A timeout for each wait
// would do as well, but the kernel sets its clock twice for each, which is a
// tenth of a request's cost where each event is waited for. The pulse comes once
// in holdFor, however many waits there are.
type pulse struct {
	fd    int // a timerfd
	armed bool
	turn  uint64 // Loop.turn when it was armed
	waits int    // in a row that have brought something
}

func (p *pulse) open(epoll int) error {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return os.NewSyscallError("timerfd_create", errno)
	}
	p.fd = int(fd)
	return watchFor(epoll, p.fd)
}

const clockMonotonic = 1

// arm lets the pulse come in holdFor.
func (p *pulse) arm(turn uint64) bool {
	spec := [2]syscall.Timespec{1: {Nsec: holdFor * 1e6}} // interval, first
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(p.fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	p.armed, p.turn = errno == 0, turn
	return p.armed
}

// hold waits for events, or anything else that wants the loop, and keeps the
// processor. It is false if nothing came.
func (l *Loop) hold() bool {
	if !l.usage.timed() {
		return l.held()
	}
	began := Now()
	came := l.held()
	l.usage.held(Now() - began)
	return came
}

func (l *Loop) held() bool {
	p := &l.pulse
	if p.waits < streak {
		if !l.poll(holdFor) {
			p.waits = 0
			return false
		}
		p.waits++
		return true
	}
	if !p.armed {
		turn := l.turn.Load()
		if turn == p.turn || !p.arm(turn) { // no task has run from one pulse to the next
			p.waits = 0
			return false
		}
	}
	l.poll(forever)
	return true
}

// beat notes that the pulse has come.
func (l *Loop) beat() {
	l.pulse.armed = false
	l.rests = often
}
