package compile

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// policyKind is what tells one kind of policies from another, S being its spec. Of
// a kind that fails closed, an invalid policy without a good version is in force on
// its targets with no spec, and whoever compiles it lets nothing through.
type policyKind[S any] struct {
	name string
	read func(o *store.Object) (*S, bool)
	// targets are the targetRefs.
	targets func(*S) []gwv1.LocalPolicyTargetReferenceWithSectionName
	// judge finds the semantic errors that the schema cannot express.
	judge func(*S) []fault
}

// specOf reads the spec of objects of a type.
func specOf[T, S any](spec func(*T) *S) func(*store.Object) (*S, bool) {
	return func(o *store.Object) (*S, bool) {
		v, ok := any(o.Value).(*T)
		if !ok {
			return nil, false
		}
		return spec(v), true
	}
}

// policy is one that attaches to targets, while it is compiled.
type policy[S any] struct {
	object *store.Object // as the user wrote it now
	used   *store.Object // object, or its last good version; nil if there is none
	spec   *S            // of used
	faults []fault
	// targets are those of the object as it is now; refused has a reason for
	// each that it could not attach to.
	targets []target
	refused map[target]string
	// lost has the fields that did not come into force, by the target.
	lost map[target]map[loss]bool
	// matters are the targets through which at least one field is in force.
	matters []target
	// resolved says whether what the policy refers to is there; nil is that it refers
	// to nothing.
	resolved *status.Condition
}

// loss says that a field lost to another object's. Kinds that are taken as a
// whole have no paths.
type loss struct {
	path   string
	winner string
	equal  bool // the winner has the same target, not a more specific one
}

func (p *policy[S]) lose(t target, l loss) {
	if p.lost == nil {
		p.lost = map[target]map[loss]bool{}
	}
	if p.lost[t] == nil {
		p.lost[t] = map[loss]bool{}
	}
	p.lost[t][l] = true
}

// source is the version in force or, without one, the one that was written.
func (p *policy[S]) source() *store.Object {
	if p.used != nil {
		return p.used
	}
	return p.object
}

// policyIndex finds the policies of a kind by their target, the oldest first.
type policyIndex[S any] struct {
	all      []*policy[S]
	byTarget map[target][]*policy[S]
	byKey    map[store.Key]*policy[S]
}

// attached is a policy together with the target through which it was reached.
type attached[S any] struct {
	policy *policy[S]
	target target
}

// at lists the policies of a target, the winner first.
func (x *policyIndex[S]) at(t target) []attached[S] {
	list := x.byTarget[t]
	if len(list) == 0 {
		return nil
	}
	out := make([]attached[S], len(list))
	for i, p := range list {
		out[i] = attached[S]{p, t}
	}
	return out
}

// onSection lists the policies on a section and what it belongs to, the most
// specific first.
func (x *policyIndex[S]) onSection(s *section) []attached[S] {
	var chain []attached[S]
	for _, t := range s.targets() {
		chain = append(chain, x.at(t)...)
	}
	return chain
}

// onRule lists the policies on a rule and on its route, the most specific first.
func (x *policyIndex[S]) onRule(route store.Key, rule string) []attached[S] {
	var chain []attached[S]
	if rule != "" {
		chain = append(chain, x.at(target{route, rule})...)
	}
	return append(chain, x.at(target{key: route})...)
}

// targets are what a policy can name to reach the section, the most specific first.
func (s *section) targets() []target {
	out := []target{{s.owner.Key, string(s.spec.Name)}, {key: s.owner.Key}}
	if s.owner.Key != s.gateway.object.Key {
		out = append(out, target{key: s.gateway.object.Key})
	}
	return out
}

// chainKey is equal for equal chains.
func chainKey[S any](chain []attached[S]) string {
	key := ""
	for _, b := range chain {
		key += b.policy.object.Key.Namespace + "/" + b.policy.object.Key.Name + "@" + b.target.String() + ";"
	}
	return key
}

// policyRefs are the objects of a chain, each once.
func policyRefs[S any](list []attached[S]) []ir.Ref {
	var out []ir.Ref
	for _, b := range list {
		r := ref(b.policy.source(), "")
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// indexPolicies judges every policy of a kind and attaches it to its targets.
func indexPolicies[S any](c *compiler, kind *policyKind[S]) policyIndex[S] {
	x := policyIndex[S]{byTarget: map[target][]*policy[S]{}, byKey: map[store.Key]*policy[S]{}}
	for _, o := range c.aged(ownGroup, kind.name) {
		spec, ok := kind.read(o)
		if !ok {
			continue
		}
		p := &policy[S]{object: o, used: o, spec: spec, targets: targetsOf(o, kind.targets(spec))}
		x.all = append(x.all, p)
		x.byKey[o.Key] = p
		if o.Broken {
			x.close(c, p)
			continue
		}
		p.faults = judgeOnce(c, kind, o, spec)
		x.attach(c, p, fallBack(c, kind, p))
	}
	return x
}

// fallBack returns the targets of the version that is in force, which is the
// last good one if the object has errors.
func fallBack[S any](c *compiler, kind *policyKind[S], p *policy[S]) []target {
	if len(p.faults) == 0 {
		return p.targets
	}
	p.used, p.spec = nil, nil
	for _, f := range p.faults {
		c.report(f.problem(p.object))
	}
	if old := c.lastGood(p.object); old != nil {
		if good, ok := kind.read(old); ok && len(kind.judge(good)) == 0 {
			p.used, p.spec = old, good
			c.next.fallback[p.object.Key] = old
			c.report(keepsServing(p.object))
			return targetsOf(old, kind.targets(good))
		}
	}
	if v1alpha1.FailsClosed(ownGroup, kind.name) {
		return p.targets
	}
	return nil
}

// close attaches what stands for a policy that could not be read: it lets nothing
// through. What is not to be found has been told with the other errors, and where
// it is a section, all of the object is meant.
func (x *policyIndex[S]) close(c *compiler, p *policy[S]) {
	p.used, p.spec = nil, nil
	p.faults = []fault{{field: "spec", message: "the object has errors, and no good version: nothing gets through"}}
	seen := map[target]bool{}
	for _, t := range p.targets {
		if message, _ := c.findTarget(t); message != "" && t.section != "" {
			t.section = ""
		}
		if message, _ := c.findTarget(t); message == "" && !seen[t] {
			seen[t] = true
			x.byTarget[t] = append(x.byTarget[t], p)
		}
	}
}

func (x *policyIndex[S]) attach(c *compiler, p *policy[S], targets []target) {
	for i, t := range targets {
		if message, remedy := c.findTarget(t); message != "" {
			if p.refused == nil {
				p.refused = map[target]string{}
			}
			p.refused[t] = message
			c.report(problemAt(p.source(), fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, "TargetNotFound", message, remedy))
			continue
		}
		x.byTarget[t] = append(x.byTarget[t], p)
	}
}

// judgeOnce remembers the judgement for later runs.
func judgeOnce[S any](c *compiler, kind *policyKind[S], o *store.Object, spec *S) []fault {
	var faults []fault
	known := false
	if c.prev != nil {
		faults, known = c.prev.judged[o]
	}
	if !known {
		faults = kind.judge(spec)
	}
	c.next.judged[o] = faults
	return faults
}

// judgeTargets finds targetRefs that a policy of the kind cannot have. Kinds are
// those that it can.
func judgeTargets(kind string, refs []gwv1.LocalPolicyTargetReferenceWithSectionName, kinds ...string) []fault {
	add := func(field, message, remedy string) fault {
		return fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy}
	}
	if len(refs) == 0 {
		return []fault{add("targetRefs", "a policy needs at least one target", "")}
	}
	var out []fault
	for i, t := range refs {
		if !slices.Contains(kinds, string(t.Kind)) || string(t.Group) != v1alpha1.TargetGroup(string(t.Kind)) {
			own := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return v1alpha1.TargetGroup(k) == "" })
			out = append(out, add(fmt.Sprintf("targetRefs[%d].kind", i),
				fmt.Sprintf("a policy of kind %s cannot attach to kind %s of group %q", kind, t.Kind, t.Group),
				fmt.Sprintf("use one of %q, with group %s, or Service with group \"\"", own, gatewayGroup)))
		}
	}
	return out
}

// finishKind writes the statuses of a kind's policies.
func finishKind[S any](c *compiler, x *policyIndex[S]) {
	for _, p := range x.all {
		st := status.Object{Key: p.object.Key, Generation: meta(p.object).GetGeneration(), Position: p.object.Locate("")}
		for i, t := range p.targets {
			st.Ancestors = append(st.Ancestors, status.Relation{Ref: t.reference(), Conditions: p.conditions(c, i, t, st.Generation)})
		}
		c.say(st)
	}
}

// decidingPolicies are those whose decisions are counted.
func (c *compiler) decidingPolicies() []string {
	return policyNames(policyNames(policyNames(nil, &c.authentication), &c.authorization), &c.shield)
}

func policyNames[S any](out []string, x *policyIndex[S]) []string {
	for _, p := range x.all {
		out = append(out, p.object.Key.String())
	}
	return out
}

// overrule notes, for a kind that is taken as a whole, which policies do not hold
// and because of which others.
func overrule[S any](c *compiler, x *policyIndex[S]) { overruleField(c, x, "") }

// overruleField does so for a field of its path, x being the policies that have it.
func overruleField[S any](c *compiler, x *policyIndex[S], path string) {
	lose := func(losers []*policy[S], at target, winner *policy[S], on target) {
		for _, p := range losers {
			if p != winner {
				p.lose(at, loss{path: path, winner: winner.object.Key.String() + " on " + on.String(), equal: at == on})
			}
		}
	}
	for t, list := range x.byTarget {
		list[0].matters = append(list[0].matters, t)
		lose(list[1:], t, list[0], t)
	}
	below := func(t target, above []target) {
		if list := x.byTarget[t]; len(list) > 0 {
			for _, up := range above {
				lose(x.byTarget[up][:min(1, len(x.byTarget[up]))], up, list[0], t)
			}
		}
	}
	if len(x.byTarget) < 2 {
		return
	}
	for _, s := range c.sections {
		ts := s.targets()
		for i := range ts {
			below(ts[i], ts[i+1:])
		}
	}
	for t := range x.byTarget {
		if t.key.Kind == "Service" && t.section != "" {
			below(t, []target{{key: t.key}})
		}
		if !requestKind(t.key) {
			continue
		}
		if t.section != "" {
			below(t, []target{{key: t.key}})
		}
		i, found := slices.BinarySearchFunc(c.next.routes, t.key, func(rs *routeState, k store.Key) int { return compareKeys(rs.object.Key, k) })
		if !found {
			continue
		}
		for _, at := range c.next.routes[i].accepted {
			below(t, c.sections[at].targets())
		}
	}
}

// warnUnreached names targets of a policy for requests that no request can come by, nor,
// if it is about those, too, a connection.
func (c *compiler) warnUnreached(o *store.Object, targets []target) {
	connections := o.Key.Kind == v1alpha1.KindAuthorizationPolicy
	for i, t := range targets {
		if t.key.Kind == "Service" && !c.in.Mesh {
			c.report(problemAt(o, fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, "NoEffect",
				"a policy on "+t.key.String()+" is held by the proxies of its workloads, and there is no mesh here", "attach it to a Gateway or a route"))
		}
		if c.heldByClients(o, t) {
			c.report(problemAt(o, fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, "HeldByClients",
				t.String()+" is a route of the mesh, which clients' own proxies hold: a client without its proxy is not held up by the policy",
				"attach it to the Service"))
		}
		if t.key.Kind != "Gateway" && t.key.Kind != "ListenerSet" {
			continue
		}
		named, reached := false, false
		for _, s := range c.sections {
			if slices.Contains(s.targets(), t) {
				named = true
				reached = reached || s.takesRequests() || connections && s.takesConnections()
			}
		}
		if named && !reached {
			what := " has no listener of protocol HTTP or HTTPS, and the policy is about requests"
			if connections {
				what = " has no listener of protocol HTTP, HTTPS, TLS or TCP, and the policy is about no other"
			}
			c.report(problemAt(o, fmt.Sprintf("spec.targetRefs[%d]", i), store.Warning, "NoEffect", t.String()+what, "attach it to another target"))
		}
	}
}

// takesConnections tells whether the section's protocol is TCP or TLS.
func (s *section) takesConnections() bool {
	return s.spec.Protocol == gwv1.TCPProtocolType || s.spec.Protocol == gwv1.TLSProtocolType
}

// takesRequests tells whether the section's protocol is HTTP or HTTPS.
func (s *section) takesRequests() bool {
	return s.spec.Protocol == gwv1.HTTPProtocolType || s.spec.Protocol == gwv1.HTTPSProtocolType
}
