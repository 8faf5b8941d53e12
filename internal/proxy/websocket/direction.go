package websocket

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/ws"
)

const abnormal = ws.CloseAbnormal

var errDefect = errors.New("websocket: internal error")

// lastWrite is how long the last Close frame may take.
const lastWrite = time.Second

// direction passes on what one side sends. Its task owns it but for what is atomic.
type direction struct {
	t     *Tunnel
	from  metric.Side // who is read from
	src   Side
	dst   Side
	other *direction

	scan   ws.Scanner
	told   uint64 // messages that were counted
	muted  bool   // a Close frame of ours was sent, after which nothing may come
	ended  int64  // when the source had no more
	closed atomic.Bool
}

// run passes on until the source has ended, or the tunnel.
func (d *direction) run() {
	t := d.t
	for {
		if t.drained() {
			t.leave(Drain)
		}
		d.tell()
		by := d.readBy()
		d.src.SetReadBy(by)
		p, err := d.src.Read()
		if len(p) > 0 {
			if werr := d.pass(p); werr != nil {
				d.fail(d.to(), werr)
				return
			}
		}
		switch {
		case err == nil, errors.Is(err, netx.ErrInterrupted):
		case err == io.EOF:
			d.end()
			return
		case !netx.IsTimeout(err):
			if d.saidAll() {
				d.end()
				return
			}
			t.fail(d.from, err)
			return
		case netx.Monotonic() < d.readBy(): // the other direction was busy
		case t.leftAt.Load() == 0:
			t.leave(t.expired())
		default:
			d.giveUp()
			return
		}
	}
}

// to is who is written to.
func (d *direction) to() metric.Side { return d.other.from }

// end passes the end of the source on, and leaves the other direction open.
func (d *direction) end() {
	d.ended = netx.Monotonic()
	if err := d.dst.CloseWrite(); err != nil {
		d.fail(d.to(), err)
	}
}

// saidAll tells whether both sides have sent their Close frames.
func (d *direction) saidAll() bool { return d.closed.Load() && d.other.closed.Load() }

// fail cuts both sides, unless they have said all: a server may reset the stream of a
// WebSocket that it has ended, which the client need not see as a loss.
func (d *direction) fail(by metric.Side, err error) {
	if !d.saidAll() {
		d.t.fail(by, err)
	}
}

// giveUp is the end of a tunnel whose sides have not ended it in time: an
// endpoint that was told nothing is told now, where that is possible.
func (d *direction) giveUp() {
	if d.from == metric.Client && d.scan.Boundary() && !d.closed.Load() {
		var mask [4]byte
		for i := range mask {
			mask[i] = byte(rand.Uint32())
		}
		d.say(&mask)
	}
	if d.scan.Boundary() || d.muted {
		_ = d.dst.CloseWrite()
		return
	}
	d.dst.Cut() // in the middle of a frame nothing can be said but that
}

// drained tells whether the time that a drain has left the tunnel is over.
func (t *Tunnel) drained() bool {
	by := t.leaveBy.Load()
	return by != 0 && netx.Monotonic() >= by
}

// expired is which of the tunnel's times is over.
func (t *Tunnel) expired() Cause {
	if t.drained() {
		return Drain
	}
	if t.opts.By != 0 && netx.Monotonic() >= t.opts.By {
		return Overdue
	}
	return Idle
}

// readBy is how long the next piece may take; 0 is for ever.
func (d *direction) readBy() int64 {
	t := d.t
	if at := t.leftAt.Load(); at != 0 {
		return at + int64(Patience)
	}
	by := t.deadline(t.moved.Load())
	if drain := t.leaveBy.Load(); drain != 0 && (by == 0 || drain < by) {
		by = drain
	}
	return by
}

// writeBy is how long the next piece may take to be accepted; 0 is for ever.
func (d *direction) writeBy() int64 {
	if at := d.t.leftAt.Load(); at != 0 { // the tunnel's own time may be over, the last words' is not
		return at + int64(Patience)
	}
	return d.t.deadline(netx.Monotonic())
}

// deadline is when silence since the time at has lasted too long.
func (t *Tunnel) deadline(at int64) int64 {
	by := t.opts.By
	if t.opts.Idle > 0 {
		if idle := at + int64(t.opts.Idle); by == 0 || idle < by {
			by = idle
		}
	}
	return by
}

// leaving tells whether Gridway is ending the tunnel.
func (d *direction) leaving() bool { return d.t.cause.Load() != int32(None) }

// tell tells the client that Gridway ends the tunnel, once a frame has ended.
// The endpoint hears of it by the client's answer: what the client has sent
// before that still arrives.
func (d *direction) tell() {
	if d.from != metric.Endpoint || d.muted || !d.leaving() || !d.scan.Boundary() {
		return
	}
	if d.closed.Load() || d.other.closed.Load() { // one side has begun to end it already
		return
	}
	d.say(nil)
}

// say writes a Close frame of ours.
func (d *direction) say(mask *[4]byte) {
	var frame [2 + 4 + 125]byte
	reason := reasons[d.t.cause.Load()]
	d.dst.SetWriteBy(netx.After(lastWrite))
	d.muted = true
	d.t.first.CompareAndSwap(nil, &farewell{metric.Gridway, ws.CloseGoingAway})
	if err := d.dst.Write(ws.AppendClose(frame[:0], ws.CloseGoingAway, reason, mask)); err != nil {
		d.t.fail(d.to(), err)
	}
}

// pass writes a piece. While Gridway ends the tunnel, the client gets the rest
// of a frame and is told then; what comes behind that is thrown away, so that
// the endpoint can end.
func (d *direction) pass(p []byte) error {
	d.t.moved.Store(netx.Monotonic())
	if d.leaving() && !d.muted {
		n := 0
		for n < len(p) && !d.scan.Boundary() {
			n += d.scan.Frame(p[n:])
		}
		if err := d.write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		d.tell()
	}
	if len(p) == 0 || d.muted {
		return nil
	}
	d.scan.Scan(p)
	return d.write(p)
}

// write writes what was scanned.
func (d *direction) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	d.count(len(p))
	d.dst.SetWriteBy(d.writeBy())
	code, closes := d.scan.Closed()
	closes = closes && !d.closed.Load()
	if closes { // before the answer to it can come, or the end
		d.t.first.CompareAndSwap(nil, &farewell{d.from, code})
		d.closed.Store(true)
	}
	err := d.dst.Write(p)
	if closes && d.other.closed.Load() {
		// Both sides have said all, and need not take long to end their connections.
		d.t.leftAt.CompareAndSwap(0, netx.Monotonic())
		d.other.src.Interrupt() // it waits for longer
	}
	return err
}

// count counts n bytes, and the messages that have ended in them.
func (d *direction) count(n int) {
	if f := d.t.opts.Moved; f != nil {
		f(d.from, n)
	}
	messages := d.scan.Messages() - d.told
	d.told += messages
	if c := d.t.opts.Counts; c != nil {
		c.Passed(d.from, messages, n)
	}
}
