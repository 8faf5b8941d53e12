package pipeline

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/vouch"
	"github.com/gridway/gridway/internal/telemetry/trace"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// leg is one of the tries that a hedged exchange runs side by side. It has an
// exchange of its own with a copy of the request, because a loser may outlive
// the exchange by the time that it takes to notice.
type leg struct {
	x      *Exchange
	down   *legDown
	result failure
	// number is that of its try, and began when it was started.
	number int
	began  int64
}

// legDown is the client as a leg sees it: it cannot be written to, and it is
// gone once the leg has lost.
type legDown struct {
	Downstream
	lost    atomic.Bool
	awaited netx.Awaited
}

func (d *legDown) Gone() bool                     { return d.lost.Load() || d.Downstream.Gone() }
func (d *legDown) Inform(*httpmsg.Response) error { return nil }
func (d *legDown) Conn() *netx.Conn               { return nil }
func (d *legDown) Task() *loop.Task               { return nil }

// Awaiting notes what the leg waits for.
func (d *legDown) Awaiting(n netx.Nudger) {
	d.awaited.Set(n)
	if d.Gone() {
		n.Nudge()
	}
}

// legNudger wakes all legs of an exchange when its client has gone.
type legNudger struct {
	mu   sync.Mutex
	legs []*legDown // guarded by mu
}

func (g *legNudger) add(d *legDown) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.legs = append(g.legs, d)
}

// Nudge implements netx.Nudger.
func (g *legNudger) Nudge() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.legs {
		d.awaited.Nudge()
	}
}

// hedge sends the request, sends it again each time the delay has passed
// without an answer, and keeps the first response. Further tries count against
// the retry budget.
func (x *Exchange) hedge(c *upstream.Cluster, h *ir.Hedge) failure {
	var (
		results = make(chan *leg, h.MaxExtra+1)
		legs    []*leg
		running int
		retries int
		last    failure
		waiting = new(legNudger)
	)
	if a, ok := x.Down.(netx.Awaiter); ok {
		a.Awaiting(waiting)
	}
	defer func() {
		for range retries {
			c.RetryDone()
		}
	}()
	body := append([]byte(nil), x.body.first...) // of all legs; none writes to it
	start := func() {
		x.attempts++
		l := x.newLeg(legs, body)
		legs = append(legs, l)
		waiting.add(l.down)
		running++
		x.p.Background.Go(func() {
			l.result = l.x.tryContained(c)
			results <- l
		})
	}
	x.Down.Task().Detach()
	start()
	timer := time.NewTimer(h.Delay)
	defer timer.Stop()
	for running > 0 {
		select {
		case l := <-results:
			running--
			last = l.result
			if !last.failed() {
				if m := x.backend.Metrics; m != nil && l != legs[0] {
					m.HedgeWon()
				}
				x.noteLosers(legs, l)
				x.adopt(l)
				x.reap(c, legs, l, running, results)
				return failure{}
			}
			if x.endpoint = l.x.endpoint; x.endpoint != nil {
				x.avoid = append(x.avoid, x.endpoint)
			}
			x.trace.adoptTries(&l.x.trace)
			l.release()
			if last.reason != filter.ClientGone {
				timer.Reset(0) // a try that failed is replaced at once
			}
		case <-timer.C:
			if len(legs) > h.MaxExtra {
				continue
			}
			if !c.AllowRetry() {
				x.Flags |= filter.RetryLimit.Flag()
				continue
			}
			retries++
			if m := x.backend.Metrics; m != nil {
				m.Hedge()
			}
			start()
			timer.Reset(h.Delay)
		}
	}
	return last
}

// mayHedge tells whether the policy and the method let the request be sent
// twice at once. Of two connections that speak another protocol one would have
// begun for nothing.
func (x *Exchange) mayHedge() bool {
	h := x.Rule.Policy.Hedge
	return h != nil && h.MaxExtra > 0 && x.Req.MethodID.Idempotent() && x.Req.Upgrade == nil
}

func (x *Exchange) tryContained(c *upstream.Cluster) (f failure) {
	defer x.containTry(c, &f)
	return x.try(c)
}

// newLeg makes an exchange that can run one try of x.
func (x *Exchange) newLeg(others []*leg, body []byte) *leg {
	l := &leg{x: Get(), down: &legDown{Downstream: x.Down}, number: x.attempts, began: now()}
	y := l.x
	y.p = x.p
	y.begin()
	x.tapBegun() // and not the leg
	y.told = true
	y.attempts = x.attempts
	y.Listener, y.rule, y.backend = x.Listener, x.rule, x.backend
	y.Section, y.Route, y.Rule, y.Match = x.Section, x.Route, x.Rule, x.Match
	y.PeerAddr, y.LocalAddr = x.PeerAddr, x.LocalAddr
	y.Client, y.Start, y.started, y.deadline = x.Client, x.Start, x.started, x.deadline
	y.hash, y.hasHash, y.session = x.hash, x.hasHash, x.session
	y.Down = l.down
	x.sign() // once for all
	y.Req.CopyFrom(&x.Req)
	y.trace.follow(x, y, x.legKind(others))
	y.Caller, y.vouch = x.Caller, x.vouch
	if y.vouch.at == 0 { // it is of the request, whose memory the leg may outlive
		y.vouch.token = y.Req.Header.Get(vouch.Header)
	}
	y.body.whole, y.body.ended = true, true
	y.body.first = body
	y.avoid = append(y.avoid[:0], x.avoid...)
	for _, o := range others {
		if o.x == nil { // it failed; its endpoint is in avoid
			continue
		}
		if e := o.x.picked.Load(); e != nil {
			y.avoid = append(y.avoid, e)
		}
	}
	return l
}

// adopt makes the winner's response the exchange's own.
func (x *Exchange) adopt(l *leg) {
	x.Resp, l.x.Resp = l.x.Resp, x.Resp
	x.up, l.x.up = l.x.up, nil
	if x.up == &l.x.first {
		x.first, l.x.first = l.x.first, x.first
		x.up = &x.first
	}
	x.trace.adoptTries(&l.x.trace)
	x.up.Rebind(&x.Resp)
	x.up.Bind(x.Down.Task())
	x.up.SetWatch(x.Down)
	x.endpoint, x.trying = l.x.endpoint, true
	x.headAt, x.upstreamAt = l.x.headAt, l.x.upstreamAt
	x.tick()
	l.release()
}

// legKind says what the try of a further leg is.
func (x *Exchange) legKind(others []*leg) trace.TryKind {
	if len(others) > 0 {
		return trace.Hedge
	}
	return x.trace.kind
}

// noteLosers notes the tries that are still under way when one of them has won.
func (x *Exchange) noteLosers(legs []*leg, winner *leg) {
	x.tick()
	for i, l := range legs {
		if l != winner && l.x != nil {
			x.lostTry(l.number, x.legKind(legs[:i]), l.began, l.x.picked.Load())
		}
	}
}

// release gives the leg's exchange back, and forgets the body.
func (l *leg) release() {
	l.x.body.release()
	l.x.Release()
	l.x = nil
}

// reap tells the losers and cleans up behind them in the background.
func (x *Exchange) reap(c *upstream.Cluster, legs []*leg, winner *leg, running int, results chan *leg) {
	for _, l := range legs {
		if l != winner {
			l.down.lost.Store(true)
			l.down.awaited.Nudge()
		}
	}
	if running == 0 {
		return
	}
	x.p.Background.Go(func() {
		for range running {
			l := <-results
			if !l.result.failed() {
				l.x.dropConn()
				c.Done(l.x.endpoint, upstream.Outcome{Kind: upstream.Cancelled, Latency: l.x.latency(l.x.headAt)})
			}
			l.release()
		}
	})
}
