package export

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

const (
	// firstPause is that after the first failure; each one after it is twice as long.
	firstPause = 500 * time.Millisecond
	maxPause   = 30 * time.Second
	// maxWait bounds what a receiver may ask for, and maxRetry how long one batch is tried.
	maxWait  = 2 * time.Minute
	maxRetry = 5 * time.Minute
	// reportEvery is how often a sink that fails is told of.
	reportEvery = time.Minute
)

// Sink is a place where records go, by the name of its TelemetrySink, which there may not
// be yet, or not any more: what is sent then is dropped and not counted.
type Sink struct {
	name string
	log  *slog.Logger
	now  func() time.Time

	running atomic.Pointer[running] // nil while it takes no records
}

// running is a sink that takes records of OTLP.
type running struct {
	queues    [signals]*queue
	transport atomic.Pointer[sender]

	stop context.CancelFunc // ends what is under way
	ctx  context.Context
	work sync.WaitGroup

	mu       sync.Mutex // guards what follows
	up       bool
	asked    bool // something was sent, or tried to be
	since    time.Time
	problem  string
	reported time.Time
}

// sender is a transport with the settings that it was made of.
type sender struct {
	transport
	timeout time.Duration
}

// Send copies a record, which is encoded as the signal has it: a Span, a Metric or a
// LogRecord. It never waits; false says that there was no room, or no sink.
func (s *Sink) Send(signal Signal, r *otlp.Resource, record []byte) bool {
	x := s.running.Load()
	return x != nil && x.queues[signal].put(r, record)
}

// Takes tells whether the sink takes records at all, so that none need be made for it.
func (s *Sink) Takes() bool { return s.running.Load() != nil }

// Name is that of the TelemetrySink, "namespace/name".
func (s *Sink) Name() string { return s.name }

func limitsOf(cfg *ir.TelemetrySink) limits {
	return limits{items: cfg.QueueItems, bytes: cfg.QueueBytes, delay: cfg.OTLP.BatchDelay}
}

// start begins to take records.
func (s *Sink) start(cfg *ir.TelemetrySink, t transport) {
	x := &running{since: s.now()}
	x.ctx, x.stop = context.WithCancel(context.Background())
	x.transport.Store(&sender{t, cfg.OTLP.Timeout})
	for signal := range signals {
		q := newQueue(limitsOf(cfg))
		x.queues[signal] = q
		x.work.Go(func() { s.run(x, signal, q) })
	}
	s.running.Store(x)
}

// change gives a running sink other settings; what waits goes on to wait.
func (x *running) change(cfg *ir.TelemetrySink, t transport) {
	old := x.transport.Swap(&sender{t, cfg.OTLP.Timeout})
	for _, q := range x.queues {
		q.set(limitsOf(cfg))
	}
	old.close() // a request under way fails, and is tried again by the new one
}

// end takes nothing more, and sends what waits until ctx ends.
func (x *running) end(ctx context.Context) {
	for _, q := range x.queues {
		q.close()
	}
	ended := make(chan struct{})
	go func() {
		x.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	x.stop()
	<-ended
	x.transport.Load().close()
}

// run is the goroutine of one signal.
func (s *Sink) run(x *running, signal Signal, q *queue) {
	for b := q.next(); b != nil; b = q.next() {
		s.deliver(x, signal, q, b)
		q.done(b)
	}
}

// deliver sends a batch, again and again where that may help.
func (s *Sink) deliver(x *running, signal Signal, q *queue, b *batch) {
	request := otlp.AppendRequest(make([]byte, 0, len(b.records)+requestRoom), b.resource, b.records)
	began, pause := s.now(), firstPause
	for {
		t := x.transport.Load()
		ctx, cancel := context.WithTimeout(x.ctx, t.timeout)
		o := t.send(ctx, signal, request)
		cancel()
		if x.ctx.Err() != nil && o.err != nil {
			q.ended.Add(uint64(b.count))
			return
		}
		s.note(x, signal, o)
		if o.err == nil {
			q.lastSent.Store(s.now().UnixNano())
			rejected := uint64(min(o.rejected, int64(b.count)))
			q.rejected.Add(rejected)
			q.sent.Add(uint64(b.count) - rejected)
			return
		}
		now := s.now()
		q.lastFailed.Store(now.UnixNano())
		if !o.retry {
			q.refused.Add(uint64(b.count))
			return
		}
		if now.Sub(began) > maxRetry {
			q.expired.Add(uint64(b.count))
			return
		}
		q.retries.Add(1)
		wait := min(o.after, maxWait)
		if o.after == 0 {
			wait = pause/2 + rand.N(pause/2) //nolint:gosec // it spreads load
			pause = min(2*pause, maxPause)
		}
		if !sleep(x.ctx, wait) {
			q.ended.Add(uint64(b.count))
			return
		}
	}
}

// requestRoom is more than what surrounds a batch takes, but for long resources.
const requestRoom = 1024

// sleep tells whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// note remembers how the sink is, and tells it when that changes or goes on.
func (s *Sink) note(x *running, signal Signal, o outcome) {
	now := s.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	up := o.err == nil
	changed := !x.asked || x.up != up
	if changed {
		x.since = now
	}
	first := !x.asked
	x.asked, x.up = true, up
	again := now.Sub(x.reported) >= reportEvery
	switch {
	case !up:
		x.problem = clip(o.err.Error())
		if changed || again {
			x.reported = now
			s.log.Warn("a telemetry sink does not take what it is sent", "sink", s.name, "signal", signal.String(), "error", x.problem, "retry", o.retry)
		}
	case changed && !first:
		x.problem = ""
		s.log.Info("a telemetry sink takes what it is sent again", "sink", s.name)
	case o.message != "" && again:
		x.reported = now
		s.log.Warn("a telemetry sink has not taken everything", "sink", s.name, "signal", signal.String(), "rejected", o.rejected, "message", clip(o.message))
	}
	if up && o.rejected == 0 {
		x.problem = ""
	}
}
