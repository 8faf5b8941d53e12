package dns

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// settle notes what a lookup brought and when the next one is. It returns the
// clusters that it is something new for.
func (s *Source) settle(r result) (changed []string) {
	now := time.Now()
	n := r.n
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[n.key.resolver].running--
	if n.dropped {
		return nil
	}
	was := n.err
	n.err = r.err
	if was == nil {
		n.failing = now
	}
	var wait time.Duration
	switch {
	case r.err == nil:
		n.failures, n.denials = 0, 0
		wait = jitter(n.lifetime(r.answer.ttl))
		n.resolved = now
		changed = n.accept(r.answer)
	case errors.Is(r.err, errPartial):
		// What did answer may change when its time is over, however long the
		// rest fails.
		n.denials = 0
		wait = min(n.backoff(), jitter(n.lifetime(r.answer.ttl)))
		n.resolved = now
		changed = n.accept(r.answer)
	case errors.Is(r.err, errDenied):
		n.failures = 0
		wait, changed = s.deny(n, r.answer.ttl, now)
	default:
		n.denials = 0
		wait = n.backoff()
	}
	s.enqueue(n, now.Add(wait))
	switch {
	case was == nil && r.err != nil:
		s.opts.Log.Warn("name cannot be resolved", "name", n.key.name, "error", r.err,
			"keeps", len(n.answer.hosts), "retry", wait)
	case was != nil && r.err == nil:
		s.opts.Log.Info("name is resolved again", "name", n.key.name, "hosts", len(n.answer.hosts))
	}
	return changed
}

// accept makes a the answer of n, and returns the clusters that this is new for.
func (n *name) accept(a answer) (changed []string) {
	if !n.known || !slices.Equal(n.answer.hosts, a.hosts) {
		changed = slices.Clone(n.clusters)
	}
	n.answer, n.known = a, true
	return changed
}

// deny counts a negative answer, and empties the name after the grace.
func (s *Source) deny(n *name, ttl time.Duration, now time.Time) (wait time.Duration, changed []string) {
	if n.denials == 0 {
		n.denied = now
	}
	n.denials++
	if len(n.answer.hosts) > 0 || !n.known {
		if n.denials < graceAnswers || now.Sub(n.denied) < s.opts.Grace {
			return jitter(min(n.key.minTTL, s.opts.Grace/graceAnswers)), nil
		}
		if n.known {
			s.opts.Log.Warn("name lost its endpoints", "name", n.key.name, "error", n.err, "denials", n.denials)
		}
		changed = n.accept(answer{})
	}
	return jitter(n.lifetime(ttl)), changed
}

// lifetime is how long an answer is believed.
func (n *name) lifetime(ttl time.Duration) time.Duration {
	return min(max(ttl, n.key.minTTL), n.key.maxTTL)
}

// backoff counts a failure and returns the wait until the next attempt.
func (n *name) backoff() time.Duration {
	wait := min(backoffMax, backoffFirst<<min(n.failures, 10))
	n.failures++
	return jitter(wait)
}

// jitter adds up to a tenth, so that names that came together part, and a
// resolver's cache has let go of its answer.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1))
}
