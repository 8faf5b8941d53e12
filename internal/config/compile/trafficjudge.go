package compile

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
)

// judgeTraffic finds the semantic errors of a TrafficPolicy that the schema
// cannot express, and those that matter most in case no schema was applied.
func judgeTraffic(spec *v1alpha1.TrafficPolicySpec) []fault {
	j := &trafficJudge{}
	j.targets(spec)
	j.durations(reflect.ValueOf(spec).Elem(), "spec")
	j.exchange(spec)
	j.cluster(spec)
	j.positive(spec)
	if spec.DirectResponse != nil {
		j.direct(spec.DirectResponse)
	}
	if spec.Transcoding != nil {
		j.transcoding(spec.Transcoding)
	}
	if spec.Compression != nil {
		j.mediaTypes(spec.Compression.ContentTypes)
	}
	if spec.Client != nil {
		j.client(spec.Client)
	}
	return j.faults
}

type trafficJudge struct{ faults []fault }

func (j *trafficJudge) add(field, message, remedy string) {
	j.faults = append(j.faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
}

func (j *trafficJudge) targets(spec *v1alpha1.TrafficPolicySpec) {
	if len(spec.TargetRefs) == 0 {
		j.add("targetRefs", "a policy needs at least one target", "")
	}
	for i, t := range spec.TargetRefs {
		field := fmt.Sprintf("targetRefs[%d].kind", i)
		gk := coreGroup(string(t.Group)) + "/" + string(t.Kind)
		switch gk {
		case gatewayGroup + "/Gateway", gatewayGroup + "/ListenerSet", gatewayGroup + "/HTTPRoute", gatewayGroup + "/GRPCRoute",
			gatewayGroup + "/TCPRoute", gatewayGroup + "/TLSRoute", gatewayGroup + "/UDPRoute", "/Service", ownGroup + "/Backend":
		default:
			j.add(field, fmt.Sprintf("a TrafficPolicy cannot attach to kind %s of group %q", t.Kind, t.Group),
				"use Gateway, ListenerSet, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, UDPRoute, Service or Backend, with its group")
			continue
		}
		if spec.Client != nil && t.Kind != "Gateway" && t.Kind != "ListenerSet" {
			j.add("client", "client can only be set when every target is a Gateway or a ListenerSet", "")
		}
		if spec.DirectResponse != nil && t.Kind != "HTTPRoute" && t.Kind != "GRPCRoute" {
			j.add("directResponse", "directResponse can only be set when every target is an HTTPRoute or a GRPCRoute", "")
		}
	}
}

// durations checks every Duration in the policy.
func (j *trafficJudge) durations(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Field(i)
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		p := path + "." + name
		if strings.Contains(options, "inline") {
			p = path
		} else if name == "" || name == "targetRefs" {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if d, ok := f.Interface().(gwv1.Duration); ok {
			if _, err := parseDuration(d); err != nil {
				j.faults = append(j.faults, fault{field: p, code: "InvalidDuration", message: err.Error(), remedy: `write it like "1m30s" or "250ms"`})
			}
			continue
		}
		if f.Kind() == reflect.Struct && (strings.Contains(f.Type().PkgPath(), "/api/v1alpha1") || strings.Contains(options, "inline")) {
			j.durations(f, p)
		}
	}
}

func (j *trafficJudge) exchange(spec *v1alpha1.TrafficPolicySpec) {
	if t := spec.Timeouts; t != nil {
		if r, b := duration(t.Request, 0), duration(t.BackendRequest, 0); r > 0 && b > r {
			j.add("timeouts.backendRequest", fmt.Sprintf("%s is longer than timeouts.request, %s", b, r), "make it shorter")
		}
	}
	if r := spec.Retry; r != nil && r.Backoff != nil {
		d := defaultRetry()
		if b, m := duration(r.Backoff.Base, d.BackoffBase), duration(r.Backoff.Max, max(d.BackoffMax, duration(r.Backoff.Base, 0))); b > m {
			j.add("retry.backoff.max", fmt.Sprintf("%s is less than base, %s", m, b), "")
		}
	}
	if f := spec.Fault; f != nil {
		if f.Delay != nil && f.Delay.Percent != nil {
			if _, err := v1alpha1.HundredthsOfPercent(*f.Delay.Percent); err != nil {
				j.add("fault.delay.percent", err.Error(), "")
			}
		}
		if f.Abort != nil && f.Abort.Percent != nil {
			if _, err := v1alpha1.HundredthsOfPercent(*f.Abort.Percent); err != nil {
				j.add("fault.abort.percent", err.Error(), "")
			}
		}
	}
	if a := spec.Admission; a != nil {
		d := defaultAdmission()
		low, high := deref(a.MinConcurrency, int32(d.MinConcurrency)), deref(a.MaxConcurrency, int32(d.MaxConcurrency))
		if low > high {
			j.add("admission.minConcurrency", fmt.Sprintf("%d is above maxConcurrency, %d", low, high), "")
		}
	}
	if s := spec.SessionPersistence; s != nil {
		if why := judgeSession(&s.SessionPersistence); why != "" {
			j.add("sessionPersistence", why, "")
		}
		if why := judgeSessionName(&s.SessionPersistence); why != "" {
			j.add("sessionPersistence.sessionName", why, "")
		}
	}
}

func (j *trafficJudge) cluster(spec *v1alpha1.TrafficPolicySpec) {
	if lb := spec.LoadBalancer; lb != nil {
		for i, k := range lb.HashOn {
			set := 0
			for _, is := range []bool{k.Header != nil, k.Cookie != nil, k.Query != nil, deref(k.SourceIP, false)} {
				if is {
					set++
				}
			}
			if set != 1 {
				j.add(fmt.Sprintf("loadBalancer.hashOn[%d]", i), "exactly one of header, cookie, query and sourceIP must be given", "")
			}
			if name := deref(k.Cookie, "c"); !isToken(name) {
				j.add(fmt.Sprintf("loadBalancer.hashOn[%d].cookie", i), fmt.Sprintf("%q is not a cookie name", name), "")
			}
		}
	}
	hc := spec.HealthCheck
	if hc == nil {
		return
	}
	switch {
	case hc.TCP != nil && (hc.HTTP != nil || hc.GRPC != nil):
		j.add("healthCheck.tcp", "http, grpc and tcp exclude each other", "leave one of them")
	case hc.HTTP != nil && hc.GRPC != nil:
		j.add("healthCheck.grpc", "http, grpc and tcp exclude each other", "leave one of them")
	}
	if hc.GRPC != nil {
		j.healthHost("healthCheck.grpc.host", hc.GRPC.Host)
	}
	if hc.HTTP != nil {
		j.healthRequest(hc.HTTP)
		for i, s := range hc.HTTP.Statuses {
			if _, _, err := v1alpha1.StatusCodes(s); err != nil {
				j.add(fmt.Sprintf("healthCheck.http.statuses[%d]", i), err.Error(), "")
			}
		}
	}
}

func (j *trafficJudge) client(v *v1alpha1.Client) {
	cidrs := func(list []v1alpha1.CIDR, field string) {
		for i, p := range list {
			if _, err := parsePrefix(p); err != nil {
				j.add(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%q is not an IP address or a prefix such as 10.0.0.0/8", p), "")
			}
		}
	}
	cidrs(v.ProxyProtocolFrom, "client.proxyProtocolFrom")
	if f := v.Forwarded; f != nil {
		cidrs(f.TrustedProxies, "client.forwarded.trustedProxies")
		if deref(f.TrustedHops, 0) > 0 && len(f.TrustedProxies) > 0 {
			j.add("client.forwarded.trustedHops", "trustedHops and trustedProxies exclude each other", "remove one of them")
		}
	}
	if l := v.Limits; l != nil && l.PerClient != nil && l.PerClient.NewConnections != nil {
		if _, _, err := v1alpha1.ParseRate(*l.PerClient.NewConnections); err != nil {
			j.add("client.limits.perClient.newConnections", err.Error(), "")
		}
	}
	if l := v.Limits; l != nil && l.MinBodyRate != nil {
		if _, err := v1alpha1.ParseBodyRate(l.MinBodyRate.Rate); err != nil {
			j.add("client.limits.minBodyRate.rate", err.Error(), "")
		}
	}
	if r := v.RequestID; r != nil && r.Header != nil {
		if why := freeName(string(*r.Header)); why != "" {
			j.add("client.requestID.header", why, "")
		}
	}
	if t := v.TLS; t != nil {
		if deref(t.MinVersion, v1alpha1.TLS12) > deref(t.MaxVersion, v1alpha1.TLS13) {
			j.add("client.tls.minVersion", "minVersion is above maxVersion", "")
		}
		for i, p := range t.ALPN {
			if why, remedy := judgeALPN(p); why != "" {
				j.add(fmt.Sprintf("client.tls.alpn[%d]", i), why, remedy)
			}
		}
	}
}

func judgeSession(s *gwv1.SessionPersistence) string {
	if cookie := s.CookieConfig; cookie != nil {
		if deref(s.Type, gwv1.CookieBasedSessionPersistence) != gwv1.CookieBasedSessionPersistence {
			return "cookieConfig can only be set with type Cookie"
		}
		if deref(cookie.LifetimeType, gwv1.SessionCookieLifetimeType) == gwv1.PermanentCookieLifetimeType && s.AbsoluteTimeout == nil {
			return "absoluteTimeout must be given when cookieConfig.lifetimeType is Permanent"
		}
	}
	return ""
}

// parseDuration reads a Duration as GEP-2257 defines it.
func parseDuration(d gwv1.Duration) (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 || strings.ContainsAny(string(d), ".+-nuµ") {
		return 0, fmt.Errorf("%q is not a duration", d)
	}
	return v, nil
}

// duration reads one that was judged already.
func duration(d *gwv1.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	v, err := parseDuration(*d)
	if err != nil {
		return def
	}
	return v
}

func parsePrefix(p v1alpha1.CIDR) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(string(p)); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	v, err := netip.ParsePrefix(string(p))
	return v.Masked(), err
}
