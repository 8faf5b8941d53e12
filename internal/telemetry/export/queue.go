package export

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/otlp"
)

const (
	// batchItems and batchBytes are when a batch is sent without waiting for more. A
	// record that is longer is a batch of its own.
	batchItems = 512
	batchBytes = 512 << 10
)

// limits of a queue; they may change while it is used.
type limits struct {
	items int
	bytes int64
	delay time.Duration
}

// queue is what waits for one signal of one sink. It never blocks who puts something in.
type queue struct {
	wake   chan struct{}
	closed chan struct{} // nothing more is put in

	mu     sync.Mutex // guards what follows
	limits limits
	open   *batch
	opened time.Time
	sealed []*batch // oldest first
	spare  []byte
	// items and bytes are of what waits and what is being sent.
	items int
	bytes int64
	shut  bool

	sent, rejected, dropped, retries atomic.Uint64
	refused, expired, ended          atomic.Uint64 // of records that were given up
	lastSent, lastFailed             atomic.Int64  // nanoseconds of Unix time, 0 for never
}

// batch has records of one resource.
type batch struct {
	resource *otlp.Resource
	records  []byte
	count    int
}

func newQueue(l limits) *queue {
	return &queue{wake: make(chan struct{}, 1), closed: make(chan struct{}), limits: l}
}

// put copies a record into the queue, or counts it as dropped.
func (q *queue) put(r *otlp.Resource, record []byte) bool {
	size := otlp.RecordSize(len(record))
	q.mu.Lock()
	if q.shut || q.items >= q.limits.items || q.bytes+int64(size) > q.limits.bytes {
		q.mu.Unlock()
		q.dropped.Add(1)
		return false
	}
	poke := false
	if b := q.open; b != nil && (b.resource != r || len(b.records)+size > batchBytes) {
		q.seal()
		poke = true
	}
	if q.open == nil {
		q.open, q.opened = &batch{resource: r, records: q.spare[:0]}, time.Now()
		q.spare = nil
		poke = true // somebody has to look at the clock
	}
	b := q.open
	b.records = otlp.AppendRecord(b.records, record)
	b.count++
	q.items++
	q.bytes += int64(size)
	if b.count >= batchItems || len(b.records) >= batchBytes {
		q.seal()
		poke = true
	}
	q.mu.Unlock()
	if poke {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// seal ends the open batch. mu is held.
func (q *queue) seal() {
	if q.open != nil {
		q.sealed = append(q.sealed, q.open)
		q.open = nil
	}
}

// next waits for a batch that is due; nil says that there is none, and none will come.
func (q *queue) next() *batch {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := q.take(time.Now())
		if b != nil {
			return b
		}
		if wait < 0 {
			return nil
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-q.closed:
		}
	}
}

// take returns a batch that is due, or how long there is none; less than nothing is for
// ever.
func (q *queue) take(now time.Time) (*batch, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.sealed) == 0 && q.open != nil {
		if due := q.opened.Add(q.limits.delay).Sub(now); due > 0 && !q.shut {
			return nil, due
		}
		q.seal()
	}
	if len(q.sealed) == 0 {
		if q.shut {
			return nil, -1
		}
		return nil, time.Hour
	}
	b := q.sealed[0]
	q.sealed = append(q.sealed[:0], q.sealed[1:]...)
	return b, 0
}

// done makes room for others, once a batch was sent or given up.
func (q *queue) done(b *batch) {
	q.mu.Lock()
	q.items -= b.count
	q.bytes -= int64(len(b.records))
	if q.spare == nil && cap(b.records) <= 2*batchBytes {
		q.spare = b.records[:0]
	}
	q.mu.Unlock()
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.shut {
		q.shut = true
		close(q.closed)
	}
}

func (q *queue) set(l limits) {
	q.mu.Lock()
	q.limits = l
	q.mu.Unlock()
}

// state is what became of what was put in, and what is left of it.
func (q *queue) state(signal Signal) SignalState {
	s := SignalState{
		Signal: signal, Sent: q.sent.Load(), Rejected: q.rejected.Load(), Dropped: q.dropped.Load(), Retries: q.retries.Load(),
		Refused: q.refused.Load(), Expired: q.expired.Load(), Ended: q.ended.Load(),
		LastSent: moment(&q.lastSent), LastFailed: moment(&q.lastFailed),
	}
	s.Failed = s.Refused + s.Expired + s.Ended
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Items, s.Bytes = q.items, q.bytes
	s.ItemsLimit, s.BytesLimit = q.limits.items, q.limits.bytes
	return s
}

func moment(n *atomic.Int64) time.Time {
	if n := n.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}
