package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

type (
	telemetryPolicy   = policy[v1alpha1.TelemetryPolicySpec]
	attachedTelemetry = attached[v1alpha1.TelemetryPolicySpec]
)

var telemetryKind = policyKind[v1alpha1.TelemetryPolicySpec]{
	name: v1alpha1.KindTelemetryPolicy,
	read: specOf(func(p *v1alpha1.TelemetryPolicy) *v1alpha1.TelemetryPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.TelemetryPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeTelemetry,
}

// telemetryIndex finds TelemetryPolicies, and what chains of them came to in this run.
type telemetryIndex struct {
	policyIndex[v1alpha1.TelemetryPolicySpec]
	merged map[string]*ir.Telemetry
	// hidden are the header fields, in lower case, and the parameters by which
	// AuthenticationPolicies know callers.
	hidden, hiddenParameters []string
}

// indexTelemetry attaches TelemetryPolicies. Those without targetRefs are on their
// namespace.
func (c *compiler) indexTelemetry() {
	c.telemetry = telemetryIndex{policyIndex: indexPolicies(c, &telemetryKind), merged: map[string]*ir.Telemetry{}}
	for _, p := range c.telemetry.all {
		t := ofNamespace(p.object.Key.Namespace)
		if len(p.targets) == 0 {
			p.targets = []target{t}
		}
		if p.spec == nil || len(p.spec.TargetRefs) > 0 {
			continue
		}
		c.telemetry.byTarget[t] = append(c.telemetry.byTarget[t], p)
	}
	if len(c.telemetry.all) > 0 {
		c.telemetry.hidden, c.telemetry.hiddenParameters = c.credentialNames()
	}
}

// credentialNames are the places of requests where AuthenticationPolicies look for
// credentials.
func (c *compiler) credentialNames() (headers, parameters []string) {
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		for i := range p.spec.AnyOf {
			m := &p.spec.AnyOf[i]
			var from []v1alpha1.CredentialSource
			if m.APIKey != nil {
				from = append(from, m.APIKey.From...)
			}
			if m.JWT != nil {
				from = append(from, m.JWT.From...)
			}
			if m.OAuth2Introspection != nil {
				from = append(from, m.OAuth2Introspection.From...)
			}
			for _, s := range sources(from) {
				if s.Header != "" {
					headers = append(headers, strings.ToLower(s.Header))
				}
				if s.Query != "" {
					parameters = append(parameters, s.Query)
				}
			}
		}
	}
	return distinct(headers), distinct(parameters)
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// warnOfHidden tells of what is asked for and not shown, as it is a credential.
func (c *compiler) warnOfHidden(p *telemetryPolicy) {
	look := func(field string, name *gwv1.HTTPHeaderName) {
		if name == nil || !slices.Contains(c.telemetry.hidden, strings.ToLower(string(*name))) {
			return
		}
		c.report(problemAt(p.used, field+".requestHeader", store.Warning, "CredentialHidden",
			fmt.Sprintf("an AuthenticationPolicy takes header %s for a credential: its value is not recorded", *name),
			"record who calls instead: the fields consumer and credential of the access log, caller. in expressions"))
	}
	if t := p.spec.Tracing; t != nil {
		for i := range t.Tags {
			look(fmt.Sprintf("spec.tracing.tags[%d]", i), t.Tags[i].RequestHeader)
		}
	}
	if a := p.spec.AccessLog; a != nil {
		for i := range a.Fields {
			look(fmt.Sprintf("spec.accessLog.fields[%d]", i), a.Fields[i].RequestHeader)
		}
	}
}

// onNamespace lists the policies without targets for what is in a namespace.
func (x *telemetryIndex) onNamespace(namespace string) []attachedTelemetry {
	out := x.at(ofNamespace(namespace))
	if namespace != v1alpha1.MeshNamespace {
		out = append(out, x.at(ofNamespace(v1alpha1.MeshNamespace))...)
	}
	return out
}

// telemetryOf is what the policies on a rule and above it come to; nil without any.
func (s *routeScope) telemetryOf(ctx *policyContext, rule string) (*ir.Telemetry, []ir.Ref) {
	chain := append(s.telemetry.onRule(s.state.object.Key, rule), ctx.telemetry...)
	chain = append(chain, s.telemetry.onNamespace(s.state.object.Key.Namespace)...)
	return s.mergeTelemetry(chain), policyRefs(chain)
}

// sectionTelemetry is that of what no route of a section takes.
func (c *compiler) sectionTelemetry(s *section) *ir.Telemetry {
	return c.mergeTelemetry(append(c.telemetry.onSection(s), c.telemetry.onNamespace(s.owner.Key.Namespace)...))
}

// mergeTelemetry merges policies field by field, the most specific first. All that have
// the same chain share what it comes to.
func (c *compiler) mergeTelemetry(chain []attachedTelemetry) *ir.Telemetry {
	if len(chain) == 0 {
		return nil
	}
	key := chainKey(chain)
	if t, ok := c.telemetry.merged[key]; ok {
		return t
	}
	m := telemetryMerge{compiler: c}
	for _, b := range chain {
		if spec := b.policy.spec; spec != nil {
			m.namespace = b.policy.object.Key.Namespace
			m.tracing(spec.Tracing)
			m.accessLog(spec.AccessLog)
		}
	}
	t := m.finish()
	c.telemetry.merged[key] = t
	return t
}

// finishTelemetry writes the statuses of TelemetryPolicies.
func (c *compiler) finishTelemetry() {
	for _, f := range telemetryFields {
		overruleField(c, c.telemetry.having(f.has), f.path)
	}
	for _, p := range c.telemetry.all {
		if p.spec == nil {
			continue
		}
		if t := p.spec.Tracing; t != nil {
			c.warnUnreached(p.source(), p.targets)
			c.warnUntraced(p)
		}
		if a := p.spec.AccessLog; a != nil && a.Redact != nil {
			p.matters = append(p.matters, p.targets...) // what is hidden adds up
		}
		c.warnOfHidden(p)
		c.resolveSinks(p)
	}
	finishKind(c, &c.telemetry.policyIndex)
}

// warnUntraced names routes that have no requests.
func (c *compiler) warnUntraced(p *telemetryPolicy) {
	for _, t := range p.targets {
		if streamKind(t.key.Kind) {
			c.report(problemAt(p.source(), "spec.tracing", store.Warning, "NoEffect",
				fmt.Sprintf("is about requests, and a %s has none", t.key.Kind), "leave it out, or attach it to an HTTPRoute"))
			return
		}
	}
}

// resolveSinks warns of sinks that there are not, and of signals that they do not take.
func (c *compiler) resolveSinks(p *telemetryPolicy) {
	condition := status.Condition{
		Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: meta(p.object).GetGeneration(),
	}
	named := false
	for _, list := range sinkLists(p.spec) {
		for i, r := range list.refs {
			named = true
			field := fmt.Sprintf("%s[%d].name", list.field, i)
			key := store.Key{Group: ownGroup, Kind: v1alpha1.KindTelemetrySink, Namespace: p.object.Key.Namespace, Name: string(r.Name)}
			o := c.set.Get(key)
			if o == nil {
				message, remedy := c.notFound(key)
				condition.Status, condition.Reason, condition.Message = status.False, "SinkNotFound", message
				c.report(problemAt(p.used, field, store.Warning, "SinkNotFound", message+": nothing goes there", remedy))
				continue
			}
			if _, spec := c.sinkInForce(o); spec != nil && !takes(spec, list.signal) {
				message := fmt.Sprintf("%s takes no %s", key, strings.ToLower(string(list.signal)))
				condition.Status, condition.Reason, condition.Message = status.False, "SignalNotTaken", message
				c.report(problemAt(p.used, field, store.Warning, "SignalNotTaken", message+": nothing goes there",
					"name another sink: otlp takes all signals that its signals list, dogStatsD metrics, file and standardOutput logs"))
			}
		}
	}
	if named {
		p.resolved = &condition
	}
}

// sinkList is a list of sinks for a signal.
type sinkList struct {
	field  string
	signal v1alpha1.TelemetrySignal
	refs   []v1alpha1.SinkReference
}

func sinkLists(spec *v1alpha1.TelemetryPolicySpec) []sinkList {
	var out []sinkList
	if t := spec.Tracing; t != nil {
		out = append(out, sinkList{"spec.tracing.sinkRefs", v1alpha1.SignalTraces, t.SinkRefs})
	}
	if a := spec.AccessLog; a != nil {
		out = append(out, sinkList{"spec.accessLog.sinkRefs", v1alpha1.SignalLogs, a.SinkRefs})
	}
	if m := spec.Metrics; m != nil {
		out = append(out, sinkList{"spec.metrics.sinkRefs", v1alpha1.SignalMetrics, m.SinkRefs})
	}
	return out
}
