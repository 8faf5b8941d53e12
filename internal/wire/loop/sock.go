package loop

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	edge      = 1 << 31 // EPOLLET, which package syscall has as a negative number
	exclusive = 1 << 28 // EPOLLEXCLUSIVE
	reading   = syscall.EPOLLIN | syscall.EPOLLRDHUP | edge
)

// closing is set in Sock.refs by Close. The bits below count the calls that use
// the descriptor, which the last one closes.
const closing = 1 << 30

// Marks in side.waiter that are no tasks.
var (
	ready = &Task{} // an event has come and nobody has looked yet
	idle  = &Task{} // the socket's handler is to be called
)

// standIns are what ordinary goroutines wait as.
var standIns = sync.Pool{New: func() any { return &Task{bell: make(chan struct{}, 1)} }}

// side is one direction of a socket.
type side struct {
	waiter  atomic.Pointer[Task]
	expired atomic.Bool
	task    *Task // who uses this side; nil is any goroutine
	told    bool  // an event was taken that no read has followed; the user's
	sock    *Sock
	timer   timer
}

// Sock is a stream socket that belongs to a loop. It is a syscall.RawConn, as
// which it never blocks a loop. One task or goroutine may use its reading side and one its
// writing side at a time; Bind says which tasks. Any goroutine may call Close,
// Control, and set deadlines.
type Sock struct {
	fd     int
	serial int32 // tells it from others that had or will have the descriptor
	group  *Group
	loop   atomic.Pointer[Loop]
	refs   atomic.Int64
	rd, wr side
	hup    atomic.Bool // the peer has closed its side, or all is over
	gone   atomic.Bool // the descriptor was given back
	hungUp atomic.Pointer[func()]
	writes bool // EPOLLOUT is asked for; the writing side's

	handler Handler
	accept  func() // of listening sockets

	remote netip.AddrPort
}

// register makes a socket of a descriptor, which it owns from now on.
func (g *Group) register(fd int, l *Loop, events uint32) (*Sock, error) {
	s := &Sock{fd: fd, group: g, serial: g.serial.Add(1)}
	s.rd.sock, s.wr.sock = s, s
	s.rd.timer.side, s.wr.timer.side = &s.rd, &s.wr
	s.loop.Store(l)
	s.writes = events&syscall.EPOLLOUT != 0
	if err := g.table.put(fd, s); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	if err := s.control(l, syscall.EPOLL_CTL_ADD, events); err != nil {
		g.table.drop(fd)
		syscall.Close(fd)
		return nil, err
	}
	l.load.Add(1)
	return s, nil
}

// control calls epoll_ctl.
func (s *Sock) control(l *Loop, what int, events uint32) error {
	ev := syscall.EpollEvent{Events: events, Fd: int32(s.fd), Pad: s.serial}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(l.epoll, what, s.fd, &ev))
}

// SetHandler makes h what an idle socket is given to.
func (s *Sock) SetHandler(h Handler) { s.handler = h }

// Idle gives a fresh socket to its handler, once there is something to read.
func (s *Sock) Idle() {
	if s.settle() {
		s.loop.Load().post(work{sock: s})
	}
}

// Start calls the handler of a fresh socket at once, whether or not there is
// something to read.
func (s *Sock) Start() { s.loop.Load().post(work{sock: s}) }

// settle marks the socket idle; it is true if its handler is to be called at once.
func (s *Sock) settle() bool { return s.publish(&s.rd, idle) }

// Bind says that task t uses both sides from now on. With nil it is any
// goroutine, which waits in the ordinary way. Neither side may be in use.
func (s *Sock) Bind(t *Task) {
	s.rd.task, s.wr.task = t, t
	if t != nil && t.loop != s.loop.Load() {
		s.move(t.loop)
	}
}

// Detach detaches the task that reads the socket, which calls it.
func (s *Sock) Detach() { s.rd.task.Detach() }

// BindRead is Bind for the reading side.
func (s *Sock) BindRead(t *Task) { s.rd.task = t }

// BindWrite is Bind for the writing side.
func (s *Sock) BindWrite(t *Task) { s.wr.task = t }

// Home is the loop that watches the socket.
func (s *Sock) Home() *Loop { return s.loop.Load() }

// move lets another loop watch the socket. It stays with the old one if it
// cannot be moved: that one's events are as good.
func (s *Sock) move(to *Loop) {
	if s.begin() != nil {
		return
	}
	defer s.end()
	from := s.loop.Load()
	events := uint32(reading)
	if s.writes {
		events |= syscall.EPOLLOUT
	}
	if s.control(to, syscall.EPOLL_CTL_ADD, events) != nil {
		return
	}
	_ = s.control(from, syscall.EPOLL_CTL_DEL, 0)
	from.mu.Lock()
	from.timers.remove(&s.rd.timer)
	from.timers.remove(&s.wr.timer)
	s.loop.Store(to)
	from.mu.Unlock()
	s.arm(&s.rd)
	s.arm(&s.wr)
	from.load.Add(-1)
	to.load.Add(1)
}

// Quiet reports that no event has told of anything to read since the last read
// began. With a read that got less than it had room for, that means that there
// is nothing.
func (s *Sock) Quiet() bool { return s.rd.waiter.Load() == nil && !s.rd.told && !s.hup.Load() }

// Looks says that what Read has called is about to read from the descriptor.
func (s *Sock) Looks() { s.rd.told = false }

// HungUp reports that the peer has closed its side or reset the connection, as
// far as events have told. It costs no system call.
func (s *Sock) HungUp() bool { return s.hup.Load() }

// OnHangUp lets f be called when an event tells that the peer has closed its
// side or reset the connection, on the goroutine of a loop: it must not block,
// and may come more than once. HungUp is true by then.
func (s *Sock) OnHangUp(f func()) { s.hungUp.Store(&f) }

// Read calls f with the descriptor until it returns true, waiting before each
// further call until the socket is readable: syscall.RawConn's.
func (s *Sock) Read(f func(fd uintptr) bool) error { return s.do(&s.rd, s.rd.task, f) }

// Write is Read for writing.
func (s *Sock) Write(f func(fd uintptr) bool) error { return s.do(&s.wr, s.wr.task, f) }

// WriteHere is Write for whoever the side is not bound to: it waits as an
// ordinary goroutine does, also on a task, and so may hold a loop up.
func (s *Sock) WriteHere(f func(fd uintptr) bool) error { return s.do(&s.wr, nil, f) }

// AwaitRead waits until the socket is readable. What an event has announced since
// the last wait counts.
func (s *Sock) AwaitRead() error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.await(&s.rd, s.rd.task)
}

func (s *Sock) do(sd *side, t *Task, f func(fd uintptr) bool) error {
	if err := s.begin(); err != nil {
		return err
	}
	if sd.waiter.Load() == ready && sd.waiter.CompareAndSwap(ready, nil) {
		sd.told = true
	}
	var err error
	if sd.expired.Load() {
		err = os.ErrDeadlineExceeded
	} else if t != nil {
		t.step()
	}
	for err == nil && !f(uintptr(s.fd)) {
		err = s.await(sd, t)
	}
	s.end()
	return err
}

// await waits until the side is ready.
func (s *Sock) await(sd *side, t *Task) error {
	if sd == &s.wr && !s.writes {
		// Few sockets ever fill up, so events for writing are asked for late.
		if err := s.control(s.loop.Load(), syscall.EPOLL_CTL_MOD, reading|syscall.EPOLLOUT); err != nil {
			return err
		}
		s.writes = true
	}
	if t != nil {
		t.wait(s, sd)
	} else {
		s.waitHere(sd)
	}
	sd.told = true
	switch {
	case s.refs.Load()&closing != 0:
		return net.ErrClosed
	case sd.expired.Load():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// waitHere is await for an ordinary goroutine.
func (s *Sock) waitHere(sd *side) {
	w := standIns.Get().(*Task)
	if !s.publish(sd, w) {
		<-w.bell
	}
	standIns.Put(w)
}

// publish makes w what the next event of the side wakes. It is true if there is
// no need to wait.
func (s *Sock) publish(sd *side, w *Task) bool {
	for {
		switch sd.waiter.Load() {
		case ready:
			if sd.waiter.CompareAndSwap(ready, nil) {
				return true
			}
		case nil:
			if !sd.waiter.CompareAndSwap(nil, w) {
				continue
			}
			over := s.refs.Load()&closing != 0 || sd.expired.Load()
			return over && sd.waiter.CompareAndSwap(w, nil)
		default:
			panic("loop: two wait for the same side of a socket")
		}
	}
}

// wake lets who waits for the side go on. The loop is the caller's own, nil for
// other goroutines.
func (s *Sock) wake(sd *side, l *Loop) {
	for {
		w := sd.waiter.Load()
		switch w {
		case ready:
			return
		case nil:
			if sd.waiter.CompareAndSwap(nil, ready) {
				return
			}
			continue
		}
		if !sd.waiter.CompareAndSwap(w, nil) {
			continue
		}
		switch {
		case w.bell != nil:
			w.bell <- struct{}{}
			if l != nil {
				l.woke.Store(true)
			}
		case w == idle:
			s.loop.Load().give(work{sock: s}, l)
		default:
			w.loop.give(work{task: w}, l)
		}
		return
	}
}

// give is post, without the detour when the caller is the loop's own goroutine.
func (l *Loop) give(w work, caller *Loop) {
	if l == caller {
		l.push(w)
	} else {
		l.post(w)
	}
}

// begin is called before the descriptor is used and end after that.
func (s *Sock) begin() error {
	if s.refs.Add(1)&closing != 0 {
		s.end()
		return net.ErrClosed
	}
	return nil
}

func (s *Sock) end() {
	if s.refs.Add(-1) == closing {
		s.destroy()
	}
}

// Close closes the socket. Who uses it gets net.ErrClosed.
func (s *Sock) Close() error {
	for {
		refs := s.refs.Load()
		if refs&closing != 0 {
			return net.ErrClosed
		}
		if s.refs.CompareAndSwap(refs, refs+1|closing) {
			break
		}
	}
	s.wake(&s.rd, nil)
	s.wake(&s.wr, nil)
	s.end()
	return nil
}

// destroy gives the descriptor back, which also ends its events.
func (s *Sock) destroy() {
	if !s.gone.CompareAndSwap(false, true) { // a late call has come and was refused
		return
	}
	l := s.loop.Load()
	l.mu.Lock()
	l.timers.remove(&s.rd.timer)
	l.timers.remove(&s.wr.timer)
	l.mu.Unlock()
	l.load.Add(-1)
	s.group.table.drop(s.fd)
	_ = syscall.Close(s.fd)
}

// Control calls f with the descriptor.
func (s *Sock) Control(f func(fd uintptr)) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	f(uintptr(s.fd))
	return nil
}

// CloseWrite shuts the writing side down.
func (s *Sock) CloseWrite() error {
	err := s.begin()
	if err == nil {
		err = os.NewSyscallError("shutdown", syscall.Shutdown(s.fd, syscall.SHUT_WR))
		s.end()
	}
	return err
}

// SetLinger sets what becomes of unsent bytes at Close; 0 resets the connection.
func (s *Sock) SetLinger(sec int) error {
	err := s.begin()
	if err == nil {
		err = os.NewSyscallError("setsockopt", syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER,
			&syscall.Linger{Onoff: 1, Linger: int32(sec)}))
		s.end()
	}
	return err
}

// SetReadBy lets reads fail from the time t of Now on; 0 lets them wait for
// ever, and a time that has passed ends the one that waits.
func (s *Sock) SetReadBy(t int64) error { return s.setDeadline(&s.rd, t) }

// SetWriteBy is SetReadBy for writes.
func (s *Sock) SetWriteBy(t int64) error { return s.setDeadline(&s.wr, t) }

func (s *Sock) setDeadline(sd *side, t int64) error {
	now := int64(0)
	if t != 0 {
		now = Now()
	}
	return s.setDeadlineAt(sd, t, now)
}

// setDeadlineAt is setDeadline when the clock shows now.
func (s *Sock) setDeadlineAt(sd *side, t, now int64) error {
	past := t != 0 && t <= now
	l := s.lock()
	if s.refs.Load()&closing != 0 {
		l.mu.Unlock()
		return net.ErrClosed
	}
	sd.timer.deadline = t
	sd.expired.Store(past)
	ring := !past && l.timers.arm(&sd.timer) && (l.first == 0 || t < l.first)
	l.mu.Unlock()
	if past {
		s.wake(sd, nil)
	}
	if ring {
		l.ring()
	}
	return nil
}

// arm sets the side's timer at a loop that it has come to.
func (s *Sock) arm(sd *side) {
	l := s.lock()
	ring := l.timers.arm(&sd.timer)
	l.mu.Unlock()
	if ring {
		l.ring()
	}
}

// lock takes the lock of the loop that has the socket.
func (s *Sock) lock() *Loop {
	for {
		l := s.loop.Load()
		l.mu.Lock()
		if s.loop.Load() == l {
			return l
		}
		l.mu.Unlock()
	}
}
