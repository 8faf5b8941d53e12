// Package loop is the event loop that carries connections: a few goroutines,
// one per processor, that wait for many sockets and run the code of each as a
// task. A task reads and writes as if it were alone and blocks where it must;
// then it is set aside (a switch of stacks, without the scheduler) and the loop
// goes on with the next. A connection that waits for its next request has no
// task and so no stack.
//
// A Group owns its loops' goroutines and ends them in Close. Sockets may also
// be used from ordinary goroutines, which then wait in the ordinary way. The
// package imports the standard library only; netx wraps its sockets.
package loop

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	// batchSize is how many events one system call may bring.
	batchSize = 128
	// beginners is how many sockets that were idle get a task before those that
	// have one are looked at again.
	beginners = 32
	// often is how many waits a loop may do before it lets goroutines run.
	often = 8
	// forever is poll's wait for an event however long that takes.
	forever = -1
)

// start is where Now counts from.
var start = time.Now()

// Now is the monotonic clock of deadlines: nanoseconds since the process
// started. It is positive and never goes back.
func Now() int64 { return int64(time.Since(start)) + 1 }

// At is the time of Now when time.Now returned t.
func At(t time.Time) int64 { return int64(t.Sub(start)) + 1 }

// Loop is one event loop.
type Loop struct {
	group *Group
	epoll int
	bell  int             // an eventfd: ends the wait
	file  *os.File        // epoll, known to the runtime's poller
	park  syscall.RawConn // of file
	look  func(fd uintptr) bool
	until int64 // when the parked loop's timer fires, 0 = it is off

	// What follows belongs to the goroutine that has the turn.
	events [batchSize]syscall.EpollEvent
	count  int  // of the last batch
	many   bool // it had more than one: traffic is dense
	rests  int  // since goroutines were last given the processor
	pulse  pulse
	ready  queue // tasks that have begun, and what these have started
	fresh  queue // sockets that were idle
	spare  spares
	fired  []*side // scratch

	// woke: tasks have started or woken goroutines.
	woke atomic.Bool
	// turn is odd while a task runs. Who makes it even has the loop.
	turn atomic.Uint64
	// load is the number of sockets.
	load  atomic.Int64
	usage usage

	resting atomic.Bool // waits, or is about to: ring the bell
	stopped atomic.Bool

	mu     sync.Mutex
	posted []work // guarded by mu
	timers heap   // guarded by mu
	first  int64  // guarded by mu: the time up to which the loop would rest
}

// work is a task to go on with, a socket whose handler is to be called, or a
// handler alone.
type work struct {
	task    *Task
	sock    *Sock
	handler Handler
}

func newLoop(g *Group) (*Loop, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(epoll, true); err != nil { // for os.NewFile to see
		syscall.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &Loop{group: g, epoll: epoll, bell: -1, pulse: pulse{fd: -1}, file: os.NewFile(uintptr(epoll), "event loop")}
	if err := l.open(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *Loop) open() (err error) {
	if l.park, err = l.file.SyscallConn(); err != nil {
		return err
	}
	l.look = func(uintptr) bool { return l.poll(0) || l.stopped.Load() }
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return os.NewSyscallError("eventfd2", errno)
	}
	l.bell = int(fd)
	if err := watchFor(l.epoll, l.bell); err != nil {
		return err
	}
	return l.pulse.open(l.epoll)
}

// watchFor lets epoll tell each time that fd, which is no Sock, becomes readable.
func watchFor(epoll, fd int) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &ev))
}

func (l *Loop) close() {
	_ = l.file.Close()
	for _, fd := range [...]int{l.bell, l.pulse.fd} {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
	}
}

// run is the loop. It returns when the group is closed, or when a task kept it
// for so long that another goroutine has taken its place.
func (l *Loop) run() {
	defer l.group.running.Done()
	for !l.stopped.Load() {
		l.collect()
		if !l.round() {
			return
		}
		l.await()
	}
	l.spare.dismiss(0)
}

// round lets all tasks run that can go on, and then some of the sockets that
// were idle. So what has begun comes to its end before more begins: of many
// connections that want something at once few are at work at a time, and what
// they use stays in the processor's cache. It is false if another goroutine has
// the loop now.
func (l *Loop) round() bool {
	for n := l.ready.len(); n > 0; n-- {
		if !l.start(l.ready.pop()) {
			return false
		}
	}
	for n := min(l.fresh.len(), beginners); n > 0; n-- {
		if !l.start(l.fresh.pop()) {
			return false
		}
	}
	return true
}

// start runs work, on a new task if it has none.
func (l *Loop) start(w work) bool {
	if w.task == nil {
		w.task = l.newTask(w)
	}
	return l.resume(w.task)
}

// push queues work of the loop's own goroutine.
func (l *Loop) push(w work) {
	if w.sock != nil {
		l.fresh.push(w)
	} else {
		l.ready.push(w)
	}
}

// collect turns events, expired timers and what others have posted into work.
func (l *Loop) collect() {
	for i := range l.count {
		l.event(&l.events[i])
	}
	l.count = 0
	l.mu.Lock()
	for _, w := range l.posted {
		l.push(w)
	}
	clear(l.posted)
	l.posted = l.posted[:0]
	if !l.pulse.armed { // else it says when to look at the clock
		l.fired = l.timers.expire(l.fired)
	}
	l.mu.Unlock()
	for i, sd := range l.fired { // not under the lock: their tasks may belong to other loops
		sd.sock.wake(sd, l)
		l.fired[i] = nil
	}
	l.fired = l.fired[:0]
}

func (l *Loop) event(ev *syscall.EpollEvent) {
	s := l.group.table.get(ev.Fd)
	if s == nil || s.serial != ev.Pad {
		if int(ev.Fd) == l.pulse.fd {
			l.beat()
		}
		return // or the bell, or a socket that was closed after the event had come
	}
	if s.accept != nil {
		s.accept()
		return
	}
	const over = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	if ev.Events&over != 0 {
		s.hup.Store(true)
		if f := s.hungUp.Load(); f != nil {
			(*f)()
		}
	}
	if ev.Events&(syscall.EPOLLIN|over) != 0 {
		s.wake(&s.rd, l)
	}
	if ev.Events&(syscall.EPOLLOUT|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		s.wake(&s.wr, l)
	}
}

// resume runs a task until it waits. It is false if the loop has gone on with
// another goroutine meanwhile.
func (l *Loop) resume(t *Task) bool {
	turn := l.turn.Load() + 1
	l.turn.Store(turn)
	t.attached = true
	o, _ := t.next()
	if !l.turn.CompareAndSwap(turn, turn+1) {
		t.attached = false
		t.drive(o)
		return false
	}
	switch o {
	case opWait:
		if !t.settle() {
			return true
		}
		l.push(work{task: t})
	case opYield:
		l.push(work{task: t})
	case opDetach:
		t.attached = false
		l.woke.Store(true)
		go t.drive(opYield)
	case opIdle:
		if s := t.sock; s.settle() {
			l.push(work{sock: s})
		}
		l.retire(t)
	case opDone:
		l.retire(t)
	}
	return true
}

// await waits for events, the next timer, or the bell.
func (l *Loop) await() {
	queued := l.ready.len() + l.fresh.len()
	l.usage.queue(queued)
	if queued > 0 {
		l.poll(0)
		return
	}
	if l.many && l.poll(0) {
		return
	}
	l.share()
	if !l.rest() {
		return
	}
	if !l.hold() && !l.due() {
		l.parkUntil()
	}
	l.resting.Store(false)
}

// share lets goroutines run before a wait that keeps the processor from them:
// those that tasks have woken, and now and then, or with the pulse, whoever else
// may be waiting.
func (l *Loop) share() {
	if !l.pulse.armed {
		l.rests++
	}
	if l.woke.Load() || l.rests >= often {
		l.woke.Store(false)
		l.rests = 0
		runtime.Gosched()
	}
}

// rest announces that the loop will wait; it is false if there is work after all.
func (l *Loop) rest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.posted) > 0 {
		return false
	}
	l.first = l.timers.first()
	l.resting.Store(true)
	return true
}

func (l *Loop) due() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.timers.first()
	return len(l.posted) > 0 || first != 0 && first <= Now()
}

// parkUntil waits in the runtime's poller, which knows epoll as one more file.
func (l *Loop) parkUntil() {
	at := l.first
	if due := l.spare.trim(); due != 0 && (at == 0 || due < at) {
		at = due
	}
	l.usage.parked(Now())
	l.group.parked.Add(1)
	if at != 0 && (l.until == 0 || l.until > at) || at == 0 && l.until != 0 {
		l.setUntil(at)
	}
	if err := l.park.Read(l.look); err != nil { // the timer
		l.until = 0
		_ = l.file.SetReadDeadline(time.Time{})
	}
	l.usage.unparked(Now())
	l.group.parked.Add(-1)
	l.group.watch.wake()
}

func (l *Loop) setUntil(t int64) {
	l.until = t
	at := time.Time{}
	if t != 0 {
		at = time.Now().Add(time.Duration(t - Now()))
	}
	_ = l.file.SetReadDeadline(at)
}

// poll takes the events that are there, or waits for them up to ms milliseconds,
// or forever, without giving the processor away.
func (l *Loop) poll(ms int) bool {
	if l.count > 0 {
		return true
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events)), batchSize, uintptr(ms), 0, 0)
	if errno != 0 {
		n = 0
	}
	l.count, l.many = int(n), n > 1
	return n > 0
}

// post gives work to the loop from any goroutine.
func (l *Loop) post(w work) {
	l.mu.Lock()
	l.posted = append(l.posted, w)
	l.mu.Unlock()
	l.ring()
}

// ring ends the loop's wait, if it waits.
func (l *Loop) ring() {
	if l.resting.Load() && l.resting.CompareAndSwap(true, false) {
		one := [8]byte{1}
		_, _ = syscall.Write(l.bell, one[:])
	}
}

func (l *Loop) newTask(w work) *Task {
	if w.sock != nil {
		w.handler = w.sock.handler
	}
	if t := l.spare.take(); t != nil {
		t.sock, t.handler = w.sock, w.handler
		return t
	}
	return newTask(l, w)
}

func (l *Loop) retire(t *Task) {
	t.sock, t.on, t.side, t.handler, t.steps = nil, nil, nil, nil, 0
	l.spare.put(t)
}
