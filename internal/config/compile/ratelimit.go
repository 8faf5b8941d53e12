package compile

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
)

// rateLimitPolicy is a RateLimitPolicy while it is compiled.
type rateLimitPolicy = policy[v1alpha1.RateLimitPolicySpec]

var rateLimitKind = policyKind[v1alpha1.RateLimitPolicySpec]{
	name: v1alpha1.KindRateLimitPolicy,
	read: specOf(func(p *v1alpha1.RateLimitPolicy) *v1alpha1.RateLimitPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.RateLimitPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeRateLimits,
}

const (
	defaultMaxKeys  = 1_000_000
	defaultIPv4Bits = 32
	defaultIPv6Bits = 64
	defaultTimeZone = "UTC"

	defaultStoreTimeout = 100 * time.Millisecond
	// keptTimeout is how long a request waits for the state store, once for a caller
	// who was not here of late.
	keptTimeout = time.Second
	// counterDigits of a digest tell what a limit has counted from what it counts now.
	counterDigits = 12
)

// judgeRateLimits finds the semantic errors of a RateLimitPolicy.
func judgeRateLimits(spec *v1alpha1.RateLimitPolicySpec) []fault {
	j := &rateLimitJudge{faults: judgeTargets(v1alpha1.KindRateLimitPolicy, spec.TargetRefs, v1alpha1.RequestTargets()...)}
	names := map[string]bool{}
	for i := range spec.Limits {
		l := &spec.Limits[i]
		j.at = fmt.Sprintf("spec.limits[%d]", i)
		if names[l.Name] {
			j.add(".name", fmt.Sprintf("%q is the name of another limit of this policy", l.Name), "give it another name")
		}
		names[l.Name] = true
		j.limit(l)
	}
	return j.faults
}

type rateLimitJudge struct {
	faults []fault
	at     string
}

func (j *rateLimitJudge) add(field, message, remedy string) {
	j.faults = append(j.faults, fault{field: j.at + field, code: "InvalidValue", message: message, remedy: remedy})
}

func (j *rateLimitJudge) limit(l *v1alpha1.RateLimit) {
	given := 0
	for _, is := range []bool{l.Rate != nil, l.Quota != nil, l.Concurrency != nil, l.Bandwidth != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		j.add("", "exactly one of rate, quota, concurrency and bandwidth must be given", "write a limit for each")
		return
	}
	switch {
	case l.Rate != nil:
		if _, _, err := v1alpha1.ParseRate(*l.Rate); err != nil {
			j.add(".rate", err.Error(), "for example 100/s, 5/10s, 6000/m or 10/h")
		}
	case l.Quota != nil:
		if name := deref(l.Quota.TimeZone, defaultTimeZone); name == "Local" || !knownZone(name) {
			j.add(".quota.timeZone", fmt.Sprintf("%q is not a time zone", name), "use a name of the IANA database, for example Europe/Berlin")
		}
	case l.Bandwidth != nil:
		j.bandwidth(".bandwidth.request", l.Bandwidth.Request)
		j.bandwidth(".bandwidth.response", l.Bandwidth.Response)
		if deref(l.DryRun, false) {
			j.add(".dryRun", "a bandwidth refuses nothing that could be counted", "leave it out")
		}
	}
	j.cost(l)
	j.expression(".when", l.When, expression.Condition)
	j.global(l)
	for i, k := range l.Key {
		j.key(fmt.Sprintf(".key[%d]", i), k)
	}
	for i := range l.Matches {
		judgeMatch(&l.Matches[i], func(field, code, message, remedy string) {
			j.faults = append(j.faults, fault{field: fmt.Sprintf("%s.matches[%d]%s", j.at, i, field), code: code, message: message, remedy: remedy})
		})
	}
}

func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil
}

func (j *rateLimitJudge) bandwidth(field string, v *string) {
	if v == nil {
		return
	}
	if _, err := v1alpha1.ParseBandwidth(*v); err != nil {
		j.add(field, err.Error(), "for example 500KB/s or 10MiB/s")
	}
}

// cost finds limits that no request could pass.
func (j *rateLimitJudge) cost(l *v1alpha1.RateLimit) {
	if l.Cost == nil {
		return
	}
	if l.Rate == nil && l.Quota == nil {
		j.add(".cost", "cost goes with rate and quota only", "")
		return
	}
	j.expression(".cost.expression", l.Cost.Expression, expression.Number)
	cost := deref(l.Cost.Request, 1)
	if l.Quota != nil {
		if cost > l.Quota.Amount {
			j.add(".cost.request", fmt.Sprintf("%d is more than the quota, %d: no request could pass", cost, l.Quota.Amount), "")
		}
		return
	}
	if units, _, err := v1alpha1.ParseRate(*l.Rate); err == nil && cost > deref(l.Burst, units) {
		j.add(".cost.request", fmt.Sprintf("%d is more than burst, %d: no request could pass", cost, deref(l.Burst, units)), "raise burst")
	}
}

func (j *rateLimitJudge) expression(field string, text *string, kind expression.Kind) {
	if text == nil {
		return
	}
	if _, err := expression.Check(*text, kind); err != nil {
		j.faults = append(j.faults, fault{field: j.at + field, code: "InvalidExpression", message: err.Error()})
	}
}

func (j *rateLimitJudge) global(l *v1alpha1.RateLimit) {
	if l.Global == nil {
		return
	}
	if l.Bandwidth != nil {
		j.add(".global", "bytes per second cannot be counted together", "leave global out: each proxy then counts by itself")
	}
	if l.Global.Timeout != nil {
		if f := judgeWithin(j.at+".global.timeout", *l.Global.Timeout, time.Millisecond, 10*time.Second); f != nil {
			j.faults = append(j.faults, *f)
		}
	}
}

// judgeWithin finds a duration that cannot be read, or is out of bounds.
func judgeWithin(field string, d gwv1.Duration, least, most time.Duration) *fault {
	v, err := parseDuration(d)
	switch {
	case err != nil:
		return &fault{field: field, code: "InvalidDuration", message: err.Error(), remedy: `write it like "2s" or "250ms"`}
	case v < least || v > most:
		return &fault{field: field, code: "InvalidValue", message: fmt.Sprintf("%s is not from %s to %s", d, least, most)}
	}
	return nil
}

func (j *rateLimitJudge) key(field string, k v1alpha1.RateLimitKey) {
	switch {
	case (k.Type == v1alpha1.KeyHeader) != (k.Name != nil):
		j.add(field+".name", "name must be given with type Header, and with no other", "")
	case k.Name != nil && !isToken(string(*k.Name)):
		j.add(field+".name", fmt.Sprintf("%q is not a header name", *k.Name), "")
	case k.Name != nil && strings.EqualFold(string(*k.Name), "host"):
		j.add(field+".name", "the host is not among the headers", "use type Host")
	case (k.Type == v1alpha1.KeyClaim) != (k.Claim != nil):
		j.add(field+".claim", "claim must be given with type Claim, and with no other", "")
	case (k.Type == v1alpha1.KeyExpression) != (k.Expression != nil):
		j.add(field+".expression", "expression must be given with type Expression, and with no other", "")
	case k.Type != v1alpha1.KeyClientIP && (k.IPv4PrefixLength != nil || k.IPv6PrefixLength != nil):
		j.add(field, "ipv4PrefixLength and ipv6PrefixLength go with type ClientIP only", "")
	case k.Claim != nil:
		if _, err := ir.ParseClaim(*k.Claim); err != nil {
			j.add(field+".claim", err.Error(), "for example sub, or /tenant/id")
		}
	}
	j.expression(field+".expression", k.Expression, expression.Text)
}

// rateLimitsOf are the limits of all policies that reach a rule: each policy
// once, those of the rule and its route first.
func (s *routeScope) rateLimitsOf(ctx *policyContext, rule string) ([]*ir.RateLimit, []ir.Ref) {
	chain := append(s.rateLimit.onRule(s.state.object.Key, rule), ctx.rateLimits...)
	var out []*ir.RateLimit
	var from []attached[v1alpha1.RateLimitPolicySpec]
	for _, b := range chain {
		if slices.ContainsFunc(from, func(a attached[v1alpha1.RateLimitPolicySpec]) bool { return a.policy == b.policy }) {
			continue
		}
		from = append(from, b)
		out = append(out, s.limitsOf(b.policy)...)
	}
	return out, policyRefs(from)
}

// limitsOf compiles a version of a policy once: rules and configurations share
// what it comes to, as long as its stores are of the same kinds.
func (c *compiler) limitsOf(p *rateLimitPolicy) []*ir.RateLimit {
	if list, ok := c.next.limits[p.used]; ok {
		return list
	}
	var list []*ir.RateLimit
	if c.prev != nil {
		list = c.prev.limits[p.used]
	}
	if list == nil || !c.sameOnError(p, list) {
		list = make([]*ir.RateLimit, len(p.spec.Limits))
		for i := range list {
			list[i] = c.compileLimit(p, i)
		}
	}
	c.next.limits[p.used] = list
	return list
}

// sameOnError tells whether limits that were compiled before would do the same
// without their stores now.
func (c *compiler) sameOnError(p *rateLimitPolicy, list []*ir.RateLimit) bool {
	for i, l := range list {
		if l.Global != nil && l.Global.OnError != c.onErrorOf(p, p.spec.Limits[i].Global) {
			return false
		}
	}
	return true
}

// onErrorOf is what a limit does without its store. One that leases must not oversell
// unless somebody says so.
func (c *compiler) onErrorOf(p *rateLimitPolicy, g *v1alpha1.RateLimitGlobal) ir.OnStoreError {
	if g.OnError != nil {
		return ir.OnStoreError(*g.OnError)
	}
	if o := c.set.Get(storeKey(p, g)); o != nil {
		if _, spec := c.storeInForce(o); spec != nil && spec.StateStore != nil {
			return ir.OnStoreErrorDeny
		}
	}
	return ir.OnStoreErrorLocal
}

// storeKey is the RateLimitStore that a limit names.
func storeKey(p *rateLimitPolicy, g *v1alpha1.RateLimitGlobal) store.Key {
	return store.Key{Group: ownGroup, Kind: v1alpha1.KindRateLimitStore, Namespace: p.object.Key.Namespace, Name: string(g.StoreRef.Name)}
}

// rateLimits are the limits of all policies that can be used.
func (c *compiler) rateLimits() []*ir.RateLimit {
	var out []*ir.RateLimit
	for _, p := range c.rateLimit.all {
		if p.spec != nil {
			out = append(out, c.limitsOf(p)...)
		}
	}
	return out
}

func (c *compiler) compileLimit(p *rateLimitPolicy, i int) *ir.RateLimit {
	l := &p.spec.Limits[i]
	out := &ir.RateLimit{
		Policy: p.object.Key.Namespace + "/" + p.object.Key.Name, Name: l.Name, Ref: ref(p.used, fmt.Sprintf("spec.limits[%d]", i)),
		OnMissingKey: ir.MissingKey(deref(l.OnMissingKey, v1alpha1.MissingKeyShare)),
		DryRun:       deref(l.DryRun, false), MaxKeys: int(deref(l.MaxKeys, defaultMaxKeys)),
		Headers: ir.RateLimitHeaders(deref(p.spec.ResponseHeaders, v1alpha1.RateLimitHeadersAlways)),
		Cost:    1,
	}
	for _, k := range l.Key {
		part := ir.KeyPart{Type: ir.KeyType(k.Type), Name: string(deref(k.Name, ""))}
		if k.Type == v1alpha1.KeyClientIP {
			part.IPv4Bits, part.IPv6Bits = int(deref(k.IPv4PrefixLength, defaultIPv4Bits)), int(deref(k.IPv6PrefixLength, defaultIPv6Bits))
		}
		if k.Claim != nil {
			part.Claim, _ = ir.ParseClaim(*k.Claim) // it was judged
		}
		part.Expression = deref(k.Expression, "")
		out.Key = append(out.Key, part)
	}
	out.When = deref(l.When, "")
	if len(l.Matches) > 0 {
		out.Matches = matches(l.Matches)
	}
	out.Callers = callersOf(l.Callers, p.object.Key.Namespace)
	if l.Cost != nil {
		out.Cost, out.CostHeader = deref(l.Cost.Request, 1), string(deref(l.Cost.FromResponseHeader, ""))
		out.CostExpression = deref(l.Cost.Expression, "")
	}
	for _, e := range expressionsOf(l) {
		names, _ := expression.Check(e.text, e.kind) // it was judged
		out.AsksCaller = out.AsksCaller || expression.Named(names, "caller.")
	}
	switch {
	case l.Rate != nil:
		units, period, _ := v1alpha1.ParseRate(*l.Rate)
		out.Rate = &ir.Rate{Units: units, Period: period, Burst: deref(l.Burst, units)}
	case l.Quota != nil:
		out.Quota = &ir.Quota{Amount: l.Quota.Amount, Window: ir.QuotaWindow(l.Quota.Window), TimeZone: deref(l.Quota.TimeZone, defaultTimeZone)}
	case l.Concurrency != nil:
		out.Concurrency = int(*l.Concurrency)
	case l.Bandwidth != nil:
		out.Bandwidth = &ir.Bandwidth{Request: bandwidth(l.Bandwidth.Request), Response: bandwidth(l.Bandwidth.Response)}
	}
	what := countedOf(out)
	out.State = fmt.Sprintf("%s/%s|%d%s", out.Policy, out.Name, out.MaxKeys, what)
	counter := fmt.Sprintf("%s:%x", out.Name, sha256.Sum256([]byte(what)))[:len(out.Name)+1+counterDigits]
	switch g := l.Global; {
	case g != nil:
		out.Global = &ir.GlobalLimit{
			Store:   p.object.Key.Namespace + "/" + string(g.StoreRef.Name),
			Timeout: duration(g.Timeout, defaultStoreTimeout), OnError: c.onErrorOf(p, g),
			Group: out.Policy, Counter: counter,
		}
	case l.Quota != nil:
		out.Kept = &ir.GlobalLimit{Timeout: keptTimeout, OnError: ir.OnStoreErrorLocal, Group: out.Policy, Counter: counter}
	}
	return out
}

func callersOf(c *v1alpha1.RateLimitCallers, namespace string) *ir.Callers {
	if c == nil {
		return nil
	}
	out := &ir.Callers{Plans: c.Plans, Unknown: deref(c.Unknown, false)}
	for _, g := range c.Groups {
		out.Groups = append(out.Groups, string(g))
	}
	for _, name := range c.Consumers {
		if !strings.Contains(name, "/") {
			name = namespace + "/" + name
		}
		out.Consumers = append(out.Consumers, name)
	}
	return out
}

func bandwidth(v *string) int64 {
	if v == nil {
		return 0
	}
	n, _ := v1alpha1.ParseBandwidth(*v)
	return n
}

// countedOf tells counters apart by what they count, and by which key. What else
// changes leaves them as they are: an amount, a burst, who is counted.
func countedOf(l *ir.RateLimit) string {
	var b strings.Builder
	switch {
	case l.Rate != nil:
		fmt.Fprintf(&b, "|rate %d/%s", l.Rate.Units, l.Rate.Period)
	case l.Quota != nil:
		fmt.Fprintf(&b, "|quota %s %s", l.Quota.Window, l.Quota.TimeZone)
	case l.Concurrency > 0:
		b.WriteString("|concurrency")
	default:
		b.WriteString("|bandwidth")
	}
	for _, k := range l.Key {
		fmt.Fprintf(&b, "|%s %s", k.Type, strings.ToLower(k.Name))
		if k.Type == ir.KeyClientIP {
			fmt.Fprintf(&b, "/%d/%d", k.IPv4Bits, k.IPv6Bits)
		}
		if k.Claim != nil {
			fmt.Fprintf(&b, "%q", k.Claim)
		}
		if k.Expression != "" {
			fmt.Fprintf(&b, "%q", k.Expression)
		}
	}
	return b.String()
}

// finishRateLimits writes the statuses of RateLimitPolicies.
func (c *compiler) finishRateLimits() {
	reach := c.limitsReach()
	for _, p := range c.rateLimit.all {
		if p.spec != nil {
			c.warnUnreached(p.source(), p.targets)
			c.warnLimitFacts(p, reach)
			c.resolveStores(p)
		}
	}
	finishKind(c, &c.rateLimit)
}
