package trace

import (
	"math"
	"sync/atomic"
	"time"
)

// Rate is a share of traces. The same trace is in it wherever it is asked about: the last
// 56 bits of its ID decide, as in consistent probability sampling of OpenTelemetry. The
// zero value has none.
type Rate struct {
	// below is what those 56 bits, taken from 2^56, must not be above.
	below uint64
}

const randomBits = 56

// Percent is a rate of 0 to 100 percent. Beyond, and for what is not a number, it is the
// nearest of the two, or none.
func Percent(p float64) Rate {
	switch {
	case !(p > 0): // nor a number
		return Rate{}
	case p >= 100:
		return Rate{1 << randomBits}
	}
	return Rate{uint64(math.Round(p / 100 * (1 << randomBits)))}
}

// Has tells whether a trace is sampled.
func (r Rate) Has(id ID) bool {
	// R ≥ T, with T = 2^56 - below.
	return id.Low&(1<<randomBits-1) >= 1<<randomBits-r.below
}

// Limit lets so many through in a second, and as many at once. The zero value lets all.
type Limit struct {
	every int64        // nanoseconds
	burst int64        // nanoseconds
	next  atomic.Int64 // GCRA: when the bucket would be empty
}

// NewLimit makes one. Zero is no limit.
func NewLimit(perSecond int) *Limit {
	if perSecond <= 0 {
		return &Limit{}
	}
	every := max(int64(time.Second)/int64(perSecond), 1)
	return &Limit{every: every, burst: int64(time.Second) - every}
}

// Take tells whether one more may pass at the monotonic time now, in nanoseconds.
func (l *Limit) Take(now int64) bool {
	if l == nil || l.every == 0 {
		return true
	}
	for {
		next := l.next.Load()
		if next-now > l.burst {
			return false
		}
		if l.next.CompareAndSwap(next, max(next, now)+l.every) {
			return true
		}
	}
}

// Policy is how exchanges are traced where nobody says otherwise.
type Policy struct {
	// Follow takes the decision of the request's trace, where it has one.
	Follow bool
	Rate   Rate
	Limit  *Limit
	// Slow keeps what took at least so long; zero keeps none for that. Errors keeps
	// failures.
	Slow   time.Duration
	Errors bool
	// Accept and Send are the headers that are read and written; with B3First those of
	// B3 count more. An empty Send leaves headers as they are.
	Accept, Send Formats
	B3First      bool
}

// Default is the policy of a process that was told nothing. It does not take part in
// traces: what clients send goes on as it is.
var Default = Policy{Follow: true, Rate: Percent(1), Slow: time.Second, Errors: true, Accept: W3C}

// DefaultMesh is that of a proxy of a mesh, whose hops are to hang together.
var DefaultMesh = Policy{Follow: true, Rate: Percent(1), Slow: time.Second, Errors: true, Accept: W3C, Send: W3C}

// Samples decides about a trace at the monotonic time now. rate is that of the policy, or
// of one of its rules.
func (p *Policy) Samples(parent *Parent, id ID, rate Rate, now int64) bool {
	sampled := rate.Has(id)
	if p.Follow && parent.Decided {
		sampled = parent.Sampled
	}
	return sampled && p.Limit.Take(now)
}
