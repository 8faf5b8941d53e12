package accesslog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/stripe"
)

const (
	defaultBuffer   = 64 << 10
	defaultMaxField = 2048
	minMaxField     = 64
	defaultFlush    = 200 * time.Millisecond
	// maxBuffers per lane is how far the output may fall behind before entries are
	// dropped. Where requests take all of a processor, the writer's goroutine may
	// have to wait for the scheduler's time slice, 10 ms and more.
	maxBuffers = 32
	// keptBuffers per lane stay where fewer would do; the others are made when they
	// are needed.
	keptBuffers = 4
	// reportEvery is how often drops are reported while they go on.
	reportEvery = 10 * time.Second
)

// Options of a Logger. The zero value is useful.
type Options struct {
	Query   QueryMode
	Referer RefererMode
	// Omit are fields that are left out of all lines.
	Omit Omitted
	// BufferBytes is the size of one buffer; there are four per processor, and up to
	// 32 while the output falls behind. Zero means 64 KiB; it is raised if one entry
	// would not fit.
	BufferBytes int
	// MaxFieldBytes bounds each text, in bytes as written; longer ones end
	// with "…". Zero means 2048, the least is 64.
	MaxFieldBytes int
	// FlushEvery is the longest time that an entry waits for its buffer to
	// fill. Zero means 200 ms.
	FlushEvery time.Duration
	// Log is told about drops and failed writes, at most every ten seconds.
	// It must not write to the same output. Nil means silence.
	Log *slog.Logger
}

// Stats are counts of entries since the start.
type Stats struct {
	// Written reached the output. Dropped found no room. Errors were lost in
	// a write that failed.
	Written, Dropped, Errors uint64
}

// Health is how the output is.
type Health struct {
	// LastWritten and LastFailed are when something was written, and when a write failed;
	// zero is never.
	LastWritten, LastFailed time.Time
	// Problem is why the last write failed; it is empty if that did not.
	Problem string
}

// Logger writes entries to one output. Make it with New, end it with Close.
type Logger struct {
	opt     Options
	out     io.Writer
	stripes *stripe.Chooser
	lanes   []lane

	armed    atomic.Bool // someone has woken the writer
	wake     chan struct{}
	urgent   chan struct{}
	requests chan request
	stop     chan struct{}
	stopped  sync.Once
	done     chan struct{}

	written, dropped, errors atomic.Uint64
	lastWritten, lastFailed  atomic.Int64 // nanoseconds of Unix time, 0 for never
	problem                  atomic.Pointer[string]
}

// lane is one processor's buffers. Its lock is never held during a write.
type lane struct {
	mu     sync.Mutex // guards all below
	enc    encoder
	active *buffer
	full   []*buffer // oldest first
	free   []*buffer
	size   int // of a buffer
	count  int // of buffers, wherever they are
	least  int // of buffers that were free since the last trim
	closed bool
	_      [64]byte
}

type buffer struct {
	b       []byte
	entries uint64
}

// request asks the writer for a flush, and to reopen the output if so.
type request struct {
	reopen bool
	done   chan error
}

// New starts a Logger that writes to w. Close does not close w.
func New(w io.Writer, opt Options) *Logger {
	if opt.MaxFieldBytes == 0 {
		opt.MaxFieldBytes = defaultMaxField
	}
	opt.MaxFieldBytes = max(opt.MaxFieldBytes, minMaxField)
	if opt.BufferBytes <= 0 {
		opt.BufferBytes = defaultBuffer
	}
	opt.BufferBytes = max(opt.BufferBytes, maxLine(opt.MaxFieldBytes))
	if opt.FlushEvery <= 0 {
		opt.FlushEvery = defaultFlush
	}
	l := &Logger{
		opt: opt, out: w, stripes: stripe.New(),
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		requests: make(chan request), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.lanes = make([]lane, l.stripes.Len())
	for i := range l.lanes {
		n := &l.lanes[i]
		n.enc = encoder{query: opt.Query, referer: opt.Referer, maxField: opt.MaxFieldBytes}
		n.size = opt.BufferBytes
		n.full, n.free = make([]*buffer, 0, maxBuffers), make([]*buffer, 0, maxBuffers)
		for range keptBuffers {
			n.free = append(n.free, n.newBuffer())
		}
		n.active = n.take()
	}
	go l.run()
	return l
}

func (n *lane) newBuffer() *buffer {
	n.count++
	return &buffer{b: make([]byte, 0, n.size)}
}

// take returns a free buffer, or nil.
func (n *lane) take() *buffer {
	if len(n.free) == 0 {
		if n.count == maxBuffers {
			return nil
		}
		return n.newBuffer()
	}
	b := n.free[len(n.free)-1]
	n.free[len(n.free)-1] = nil
	n.free = n.free[:len(n.free)-1]
	n.least = min(n.least, len(n.free))
	return b
}

// trim gives up the buffers that nobody has needed since the last time.
func (n *lane) trim() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; n.least > 0 && n.count > keptBuffers; n.least-- {
		n.free[len(n.free)-1] = nil
		n.free = n.free[:len(n.free)-1]
		n.count--
	}
	n.least = len(n.free)
}

// Log encodes e and returns. It never waits for the output: without room in
// the buffers the entry is dropped. After Close every entry is. What Options.Omit
// has is taken out of e.
func (l *Logger) Log(e *Entry) { l.LogAs(e, nil) }

// LogAs is Log with the lines of a Format; nil is the usual one. Entries that a policy
// redacts are redacted before, by Format.Redact.
func (l *Logger) LogAs(e *Entry, f *Format) {
	if l.opt.Omit != 0 {
		l.opt.Omit.from(e)
	}
	n := l.lane()
	ok, crowded := n.put(e, f)
	n.mu.Unlock()
	if !ok {
		l.dropped.Add(1)
		return
	}
	if crowded {
		signal(l.urgent)
	}
	if !l.armed.Load() && l.armed.CompareAndSwap(false, true) {
		signal(l.wake)
	}
}

// lane returns a locked lane: the processor's own, or the next that nobody uses.
func (l *Logger) lane() *lane {
	first := l.stripes.Choose()
	for i := range l.lanes {
		n := &l.lanes[(first+i)&(len(l.lanes)-1)]
		if n.mu.TryLock() {
			return n
		}
	}
	n := &l.lanes[first]
	n.mu.Lock()
	return n
}

// put appends e; crowded says that a buffer became full.
func (n *lane) put(e *Entry, f *Format) (ok, crowded bool) {
	if n.closed {
		return false, false
	}
	if n.active == nil {
		if n.active = n.take(); n.active == nil {
			return false, false
		}
	}
	var size int
	room := cap(n.active.b) - len(n.active.b)
	switch {
	case f != nil:
		if size = n.enc.make(e, f, n.size); size == 0 {
			return false, false
		}
	case n.enc.fits(e, room):
	default:
		size = n.enc.bound(e)
	}
	if room < size {
		n.full = append(n.full, n.active)
		n.active = n.take()
		crowded = true
		if n.active == nil {
			return false, true
		}
	}
	if f == nil {
		n.active.b = n.enc.append(n.active.b, e)
	} else {
		n.active.b = append(n.active.b, n.enc.line...)
	}
	n.active.entries++
	return true, crowded
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats returns the counts so far.
func (l *Logger) Stats() Stats {
	return Stats{Written: l.written.Load(), Dropped: l.dropped.Load(), Errors: l.errors.Load()}
}

// Health tells how the output is.
func (l *Logger) Health() Health {
	h := Health{LastWritten: moment(&l.lastWritten), LastFailed: moment(&l.lastFailed)}
	if p := l.problem.Load(); p != nil {
		h.Problem = *p
	}
	return h
}

func moment(n *atomic.Int64) time.Time {
	if n := n.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Flush writes what was logged before it was called.
func (l *Logger) Flush(ctx context.Context) error { return l.ask(ctx, false) }

// Reopen flushes and, if the output has a method Reopen() error, as File has,
// calls it between two entries, so that a log can be rotated.
func (l *Logger) Reopen(ctx context.Context) error { return l.ask(ctx, true) }

// ErrClosed is the answer of a Logger that was closed.
var ErrClosed = errors.New("access log is closed")

func (l *Logger) ask(ctx context.Context, reopen bool) error {
	r := request{reopen: reopen, done: make(chan error, 1)}
	select {
	case l.requests <- r:
	case <-l.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what is left and ends the Logger. It waits for the output until
// ctx ends; an output that blocks for ever keeps the writer until it is closed.
func (l *Logger) Close(ctx context.Context) error {
	l.stopped.Do(func() { close(l.stop) })
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
