// Package tap gives those who look at traffic a copy of what passes: exchanges when they
// have ended, streams also when they open. While nobody looks it costs an exchange one
// atomic load. Traffic never waits for who looks: what is beyond a tap's rate, or does not
// fit between it and its reader, is left out, counted and told. Credentials are masked
// before anything is copied.
//
// The package starts no goroutines. The data plane offers; whoever has started a tap reads.
package tap

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/accesslog"
)

const (
	// MaxTaps is how many there are at a time.
	MaxTaps = 16
	// buffered is how many events may wait for a reader, and bytesPerSecond what a tap
	// copies at most.
	buffered       = 1024
	bytesPerSecond = 2 << 20
	// tellEvery is how often a reader hears of what was left out.
	tellEvery = time.Second
	// maxBatch is how many events are read together.
	maxBatch = 64
)

// ErrTooMany: there are as many taps as there may be.
var ErrTooMany = fmt.Errorf("%d taps look at this proxy already; end one of them", MaxTaps)

// Options of a Set.
type Options struct {
	// Self is the SPIFFE ID of the proxy's own workload, empty without a mesh: from it
	// comes what leaves the workload.
	Self string
	// Omit are fields that the access log leaves out, and taps as well.
	Omit accesslog.Omitted
	// Now is the clock; nil is the process's.
	Now func() time.Time
}

// Set has the taps of a data plane.
type Set struct {
	opt  Options
	taps atomic.Pointer[[]*Tap] // nil while nobody looks
	// recording counts the taps that record.
	recording atomic.Int32
	// opening counts those that want all that begins.
	opening atomic.Int32
	mu      sync.Mutex // is held by who changes taps
}

// New makes a Set.
func New(o Options) *Set {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Set{opt: o}
}

// On tells whether anybody looks. A nil Set has nobody.
func (s *Set) On() bool { return s != nil && s.taps.Load() != nil }

// Recording tells whether somebody who looks wants heads of requests as they came, for
// which Head has to be kept when they begin.
func (s *Set) Recording() bool { return s != nil && s.recording.Load() > 0 }

// Opening tells whether somebody who looks wants exchanges when they begin, too.
func (s *Set) Opening() bool { return s != nil && s.opening.Load() > 0 }

// Offer gives what passes to those whose filters match. It does not keep anything of it.
func (s *Set) Offer(seen *Seen) {
	taps := s.taps.Load()
	if taps == nil {
		return
	}
	for _, t := range *taps {
		t.offer(seen)
	}
}

// Tap is one look.
type Tap struct {
	set    *Set
	query  *Query
	events chan *Event

	mu     sync.Mutex // guards what follows
	filled time.Time
	places float64 // how many events it may have now
	bytes  float64

	limited, lost atomic.Uint64
	// key is what secrets are hashed with, this tap's alone.
	key   [32]byte
	ended bool // guarded by set.mu
}

// Start begins to look. Who starts a tap ends it.
func (s *Set) Start(q *Query) (*Tap, error) {
	t := &Tap{set: s, query: q, events: make(chan *Event, buffered), filled: s.opt.Now(), places: float64(q.Rate), bytes: bytesPerSecond}
	if q.Record == Hashed {
		if _, err := crand.Read(t.key[:]); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var now []*Tap
	if had := s.taps.Load(); had != nil {
		now = append(now, *had...)
	}
	if len(now) >= MaxTaps {
		return nil, ErrTooMany
	}
	if q.Record != "" {
		s.recording.Add(1)
	}
	if q.Open {
		s.opening.Add(1)
	}
	now = append(now, t)
	s.taps.Store(&now)
	return t, nil
}

// End ends a tap. What it has is still there to be read.
func (t *Tap) End() {
	s := t.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	if t.query.Record != "" {
		s.recording.Add(-1)
	}
	if t.query.Open {
		s.opening.Add(-1)
	}
	var now []*Tap
	if had := s.taps.Load(); had != nil {
		for _, other := range *had {
			if other != t {
				now = append(now, other)
			}
		}
	}
	if len(now) == 0 {
		s.taps.Store(nil)
		return
	}
	s.taps.Store(&now)
}

func (t *Tap) offer(seen *Seen) {
	if !t.query.match(seen, t.set.opt.Self) || t.query.Record != "" && !seen.recorded() {
		return
	}
	if t.query.Sample < 1 && rand.Float64() >= t.query.Sample {
		return
	}
	if !t.may(seen.size(t.query)) {
		t.limited.Add(1)
		return
	}
	select {
	case t.events <- t.event(seen):
	default:
		t.lost.Add(1)
	}
}

// event copies what is shown, and recorded.
func (t *Tap) event(s *Seen) *Event {
	e := s.event(t.query, &t.set.opt)
	if t.query.Record != "" {
		e.Record = s.record(t)
	}
	return e
}

// may takes a place for an event of so many bytes, if there is one.
func (t *Tap) may(size int) bool {
	now := t.set.opt.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := now.Sub(t.filled).Seconds(); d > 0 {
		t.places = min(float64(t.query.Rate), t.places+d*float64(t.query.Rate))
		t.bytes = min(bytesPerSecond, t.bytes+d*bytesPerSecond)
		t.filled = now
	}
	if t.places < 1 || t.bytes < float64(size) {
		return false
	}
	t.places--
	t.bytes -= float64(size)
	return true
}

// leftOut is what was left out since it was last asked; nil is nothing.
func (t *Tap) leftOut() *Event {
	limited, lost := t.limited.Swap(0), t.lost.Swap(0)
	if limited == 0 && lost == 0 {
		return nil
	}
	return &Event{Type: LeftOut, Time: t.set.opt.Now(), Limited: limited, Lost: lost}
}

// errOver: the tap has lasted as long as it may.
var errOver = errors.New("tap: its time is over")

// Read gives what the tap sees to take until ctx ends, the query's time is over, which is
// no error, or take fails.
func (t *Tap) Read(ctx context.Context, take func([]*Event) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.query.For, errOver)
	defer cancel()
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	batch := make([]*Event, 0, maxBatch+1)
	for over := false; ; {
		batch = batch[:0]
		select {
		case <-ctx.Done(): // what is there already is given still
			over = true
		default:
			select {
			case e := <-t.events:
				batch = append(batch, e)
			case <-tell.C:
			case <-ctx.Done():
				over = true
			}
		}
		batch = t.more(batch)
		if e := t.leftOut(); e != nil {
			batch = append(batch, e)
		}
		if len(batch) > 0 {
			if err := take(batch); err != nil {
				return err
			}
			continue
		}
		switch {
		case !over:
		case errors.Is(context.Cause(ctx), errOver):
			return nil
		default:
			return ctx.Err()
		}
	}
}

// more adds what is there already.
func (t *Tap) more(batch []*Event) []*Event {
	for len(batch) < maxBatch {
		select {
		case e := <-t.events:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}
