package netx

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/loop"
)

// LinkOptions of a Link; the zero value bounds nothing.
type LinkOptions struct {
	// Idle ends the link after this long without a byte in either direction.
	Idle time.Duration
	// By is the monotonic time at which it ends in any case.
	By int64
	// Answered is called once, when the first bytes of b have come, by a task.
	Answered func()
	// Done is called once, by a task, when both directions have stopped and both
	// connections are closed. It must not block.
	Done func(*Link)
}

// Link is Relay for connections of loops: it moves bytes between two of them in
// both directions, and has a task, and a buffer, only while there is something
// to move. What comes in bulk between plain sockets stays in the kernel.
//
// The end of one direction is passed on and leaves the other open. When both
// have ended, or either has failed, the link closes both connections: with a
// reset if it failed, so that the peers can tell a cut from an end.
type Link struct {
	opts     LinkOptions
	ab, ba   flow
	last     atomic.Int64 // when a byte moved, in any direction
	live     atomic.Int32 // flows that may still run
	ends     atomic.Int32 // flows that came to the end of their stream
	over     atomic.Pointer[linkEnd]
	deserted atomic.Pointer[Conn] // whose peer was the first to end its stream
}

// linkEnd is why a link is over.
type linkEnd struct {
	err    error
	failed *Conn
}

// spliceChunk bounds what is spliced at a time, in bytes.
const spliceChunk = 256 << 10

// flow is one direction of a Link.
type flow struct {
	link     *Link
	src, dst *Conn
	moved    atomic.Int64
	ended    bool
	bulk     bool // the last read was full: more is on its way
}

// NewLink makes a link that Start starts. Nothing may read or write a and b any
// more; what was unread is moved first.
func NewLink(a, b *Conn, o LinkOptions) *Link {
	l := &Link{opts: o}
	l.ab.link, l.ab.src, l.ab.dst = l, a, b
	l.ba.link, l.ba.src, l.ba.dst = l, b, a
	l.live.Store(2)
	return l
}

// Start begins to move. It is called by the handler of a, whose task t is, as
// its last act: what it returns the handler must return too.
func (l *Link) Start(t *loop.Task) (idle bool) {
	l.last.Store(Monotonic())
	for _, c := range []*Conn{l.ab.src, l.ba.src} {
		c.SetWatch(nil)
		c.Bind(nil)
		c.SetReadBy(0)
		if c.tls != nil {
			c.SetWriteWithin(l.patience()) // never set again: a reader may write too
		}
	}
	l.ab.src.sock.SetHandler(&l.ab)
	l.ba.src.sock.SetHandler(&l.ba)
	l.ba.src.sock.Idle()
	return l.ab.Resume(t)
}

// Moved is how many bytes went from a to b and from b to a so far.
func (l *Link) Moved() (toB, toA int64) { return l.ab.moved.Load(), l.ba.moved.Load() }

// Err is why the link ended before both streams did, and whose fault it was.
// Both are nil if they did. It may be asked once Done is called.
func (l *Link) Err() (failed *Conn, err error) {
	end := l.over.Load()
	return end.failed, end.err
}

// FirstEnded is the connection whose peer ended its stream first, nil if none
// has.
func (l *Link) FirstEnded() *Conn { return l.deserted.Load() }

// Cut ends the link. Any goroutine may call it.
func (l *Link) Cut(err error) { l.stop(err, nil) }

// patience is how long a write may wait.
func (l *Link) patience() time.Duration {
	d := l.opts.Idle
	if by := l.opts.By; by != 0 {
		if left := time.Duration(max(by-Monotonic(), 1)); d <= 0 || left < d {
			d = left
		}
	}
	return d
}

// deadline is when silence since the time t has lasted too long, 0 for never.
func (l *Link) deadline(t int64) int64 {
	if l.opts.Idle <= 0 {
		return l.opts.By
	}
	t += int64(l.opts.Idle)
	if l.opts.By != 0 {
		t = min(t, l.opts.By)
	}
	return t
}

// stop ends both directions; the first reason stays.
func (l *Link) stop(err error, failed *Conn) {
	if !l.over.CompareAndSwap(nil, &linkEnd{err, failed}) {
		return
	}
	for _, c := range []*Conn{l.ab.src, l.ba.src} {
		if err == nil || IsTimeout(err) {
			c.Kill()
		} else {
			_ = c.Abort()
		}
	}
}

// Resume moves what there is.
func (f *flow) Resume(t *loop.Task) (idle bool) {
	f.src.Wake(t)
	f.dst.BindWrite(t)
	for f.link.over.Load() == nil {
		wait, err := f.step()
		switch {
		case wait:
			f.dst.BindWrite(nil)
			return true
		case err != nil:
			f.fail(err)
		}
	}
	if f.link.live.Add(-1) == 0 && f.link.opts.Done != nil {
		f.link.opts.Done(f.link)
	}
	return false
}

// step moves one piece. It is true if nothing has come.
func (f *flow) step() (wait bool, err error) {
	l := f.link
	if f.ended {
		f.src.SetReadBy(0)
	} else {
		f.src.SetReadBy(l.deadline(l.last.Load()))
	}
	if f.bulk && f.src.tls == nil && f.dst.tls == nil {
		return f.splice()
	}
	size := bufpool.Medium
	if f.bulk && f.src.tls == nil { // a record of TLS is no longer
		size = bufpool.Large
	}
	buf, n, wait, err := f.src.PollIdle(size)
	if wait || err != nil {
		return f.nothing(wait, err)
	}
	f.bulk = n == len(buf.B)
	l.came(f)
	f.limitWrite()
	_, err = f.dst.Write(buf.B[:n])
	buf.Release()
	if err != nil {
		return false, &WriteError{err}
	}
	f.moved.Add(int64(n))
	return false, nil
}

func (f *flow) splice() (wait bool, err error) {
	l := f.link
	if f.dst.tls == nil {
		f.dst.SetWriteBy(l.deadline(Monotonic()))
	}
	n, wait, err := f.src.PollSplice(f.dst, spliceChunk)
	if n > 0 {
		l.came(f)
		f.moved.Add(n)
		l.last.Store(Monotonic())
	}
	if wait || err != nil {
		f.bulk = false
		return f.nothing(wait, err)
	}
	f.bulk = n >= bufpool.Medium
	return false, nil
}

// came notes that f has brought something.
func (l *Link) came(f *flow) {
	if f == &l.ba && l.opts.Answered != nil && f.moved.Load() == 0 {
		l.opts.Answered()
	}
}

// nothing says what no bytes mean.
func (f *flow) nothing(wait bool, err error) (bool, error) {
	switch {
	case wait:
		return true, nil
	case err == io.EOF && f.ended:
		return f.rest()
	case err == io.EOF:
		return f.end()
	case f.quiet(err):
		return false, nil
	}
	return false, err
}

// end passes the end of the stream on.
func (f *flow) end() (wait bool, err error) {
	f.ended = true
	f.link.deserted.CompareAndSwap(nil, f.src)
	if err := f.dst.CloseWrite(); err != nil {
		return false, &WriteError{err}
	}
	if f.link.ends.Add(1) == 2 {
		f.link.stop(nil, nil)
		return false, nil
	}
	return true, nil
}

// rest looks why a flow was woken once more after its end: perhaps by a reset,
// which a read does not tell any more.
func (f *flow) rest() (wait bool, err error) {
	code := 0
	if cerr := f.src.sock.Control(func(fd uintptr) {
		code, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	}); cerr != nil {
		return false, cerr
	}
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err != nil {
		return false, os.NewSyscallError("read", err)
	}
	return true, nil
}

// limitWrite notes that bytes have come and bounds the wait for their place.
func (f *flow) limitWrite() {
	now := Monotonic()
	f.link.last.Store(now)
	if f.dst.tls == nil {
		f.dst.SetWriteBy(f.link.deadline(now))
	}
}

// quiet reports whether err is no more than a read that timed out in one
// direction while the other was busy.
func (f *flow) quiet(err error) bool {
	var we *WriteError
	return IsTimeout(err) && !errors.As(err, &we) && Monotonic() < f.link.deadline(f.link.last.Load())
}

func (f *flow) fail(err error) {
	var we *WriteError
	if errors.As(err, &we) {
		f.link.stop(err, f.dst)
	} else {
		f.link.stop(err, f.src)
	}
}
