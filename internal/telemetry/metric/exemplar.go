package metric

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

// exemplars are the latest exchange of each bucket of a histogram whose trace
// somebody records. There are none before the first: most rules are not traced.
type exemplars struct{ latest atomic.Pointer[latest] }

type latest struct {
	mu sync.Mutex // guards of
	of [exportedBuckets + 1]exemplar
}

type exemplar struct {
	trace [32]byte // hexadecimal
	took  time.Duration
	at    time.Time // zero is none
}

// note keeps an exchange that took d, whose trace has the ID.
func (x *exemplars) note(d time.Duration, trace []byte, now time.Time) {
	if len(trace) != len(exemplar{}.trace) {
		return
	}
	l := x.latest.Load()
	if l == nil {
		x.latest.CompareAndSwap(nil, new(latest))
		l = x.latest.Load()
	}
	i := min(latency.Bucket(d)/latency.Parts, exportedBuckets)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.of[i]
	copy(e.trace[:], trace)
	e.took, e.at = max(d, 0), now
}

// all are those that there are, by bucket.
func (x *exemplars) all() (of [exportedBuckets + 1]exemplar) {
	if l := x.latest.Load(); l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		of = l.of
	}
	return of
}
