package admission

import (
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

// Sign is what the end of an exchange tells of the service's load.
type Sign uint8

const (
	// Silent: nothing, for it never came to the service, or for reasons of the client's.
	Silent Sign = iota
	// Answered in the time of the sample.
	Answered
	// Unanswered when the client left: it would have taken longer than that.
	Unanswered
	// Overloaded: it failed in a way that tells of overload (timeout, reset, 503).
	Overloaded
)

// Place is what an exchange holds under a limit. The zero value is none.
type Place struct {
	limiter *Limiter
	cohort  uint32
}

// Held tells whether there is a place to give back.
func (p Place) Held() bool { return p.limiter != nil }

// Release gives a place back; latency is how long the service took to answer.
func (p Place) Release(sign Sign, latency time.Duration) {
	l := p.limiter
	now := netx.Monotonic()
	l.mu.Lock()
	l.inflight--
	ns := max(float64(latency), 1)
	// Clients that wait for less than the service takes are all that a service
	// sees that is overloaded enough.
	if sign == Unanswered && (l.law.baseline == 0 || ns > l.law.goal()) {
		sign = Answered
	}
	switch sign {
	case Answered:
		l.law.leave(now, p.cohort, ns)
		l.law.sample(now, ns)
	case Overloaded:
		l.law.leave(now, p.cohort, 0)
		l.law.sample(now, 0)
	default:
		l.law.leave(now, p.cohort, 0)
	}
	l.admit()
	l.mu.Unlock()
}
