package ratelimit

import (
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var (
	limitField  = []byte("RateLimit")
	policyField = []byte("RateLimit-Policy")
)

// items are the limit's in RateLimit-Policy, and the beginning of that in
// RateLimit (draft-ietf-httpapi-ratelimit-headers-11 §3.1, §4.1). Bandwidths have
// none: nothing is refused for them.
func items(cfg *ir.RateLimit, name string) (policy, item string) {
	if cfg.Headers == ir.RateLimitHeadersNever || cfg.DryRun {
		return "", ""
	}
	quoted := `"` + name + `"`
	switch {
	case cfg.Rate != nil:
		policy = quoted + ";q=" + strconv.FormatInt(cfg.Rate.Units, 10) + ";w=" + strconv.FormatInt(int64(cfg.Rate.Period/time.Second), 10)
		if cfg.Rate.Burst != cfg.Rate.Units {
			policy += ";gridway-burst=" + strconv.FormatInt(cfg.Rate.Burst, 10)
		}
	case cfg.Quota != nil:
		policy = quoted + ";q=" + strconv.FormatInt(cfg.Quota.Amount, 10) + ";w=" + strconv.FormatInt(windowSeconds[cfg.Quota.Window], 10)
	case cfg.Concurrency > 0:
		policy = quoted + ";q=" + strconv.Itoa(cfg.Concurrency) + `;qu="concurrent-requests"`
	default:
		return "", ""
	}
	return policy, quoted + ";r="
}

// windowSeconds is what windows of the calendar usually last; of a month the longest.
var windowSeconds = map[ir.QuotaWindow]int64{
	ir.QuotaHour: 3600, ir.QuotaDay: 86400, ir.QuotaWeek: 7 * 86400, ir.QuotaMonth: 31 * 86400,
}

// OnResponse tells the client what it has left. What the endpoint says of limits
// of its own stays: lists may go over several fields.
func (s *Limits) OnResponse(x *filter.Exchange) {
	for _, f := range x.Kept.Limited {
		f.OnResponse(x)
	}
	size, policySize := 0, 0
	for i := range x.Limits {
		if o := &s.all[x.Limits[i].Place]; o.told(x) {
			size += len(o.item) + 48
			policySize += len(o.policy) + 2
		}
	}
	if size == 0 {
		return
	}
	values := x.Req.Arena.Alloc(size)[:0]
	policies := x.Req.Arena.Alloc(policySize)[:0]
	for i := range x.Limits {
		c := &x.Limits[i]
		o := &s.all[c.Place]
		if !o.told(x) {
			continue
		}
		if len(values) > 0 {
			values, policies = append(values, ", "...), append(policies, ", "...)
		}
		policies = append(policies, o.policy...)
		values = strconv.AppendUint(append(values, o.item...), c.Left, 10)
		if c.After > 0 && o.cfg.Concurrency == 0 {
			values = strconv.AppendInt(append(values, ";t="...), wholeSeconds(c.After), 10)
		}
	}
	x.Resp.Header.AddField(policyField, policies, httpmsg.NameOther)
	x.Resp.Header.AddField(limitField, values, httpmsg.NameOther)
}

// told tells whether the response names the limit.
func (o *one) told(x *filter.Exchange) bool {
	return o.policy != "" && (o.cfg.Headers == ir.RateLimitHeadersAlways || x.LimitsRefused)
}
