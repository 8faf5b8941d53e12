// Package health checks endpoints actively, over HTTP, gRPC or TCP.
//
// An endpoint is in use until its first check, which is made at once, has
// failed: traffic does not wait for checks, and a dead endpoint is found within
// one timeout. The first result decides alone; after that it takes as many
// results in a row as the thresholds say to change the verdict.
//
// A Checker owns one scheduling goroutine and a bounded number of short-lived
// ones for checks in progress; Close ends them and waits. Package upstream
// imports it, no other.
package health

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Target is an endpoint to check. Targets are compared to tell old from new.
type Target interface {
	// Address is "IP:PORT" or "unix:PATH"; Host is sent if the check names none.
	Address() string
	Host() string
	// HTTP2 tells whether requests to the endpoint use it, Secure whether they
	// use TLS.
	HTTP2() bool
	Secure() bool
	// Dial connects as the proxy would, TLS included; with http2 that is what
	// ALPN must agree to.
	Dial(ctx context.Context, address string, http2 bool, by int64) (*netx.Conn, error)
	// Checked is told of each check that came to its end.
	Checked(ok bool)
	// Report is told of each verdict that changed, and of the first one. cause
	// is nil for healthy.
	Report(healthy bool, cause error)
}

// maxRunning bounds the checks of one cluster that are in progress.
const maxRunning = 256

// Checker checks the endpoints of one cluster.
type Checker struct {
	cfg    ir.Health
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	work   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	states  map[Target]*state
	queue   queue
	running int
}

// state of one target.
type state struct {
	target  Target
	due     int64
	place   int // 1 and up while queued
	known   bool
	healthy bool
	streak  int // results in a row against the verdict
	gone    bool
}

// Start begins with no targets.
func Start(cfg ir.Health) *Checker {
	cfg.HealthyThreshold = max(cfg.HealthyThreshold, 1)
	cfg.UnhealthyThreshold = max(cfg.UnhealthyThreshold, 1)
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	c := &Checker{cfg: cfg, wake: make(chan struct{}, 1), states: make(map[Target]*state)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.work.Go(c.run)
	return c
}

// Set replaces the targets. Known ones keep their verdict and their turn, new
// ones are checked at once.
func (c *Checker) Set(targets []Target) {
	now := netx.Monotonic()
	c.mu.Lock()
	next := make(map[Target]*state, len(targets))
	for _, t := range targets {
		s := c.states[t]
		if s == nil {
			s = &state{target: t, due: now}
			heap.Push(&c.queue, s)
		}
		next[t] = s
	}
	for t, s := range c.states {
		if next[t] == nil {
			s.gone = true
			if s.place > 0 {
				heap.Remove(&c.queue, s.place-1)
			}
		}
	}
	c.states = next
	c.mu.Unlock()
	c.poke()
}

// Close ends all checks. No report follows.
func (c *Checker) Close() {
	c.cancel()
	c.work.Wait()
}

func (c *Checker) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Checker) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(c.startDue(netx.Monotonic()))
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// startDue starts the checks that are due, as far as the bound allows, and
// tells when to look again.
func (c *Checker) startDue(now int64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && c.running < maxRunning {
		first := c.queue[0]
		if first.due > now {
			return max(time.Duration(first.due-now), time.Millisecond)
		}
		heap.Pop(&c.queue)
		c.running++
		c.work.Go(func() { c.check(first) })
	}
	return time.Hour // the end of a check wakes the loop
}

func (c *Checker) check(s *state) {
	began := netx.Monotonic()
	err := c.probe(s.target, began+int64(c.cfg.Timeout))
	c.mu.Lock()
	c.running--
	if s.gone || c.ctx.Err() != nil {
		c.mu.Unlock()
		c.poke()
		return
	}
	changed := s.judge(err == nil, &c.cfg)
	// A tenth of jitter either way, so that checks do not march in step.
	wait := float64(c.cfg.Interval) * (0.9 + 0.2*rand.Float64())
	s.due = max(began+int64(wait), netx.Monotonic())
	heap.Push(&c.queue, s)
	c.mu.Unlock()
	s.target.Checked(err == nil)
	if changed {
		s.target.Report(err == nil, err)
	}
	c.poke()
}

// judge takes in a result and tells whether the verdict is new.
func (s *state) judge(ok bool, cfg *ir.Health) bool {
	if !s.known {
		s.known, s.healthy = true, ok
		return true
	}
	if ok == s.healthy {
		s.streak = 0
		return false
	}
	s.streak++
	limit := cfg.UnhealthyThreshold
	if ok {
		limit = cfg.HealthyThreshold
	}
	if s.streak < limit {
		return false
	}
	s.healthy, s.streak = ok, 0
	return true
}

// queue is a heap by due time.
type queue []*state

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

func (q *queue) Push(x any) {
	s := x.(*state)
	*q = append(*q, s)
	s.place = len(*q)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.place = 0
	return s
}
