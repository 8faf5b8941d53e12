package compile

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// defaultTraceRate of all requests, in millionths: 1 %.
const defaultTraceRate = ir.RateOfAll / 100

// telemetryFields are the fields of a TelemetryPolicy that one policy overrules another
// in. What is redacted adds up.
var telemetryFields = []struct {
	path string
	has  func(*v1alpha1.TelemetryPolicySpec) bool
}{
	{"tracing.sampling.followParent", sampling(func(s *v1alpha1.TraceSampling) bool { return s.FollowParent != nil })},
	{"tracing.sampling.rate", sampling(func(s *v1alpha1.TraceSampling) bool { return s.Rate != nil })},
	{"tracing.sampling.rules", sampling(func(s *v1alpha1.TraceSampling) bool { return s.Rules != nil })},
	{"tracing.sampling.maxPerSecond", sampling(func(s *v1alpha1.TraceSampling) bool { return s.MaxPerSecond != nil })},
	{"tracing.sampling.keepSlowerThan", sampling(func(s *v1alpha1.TraceSampling) bool { return s.KeepSlowerThan != nil })},
	{"tracing.sampling.keepErrors", sampling(func(s *v1alpha1.TraceSampling) bool { return s.KeepErrors != nil })},
	{"tracing.propagation.accept", tracing(func(t *v1alpha1.TracingPolicy) bool { return t.Propagation != nil && t.Propagation.Accept != nil })},
	{"tracing.propagation.send", tracing(func(t *v1alpha1.TracingPolicy) bool { return t.Propagation != nil && t.Propagation.Send != nil })},
	{"tracing.tags", tracing(func(t *v1alpha1.TracingPolicy) bool { return t.Tags != nil })},
	{"tracing.sinkRefs", tracing(func(t *v1alpha1.TracingPolicy) bool { return t.SinkRefs != nil })},
	{"accessLog.enabled", logging(func(a *v1alpha1.AccessLogPolicy) bool { return a.Enabled != nil })},
	{"accessLog.fields", logging(func(a *v1alpha1.AccessLogPolicy) bool { return a.Fields != nil || a.Template != nil })},
	{"accessLog.sampling", logging(func(a *v1alpha1.AccessLogPolicy) bool { return a.Sampling != nil })},
	{"accessLog.query", logging(func(a *v1alpha1.AccessLogPolicy) bool { return a.Query != nil })},
	{"accessLog.sinkRefs", logging(func(a *v1alpha1.AccessLogPolicy) bool { return a.SinkRefs != nil })},
	{"metrics", func(s *v1alpha1.TelemetryPolicySpec) bool { return s.Metrics != nil }},
}

func tracing(has func(*v1alpha1.TracingPolicy) bool) func(*v1alpha1.TelemetryPolicySpec) bool {
	return func(s *v1alpha1.TelemetryPolicySpec) bool { return s.Tracing != nil && has(s.Tracing) }
}

func sampling(has func(*v1alpha1.TraceSampling) bool) func(*v1alpha1.TelemetryPolicySpec) bool {
	return tracing(func(t *v1alpha1.TracingPolicy) bool { return t.Sampling != nil && has(t.Sampling) })
}

func logging(has func(*v1alpha1.AccessLogPolicy) bool) func(*v1alpha1.TelemetryPolicySpec) bool {
	return func(s *v1alpha1.TelemetryPolicySpec) bool { return s.AccessLog != nil && has(s.AccessLog) }
}

// telemetryMerge gathers the fields of policies, of which the first that has one counts.
type telemetryMerge struct {
	*compiler
	namespace string // of the policy that is taken in

	traces       *ir.Tracing // nil while no policy is about them
	rate         *intstr.IntOrString
	follow       *bool
	rules        []v1alpha1.TraceRule
	perSecond    *int32
	slower       *time.Duration
	errors       *bool
	accept, send []v1alpha1.TraceFormat
	tags         []v1alpha1.SpanTag
	traceSinks   []string

	log      *ir.AccessLogPolicy
	enabled  *bool
	written  bool // fields or a template are taken
	samples  []v1alpha1.AccessLogSampling
	query    *v1alpha1.QueryLogging
	logSinks []string
}

func first[T any](to **T, v *T) {
	if *to == nil {
		*to = v
	}
}

func firstList[T any](to *[]T, v []T) {
	if *to == nil {
		*to = v
	}
}

func (m *telemetryMerge) tracing(t *v1alpha1.TracingPolicy) {
	if t == nil {
		return
	}
	if m.traces == nil {
		m.traces = &ir.Tracing{}
	}
	if s := t.Sampling; s != nil {
		first(&m.rate, s.Rate)
		first(&m.follow, s.FollowParent)
		firstList(&m.rules, s.Rules)
		first(&m.perSecond, s.MaxPerSecond)
		first(&m.errors, s.KeepErrors)
		if s.KeepSlowerThan != nil {
			first(&m.slower, ptr(duration(s.KeepSlowerThan, 0)))
		}
	}
	if p := t.Propagation; p != nil {
		firstList(&m.accept, p.Accept)
		firstList(&m.send, p.Send)
	}
	firstList(&m.tags, t.Tags)
	firstList(&m.traceSinks, m.sinks(t.SinkRefs, v1alpha1.SignalTraces))
}

func (m *telemetryMerge) accessLog(a *v1alpha1.AccessLogPolicy) {
	if a == nil {
		return
	}
	if m.log == nil {
		m.log = &ir.AccessLogPolicy{}
	}
	first(&m.enabled, a.Enabled)
	first(&m.query, a.Query)
	firstList(&m.samples, a.Sampling)
	firstList(&m.logSinks, m.sinks(a.SinkRefs, v1alpha1.SignalLogs))
	if !m.written && (a.Fields != nil || a.Template != nil) {
		m.written = true
		m.log.Fields, m.log.Template = logFields(a), a.Template != nil
	}
	if r := a.Redact; r != nil {
		for _, h := range r.Headers {
			m.log.HiddenHeaders = append(m.log.HiddenHeaders, strings.ToLower(string(h)))
		}
		m.log.HiddenParameters = append(m.log.HiddenParameters, r.QueryParameters...)
	}
}

// sinks are the names of those that are there and take the signal; nil stays nil.
func (m *telemetryMerge) sinks(refs []v1alpha1.SinkReference, signal v1alpha1.TelemetrySignal) []string {
	if refs == nil {
		return nil
	}
	out := []string{}
	for _, r := range refs {
		key := store.Key{Group: ownGroup, Kind: v1alpha1.KindTelemetrySink, Namespace: m.namespace, Name: string(r.Name)}
		if o := m.set.Get(key); o != nil {
			if _, spec := m.sinkInForce(o); spec != nil && takes(spec, signal) {
				out = append(out, key.Namespace+"/"+key.Name)
			}
		}
	}
	return out
}

// logFields are those of a policy that has them.
func logFields(a *v1alpha1.AccessLogPolicy) []ir.LogField {
	var out []ir.LogField
	if a.Template != nil {
		parts, _ := v1alpha1.ParseLogTemplate(*a.Template) // it was judged
		for _, p := range parts {
			out = append(out, ir.LogField{
				Name: p.Field, Text: p.Text, RequestHeader: strings.ToLower(p.RequestHeader), ResponseHeader: strings.ToLower(p.ResponseHeader),
			})
		}
		return out
	}
	for _, f := range a.Fields {
		out = append(out, ir.LogField{
			Name: f.Name, RequestHeader: strings.ToLower(string(deref(f.RequestHeader, ""))), ResponseHeader: strings.ToLower(string(deref(f.ResponseHeader, ""))),
		})
	}
	return out
}

// finish fills in defaults.
func (m *telemetryMerge) finish() *ir.Telemetry {
	out := &ir.Telemetry{Tracing: m.traces, AccessLog: m.log}
	if t := m.traces; t != nil {
		t.IgnoreParent, t.Rate, t.KeepErrors = !deref(m.follow, true), defaultTraceRate, deref(m.errors, true)
		if m.rate != nil {
			t.Rate, _ = v1alpha1.MillionthsOfAll(*m.rate) // it was judged
		}
		for _, r := range m.rules {
			rate, _ := v1alpha1.MillionthsOfAll(r.Rate)
			rule := ir.TraceRule{Name: r.Name, When: deref(r.When, ""), Rate: rate}
			if len(r.Matches) > 0 {
				rule.Matches = matches(r.Matches)
			}
			t.Rules = append(t.Rules, rule)
		}
		t.MaxPerSecond, t.Sinks = int(deref(m.perSecond, 0)), emptyAsNil(m.traceSinks)
		t.KeepSlowerThan = deref(m.slower, 0)
		t.Accept, t.Send = formats(m.accept), formats(m.send)
		for _, g := range m.tags {
			tag := ir.SpanTag{
				Name: g.Name, Value: deref(g.Value, ""), RequestHeader: strings.ToLower(string(deref(g.RequestHeader, ""))), Expression: deref(g.Expression, ""),
			}
			if tag.RequestHeader != "" && slices.Contains(m.telemetry.hidden, tag.RequestHeader) {
				tag.RequestHeader, tag.Value = "", ir.Hidden
			}
			t.Tags = append(t.Tags, tag)
		}
	}
	if a := m.log; a != nil {
		a.Off = !deref(m.enabled, true)
		if q := deref(m.query, v1alpha1.QueryOmitted); q != v1alpha1.QueryOmitted {
			a.Query = ir.QueryLogging(q)
		}
		for _, s := range m.samples {
			rate, _ := v1alpha1.MillionthsOfAll(s.Rate)
			for _, v := range s.Statuses {
				least, most, _ := statusClass(v)
				a.Sampling = append(a.Sampling, ir.LogSampling{Least: least, Most: most, Rate: rate})
			}
		}
		a.HiddenHeaders = emptyAsNil(distinct(append(a.HiddenHeaders, m.telemetry.hidden...)))
		a.HiddenParameters = emptyAsNil(distinct(append(a.HiddenParameters, m.telemetry.hiddenParameters...)))
		a.Sinks, a.OwnSinks = emptyAsNil(m.logSinks), m.logSinks != nil
	}
	if out.Tracing == nil && out.AccessLog == nil {
		return nil
	}
	out.Key = hashOf(out)
	return out
}

// formats of propagation; without a word of them they are those of W3C.
func formats(list []v1alpha1.TraceFormat) []ir.TraceFormat {
	if list == nil {
		return []ir.TraceFormat{ir.TraceW3C}
	}
	var out []ir.TraceFormat
	for _, f := range list {
		out = append(out, ir.TraceFormat(f))
	}
	return out
}

// emptyAsNil is the same of both in JSON.
func emptyAsNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
