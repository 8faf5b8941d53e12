package ratelimit

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// maxCost is what a response may cost; a longer number is none.
const maxCost = 1_000_000_000_000

// costs charges what the endpoint says in the head of its response. It comes
// before other filters, which may take the header away.
type costs struct{ *Limits }

// OnResponse is called for replies of our own, too, which cost what was charged.
func (c costs) OnResponse(x *filter.Exchange) {
	if x.Local.Status == 0 {
		c.settle(x, &x.Resp.Header)
	}
}

// settleTrailer charges what comes after the body.
func (s *Limits) settleTrailer(x *filter.Exchange) { s.settle(x, &x.Resp.Trailer) }

// settle charges the difference between what the request has cost and what it was
// charged, once for each limit.
func (s *Limits) settle(x *filter.Exchange, h *httpmsg.Header) {
	if h.Len() == 0 {
		return
	}
	for i := range x.Limits {
		c := &x.Limits[i]
		o := &s.all[c.Place]
		if o.cfg.CostHeader == "" || c.Settled || !c.Counted || o.asks && c.Charged == 0 {
			continue
		}
		cost, ok := parseCost(h.GetString(o.cfg.CostHeader))
		if !ok {
			continue
		}
		c.Settled = true
		o.correct(c, cost-c.Charged)
		t := o.limit.Add(c.Tag, limit.At(time.Now()), cost-c.Charged)
		c.Charged, c.Left, c.After = cost, t.Left, t.After
	}
}

// parseCost reads a whole number without a sign, from 0 to maxCost.
func parseCost(v []byte) (int64, bool) {
	v = httpmsg.TrimOWS(v)
	if len(v) == 0 || len(v) > 13 {
		return 0, false
	}
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n <= maxCost
}
