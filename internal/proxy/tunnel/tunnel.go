// Package tunnel relays bytes between two sides of which at least one has no
// connection of its own, but a stream of a shared one (HTTP/2 CONNECT). It is
// netx.Link for those.
//
// Each direction has a task: the one that calls Run passes on what b sends, and one
// that Run starts, and waits for, what a sends. Relaying allocates nothing. Any
// goroutine may call Cut. Package stream imports it.
package tunnel

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Side is one end of a relay.
type Side = websocket.Side

// Options of a Relay; zero times bound nothing.
type Options struct {
	// Idle ends the relay after this long without a byte in either direction.
	Idle time.Duration
	// By is the monotonic time at which it ends in any case.
	By int64
	// Answered is called once, when the first bytes of b have come.
	Answered func()
}

// Relay is one tunnel. New makes it.
type Relay struct {
	opts   Options
	ab, ba direction
	moved  atomic.Int64 // when the last byte was
	first  atomic.Pointer[direction]
	over   atomic.Pointer[End]

	beside loop.Gate // opened when ab has ended
	ended  atomic.Bool
	defect string
}

// End is why a relay ended before both sides had said all.
type End struct {
	Err error
	// Failed is the side whose fault it was; nil for nobody's.
	Failed Side
}

// direction passes on what src sends. Its task owns it but for what is atomic.
type direction struct {
	r        *Relay
	src, dst Side
	bytes    atomic.Int64
}

// New makes a relay between two sides that nobody reads or writes any more.
func New(a, b Side, o Options) *Relay {
	r := &Relay{opts: o}
	r.ab = direction{r: r, src: a, dst: b}
	r.ba = direction{r: r, src: b, dst: a}
	r.moved.Store(netx.Monotonic())
	return r
}

// Run relays until both directions have ended, on a task. Both sides are still to be
// closed then.
func (r *Relay) Run(t *loop.Task) {
	r.ba.src.BindRead(t)
	r.ba.dst.BindWrite(t)
	r.beside.Init(t.Home())
	t.Go(&r.ab)
	r.ba.run()
	for !r.ended.Load() {
		_ = r.beside.Wait(t, 0)
	}
	r.beside.Rest()
	r.ab.src.BindRead(t)
	r.ab.dst.BindWrite(t)
	if r.defect != "" {
		panic(r.defect)
	}
}

// Moved is how many bytes went from a to b and from b to a so far.
func (r *Relay) Moved() (toB, toA int64) { return r.ab.bytes.Load(), r.ba.bytes.Load() }

// Err is why the relay ended early; the zero End if both sides have said all. It may
// be asked once Run has returned.
func (r *Relay) Err() End {
	if end := r.over.Load(); end != nil {
		return *end
	}
	return End{}
}

// FirstEnded is the side that was the first to say all; nil if neither has.
func (r *Relay) FirstEnded() Side {
	if d := r.first.Load(); d != nil {
		return d.src
	}
	return nil
}

// Cut ends the relay. Any goroutine may call it.
func (r *Relay) Cut(err error) { r.fail(err, nil) }

// fail ends both directions; the first reason stays. Both peers can tell a cut from an
// end by time.
func (r *Relay) fail(err error, failed Side) {
	if !r.over.CompareAndSwap(nil, &End{err, failed}) {
		return
	}
	if netx.IsTimeout(err) {
		r.ab.src.Interrupt()
		r.ba.src.Interrupt()
		return
	}
	r.ab.src.Cut()
	r.ba.src.Cut()
}

// Resume implements loop.Handler.
func (d *direction) Resume(t *loop.Task) (idle bool) {
	r := d.r
	defer func() {
		if defect := recover(); defect != nil { // Run's task tells of it
			r.defect = fmt.Sprintf("%v\n\n%s", defect, debug.Stack())
			r.fail(errDefect, nil)
		}
		r.ended.Store(true)
		r.beside.Open()
	}()
	d.src.BindRead(t)
	d.dst.BindWrite(t)
	d.run()
	return false
}

var errDefect = errors.New("tunnel: internal error")

// run passes on until the source has said all, or the relay is over.
func (d *direction) run() {
	r := d.r
	for r.over.Load() == nil {
		by := r.deadline(r.moved.Load())
		d.src.SetReadBy(by)
		p, err := d.src.Read()
		if len(p) > 0 {
			if werr := d.pass(p); werr != nil {
				r.fail(werr, d.dst)
				return
			}
		}
		switch {
		case err == nil, errors.Is(err, netx.ErrInterrupted):
		case err == io.EOF:
			r.first.CompareAndSwap(nil, d)
			if werr := d.dst.CloseWrite(); werr != nil {
				r.fail(werr, d.dst)
			}
			return
		case netx.IsTimeout(err) && netx.Monotonic() < r.deadline(r.moved.Load()): // the other direction was busy
		case netx.IsTimeout(err):
			r.fail(err, nil)
		default:
			r.fail(err, d.src)
		}
	}
}

func (d *direction) pass(p []byte) error {
	r := d.r
	now := netx.Monotonic()
	r.moved.Store(now)
	if d == &r.ba && r.opts.Answered != nil && d.bytes.Load() == 0 {
		r.opts.Answered()
	}
	d.dst.SetWriteBy(r.deadline(now))
	if err := d.dst.Write(p); err != nil {
		return err
	}
	d.bytes.Add(int64(len(p)))
	return nil
}

// deadline is when silence since the time t has lasted too long, 0 for never.
func (r *Relay) deadline(t int64) int64 {
	if r.opts.Idle <= 0 {
		return r.opts.By
	}
	t += int64(r.opts.Idle)
	if r.opts.By != 0 {
		t = min(t, r.opts.By)
	}
	return t
}
