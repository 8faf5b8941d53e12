package replay

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// Passed is what a replay of remembered requests has found.
type Passed struct {
	Report
	// From and To are when the first and the last of them began; zero if there are none.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Unreached are proxies that have not told what they remember.
	Unreached []trace.Unreached `json:"unreached,omitempty"`
}

const (
	// recordsBetweenLooks is how many records are decided between looks at the context.
	recordsBetweenLooks = 16
	// maxRecordedPath is where proxies cut paths that they remember.
	maxRecordedPath = 1024

	otherwise = "the configuration in service decides it otherwise than it was decided then: by header fields, a query or claims, which are not remembered, " +
		"or it came before the last change"
	withoutCredential = "it had no credentials but those that were taken then: header fields are not remembered"
)

// Remembered decides what edges remember on the configuration in service and on a
// candidate, and says what differs. Records have neither header fields nor queries: what
// the configuration in service does not decide as it was decided then is counted as
// undecided. Records of sidecars, of what is not HTTP, and of what proxies have sent
// themselves are left out. The error is that of ctx; what was found until then is returned
// with it.
func Remembered(ctx context.Context, records []*trace.Record, serving, candidate *dryrun.Table) (*Passed, error) {
	p := &Passed{Report: Report{Groups: []*Group{}, Why: map[string]int{}, Assumed: map[string]int{}}}
	groups := map[string]*Group{}
	for i, rec := range records {
		if i%recordsBetweenLooks == 0 && ctx.Err() != nil {
			break
		}
		if rec.Stream || rec.Method == "" || rec.Side != trace.Edge || rec.Purpose != "" {
			continue
		}
		p.Requests++
		if p.From.IsZero() || rec.Start.Before(p.From) {
			p.From = rec.Start
		}
		if rec.Start.After(p.To) {
			p.To = rec.Start
		}
		e := remembered(rec)
		aspects, why := p.compareServing(e, serving, candidate)
		switch {
		case why != "":
			p.Undecided++
			count(p.Why, why)
		case len(aspects) == 0:
			p.Same++
		default:
			p.Different++
			p.differs(groups, e, aspects)
		}
	}
	slices.SortStableFunc(p.Groups, func(a, b *Group) int { return b.Count - a.Count })
	return p, ctx.Err()
}

// remembered is a record as a recording would have it, as far as it goes.
func remembered(r *trace.Record) *tap.Event {
	return &tap.Event{
		Type: tap.Exchange, Time: r.Start, Direction: tap.Edge, Protocol: r.Protocol, RequestID: r.RequestID, Method: r.Method, Scheme: r.Scheme, Host: r.Host, Path: r.Path,
		Status: r.Status, Source: tap.Peer{Address: r.Client}, Listener: r.Listener, Route: r.Route, Rule: r.Rule, Reason: r.Reason, Policy: denier(r),
		Consumer: r.Consumer, AuthMethod: r.AuthMethod,
		Record: &tap.Record{Host: r.Host, Path: r.Path, Cluster: r.Cluster, Partial: len(r.Path) >= maxRecordedPath},
	}
}

// denier is the policy that has refused a request.
func denier(r *trace.Record) string {
	for i := range r.Decisions {
		if d := &r.Decisions[i]; d.Verdict == trace.Denied || d.Verdict == trace.Limited {
			return d.Policy
		}
	}
	return ""
}

// compareServing says in what the candidate decides otherwise than what serves.
func (p *Passed) compareServing(e *tap.Event, serving, candidate *dryrun.Table) ([]delta.Aspect, string) {
	was, _, why := decided(&Side{Edge: serving}, e)
	if why != "" {
		return nil, why
	}
	then := recorded(e)
	then.policy = "" // several may refuse, and a record names one
	check := *was
	check.policy = ""
	if len(behaviour(then, &check, false)) > 0 {
		return nil, otherwise
	}
	now, assumed, why := decided(&Side{Edge: candidate}, e)
	if why != "" {
		return nil, why
	}
	out := differences(was, now, true)
	if len(out) == 1 && out[0].Name == policiesAspect {
		out = nil // which policies are in force is seen in what they decide
	}
	slices.Sort(assumed)
	for _, a := range slices.Compact(assumed) {
		count(p.Assumed, a)
	}
	if e.AuthMethod == "" && was.result != now.result && refusedForIdentity(now.result) {
		count(p.Assumed, withoutCredential)
	}
	return out, ""
}

// refusedForIdentity tells whether a result is that nobody knows who calls, or may call.
func refusedForIdentity(result string) bool {
	return slices.ContainsFunc([]filter.Reason{filter.Unauthenticated, filter.InvalidCredential, filter.AccessDenied}, func(r filter.Reason) bool {
		return strings.HasSuffix(result, " "+r.String())
	})
}
