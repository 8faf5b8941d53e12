package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
)

// telemetryJudge finds the semantic errors of a TelemetryPolicy.
type telemetryJudge struct{ faults []fault }

func (j *telemetryJudge) add(field, message, remedy string) {
	j.faults = append(j.faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
}

func judgeTelemetry(spec *v1alpha1.TelemetryPolicySpec) []fault {
	j := &telemetryJudge{}
	if len(spec.TargetRefs) > 0 {
		j.faults = judgeTargets(v1alpha1.KindTelemetryPolicy, spec.TargetRefs, v1alpha1.TelemetryTargets()...)
		if spec.Metrics != nil {
			j.add("metrics", "metrics are those of whole processes", "leave out targetRefs, or write a policy of its own for them")
		}
	}
	if spec.Tracing == nil && spec.AccessLog == nil && spec.Metrics == nil {
		j.add("", "at least one of tracing, accessLog and metrics must be given", "")
	}
	if t := spec.Tracing; t != nil {
		j.tracing(t)
	}
	if a := spec.AccessLog; a != nil {
		j.accessLog(a)
	}
	for i := range j.faults {
		j.faults[i].field = strings.TrimSuffix(j.faults[i].field, ".")
	}
	return j.faults
}

func (j *telemetryJudge) rate(field string, v *intstr.IntOrString) {
	if v == nil {
		return
	}
	if _, err := v1alpha1.MillionthsOfAll(*v); err != nil {
		j.add(field, err.Error(), `write a whole number of percent, or "0.05%"`)
	}
}

func (j *telemetryJudge) tracing(t *v1alpha1.TracingPolicy) {
	if s := t.Sampling; s != nil {
		j.rate("tracing.sampling.rate", s.Rate)
		if s.KeepSlowerThan != nil {
			if f := judgeWithin("spec.tracing.sampling.keepSlowerThan", *s.KeepSlowerThan, time.Millisecond, time.Hour); f != nil {
				j.faults = append(j.faults, *f)
			}
		}
		for i := range s.Rules {
			j.traceRule(fmt.Sprintf("tracing.sampling.rules[%d]", i), &s.Rules[i])
		}
	}
	if p := t.Propagation; p != nil && slices.Contains(p.Accept, v1alpha1.TraceB3Single) {
		j.add("tracing.propagation.accept", "B3 is both of its forms", "leave out B3Single")
	}
	for i := range t.Tags {
		j.tag(fmt.Sprintf("tracing.tags[%d]", i), &t.Tags[i])
	}
}

func (j *telemetryJudge) traceRule(at string, r *v1alpha1.TraceRule) {
	j.rate(at+".rate", &r.Rate)
	if len(r.Matches) == 0 && r.When == nil {
		j.add(at, "at least one of matches and when must be given", "")
	}
	for i := range r.Matches {
		judgeMatch(&r.Matches[i], func(field, code, message, remedy string) {
			j.faults = append(j.faults, fault{field: fmt.Sprintf("spec.%s.matches[%d]%s", at, i, field), code: code, message: message, remedy: remedy})
		})
	}
	names := j.expression(at+".when", r.When, expression.Condition)
	if expression.Named(names, "caller.") {
		j.add(at+".when", "who calls is not known yet where it is decided what is traced", "use request., client., source. and tls. alone")
	}
}

func (j *telemetryJudge) expression(field string, text *string, kind expression.Kind) []string {
	if text == nil {
		return nil
	}
	names, err := expression.Check(*text, kind)
	if err != nil {
		j.faults = append(j.faults, fault{field: "spec." + field, code: "InvalidExpression", message: err.Error()})
	}
	return names
}

func (j *telemetryJudge) tag(at string, t *v1alpha1.SpanTag) {
	given := 0
	for _, is := range []bool{t.Value != nil, t.RequestHeader != nil, t.Expression != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		j.add(at, "exactly one of value, requestHeader and expression must be given", "")
		return
	}
	j.header(at+".requestHeader", t.RequestHeader)
	j.expression(at+".expression", t.Expression, expression.Text)
}

// header finds names that are none, and those of credentials.
func (j *telemetryJudge) header(field string, name *gwv1.HTTPHeaderName) {
	switch {
	case name == nil:
	case !isToken(string(*name)):
		j.add(field, fmt.Sprintf("%q is not a header name", *name), "")
	case ir.SecretName(string(*name)):
		j.add(field, fmt.Sprintf("header %s carries credentials, which are not recorded", *name), "record who calls instead: the fields consumer and credential of the access log, caller. in expressions")
	}
}

func (j *telemetryJudge) accessLog(a *v1alpha1.AccessLogPolicy) {
	if a.Template != nil && a.Fields != nil {
		j.add("accessLog.template", "fields are of a log in JSON, template is of one in text", "give one of them")
	}
	names := map[string]bool{}
	for i := range a.Fields {
		f, at := &a.Fields[i], fmt.Sprintf("accessLog.fields[%d]", i)
		own := f.RequestHeader != nil || f.ResponseHeader != nil
		known := slices.Contains(ir.LogFields(), f.Name)
		switch {
		case names[f.Name]:
			j.add(at+".name", fmt.Sprintf("%q is there twice", f.Name), "")
		case f.RequestHeader != nil && f.ResponseHeader != nil:
			j.add(at, "requestHeader and responseHeader exclude each other", "")
		case own && known:
			j.add(at+".name", fmt.Sprintf("%q is a field of its own meaning", f.Name), "give it another name")
		case !own && !known:
			j.unknownField(at+".name", f.Name)
		}
		names[f.Name] = true
		j.header(at+".requestHeader", f.RequestHeader)
		j.header(at+".responseHeader", f.ResponseHeader)
	}
	if a.Template != nil {
		j.template(*a.Template)
	}
	for i := range a.Sampling {
		s, at := &a.Sampling[i], fmt.Sprintf("accessLog.sampling[%d]", i)
		j.rate(at+".rate", &s.Rate)
		for n, v := range s.Statuses {
			if _, _, ok := statusClass(v); !ok {
				j.add(fmt.Sprintf("%s.statuses[%d]", at, n), fmt.Sprintf("%q is neither a status nor a class of them", v), "write 404 or 2xx")
			}
		}
	}
	if a.Redact != nil {
		for i, h := range a.Redact.Headers {
			if !isToken(string(h)) {
				j.add(fmt.Sprintf("accessLog.redact.headers[%d]", i), fmt.Sprintf("%q is not a header name", h), "")
			}
		}
	}
}

func (j *telemetryJudge) unknownField(at, name string) {
	remedy := didYouMean(name, ir.LogFields())
	if remedy == "" {
		remedy = "see docs/reference/access-log.md, or give requestHeader or responseHeader"
	}
	j.add(at, fmt.Sprintf("the access log has no field %q", name), remedy)
}

func (j *telemetryJudge) template(text string) {
	parts, err := v1alpha1.ParseLogTemplate(text)
	if err != nil {
		j.add("accessLog.template", err.Error(), "write ${FIELD}, ${request.headers.NAME} or ${response.headers.NAME}, and $$ for a dollar sign")
		return
	}
	for _, p := range parts {
		request, response := gwv1.HTTPHeaderName(p.RequestHeader), gwv1.HTTPHeaderName(p.ResponseHeader)
		switch {
		case p.RequestHeader != "":
			j.header("accessLog.template", &request)
		case p.ResponseHeader != "":
			j.header("accessLog.template", &response)
		case p.Field != "" && !slices.Contains(ir.LogFields(), p.Field):
			j.unknownField("accessLog.template", p.Field)
		}
	}
}

// statusClass reads "404" or "2xx".
func statusClass(s string) (least, most int, ok bool) {
	if len(s) != 3 || s[0] < '1' || s[0] > '5' {
		return 0, 0, false
	}
	first := int(s[0]-'0') * 100
	if s[1:] == "xx" {
		return first, first + 99, true
	}
	if s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0, 0, false
	}
	n := first + int(s[1]-'0')*10 + int(s[2]-'0')
	return n, n, true
}
