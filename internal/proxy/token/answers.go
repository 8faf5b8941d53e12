package token

import (
	"sync"
	"time"
)

const (
	// maxAsking is how many tokens servers are asked about at a time.
	maxAsking = 256
	// refusals is how many tokens that are not active are remembered before those of
	// longer ago are forgotten: at most twice as many at a time.
	refusals = 4096
)

// Answer is what a server says of a token.
type Answer struct {
	// Token is nil for one that is not active.
	Token *Verified
	// Until is how long the answer may be remembered.
	Until time.Time
	// Err is why there is no answer.
	Err error
}

// Answers remembers what servers have said of tokens, by digests of token and server,
// and asks them about a token once, however many requests have it. Tokens that are not
// active are remembered apart, so that they displace none that is.
type Answers struct {
	good *Cache

	mu       sync.Mutex // guards what follows
	asking   map[Digest]*question
	bad, was map[Digest]time.Time
}

type question struct {
	done   chan struct{}
	answer Answer // once done is closed
}

// NewAnswers makes one that remembers nothing.
func NewAnswers() *Answers {
	return &Answers{good: NewCache(), asking: map[Digest]*question{}, bad: map[Digest]time.Time{}}
}

// Get returns an answer that holds at a time.
func (a *Answers) Get(d *Digest, now time.Time) (answer Answer, ok bool) {
	if v := a.good.Get(d); v != nil && now.Before(v.Expires) {
		return Answer{Token: v, Until: v.Expires}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range []map[Digest]time.Time{a.bad, a.was} {
		if until, known := m[*d]; known && now.Before(until) {
			return Answer{Until: until}, true
		}
	}
	return Answer{}, false
}

// Ask returns what ask does, or what it returns to somebody else who has asked about
// the same token before. Wait is called before it waits for that. It is false if too
// many are asked about.
func (a *Answers) Ask(d *Digest, now time.Time, wait func(), ask func() Answer) (answer Answer, ok bool) {
	a.mu.Lock()
	q := a.asking[*d]
	if q != nil {
		a.mu.Unlock()
		wait()
		<-q.done
		return q.answer, true
	}
	if len(a.asking) >= maxAsking {
		a.mu.Unlock()
		return Answer{}, false
	}
	q = &question{done: make(chan struct{}), answer: Answer{Err: errUnanswered}}
	a.asking[*d] = q
	a.mu.Unlock()
	defer func() { // also where ask panics
		a.mu.Lock()
		delete(a.asking, *d)
		a.mu.Unlock()
		close(q.done)
	}()
	q.answer = ask()
	a.remember(d, q.answer, now)
	return q.answer, true
}

func (a *Answers) remember(d *Digest, answer Answer, now time.Time) {
	switch {
	case answer.Err != nil || !now.Before(answer.Until):
	case answer.Token != nil:
		a.good.Put(answer.Token, now)
	default:
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.bad) >= refusals {
			a.bad, a.was = make(map[Digest]time.Time, refusals), a.bad
		}
		a.bad[*d] = answer.Until
	}
}

type unanswered struct{}

func (unanswered) Error() string { return "the question was given up" }

var errUnanswered unanswered
