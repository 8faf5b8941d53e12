// Package websocket carries an open WebSocket between a client and an endpoint,
// each of which may have a connection of its own (HTTP/1.1) or a stream of one
// (HTTP/2, HTTP/3). Bytes pass unchanged; a scanner follows the headers of frames, so
// that messages are counted and a tunnel that Gridway ends is ended by a Close
// frame between two others.
//
// Each direction has a task: the one that calls Run passes on what the endpoint
// sends, and one that Run starts, and waits for, what the client sends. Any
// goroutine may call Leave. Package pipeline imports it.
package websocket

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Side is the client or the endpoint. One task reads and one writes; any
// goroutine may call Interrupt and Cut.
type Side interface {
	// Read returns the next piece, valid until the next call; io.EOF after the
	// last one; a time-out after the time of SetReadBy, and netx.ErrInterrupted
	// after Interrupt, both of which leave the side as it was.
	Read() ([]byte, error)
	// Write writes all of p at once.
	Write(p []byte) error
	// CloseWrite says that nothing more comes.
	CloseWrite() error
	// Interrupt lets the Read that waits, or the next that would, return.
	Interrupt()
	// Cut ends the side at once, visibly so for its peer: who reads or writes
	// gets an error.
	Cut()

	SetReadBy(t int64)
	SetWriteBy(t int64)
	BindRead(t *loop.Task)
	BindWrite(t *loop.Task)
}

// Cause is why Gridway ends a tunnel.
type Cause int32

const (
	// None: it was not Gridway.
	None Cause = iota
	// Drain: the connection is to end.
	Drain
	// Idle: nothing came from either side for Options.Idle.
	Idle
	// Overdue: the time of Options.By has come.
	Overdue
)

// reasons are the texts in the Close frames.
var reasons = [...]string{"", "going away", "idle timeout", "maximum duration"}

// Options of a tunnel.
type Options struct {
	Client, Endpoint Side
	// Idle is how long both sides may be silent; 0 is for ever.
	Idle time.Duration
	// By is the monotonic time at which the tunnel ends in any case; 0 is never.
	By int64
	// Counts may be nil.
	Counts *metric.WebSocket
	// Moved is told how many bytes have come from each side, at once and on
	// either task; it may be nil.
	Moved func(from metric.Side, n int)
}

// Patience is how long both sides may take to end a tunnel that Gridway wants
// to end: for the rest of a frame, and for the answer to its Close frame.
const Patience = 3 * time.Second

// Result is how a tunnel went.
type Result struct {
	// Messages by who has sent them: the client, the endpoint.
	Messages [2]uint64
	// By and Code are of the first Close frame, or say who has ended the tunnel
	// without one, with ws.CloseAbnormal.
	By   metric.Side
	Code uint16
	// Cause is why Gridway has ended it.
	Cause Cause
	// Err is what has cut the tunnel; it is nil after an end that was agreed on,
	// or by time. By says then whose side has failed.
	Err error
}

// Tunnel is one WebSocket. New makes it.
type Tunnel struct {
	opts Options
	// up passes on what the client sends, down what the endpoint sends.
	up, down direction

	mu     sync.Mutex
	done   bool // guarded by mu: the sides are not the tunnel's any more
	cause  atomic.Int32
	leftAt atomic.Int64 // when cause was set, or the second Close frame was seen
	// leaveBy is when a drain ends the tunnel, 0 is never.
	leaveBy atomic.Int64
	moved   atomic.Int64 // when the last byte was
	first   atomic.Pointer[farewell]
	failed  atomic.Pointer[failure]

	beside  loop.Gate // opened when up has ended
	stopped chan struct{}
	over    atomic.Bool
	defect  string
}

// farewell is how a tunnel began to end.
type farewell struct {
	by   metric.Side
	code uint16
}

type failure struct {
	by  metric.Side
	err error
}

// New makes a tunnel between two sides that have agreed to speak WebSocket.
func New(o Options) *Tunnel {
	t := &Tunnel{opts: o}
	t.up = direction{t: t, from: metric.Client, src: o.Client, dst: o.Endpoint, other: &t.down}
	t.down = direction{t: t, from: metric.Endpoint, src: o.Endpoint, dst: o.Client, other: &t.up}
	t.moved.Store(netx.Monotonic())
	return t
}

// Leave ends the tunnel for the drain of its connection, at a moment within the
// time given that chance picks, so that clients do not all come back at once. It
// returns at once, and does nothing once Run has returned.
func (t *Tunnel) Leave(within time.Duration) {
	if within <= 0 {
		t.leave(Drain)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done && t.leaveBy.CompareAndSwap(0, netx.Monotonic()+int64(rand.N(within))) {
		t.opts.Client.Interrupt()
		t.opts.Endpoint.Interrupt()
	}
}

// leave lets both directions know that the tunnel is to end, and why.
func (t *Tunnel) leave(c Cause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return
	}
	t.leftAt.CompareAndSwap(0, netx.Monotonic())
	if t.cause.CompareAndSwap(int32(None), int32(c)) {
		t.opts.Client.Interrupt()
		t.opts.Endpoint.Interrupt()
	}
}

// Run carries the tunnel to its end, on task, or on an ordinary goroutine if
// that is nil. Both sides are still to be closed then.
func (t *Tunnel) Run(task *loop.Task) Result {
	t.opts.Endpoint.BindRead(task)
	t.opts.Client.BindWrite(task)
	if t.opts.Counts != nil {
		t.opts.Counts.Opened()
	}
	if task != nil {
		t.beside.Init(task.Home())
		task.Go(&t.up)
	} else {
		t.stopped = make(chan struct{})
		go t.up.begin(nil)
	}
	t.down.run()
	t.await(task)
	t.mu.Lock()
	t.done = true
	t.mu.Unlock()
	t.opts.Client.BindRead(task)
	t.opts.Endpoint.BindWrite(task)
	r := t.result()
	if t.opts.Counts != nil {
		t.opts.Counts.Closed(r.By, r.Code)
	}
	if t.defect != "" {
		panic(t.defect)
	}
	return r
}

// await waits for the other direction.
func (t *Tunnel) await(task *loop.Task) {
	if task == nil {
		<-t.stopped
		return
	}
	for !t.over.Load() {
		_ = t.beside.Wait(task, 0)
	}
	t.beside.Rest()
}

// Resume runs the direction on a task.
func (d *direction) Resume(task *loop.Task) (idle bool) {
	d.begin(task)
	return false
}

// begin is what the task beside Run's does.
func (d *direction) begin(task *loop.Task) {
	t := d.t
	defer func() {
		if r := recover(); r != nil { // Run's task tells of it
			t.defect = fmt.Sprintf("%v\n\n%s", r, debug.Stack())
			t.fail(metric.Gridway, errDefect)
		}
		t.over.Store(true)
		if t.stopped != nil {
			close(t.stopped)
		} else {
			t.beside.Open()
		}
	}()
	d.src.BindRead(task)
	d.dst.BindWrite(task)
	d.run()
}

// fail ends both directions at once.
func (t *Tunnel) fail(by metric.Side, err error) {
	if t.failed.CompareAndSwap(nil, &failure{by, err}) {
		t.opts.Client.Cut()
		t.opts.Endpoint.Cut()
	}
}

func (t *Tunnel) result() Result {
	r := Result{Cause: Cause(t.cause.Load()), By: metric.Gridway, Code: abnormal}
	r.Messages = [2]uint64{t.up.scan.Messages(), t.down.scan.Messages()}
	f := t.failed.Load()
	if f != nil {
		r.Err = f.err
		r.By = f.by
	} else if t.cause.Load() == int32(None) {
		r.By = t.endedFirst()
	}
	if said := t.first.Load(); said != nil {
		r.By, r.Code = said.by, said.code
		if f != nil && r.By != metric.Gridway && t.up.closed.Load() && t.down.closed.Load() {
			r.Err = nil // both had said all: how the connection ends is nobody's loss
		}
	}
	return r
}

// endedFirst is who has closed its side first, without a Close frame.
func (t *Tunnel) endedFirst() metric.Side {
	if t.up.ended != 0 && (t.down.ended == 0 || t.up.ended <= t.down.ended) {
		return metric.Client
	}
	return metric.Endpoint
}
