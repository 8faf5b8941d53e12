package netx

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// relayChunk bounds what moves between two looks at the clock, in bytes.
const relayChunk = 64 << 10

// RelayOptions of Relay; the zero value bounds nothing.
type RelayOptions struct {
	// Idle ends the relay after this long without a byte in either direction.
	Idle time.Duration
	// By is the monotonic time at which it ends in any case.
	By int64
}

// Relay moves bytes between two connections in both directions until both have
// ended, and returns how many went from a to b and from b to a. The end of one
// direction is passed on (CloseWrite) and leaves the other open. An error of
// either ends both, with a reset unless it is a time-out, so that the peers can
// tell a cut from an end; it is returned. Relay replaces the deadlines and the
// watchers of both, does one direction on a goroutine of its own, waits for it,
// and leaves closing to the caller.
func Relay(a, b *Conn, o RelayOptions) (toB, toA int64, err error) {
	r := &relay{RelayOptions: o}
	r.last.Store(Monotonic())
	a.SetWatch(nil)
	b.SetWatch(nil)
	type outcome struct {
		n   int64
		err error
	}
	back := make(chan outcome, 1)
	go func() {
		n, err := r.move(b, a)
		back <- outcome{n, err}
	}()
	toB, err = r.move(a, b)
	other := <-back
	if r.first.Load() != nil {
		err = *r.first.Load()
	}
	return toB, other.n, err
}

type relay struct {
	RelayOptions
	last  atomic.Int64 // when a byte moved, in any direction
	first atomic.Pointer[error]
}

// move does one direction.
func (r *relay) move(src, dst *Conn) (int64, error) {
	var total int64
	for {
		src.SetReadBy(r.deadline(r.last.Load()))
		dst.SetWriteBy(r.deadline(Monotonic()))
		n, err := src.SpliceSome(dst, relayChunk)
		if n > 0 {
			total += n
			r.last.Store(Monotonic())
		}
		switch {
		case err == nil:
		case err == io.EOF:
			if err := dst.CloseWrite(); err != nil {
				return total, r.end(src, dst, &WriteError{err})
			}
			return total, nil
		case !r.wasQuiet(err):
			return total, r.end(src, dst, err)
		}
	}
}

// deadline is when silence since the time t has lasted too long, 0 for never.
func (r *relay) deadline(t int64) int64 {
	if r.Idle <= 0 {
		return r.By
	}
	t += int64(r.Idle)
	if r.By != 0 {
		t = min(t, r.By)
	}
	return t
}

// wasQuiet reports whether err is no more than a read that timed out in one
// direction while the other was busy.
func (r *relay) wasQuiet(err error) bool {
	var we *WriteError
	return IsTimeout(err) && !errors.As(err, &we) && Monotonic() < r.deadline(r.last.Load())
}

// end lets both directions end.
func (r *relay) end(src, dst *Conn, err error) error {
	r.first.CompareAndSwap(nil, &err)
	for _, c := range []*Conn{src, dst} {
		if IsTimeout(err) {
			_ = c.nc.Close()
		} else {
			_ = c.Abort()
		}
	}
	return err
}
