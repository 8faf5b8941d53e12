package compile

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
)

// judgeRoute finds the semantic errors of a route by itself, given its spec as
// that of an HTTPRoute. References that do not resolve are none.
func (c *compiler) judgeRoute(o *store.Object, spec *gwv1.HTTPRouteSpec) []fault {
	var faults []fault
	for i, h := range spec.Hostnames {
		if why := checkHostname(string(h), true); why != "" {
			faults = append(faults, fault{
				field: fmt.Sprintf("spec.hostnames[%d]", i), code: "InvalidHostname",
				message: fmt.Sprintf("hostname %q %s", h, why),
			})
		}
	}
	names := map[gwv1.SectionName]bool{}
	for i := range spec.Rules {
		r := &spec.Rules[i]
		field := fmt.Sprintf("spec.rules[%d]", i)
		if r.Name != nil {
			if names[*r.Name] {
				faults = append(faults, fault{
					field: field + ".name", code: "DuplicateName", message: fmt.Sprintf("another rule is named %q", *r.Name),
				})
			}
			names[*r.Name] = true
		}
		faults = append(faults, judgeRule(r, field)...)
	}
	if v, ok := o.Value.(*gwv1.GRPCRoute); ok {
		faults = append(faults, judgeGRPCMatches(&v.Spec)...)
	}
	return faults
}

func judgeRule(r *gwv1.HTTPRouteRule, field string) []fault {
	j := &ruleJudge{rule: r}
	for i := range r.Matches {
		prefix := fmt.Sprintf("%s.matches[%d]", field, i)
		judgeMatch(&r.Matches[i], func(f, code, message, remedy string) {
			j.add(prefix+f, code, "", message, remedy)
		})
	}
	j.filters(field+".filters", r.Filters)
	for i := range r.BackendRefs {
		b := &r.BackendRefs[i]
		at := fmt.Sprintf("%s.backendRefs[%d]", field, i)
		if w := deref(b.Weight, 1); w < 0 || w > 1_000_000 {
			j.add(at+".weight", "InvalidValue", "", fmt.Sprintf("weight %d is not between 0 and 1000000", w), "")
		}
		j.filters(at+".filters", b.Filters)
	}
	if len(r.BackendRefs) > 0 {
		for i, f := range r.Filters {
			if f.Type == gwv1.HTTPRouteFilterRequestRedirect {
				j.add(fmt.Sprintf("%s.filters[%d]", field, i), "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
					"a redirect answers the request, so backendRefs would never be used", "remove the backendRefs or the filter")
			}
			if servesTokens(&f) {
				j.add(fmt.Sprintf("%s.filters[%d]", field, i), "IncompatibleFilters", string(gwv1.RouteReasonIncompatibleFilters),
					"a TokenIssuer answers the request, so backendRefs would never be used", "remove the backendRefs or the filter")
			}
		}
	}
	j.timeouts(field)
	return j.faults
}

// ruleJudge collects the faults of one rule.
type ruleJudge struct {
	rule   *gwv1.HTTPRouteRule
	faults []fault
}

func (j *ruleJudge) add(field, code, reason, message, remedy string) {
	j.faults = append(j.faults, fault{field: field, code: code, reason: reason, message: message, remedy: remedy})
}

func (j *ruleJudge) timeouts(field string) {
	check := func(f string, d *gwv1.Duration) {
		if d != nil {
			if _, err := parseDuration(*d); err != nil {
				j.add(field+f, "InvalidDuration", "", err.Error(), `write it like "1m30s" or "250ms"`)
			}
		}
	}
	if t := j.rule.Timeouts; t != nil {
		check(".timeouts.request", t.Request)
		check(".timeouts.backendRequest", t.BackendRequest)
		if r, b := duration(t.Request, 0), duration(t.BackendRequest, 0); r > 0 && b > r {
			j.add(field+".timeouts.backendRequest", "InvalidValue", "", fmt.Sprintf("%s is longer than timeouts.request, %s", b, r), "make it shorter")
		}
	}
	if r := j.rule.Retry; r != nil {
		check(".retry.backoff", r.Backoff)
		if deref(r.Attempts, 1) < 0 {
			j.add(field+".retry.attempts", "InvalidValue", "", "attempts cannot be negative", "")
		}
		for i, code := range r.Codes {
			if code < 400 || code > 599 {
				j.add(fmt.Sprintf("%s.retry.codes[%d]", field, i), "InvalidValue", "", fmt.Sprintf("status %d is not between 400 and 599", code), "")
			}
		}
	}
	if s := j.rule.SessionPersistence; s != nil {
		check(".sessionPersistence.absoluteTimeout", s.AbsoluteTimeout)
		if why := judgeSession(s); why != "" {
			j.add(field+".sessionPersistence", "InvalidValue", "", why, "")
		}
		if why := judgeSessionName(s); why != "" {
			j.add(field+".sessionPersistence.sessionName", "InvalidValue", "", why, "")
		}
	}
}
