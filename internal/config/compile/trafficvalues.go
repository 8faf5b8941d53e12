package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
)

// positive names durations that mean nothing when they are zero.
func (j *trafficJudge) positive(spec *v1alpha1.TrafficPolicySpec) {
	check := func(field string, d *gwv1.Duration) {
		if d != nil && duration(d, 1) == 0 {
			j.add(field, "must be longer than 0s", "")
		}
	}
	if r := spec.Retry; r != nil && r.Budget != nil {
		check("retry.budget.window", r.Budget.Window)
	}
	if lb := spec.LoadBalancer; lb != nil {
		check("loadBalancer.decay", lb.Decay)
	}
	if b := spec.CircuitBreaker; b != nil && b.FailureRate != nil {
		check("circuitBreaker.failureRate.window", b.FailureRate.Window)
		check("circuitBreaker.failureRate.openFor", b.FailureRate.OpenFor)
	}
	if o := spec.OutlierDetection; o != nil {
		check("outlierDetection.interval", o.Interval)
		check("outlierDetection.baseEjection", o.BaseEjection)
		if o.BaseEjection != nil && o.MaxEjection != nil {
			if base, most := duration(o.BaseEjection, 0), duration(o.MaxEjection, 0); base > most {
				j.add("outlierDetection.maxEjection", fmt.Sprintf("%s is shorter than baseEjection, %s", most, base), "")
			}
		}
	}
	if h := spec.HealthCheck; h != nil {
		check("healthCheck.interval", h.Interval)
		check("healthCheck.timeout", h.Timeout)
	}
}

// healthRequest looks at what goes into a check's request as it is.
func (j *trafficJudge) healthRequest(h *v1alpha1.HTTPHealthCheck) {
	if h.Path != nil && strings.ContainsFunc(*h.Path, notInTarget) {
		j.add("healthCheck.http.path", "has a space, a control character or one outside of ASCII", "write it with a percent sign, as in %20")
	}
	j.healthHost("healthCheck.http.host", h.Host)
	if m := deref(h.Method, "GET"); m == "CONNECT" {
		j.add("healthCheck.http.method", "CONNECT asks for a tunnel and cannot be a check", "use GET or HEAD")
	}
	j.fixedHeaders("healthCheck.http.headers", h.Headers)
}

func (j *trafficJudge) healthHost(field string, host *string) {
	if host != nil && strings.ContainsFunc(*host, func(r rune) bool { return notInTarget(r) || strings.ContainsRune(`/?#@,"\`, r) }) {
		j.add(field, fmt.Sprintf("%q is not a host, with or without a port", *host), "")
	}
}

func notInTarget(r rune) bool { return r <= ' ' || r >= 0x7f }

func (j *trafficJudge) direct(d *v1alpha1.DirectResponse) {
	if s := deref(d.Status, 200); (s == 204 || s == 205 || s == 304) && deref(d.Body, "") != "" {
		j.add("directResponse.body", fmt.Sprintf("a response with status %d has no body (RFC 9110 §15)", s), "leave it out, or answer with another status")
	}
	if strings.ContainsFunc(deref(d.ContentType, ""), notInValue) {
		j.add("directResponse.contentType", "a header value cannot contain line breaks or control characters", "")
	}
	j.fixedHeaders("directResponse.headers", d.Headers)
}

// fixedHeaders are headers that are sent as they are written.
func (j *trafficJudge) fixedHeaders(field string, list []gwv1.HTTPHeader) {
	for i, h := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		lower := strings.ToLower(string(h.Name))
		switch {
		case !isToken(string(h.Name)):
			j.add(at+".name", fmt.Sprintf("%q is not a header name", h.Name), "")
		case slices.Contains(framing, lower):
			j.add(at+".name", fmt.Sprintf("header %s is the proxy's own and cannot be set", h.Name), "")
		}
		if strings.ContainsFunc(h.Value, notInValue) {
			j.add(at+".value", "a header value cannot contain line breaks or control characters", "")
		}
	}
}

// notInValue: RFC 9110 §5.5.
func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func (j *trafficJudge) mediaTypes(list []string) {
	for i, t := range list {
		main, sub, ok := strings.Cut(t, "/")
		if !ok || !isToken(main) || !isToken(sub) {
			j.add(fmt.Sprintf("compression.contentTypes[%d]", i), fmt.Sprintf("%q is not a media type", t), "for example text/html, text/* or application/*+json, without parameters")
		}
	}
}

// ownNames are headers that have a meaning of their own, so that no policy may
// put anything else into them.
var ownNames = append([]string{"host", "expect", "cookie", "set-cookie", "authorization", "forwarded", "via", "date", "content-type", "content-encoding"}, framing...)

// freeName refuses the name of a header that is needed for something else.
func freeName(name string) string {
	switch lower := strings.ToLower(name); {
	case !isToken(name):
		return fmt.Sprintf("%q is not a header name", name)
	case slices.Contains(ownNames, lower), strings.HasPrefix(lower, "x-forwarded-"):
		return fmt.Sprintf("header %s has a meaning of its own and cannot be used for this", name)
	}
	return ""
}

func judgeSessionName(s *gwv1.SessionPersistence) string {
	switch {
	case s.SessionName == nil:
	case deref(s.Type, gwv1.CookieBasedSessionPersistence) == gwv1.HeaderBasedSessionPersistence:
		return freeName(*s.SessionName)
	case !isToken(*s.SessionName):
		return fmt.Sprintf("%q is not a cookie name", *s.SessionName)
	}
	return ""
}
