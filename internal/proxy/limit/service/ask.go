// Package service asks servers of the configuration what requests may
// still do: it speaks envoy.service.ratelimit.v3 over gRPC. What is counted, and
// how, is the server's matter. It owns no goroutines; package proxy imports it.
package service

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/limit"
)

const (
	method = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
	// maxAnswer bounds an answer in bytes, and maxLimits what is asked at once.
	maxAnswer = 64 << 10
	maxLimits = 1024
	// nameKey is the entry of a descriptor with the limit's name.
	nameKey = "generic_key"
)

var errUnresolved = errors.New("the backend of the rate limit service could not be resolved")

// Take asks the service about all charges in one call. Limits that it has none for
// let the request pass.
func Take(x *filter.Exchange, domain string, charges []limit.Charge, timeout time.Duration) error {
	cluster := charges[0].Cluster
	if cluster == "" {
		return errUnresolved
	}
	q := callout.New()
	defer q.Release()
	q.Purpose, q.Cluster, q.Timeout, q.MaxAnswer = callout.RateLimit, cluster, timeout, maxAnswer
	q.Unary(method, question(domain, charges))
	if err := x.Call(q); err != nil {
		return err
	}
	message, err := q.Message()
	if err != nil {
		return err
	}
	a, err := parse(bytes.Clone(message)) // headers point into it
	if err == nil {
		err = a.tell(charges)
	}
	if err != nil {
		return &callout.Error{Kind: callout.Protocol, Err: err}
	}
	for _, h := range a.request {
		x.Req.Header.Add(h.name, h.value)
	}
	if len(a.response) > 0 {
		x.Kept.Limited = append(x.Kept.Limited, added(a.response))
	}
	return nil
}

// added are fields that responses get.
type added []header

// OnResponse implements filter.ResponseFilter.
func (list added) OnResponse(x *filter.Exchange) {
	for _, h := range list {
		x.Resp.Header.Add(h.name, h.value)
	}
}

// question is a RateLimitRequest with a descriptor for each charge.
func question(domain string, charges []limit.Charge) []byte {
	out := text(nil, requestDomain, domain)
	// What a request costs as a whole is understood by servers that do not know that
	// descriptors may differ.
	same := charges[0].Cost > 0 && charges[0].Cost <= math.MaxUint32
	for i := range charges {
		same = same && charges[i].Cost == charges[0].Cost
	}
	for i := range charges {
		out = within(out, requestDescriptors, descriptor(&charges[i], !same))
	}
	if same {
		out = number(out, requestHits, uint64(charges[0].Cost))
	}
	return out
}

// descriptor is a RateLimitDescriptor; own says that it tells the cost itself.
func descriptor(c *limit.Charge, own bool) []byte {
	out := within(nil, descriptorEntries, entry(nameKey, c.Cfg.Policy+"/"+c.Cfg.Name))
	for _, p := range c.Parts {
		out = within(out, descriptorEntries, entry(p.Name, p.Value))
	}
	if units, unit := override(c.Cfg); unit != 0 {
		out = within(out, descriptorLimit, number(number(nil, overrideUnits, uint64(min(units, math.MaxUint32))), overrideUnit, unit))
	}
	if own {
		out = within(out, descriptorHits, number(nil, 1, uint64(c.Cost))) // google.protobuf.UInt64Value
	}
	return out
}

func entry(key, value string) []byte { return text(text(nil, 1, key), 2, value) }

// override is the limit as envoy.type.v3.RateLimitUnit numbers units of time; zero
// is one that cannot be said so, of which compile warns.
func override(l *ir.RateLimit) (units int64, unit uint64) {
	switch {
	case l.Rate != nil:
		return l.Rate.Units, map[time.Duration]uint64{time.Second: 1, time.Minute: 2, time.Hour: 3, 24 * time.Hour: 4}[l.Rate.Period]
	case l.Quota != nil:
		return l.Quota.Amount, map[ir.QuotaWindow]uint64{ir.QuotaHour: 3, ir.QuotaDay: 4, ir.QuotaMonth: 5}[l.Quota.Window]
	}
	return 0, 0
}

// tell writes the answer into the charges.
func (a *answer) tell(charges []limit.Charge) error {
	switch {
	case a.code != codeOK && a.code != codeOverLimit:
		return fmt.Errorf("code %d is neither OK nor OVER_LIMIT", a.code)
	case len(a.statuses) == 0: // the whole is all that it says
		for i := range charges {
			charges[i].Refused = a.code == codeOverLimit
			charges[i].Said = &limit.Tally{OK: !charges[i].Refused}
			charges[i].Unlimited = true
		}
		return nil
	case len(a.statuses) != len(charges):
		return fmt.Errorf("there are %d statuses for %d descriptors", len(a.statuses), len(charges))
	}
	for i, s := range a.statuses {
		c := &charges[i]
		c.Refused = s.code == codeOverLimit
		c.Said = &limit.Tally{OK: !c.Refused, Left: s.remaining, After: s.reset}
		c.Unlimited = !s.limited && !c.Refused
	}
	return nil
}
