package ratelimit

import (
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// correctable is how long a refusal is believed of a limit that responses, or other
// proxies, give something back to.
const correctable = time.Second

// outcome is what the limits of a request come to. Places are those of limits on
// the rule, below zero for none.
type outcome struct {
	refusing int           // the first that refuses
	wait     time.Duration // the longest of those that do
	denied   int           // one without an answer, that lets nothing pass then
}

// refuse notes that a limit refuses; one that would do so for ever is the one to
// tell of.
func (v *outcome) refuse(place int, t limit.Tally) {
	if v.refusing < 0 || t.Never {
		v.refusing = place
	}
	if t.Never {
		v.wait = never
	}
	v.wait = max(v.wait, t.After)
}

// known tells whether the store need not be asked, since it has refused the same
// before and would still.
func (o *one) known(c *filter.Counted, at limit.Moment, v *outcome) bool {
	after, refused := o.limit.Refused(c.Tag, c.Cost, at)
	if !refused || o.cfg.DryRun {
		return false
	}
	c.After = after
	v.refuse(c.Place, limit.Tally{After: after})
	return true
}

// ask has stores charge the request's global limits, those of one store in one
// round trip, until one refuses. What stays open was not counted.
func (g *guard) ask(x *filter.Exchange, first int, v *outcome) {
	for i := first; i < len(x.Limits) && v.refusing < 0 && v.denied < 0; i++ {
		if x.Limits[i].Open && !g.asked(x.Limits[first:i], g.all[x.Limits[i].Place].store) {
			g.askStore(x, i, v)
		}
	}
}

// asked tells whether a store was asked with one of the limits before.
func (g *guard) asked(before []filter.Counted, s Store) bool {
	for i := range before {
		if g.all[before[i].Place].store == s {
			return true
		}
	}
	return false
}

// askStore asks the store of a limit about all that are its.
func (g *guard) askStore(x *filter.Exchange, first int, v *outcome) {
	store := g.all[x.Limits[first].Place].store
	timeout := time.Duration(0)
	var charges []limit.Charge
	g.open(x, first, store, func(o *one, c *filter.Counted) {
		one := o.charge(c, c.Cost)
		if o.asks {
			one.Parts = o.parts(x)
		}
		charges = append(charges, one)
		if t := o.shared.Timeout; timeout == 0 || t < timeout {
			timeout = t
		}
	})
	err := store.Take(x, charges, timeout)
	now := limit.At(time.Now())
	charged := err == nil
	for i := range charges {
		charged = charged && (!charges[i].Refused || charges[i].Cfg.DryRun)
	}
	next := 0
	g.open(x, first, store, func(o *one, c *filter.Counted) {
		if err != nil {
			o.unanswered(c, now, v)
			return
		}
		o.answered(c, &charges[next], charged, now, v)
		next++
	})
}

// open calls f with each limit of a store that is to be asked.
func (g *guard) open(x *filter.Exchange, first int, s Store, f func(*one, *filter.Counted)) {
	for i := first; i < len(x.Limits); i++ {
		if c := &x.Limits[i]; c.Open && g.all[c.Place].store == s {
			f(&g.all[c.Place], c)
		}
	}
}

func (o *one) charge(c *filter.Counted, cost int64) limit.Charge {
	return limit.Charge{Cfg: o.cfg, Limit: o.limit, Key: c.Key, Cost: cost, Cluster: o.server}
}

// answered notes what the store has said. Charged: it has charged all that it was
// asked about, but for what is dry.
func (o *one) answered(c *filter.Counted, a *limit.Charge, charged bool, now limit.Moment, v *outcome) {
	var t limit.Tally
	if a.Said != nil {
		if t = *a.Said; a.Unlimited && !a.Refused {
			return // of what is open, clients are told nothing
		}
	} else {
		t = o.limit.Learn(c.Tag, now, a.Use, a.Cost, a.Refused)
	}
	c.Open, c.Left, c.After = false, t.Left, t.After
	switch {
	case !a.Refused:
		if c.Slot = a.Slot; c.Slot != nil {
			_, c.Hold = o.limit.Enter(c.Tag, now)
			c.Counted = true
		} else if charged && o.places == nil {
			c.Counted, c.Shared = true, !o.asks // a server cannot be corrected
			if c.Shared {
				c.Charged = a.Cost
			}
		}
	case o.cfg.DryRun:
		o.counts.WouldLimit()
	default:
		believe := limit.MaxRefusal
		if o.cfg.CostHeader != "" || a.Passing {
			believe = correctable
		}
		if !t.Never {
			o.limit.Refuse(c.Tag, a.Cost, now, t.After, believe)
		}
		v.refuse(c.Place, t)
	}
}

// unanswered does what is to be done without an answer of the store.
func (o *one) unanswered(c *filter.Counted, now limit.Moment, v *outcome) {
	o.counts.Unanswered()
	switch o.shared.OnError {
	case ir.OnStoreErrorAllow:
		if o.places != nil {
			t, hold := o.limit.Enter(c.Tag, now)
			c.Open, c.Left, c.Hold = false, t.Left, hold
			o.occupy(c)
		}
	case ir.OnStoreErrorDeny:
		if o.cfg.DryRun {
			o.counts.WouldLimit()
		} else {
			v.denied = c.Place
		}
	default:
		t, hold := o.limit.Take(c.Tag, now, c.Cost)
		c.Open, c.Left, c.After, c.Hold = false, t.Left, t.After, hold
		switch {
		case t.OK && o.places != nil:
			c.Counted = true
			o.occupy(c)
		case t.OK:
			c.Charged, c.Counted = c.Cost, true
		case o.cfg.DryRun:
			o.counts.WouldLimit()
		default:
			v.refuse(c.Place, t)
		}
	}
}

// occupy has the store learn, when it answers again, that the request is in progress.
func (o *one) occupy(c *filter.Counted) {
	a := o.charge(c, c.Cost)
	o.places.Occupy(&a)
	c.Slot = a.Slot
}

// correct charges the store what goes beyond what it was asked for.
func (o *one) correct(c *filter.Counted, cost int64) {
	if c.Shared && cost != 0 {
		o.store.Add(o.charge(c, cost))
	}
}

// deny answers for a limit of which nobody knows what is left.
func (g *guard) deny(x *filter.Exchange, o *one) filter.Verdict {
	x.Resp.Header.Set(httpmsg.NameRetryAfter, retrySoon)
	return x.Refuse(503, filter.RateLimitUnavailable, "it is not known whether a rate limit lets the request pass; try again later", o.cfg.Policy, o.cfg.Name)
}

var retrySoon = []byte("1")
