package consul

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

const (
	backoffFirst = time.Second
	backoffMax   = 30 * time.Second
	// unblocked is how long a watch rests when an agent gives no index to wait with.
	unblocked = 5 * time.Second
	// A watch may ask burst times at once, and then every refill: an agent whose
	// answers come without waiting is not asked all the time.
	burst  = 8
	refill = 500 * time.Millisecond
)

var (
	errNoLeader = errors.New("the servers know no leader, so what they say may be old")
	errFiltered = errors.New("the token may not read the service or its nodes: give it service:read and node:read")
	// errEmpty comes with an answer that holds: the service has no instances.
	errEmpty = errors.New("the service has no healthy instance; those from before are kept (whenEmpty: Keep)")
)

// watch is one question that is asked again and again. Source.mu guards all but
// query, agent and since, which do not change.
type watch struct {
	query query
	agent *agent
	since time.Time // followed since then

	cancel   context.CancelFunc // nil without a goroutine
	clusters []string
	dropped  bool

	answer   []instance // last good one
	known    bool
	answered time.Time // when it came, or was said to hold
	next     time.Time // when it is asked next; zero while it is
	err      error     // of the last attempt
	failing  time.Time // since then
	failures int       // in a row
	nameless int       // instances of answer that are left out
}

// watch asks until ctx ends.
func (s *Source) watch(ctx context.Context, w *watch, news func([]string)) {
	var index uint64
	pace := pace{tokens: burst, at: time.Now()}
	for s.rest(ctx, w, pace.next(time.Now())) {
		r, err := w.agent.ask(ctx, &w.query, index)
		if ctx.Err() != nil {
			return
		}
		changed, wait := s.settle(w, r, err)
		news(changed)
		if err != nil {
			// An agent that is new, or lost its servers, may be behind: an index from
			// before would make it wait for what has happened already.
			index = 0
		} else if index = after(index, r); !r.indexed {
			wait = max(wait, unblocked)
		}
		if !s.rest(ctx, w, wait) {
			return
		}
	}
}

// after is the index to wait with for something newer than r.
func after(index uint64, r reply) uint64 {
	switch {
	case !r.indexed:
		return 0
	case r.index < index: // restored from a snapshot, or restarted
		return 0
	default:
		return max(r.index, 1) // with 0 the agent would not wait
	}
}

// rest waits; it is false when the watch has ended.
func (s *Source) rest(ctx context.Context, w *watch, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	s.mu.Lock()
	w.next = time.Now().Add(wait)
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	s.mu.Lock()
	w.next = time.Time{}
	s.mu.Unlock()
	return true
}

// settle notes what an attempt brought: the clusters that it is something new for,
// and how long to wait before the next.
func (s *Source) settle(w *watch, r reply, err error) (changed []string, wait time.Duration) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.dropped {
		return nil, 0
	}
	if err == nil {
		err = w.judge(r)
	}
	was := w.err
	w.err = err
	if was == nil {
		w.failing = now
	}
	switch {
	case err == nil:
		w.failures = 0
		w.answered = now
		if !w.known || !reflect.DeepEqual(w.answer, r.instances) {
			changed = slices.Clone(w.clusters)
			if r.anonymous && len(r.instances) == 0 {
				s.opts.Log.Warn("service has no instances that may be read without a token; see agent.tokenSecretRef", "service", w.query.name(), "agent", w.agent.address)
			}
		}
		w.answer, w.known = r.instances, true
		s.tellNameless(w)
	case errors.Is(err, errEmpty):
		w.answered, w.failures = now, 1
	default:
		wait = w.backoff(err)
	}
	s.tell(w, was, wait)
	return changed, wait
}

// judge says why an answer is not to be believed.
func (w *watch) judge(r reply) error {
	switch {
	case r.filtered && len(r.instances) == 0:
		return errFiltered
	case r.leaderless && w.known:
		return errNoLeader
	case w.query.keepLast && len(r.instances) == 0 && len(w.answer) > 0:
		return errEmpty
	}
	return nil
}

// tell logs the beginning and the end of a failure, and one that became another.
// The caller holds mu.
func (s *Source) tell(w *watch, was error, wait time.Duration) {
	switch {
	case w.err != nil && (was == nil || cause(was) != cause(w.err)):
		s.opts.Log.Warn("service cannot be asked for", "service", w.query.name(), "agent", w.agent.address, "error", w.err,
			"keeps", len(w.answer), "retry", wait)
	case w.err == nil && was != nil:
		s.opts.Log.Info("service is known again", "service", w.query.name(), "agent", w.agent.address, "instances", len(w.answer))
	}
}

// tellNameless logs that instances are left out, when their number changes. The
// caller holds mu.
func (s *Source) tellNameless(w *watch) {
	n, example := 0, ""
	for i := range w.answer {
		host, _ := w.answer[i].reach("")
		if _, err := netip.ParseAddr(host); err != nil {
			n, example = n+1, host
		}
	}
	if n > 0 && n != w.nameless {
		s.opts.Log.Warn("instances are left out: their addresses are no IP addresses", "service", w.query.name(), "agent", w.agent.address,
			"instances", n, "address", example)
	}
	w.nameless = n
}

// backoff counts a failure and returns the wait until the next attempt.
func (w *watch) backoff(err error) time.Duration {
	wait := min(backoffMax, backoffFirst<<min(w.failures, 10))
	w.failures++
	var refused *refusal
	if errors.As(err, &refused) {
		wait = max(wait, refused.retryAfter)
	}
	return jitter(wait)
}

// jitter adds up to a tenth, so that watches of an agent that was away do not all
// ask at once.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration(rand.Int64N(int64(d)/10+1))
}

// pace is a bucket of tokens, one for each question.
type pace struct {
	tokens float64
	at     time.Time
}

// next takes a token, and says how long to wait for it.
func (p *pace) next(now time.Time) time.Duration {
	p.tokens = min(burst, p.tokens+float64(now.Sub(p.at))/float64(refill))
	p.at = now
	p.tokens--
	if p.tokens >= 0 {
		return 0
	}
	return time.Duration(-p.tokens * float64(refill))
}
