// Package netx is the connection that the proxy reads and writes: a TCP or Unix
// socket, with or without TLS, whose deadlines are cheap enough to set for each
// request, which holds no buffer while it waits for a next one, and which tells
// whether its peer has gone.
//
// Most sockets belong to an event loop, whose tasks they are bound to (see Bind);
// others, of the net package, work too, and wait in the ordinary way. One task
// or goroutine reads a Conn and one (often the same) writes it; only Kill,
// Abort, Interrupt and Gone may be called from others. The package starts no
// goroutines but the one that Relay waits for. It imports the standard library,
// loop and bufpool, and any package of wire or proxy may import it.
package netx

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gridway/gridway/internal/wire/loop"
)

// Monotonic returns the nanoseconds since the process started. It is positive,
// never goes back, and is what SetReadBy and SetWriteBy take.
func Monotonic() int64 { return loop.Now() }

// MonotonicOf is the monotonic time at which time.Now returned t.
func MonotonicOf(t time.Time) int64 { return loop.At(t) }

// After returns the monotonic time d from now, or 0 (no deadline) if d is not positive.
func After(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return Monotonic() + int64(d)
}

// wallTime is the monotonic time t as the net package wants it.
func wallTime(t int64) time.Time {
	return time.Now().Add(time.Duration(t - Monotonic()))
}

// ErrWatchGone ends a read whose Watcher reported that nobody waits for it any more.
var ErrWatchGone = errors.New("netx: the peer that the read was for has gone")

// ErrInterrupted ends a ReadIdle after Interrupt, when no byte had arrived.
var ErrInterrupted = errors.New("netx: idle wait interrupted")

// Watcher is somebody on whose behalf a read waits.
type Watcher interface {
	// Gone reports whether waiting has become pointless. It must not block.
	Gone() bool
}

// Nudger is what waits for a Watcher.
type Nudger interface {
	// Nudge has the Watcher asked at once. Any goroutine may call it, also when
	// nobody waits any more: at worst somebody looks in vain.
	Nudge()
}

// Awaiter is a Watcher that learns who waits for it, and nudges that when it has
// gone.
type Awaiter interface {
	// Awaiting is called before the first wait.
	Awaiting(n Nudger)
}

// Awaited keeps the Nudger of an Awaiter, of which there is one at a time. The zero
// value has none.
type Awaited struct {
	mu sync.Mutex
	n  Nudger // guarded by mu
}

// Set replaces the Nudger; nil forgets it.
func (a *Awaited) Set(n Nudger) {
	a.mu.Lock()
	a.n = n
	a.mu.Unlock()
}

// Nudge nudges it, if there is one.
func (a *Awaited) Nudge() {
	a.mu.Lock()
	n := a.n
	a.mu.Unlock()
	if n != nil {
		n.Nudge()
	}
}

// WriteError tells, from what SpliceTo and SpliceSome return, that the
// destination failed rather than the source.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return e.Err.Error() }
func (e *WriteError) Unwrap() error { return e.Err }

// IsTimeout reports whether err says that a deadline passed.
func IsTimeout(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// IsReset reports whether err says that the peer reset the connection or that
// the network broke it.
func IsReset(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ENOTCONN,
		syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// IsRefused reports whether err says that nobody listened at the address.
func IsRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT)
}

// IsGone reports whether err means that the connection is over: it ended, was
// reset, or was closed on this side.
func IsGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, ErrWatchGone) || IsReset(err)
}
