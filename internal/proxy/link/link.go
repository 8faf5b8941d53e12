// Package link carries an HTTP/2 connection, of either side, on its socket: it
// reads, gives what has come to the state machine of package h2, tells the
// connection's user of the events, and writes what is to be sent, from as many
// streams as have something, with one system call. The streams run on tasks of
// their own, and the link's lock guards the state machine among them. No task
// and no buffer is held while nothing comes or goes. It owns no goroutines.
// Packages downstream/http2 and upstream/http2 import it.
package link

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	firstRead = 16 << 10
	largeRead = 64 << 10
)

// User is whose connection it is. All calls come with the lock held.
type User interface {
	// Event handles what the peer has sent, on the task that has read it.
	Event(t *loop.Task, ev *h2.Event)
	// Send gives H2.SendData the rest of what a stream has to send.
	Send(s *h2.Stream)
	// Rest is called when there are no more events for now.
	Rest(ev *h2.Event)
	// IdleBy is until when the connection may be without streams, of the
	// monotonic clock, which shows now; 0 is for ever.
	IdleBy(now int64) int64
	// Over is called once, when nothing more can come or be sent. The streams
	// that are open have not ended well. The error is nil if both sides have
	// agreed to end.
	Over(err error)
}

// Link is one connection. Init makes it.
type Link struct {
	mu sync.Mutex
	// H2 is guarded by the lock.
	H2 *h2.Conn

	nc   *netx.Conn
	user User
	ev   h2.Event

	// What was read and not used yet is buf[r:w]: the reading task's.
	buf  *bufpool.Buf
	r, w int
	size int

	// Heed lets the peer send nothing more while it does not take what it is owed.
	// It is set before the first Receive, and on one side of a connection only:
	// two that wait for each other would wait for ever.
	Heed bool

	clock   int64     // when the reader last looked at what has come; guarded by mu
	armed   int64     // until when the reader waits; guarded by mu
	nudged  bool      // guarded by mu: the reader is to look at once
	writing bool      // guarded by mu: a task writes, or is about to
	ending  bool      // guarded by mu: nothing more is added to the output
	over    bool      // guarded by mu
	crowded bool      // guarded by mu: nothing is taken until more was written
	written loop.Gate // opened when ending is set and nobody writes any more
	flusher flusher

	leave atomic.Bool
}

// Init readies a link for h2 on nc. The time that the peer may take to accept
// what is sent bounds each write; 0 is no bound.
func (l *Link) Init(nc *netx.Conn, c *h2.Conn, user User, accept time.Duration) {
	l.nc, l.H2, l.user, l.size = nc, c, user, firstRead
	l.flusher.l = l
	l.written.Init(nc.Home())
	nc.SetReadBy(0)
	nc.SetWriteWithin(accept)
	nc.SetWatch(nil)
	nc.Uninterrupt()
}

// Lock takes the lock, which is never held for long. Unlock gives it back.
func (l *Link) Lock() { l.mu.Lock() }

// Unlock gives the lock back.
func (l *Link) Unlock() { l.mu.Unlock() }

// Clock is the time, with the lock held, of the events that are being handled.
func (l *Link) Clock() int64 { return l.clock }

// Over tells, with the lock held, whether the connection has ended.
func (l *Link) Over() bool { return l.over }

// Leave ends the connection without losing a request; see h2.Conn.Leave. Any
// goroutine may call it.
func (l *Link) Leave() {
	l.LeaveSoon()
	l.nc.Nudge()
}

// LeaveSoon is Leave with the next Receive.
func (l *Link) LeaveSoon() { l.leave.Store(true) }

// Leaving tells whether Leave or LeaveSoon was called. Any goroutine may ask.
func (l *Link) Leaving() bool { return l.leave.Load() }

// Start puts bytes in front of what comes, before the first Receive.
func (l *Link) Start(early []byte) {
	if len(early) > 0 {
		l.buf = bufpool.Get(max(len(early), firstRead))
		l.w = copy(l.buf.B, early)
	}
}

// Receive reads what has come and handles it, on the task that the loop has
// started for that. It is false when the connection is over, and closed.
func (l *Link) Receive(t *loop.Task) (idle bool) {
	l.nc.Wake(t)
	var wait, handled bool
	var readErr error
	for fresh := l.r < l.w; ; fresh = false {
		if !fresh {
			if wait, readErr = l.read(); wait && handled {
				return true // what was armed by handle is set, and whoever changes it nudges
			}
		}
		again, crowded, err := l.handle(t, readErr)
		switch {
		case err != nil:
			l.end(t, err)
			return false
		case crowded, wait && !again:
			return true
		}
		handled = true
	}
}

// crowd is how many bytes may wait for a peer that sends more. Content is held
// back earlier; these are heads, and answers to frames.
const crowd = 2 * bufpool.Large

// errDone: both sides have agreed to end.
var errDone = errors.New("link: done")

// handle lets the state machine have what was read. again: the reader waits for
// longer than it may now. crowded: it is not to read before it is nudged.
func (l *Link) handle(t *loop.Task, readErr error) (again, crowded bool, err error) {
	if readErr != nil && !netx.IsTimeout(readErr) {
		return false, false, readErr
	}
	l.mu.Lock()
	defer l.mu.Unlock() // also for a defect, which others must not wait for
	l.nudged = false
	if err := l.events(t); err != nil {
		return false, false, err
	}
	l.makeRoom()
	by := l.user.IdleBy(l.clock)
	if l.leave.Load() || by != 0 && l.clock >= by {
		l.H2.Leave() // after Next, which has told it the time
	}
	l.startWriting(t)
	if l.H2.Done() && !l.writing {
		return false, false, errDone
	}
	if l.crowded {
		l.armed = 0
		l.nc.Hush()
		return false, true, nil
	}
	by = l.until()
	if again = by != 0 && (l.armed == 0 || by < l.armed); again {
		l.armed = by
		l.nc.SetReadBy(by)
	}
	return again, false, nil
}

// events tells the user of what has come.
func (l *Link) events(t *loop.Task) error {
	l.clock = loop.Now()
	for {
		if l.crowded = l.Heed && l.writing && l.H2.Pending() > crowd; l.crowded {
			l.user.Rest(&l.ev)
			return nil
		}
		in := []byte(nil)
		if l.buf != nil {
			in = l.buf.B[l.r:l.w]
		}
		n, err := l.H2.Next(in, l.clock, &l.ev)
		l.r += n
		if l.ev.Kind != h2.EventNone {
			l.user.Event(t, &l.ev)
		}
		if err != nil || l.ev.Kind == h2.EventNone {
			l.user.Rest(&l.ev)
			return err
		}
	}
}

// until is how long the reader may wait.
func (l *Link) until() int64 {
	by := l.H2.Deadline()
	if l.H2.Left() {
		return by // it will end by itself
	}
	if idle := l.user.IdleBy(l.clock); by == 0 || idle != 0 && idle < by {
		by = idle
	}
	return by
}

// read takes what has come. After that the reader is to be called at the time
// that is armed.
func (l *Link) read() (wait bool, err error) {
	var n int
	if l.buf == nil {
		l.buf, n, wait, err = l.nc.PollIdle(l.size)
		l.r, l.w = 0, n
	} else {
		n, wait, err = l.nc.Poll(l.buf.B[l.w:])
		l.w += n
	}
	if wait {
		err = nil
	}
	if netx.IsTimeout(err) {
		l.mu.Lock()
		l.armed = 0 // the time has come
		l.mu.Unlock()
		l.nc.SetReadBy(0)
	}
	if n == l.size {
		l.size = largeRead // it is in a hurry
	} else if n > 0 && n < firstRead/2 {
		l.size = firstRead
	}
	return wait, err
}

// makeRoom gives an empty buffer back, and lets one with the beginning of a
// frame take the rest.
func (l *Link) makeRoom() {
	if l.buf == nil {
		return
	}
	if l.r == l.w {
		l.buf.Release()
		l.buf, l.r, l.w = nil, 0, 0
		return
	}
	if need := l.H2.Need(); need > len(l.buf.B)-l.r || l.w == len(l.buf.B) {
		to := l.buf
		if need > len(l.buf.B) || l.r == 0 {
			to = bufpool.Get(max(need, 2*len(l.buf.B)))
		}
		l.w = copy(to.B, l.buf.B[l.r:l.w])
		l.r = 0
		if to != l.buf {
			l.buf.Release()
			l.buf = to
		}
	}
}

// end closes the connection for an error, or in agreement.
func (l *Link) end(t *loop.Task, err error) {
	var bad *h2.Error
	told := errors.As(err, &bad) || err == errDone
	alone := l.await(t, told)
	if alone && told {
		l.lastWords(t)
	}
	l.mu.Lock()
	l.finish(err)
	l.mu.Unlock()
	if alone && (err == errDone || err == io.EOF) {
		_ = l.nc.Close()
	} else {
		l.nc.Kill()
	}
	if l.buf != nil {
		l.buf.Release()
		l.buf = nil
	}
}

// await stops the output and makes the caller the one who writes. It is false if
// another is still at it: who does not wait, and a peer that does not read.
func (l *Link) await(t *loop.Task, patient bool) bool {
	by := netx.After(patience)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
	for l.writing {
		if !patient {
			return false
		}
		l.mu.Unlock()
		err := l.written.Wait(t, by)
		l.mu.Lock()
		if err != nil && l.writing {
			return false
		}
	}
	l.writing = true
	l.nc.BindWrite(t)
	return true
}

// finish tells the user, once, that the connection is over.
func (l *Link) finish(err error) {
	if l.over {
		return
	}
	l.over = true
	if err == errDone {
		err = nil
	}
	l.user.Over(err)
	if b := l.H2.Take(); b != nil {
		b.Release()
	}
}

// Abandon ends the connection after a defect of its user. Any goroutine may call it.
func (l *Link) Abandon() {
	l.nc.Kill()
	l.mu.Lock()
	l.finish(errDefect)
	l.mu.Unlock()
}

var errDefect = errors.New("link: a defect has ended the connection")

// Kill closes the connection whatever it does. Any goroutine may call it.
func (l *Link) Kill() { l.nc.Kill() }
