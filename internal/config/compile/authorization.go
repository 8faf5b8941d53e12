package compile

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
)

// authorizationPolicy is an AuthorizationPolicy while it is compiled.
type authorizationPolicy = policy[v1alpha1.AuthorizationPolicySpec]

var authorizationKind = policyKind[v1alpha1.AuthorizationPolicySpec]{
	name: v1alpha1.KindAuthorizationPolicy,
	read: specOf(func(p *v1alpha1.AuthorizationPolicy) *v1alpha1.AuthorizationPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.AuthorizationPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeAuthorization,
}

// judgeAuthorization finds the semantic errors of an AuthorizationPolicy.
func judgeAuthorization(spec *v1alpha1.AuthorizationPolicySpec) []fault {
	j := &authorizationJudge{faults: judgeTargets(v1alpha1.KindAuthorizationPolicy, spec.TargetRefs, v1alpha1.AuthorizationTargets()...)}
	if spec.Action != v1alpha1.AuthorizationAllow && len(spec.Rules) == 0 {
		j.at = "spec"
		j.add(".rules", fmt.Sprintf("a policy with action %s needs at least one rule", spec.Action), "")
	}
	if spec.Action == v1alpha1.AuthorizationAudit && deref(spec.DryRun, false) {
		j.at = "spec"
		j.add(".dryRun", "action Audit has no effect that could be left out", "leave it out")
	}
	names := make(map[string]bool, len(spec.Rules))
	for i := range spec.Rules {
		r := &spec.Rules[i]
		j.at = fmt.Sprintf("spec.rules[%d]", i)
		if names[r.Name] {
			j.add(".name", fmt.Sprintf("%q is the name of another rule of this policy", r.Name), "give it another name")
		}
		names[r.Name] = true
		j.conditions(&r.AuthorizationConditions)
		j.namespaces(spec, &r.AuthorizationConditions)
		if r.CEL != nil {
			if _, err := expression.Check(*r.CEL, expression.Condition); err != nil {
				j.fault(".cel", "InvalidExpression", err.Error(), "")
			}
		}
		if r.Not != nil {
			j.at += ".not"
			j.conditions(r.Not)
			j.namespaces(spec, r.Not)
		}
	}
	return j.faults
}

type authorizationJudge struct {
	faults []fault
	at     string
}

func (j *authorizationJudge) add(field, message, remedy string) {
	j.fault(field, "InvalidValue", message, remedy)
}

func (j *authorizationJudge) fault(field, code, message, remedy string) {
	j.faults = append(j.faults, fault{field: j.at + field, code: code, message: message, remedy: remedy})
}

func (j *authorizationJudge) conditions(c *v1alpha1.AuthorizationConditions) {
	for i, s := range c.Identities {
		if why := badIdentity(s); why != "" {
			j.add(fmt.Sprintf(".identities[%d]", i), fmt.Sprintf("%q %s", s, why), `write it like spiffe://example.org/ns/shop/sa/cart, spiffe://example.org/ns/shop/* or *`)
		}
	}
	for i, s := range c.ClientIPs {
		if _, err := parseNetwork(s); err != nil {
			j.add(fmt.Sprintf(".clientIPs[%d]", i), fmt.Sprintf("%q is neither an address nor a network", s), "for example 192.0.2.7 or 2001:db8::/32")
		}
	}
	for i, n := range c.Namespaces {
		if !namespaceName.MatchString(n) {
			j.add(fmt.Sprintf(".namespaces[%d]", i), fmt.Sprintf("%q is not the name of a namespace", n), "")
		}
	}
	for i, n := range c.Ports {
		if n < 1 || n > 65535 {
			j.add(fmt.Sprintf(".ports[%d]", i), fmt.Sprintf("%d is not a port", n), "ports are 1 to 65535")
		}
	}
	for i, n := range c.ServerNames {
		if why := checkHostname(string(n), true); why != "" {
			j.add(fmt.Sprintf(".serverNames[%d]", i), fmt.Sprintf("%q %s", n, why), "write it like db.example or *.example")
		}
	}
	for i, m := range c.Methods {
		if !isToken(m) {
			j.add(fmt.Sprintf(".methods[%d]", i), fmt.Sprintf("%q is not a method", m), "")
		}
	}
	for i := range c.Paths {
		at := fmt.Sprintf(".paths[%d]", i)
		judgePath(&c.Paths[i], func(field, code, message, remedy string) {
			j.fault(at+strings.TrimPrefix(field, ".path"), code, message, remedy)
		})
	}
	for i, h := range c.Headers {
		at := fmt.Sprintf(".headers[%d]", i)
		if strings.EqualFold(string(h.Name), "host") {
			j.add(at+".name", "the host is not among the headers", "use hosts")
		}
		j.comparison(at, deref(h.Type, v1alpha1.CompareExact), h.Values)
	}
	for i, cl := range c.Claims {
		at := fmt.Sprintf(".claims[%d]", i)
		if _, err := ir.ParseClaim(cl.Claim); err != nil {
			j.add(at+".claim", err.Error(), "for example sub, or /realm_access/roles")
		}
		j.comparison(at, deref(cl.Type, v1alpha1.CompareExact), cl.Values)
	}
	for i := range c.Times {
		j.time(fmt.Sprintf(".times[%d]", i), &c.Times[i])
	}
}

// namespaces: whose trust domain they are in, only a Service tells.
func (j *authorizationJudge) namespaces(spec *v1alpha1.AuthorizationPolicySpec, c *v1alpha1.AuthorizationConditions) {
	if len(c.Namespaces) == 0 {
		return
	}
	for _, t := range spec.TargetRefs {
		if t.Kind != "Service" {
			j.add(".namespaces", fmt.Sprintf("namespaces are of identities of the mesh, and the policy attaches to kind %s", t.Kind),
				"use identities, for example spiffe://example.org/ns/shop/*, or attach the policy to a Service")
			return
		}
	}
}

func (j *authorizationJudge) comparison(at string, how v1alpha1.ValueComparison, values []string) {
	if (how == v1alpha1.ComparePresent) == (len(values) > 0) {
		j.add(at+".values", "values go with every type but Present, which has none", "")
	}
	for i, v := range values {
		if how == v1alpha1.CompareRegex {
			judgeRegex(fmt.Sprintf("%s.values[%d]", at, i), v, j.fault)
		}
		if v == "" && (how == v1alpha1.ComparePrefix || how == v1alpha1.CompareSuffix) {
			j.add(fmt.Sprintf("%s.values[%d]", at, i), "every value begins and ends with an empty one", "use type Present")
		}
	}
}

func (j *authorizationJudge) time(at string, w *v1alpha1.TimeCondition) {
	if name := deref(w.TimeZone, defaultTimeZone); name == "Local" || !knownZone(name) {
		j.add(at+".timeZone", fmt.Sprintf("%q is not a time zone", name), "use a name of the IANA database, for example Europe/Berlin")
	}
	if (w.From == nil) != (w.Until == nil) {
		j.add(at, "from and until go together", "")
	}
	for field, s := range map[string]*string{".from": w.From, ".until": w.Until} {
		if s == nil {
			continue
		}
		if _, ok := minuteOf(*s); !ok {
			j.add(at+field, fmt.Sprintf("%q is not a time of day", *s), "write it like 08:00")
		}
	}
	if w.NotBefore != nil && w.NotAfter != nil && w.NotAfter.Before(w.NotBefore) {
		j.add(at+".notAfter", "it is before notBefore: no request comes in that time", "")
	}
}

// minuteOf reads "08:30"; "24:00" is the end of the day.
func minuteOf(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	digit := func(i int) int { return int(s[i]) - '0' }
	for _, i := range []int{0, 1, 3, 4} {
		if digit(i) < 0 || digit(i) > 9 {
			return 0, false
		}
	}
	hour, minute := digit(0)*10+digit(1), digit(3)*10+digit(4)
	return hour*60 + minute, minute < 60 && (hour < 24 || hour == 24 && minute == 0)
}

// SPIFFE-ID §2: a trust domain, and segments of a path, have few characters.
var (
	trustDomain = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)
	idSegment   = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	// RFC 1123 §2.1, as Kubernetes has it of namespaces.
	namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
)

// badIdentity says why no service can have an identity.
func badIdentity(s string) string {
	if s == "*" {
		return ""
	}
	rest, ok := strings.CutPrefix(s, "spiffe://")
	if !ok {
		return "does not begin with spiffe://"
	}
	parts := strings.Split(rest, "/")
	if !trustDomain.MatchString(parts[0]) {
		return "has no trust domain"
	}
	for i, p := range parts[1:] {
		if p == "*" && i == len(parts)-2 {
			continue
		}
		if !idSegment.MatchString(p) || p == "." || p == ".." {
			return "has a segment that no SPIFFE ID has"
		}
	}
	return ""
}

// parseNetwork reads an address or a network. IPv4 in the form of IPv6 is IPv4.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q is partly IPv4", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// authorizationOf are the policies that reach a rule, each once, those of the rule
// and its route first. All of them count, whatever their order.
func (s *routeScope) authorizationOf(ctx *policyContext, rule string) ([]*ir.Authorization, []ir.Ref) {
	chain := append(s.authorization.onRule(s.state.object.Key, rule), ctx.authorization...)
	var out []*ir.Authorization
	var from []attached[v1alpha1.AuthorizationPolicySpec]
	for _, b := range chain {
		if slices.ContainsFunc(from, func(a attached[v1alpha1.AuthorizationPolicySpec]) bool { return a.policy == b.policy }) {
			continue
		}
		from = append(from, b)
		out = append(out, s.authorizationFrom(b.policy))
	}
	return out, policyRefs(from)
}

// authorizationFrom compiles a version of a policy once: rules and configurations
// share what it comes to.
func (c *compiler) authorizationFrom(p *authorizationPolicy) *ir.Authorization {
	if a := c.next.authorizations[p.source()]; a != nil {
		return a
	}
	var a *ir.Authorization
	if c.prev != nil {
		a = c.prev.authorizations[p.source()]
	}
	if a == nil || a.Broken != (p.spec == nil) {
		a = authorization(p)
	}
	c.next.authorizations[p.source()] = a
	return a
}

// allAuthorizations are those of all policies.
func (c *compiler) allAuthorizations() []*ir.Authorization {
	var out []*ir.Authorization
	for _, p := range c.authorization.all {
		out = append(out, c.authorizationFrom(p))
	}
	out = append(out, c.allDenying()...)
	slices.SortFunc(out, func(a, b *ir.Authorization) int { return strings.Compare(a.Policy, b.Policy) })
	return out
}

func authorization(p *authorizationPolicy) *ir.Authorization {
	key := p.object.Key
	out := &ir.Authorization{Policy: key.Namespace + "/" + key.Name, Ref: ref(p.source(), "")}
	if p.spec == nil {
		out.Broken = true
		out.Hash = hashOf(out)
		return out
	}
	out.Action, out.DryRun = ir.AuthorizationAction(p.spec.Action), deref(p.spec.DryRun, false)
	for i := range p.spec.Rules {
		r := &p.spec.Rules[i]
		rule := ir.AuthorizationRule{
			Name: r.Name, Ref: ref(p.used, fmt.Sprintf("spec.rules[%d]", i)),
			AuthorizationConditions: authorizationConditions(key.Namespace, &r.AuthorizationConditions), CEL: deref(r.CEL, ""),
		}
		if r.Not != nil {
			not := authorizationConditions(key.Namespace, r.Not)
			rule.Not = &not
		}
		out.Rules = append(out.Rules, rule)
	}
	out.Hash = hashOf(out)
	return out
}

func authorizationConditions(namespace string, c *v1alpha1.AuthorizationConditions) ir.AuthorizationConditions {
	out := ir.AuthorizationConditions{
		Groups: c.Groups, Plans: c.Plans, AuthenticationMethods: c.AuthenticationMethods, Scopes: c.Scopes,
		Identities: c.Identities, Namespaces: c.Namespaces, Methods: c.Methods,
	}
	for _, n := range c.Ports {
		out.Ports = append(out.Ports, uint16(n))
	}
	for _, n := range c.ServerNames {
		out.ServerNames = append(out.ServerNames, strings.ToLower(string(n)))
	}
	for _, name := range c.Consumers {
		if name != "*" && !strings.Contains(name, "/") {
			name = namespace + "/" + name
		}
		out.Consumers = append(out.Consumers, name)
	}
	for _, l := range c.Labels {
		out.Labels = append(out.Labels, ir.LabelCondition{Name: l.Name, Values: l.Values})
	}
	for _, cl := range c.Claims {
		out.Claims = append(out.Claims, ir.ValueCondition{Name: cl.Claim, Type: ir.Comparison(deref(cl.Type, v1alpha1.CompareExact)), Values: cl.Values})
	}
	for _, s := range c.ClientIPs {
		n, _ := parseNetwork(s)
		out.ClientIPs = append(out.ClientIPs, n)
	}
	for i := range c.Paths {
		out.Paths = append(out.Paths, pathMatch(&c.Paths[i]))
	}
	for _, m := range c.GRPCMethods {
		out.GRPCMethods = append(out.GRPCMethods, ir.GRPCMethodPattern{Service: deref(m.Service, ""), Method: deref(m.Method, "")})
	}
	for _, h := range c.Hosts {
		out.Hosts = append(out.Hosts, strings.ToLower(string(h)))
	}
	for _, h := range c.Headers {
		out.Headers = append(out.Headers, ir.ValueCondition{Name: string(h.Name), Type: ir.Comparison(deref(h.Type, v1alpha1.CompareExact)), Values: h.Values})
	}
	for i := range c.Times {
		out.Times = append(out.Times, timeWindow(&c.Times[i]))
	}
	return out
}

var weekdays = []v1alpha1.Weekday{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}

func timeWindow(w *v1alpha1.TimeCondition) ir.TimeWindow {
	out := ir.TimeWindow{TimeZone: deref(w.TimeZone, defaultTimeZone)}
	for _, d := range w.Days {
		out.Days |= 1 << slices.Index(weekdays, d)
	}
	if w.From != nil {
		out.From, _ = minuteOf(*w.From)
		out.Until, _ = minuteOf(*w.Until)
	}
	if w.NotBefore != nil {
		out.NotBefore = w.NotBefore.UTC()
	}
	if w.NotAfter != nil {
		out.NotAfter = w.NotAfter.UTC()
	}
	return out
}
