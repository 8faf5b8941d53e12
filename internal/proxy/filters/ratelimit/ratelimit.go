// Package ratelimit asks the limits of a rule whether a request may go on, tells
// clients what they have left, and charges what the endpoint says that the
// request has cost. What is counted, and where, is package limit's.
//
// It owns no goroutines; package filters imports it.
package ratelimit

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Condition tells which requests a limit is for.
type Condition interface {
	Hold(r *httpmsg.Request) bool
}

// Counts of what a limit has decided.
type Counts interface {
	Allowed()
	Limited()
	// WouldLimit: the limit is dry.
	WouldLimit()
	// Unanswered: the limit's store gave no answer, and onError decided.
	Unanswered()
}

// Store counts limits for several proxies together.
type Store interface {
	// Take charges all of the charges, or none of them if one refuses, and writes
	// the answers into them. It waits no longer than timeout. After an error it is
	// not known what was charged.
	Take(x *filter.Exchange, charges []limit.Charge, timeout time.Duration) error
	// Add charges what goes beyond what was taken, or gives it back where Cost is
	// below zero, and does not wait for it.
	Add(charges ...limit.Charge)
}

// Places is a Store of requests in progress.
type Places interface {
	Store
	// Occupy counts a request that is let in although the store did not answer, so that
	// it learns of it when it does, and writes its Slot into the charge.
	Occupy(c *limit.Charge)
}

// Deps are what limits need beside the rule.
type Deps struct {
	// Get finds the counters of a limit.
	Get func(*ir.RateLimit) *limit.Limit
	// Condition compiles the matches of a limit that has some; nil is for all
	// requests.
	Condition func([]ir.Match) Condition
	// Counts are the metrics of a limit.
	Counts func(*ir.RateLimit) Counts
	// Formulas compiles the expressions of a limit once for all rules; nil compiles
	// them for each.
	Formulas func(*ir.RateLimit) *Formulas
	// Store finds a store by its name, for global limits. One that there is not
	// fails to answer. The one without a name is nil where nothing is kept.
	Store func(name string) Store
	// Places finds it for limits of requests in progress.
	Places func(name string) Places
	// Servers are the clusters of stores that are servers, by their names.
	Servers map[string]string
}

// Limits are those of a rule. Before and After are the filters to be called
// before and after it is known who calls; they are nil where there is nothing to
// ask. The whole is a ResponseFilter for the headers, to be called last.
type Limits struct {
	Before, After filter.RequestFilter
	// Costs, a ResponseFilter to be called first, is nil where responses cost nothing.
	Costs filter.ResponseFilter

	all []one
	// What exchanges call is made once.
	end, passed               func(*filter.Exchange)
	paceRequest, paceResponse filter.Pacer
}

// one is a limit on the rule.
type one struct {
	cfg       *ir.RateLimit
	limit     *limit.Limit
	counts    Counts
	condition Condition
	key       []part
	formulas  *Formulas
	store     Store  // of a global limit, and of one that is kept
	places    Places // the store, of requests in progress
	shared    *ir.GlobalLimit
	// asks: the store is a server, whose cluster is server, or empty if there is none.
	asks   bool
	server string
	// policy is the limit's item in RateLimit-Policy, item the beginning of the one
	// in RateLimit.
	policy, item string
}

// New makes the filters of a rule's limits.
func New(list []*ir.RateLimit, route string, d Deps) *Limits {
	s := &Limits{all: make([]one, len(list))}
	var early, late []int
	for i, cfg := range list {
		o := one{cfg: cfg, limit: d.Get(cfg), counts: d.Counts(cfg), key: partsOf(cfg.Key, route)}
		if d.Formulas != nil {
			o.formulas = d.Formulas(cfg)
		} else {
			o.formulas, _ = Compile(cfg) // what is broken limits as if it could not be evaluated
		}
		for k := range o.key {
			o.key[k].formula = o.formulas.key[k]
		}
		if len(cfg.Matches) > 0 {
			o.condition = d.Condition(cfg.Matches)
		}
		if o.shared = cfg.Shared(); o.shared != nil && d.Store != nil {
			if cfg.Concurrency > 0 {
				o.places = d.Places(o.shared.Store)
				o.store = o.places
			} else {
				o.store = d.Store(o.shared.Store)
				o.server, o.asks = d.Servers[o.shared.Store]
			}
		}
		o.policy, o.item = items(cfg, nameOf(list, i))
		s.all[i] = o
		if cfg.NeedsCaller() {
			late = append(late, i)
		} else {
			early = append(early, i)
		}
		if cfg.CostHeader != "" {
			s.Costs = costs{s}
		}
	}
	if len(early) > 0 {
		s.Before = &guard{s, early}
	}
	if len(late) > 0 {
		s.After = &guard{s, late}
	}
	s.end, s.passed = s.leave, s.settleTrailer
	s.paceRequest = func(x *filter.Exchange, n int) (int, time.Duration) { return s.pace(x, false, n) }
	s.paceResponse = func(x *filter.Exchange, n int) (int, time.Duration) { return s.pace(x, true, n) }
	return s
}

// nameOf is how clients know a limit: by its name, with that of its policy in
// front where another limit on the rule has the same.
func nameOf(list []*ir.RateLimit, i int) string {
	for j, other := range list {
		if j != i && other.Name == list[i].Name {
			return list[i].Policy + "/" + list[i].Name
		}
	}
	return list[i].Name
}

// guard asks some of a rule's limits.
type guard struct {
	*Limits
	places []int
}

// OnRequest charges all limits, or none of them if one refuses.
func (g *guard) OnRequest(x *filter.Exchange) filter.Verdict {
	first, open := len(x.Limits), false
	v := outcome{refusing: -1, denied: -1}
	for _, i := range g.places {
		o := &g.all[i]
		if o.condition != nil && !o.condition.Hold(&x.Req) {
			continue
		}
		if o.cfg.Callers != nil && !o.cfg.Callers.Include(x.Caller.Consumer, x.Caller.Known()) {
			continue
		}
		if !o.formulas.applies(x) {
			continue
		}
		tag, key, complete := o.tag(x)
		if !complete && o.cfg.OnMissingKey != ir.MissingKeyShare {
			if o.cfg.OnMissingKey == ir.MissingKeySkip {
				continue
			}
			if o.cfg.DryRun {
				o.counts.WouldLimit()
				continue
			}
			o.counts.Limited()
			g.giveBack(x, first)
			return x.Refuse(403, filter.RateLimitKeyMissing, "the request lacks what a rate limit counts it by", o.cfg.Policy, o.cfg.Name)
		}
		c := filter.Counted{Place: i, Tag: tag, Key: key}
		switch {
		case o.cfg.Bandwidth != nil:
			g.slow(x, o.cfg.Bandwidth)
		case o.store != nil:
			c.Cost = o.formulas.charge(o.cfg, x)
			c.Open = !o.known(&c, moment(x), &v)
			open = open || c.Open
		default:
			c.Cost = o.formulas.charge(o.cfg, x)
			o.count(&c, moment(x), &v)
		}
		x.Limits = append(x.Limits, c)
	}
	if open {
		g.ask(x, first, &v)
		x.Limits = slices.DeleteFunc(x.Limits, func(c filter.Counted) bool { return c.Open })
	}
	switch {
	case v.refusing >= 0:
		g.giveBack(x, first)
		return g.refuse(x, &g.all[v.refusing], v.wait)
	case v.denied >= 0:
		g.giveBack(x, first)
		return g.deny(x, &g.all[v.denied])
	}
	if len(x.Limits) > first {
		g.note(x, first)
	}
	return filter.Continue
}

// count charges a limit that this proxy counts by itself. When another has refused
// nothing is charged any more.
func (o *one) count(c *filter.Counted, at limit.Moment, v *outcome) {
	if v.refusing >= 0 {
		t := o.limit.Look(c.Tag, at, c.Cost)
		c.Left, c.After = t.Left, t.After
		if !t.OK && !o.cfg.DryRun {
			v.refuse(c.Place, t)
		}
		return
	}
	t, hold := o.limit.Take(c.Tag, at, c.Cost)
	c.Left, c.After, c.Hold = t.Left, t.After, hold
	switch {
	case t.OK:
		c.Charged, c.Counted = c.Cost, true
	case o.cfg.DryRun:
		o.counts.WouldLimit()
	default:
		v.refuse(c.Place, t)
	}
}

// never is the wait of a request that costs more than a limit ever has.
const never = time.Duration(math.MaxInt64)

// moment is when the request came.
func moment(x *filter.Exchange) limit.Moment { return limit.At(x.Start) }

// note counts what was allowed and arranges for what is to be done later.
func (g *guard) note(x *filter.Exchange, first int) {
	for i := first; i < len(x.Limits); i++ {
		c := &x.Limits[i]
		o := &g.all[c.Place]
		if c.Counted {
			o.counts.Allowed()
		}
		if holds(x.Limits[i:i+1]) && !holds(x.Limits[:i]) {
			x.After(g.end)
		}
		if o.cfg.CostHeader != "" {
			x.Passed = g.passed
		}
	}
}

func holds(list []filter.Counted) bool {
	for i := range list {
		if list[i].Hold != nil || list[i].Slot != nil {
			return true
		}
	}
	return false
}

// giveBack undoes what was charged since the request came to this guard.
func (g *guard) giveBack(x *filter.Exchange, first int) {
	for i := first; i < len(x.Limits); i++ {
		c := &x.Limits[i]
		if leave(c) {
			c.Left++
		} else if c.Charged > 0 {
			o := &g.all[c.Place]
			o.correct(c, -c.Charged)
			t := o.limit.Add(c.Tag, moment(x), -c.Charged)
			c.Left, c.After, c.Charged = t.Left, t.After, 0
		}
	}
}

// refuse answers for a limit that is used up.
func (g *guard) refuse(x *filter.Exchange, o *one, wait time.Duration) filter.Verdict {
	o.counts.Limited()
	x.LimitsRefused = true
	h := &x.Resp.Header
	call := grpc.IsContentType(x.Req.Header.Get(httpmsg.NameContentType))
	if wait == never {
		if call {
			h.Add(grpc.RetryPushback, []byte("-1")) // gRFC A6: do not retry
		}
		return x.Refuse(429, filter.RateLimitCost, "the request costs more than the limit ever has", o.cfg.Policy, o.cfg.Name)
	}
	seconds := max(1, wholeSeconds(wait))
	h.Set(httpmsg.NameRetryAfter, strconv.AppendInt(x.Req.Arena.Alloc(20)[:0], seconds, 10))
	if call {
		// gRFC A6: when a client that retries by itself may do so.
		h.Add(grpc.RetryPushback, strconv.AppendInt(x.Req.Arena.Alloc(20)[:0], max(1, int64((wait+time.Millisecond-1)/time.Millisecond)), 10))
	}
	reason, detail := filter.RateLimited, "too many requests; try again later"
	switch {
	case o.cfg.Quota != nil:
		reason, detail = filter.QuotaExceeded, "the quota is used up; a new one begins later"
	case o.cfg.Concurrency > 0:
		detail = "too many requests at once; try again later"
	}
	return x.Refuse(429, reason, detail, o.cfg.Policy, o.cfg.Name)
}

// wholeSeconds rounds up.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// leave gives back the places of requests in progress.
func (s *Limits) leave(x *filter.Exchange) {
	for i := range x.Limits {
		leave(&x.Limits[i])
	}
}

// leave gives back the place of a request in progress, if it has one.
func leave(c *filter.Counted) (had bool) {
	if c.Hold != nil {
		limit.Leave(c.Hold)
		had = true
	}
	if c.Slot != nil {
		c.Slot.Leave()
		had = true
	}
	c.Hold, c.Slot = nil, nil
	return had
}

// slow has bodies pass at the pace of a bandwidth.
func (s *Limits) slow(x *filter.Exchange, b *ir.Bandwidth) {
	if b.Request > 0 {
		x.PaceRequest = s.paceRequest
	}
	if b.Response > 0 {
		x.PaceResponse = s.paceResponse
	}
}

// pace charges a piece of a body to every bandwidth, of which the narrowest says
// how long it waits.
func (s *Limits) pace(x *filter.Exchange, response bool, n int) (piece int, wait time.Duration) {
	piece = n
	for i := range x.Limits {
		if o := &s.all[x.Limits[i].Place]; o.cfg.Bandwidth != nil {
			piece = min(piece, o.limit.Piece(response, n))
		}
	}
	now := limit.At(time.Now()).Monotonic
	for i := range x.Limits {
		c := &x.Limits[i]
		if o := &s.all[c.Place]; o.cfg.Bandwidth != nil {
			wait = max(wait, o.limit.Pace(c.Tag, response, piece, now))
		}
	}
	return piece, wait
}
