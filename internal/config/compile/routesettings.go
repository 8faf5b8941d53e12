package compile

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

// rulePolicy is what policies and the rule's own fields say about an exchange.
// The rule's own fields win.
func (c *compiler) rulePolicy(s *settings, rule *gwv1.HTTPRouteRule, id string) ir.RoutePolicy {
	spec := &s.spec
	p := ir.RoutePolicy{
		Timeouts: timeouts(spec.Timeouts, rule.Timeouts),
		Retry:    s.retryFor(rule.Retry),
		Fault:    faultOf(spec.Fault),
		Buffer:   buffer(spec.Buffer),
		Direct:   direct(spec.DirectResponse),
		Bridge:   bridge(spec.Bridge),
	}
	p.Transcoding = c.transcodingOf(s)
	p.Compression = compression(spec.Compression)
	p.MaxBodyBytes = deref(spec.MaxBodyBytes, 0)
	if h := spec.Hedge; h != nil && h.Delay != nil && deref(h.MaxExtra, defaultHedgeExtra) > 0 {
		p.Hedge = &ir.Hedge{Delay: duration(h.Delay, 0), MaxExtra: int(deref(h.MaxExtra, defaultHedgeExtra))}
	}
	if spec.Admission != nil {
		p.Admission = admission(spec.Admission, admissionScope(s))
	}
	switch {
	case rule.SessionPersistence != nil:
		p.Session = c.session(&v1alpha1.SessionPersistence{SessionPersistence: *rule.SessionPersistence}, id)
	case spec.SessionPersistence != nil:
		p.Session = c.session(spec.SessionPersistence, id)
	}
	return p
}

func timeouts(t *v1alpha1.Timeouts, own *gwv1.HTTPRouteTimeouts) ir.Timeouts {
	out := defaultTimeouts()
	if t != nil {
		out.Request = duration(t.Request, out.Request)
		out.PerTry = duration(t.BackendRequest, out.PerTry)
		out.Idle = duration(t.Idle, out.Idle)
		out.MaxStream = duration(t.MaxStream, out.MaxStream)
	}
	if own != nil {
		out.Request = duration(own.Request, out.Request)
		out.PerTry = duration(own.BackendRequest, out.PerTry)
	}
	return out
}

// retryFor shares what policies alone say between the rules under them.
func (s *settings) retryFor(own *gwv1.HTTPRouteRetry) *ir.Retry {
	if own != nil {
		return retry(s.spec.Retry, own)
	}
	if !s.hasRetry {
		s.hasRetry, s.retry = true, retry(s.spec.Retry, nil)
	}
	return s.retry
}

func retry(r *v1alpha1.Retry, own *gwv1.HTTPRouteRetry) *ir.Retry {
	out := defaultRetry()
	if r != nil {
		applyRetry(&out, r)
	}
	if own != nil {
		// The Gateway API asks for retries of connection errors and timeouts
		// wherever a retry stanza is given.
		out.ConnectFailure, out.Reset, out.Timeout = true, true, true
		if own.Codes != nil {
			out.Statuses = nil
			for _, code := range own.Codes {
				out.Statuses = append(out.Statuses, int(code))
			}
		}
		out.Attempts = deref(own.Attempts, out.Attempts)
		if own.Backoff != nil {
			out.BackoffMin = duration(own.Backoff, 0)
			out.BackoffMax = max(out.BackoffMax, out.BackoffMin)
		}
	}
	if out.Attempts == 0 {
		return nil
	}
	slices.Sort(out.Statuses)
	out.Statuses = slices.Compact(out.Statuses)
	return &out
}

func applyRetry(out *ir.Retry, r *v1alpha1.Retry) {
	out.Attempts = int(deref(r.Attempts, int32(out.Attempts)))
	if r.RetryOn != nil {
		out.ConnectFailure, out.Reset, out.Timeout = false, false, false
	}
	for _, on := range r.RetryOn {
		switch on {
		case v1alpha1.RetryConnectFailure:
			out.ConnectFailure = true
		case v1alpha1.RetryReset:
			out.Reset = true
		case v1alpha1.RetryTimeout:
			out.Timeout = true
		case v1alpha1.RetryGatewayError:
			out.Statuses = append(out.Statuses, 502, 503, 504)
		case v1alpha1.RetryServerError:
			for code := 500; code < 600; code++ {
				out.Statuses = append(out.Statuses, code)
			}
		}
		out.GRPCCodes |= grpcCode(on)
	}
	for _, code := range r.Statuses {
		out.Statuses = append(out.Statuses, int(code))
	}
	for _, m := range r.Methods {
		out.Methods = append(out.Methods, string(m))
	}
	if b := r.Backoff; b != nil {
		out.BackoffBase = duration(b.Base, out.BackoffBase)
		out.BackoffMax = duration(b.Max, max(out.BackoffMax, out.BackoffBase))
	}
	if d := duration(r.RetryAfter, 0); d > 0 {
		out.RetryAfter, out.RetryAfterMax = true, d
	}
	out.MaxReplayBytes = deref(r.MaxReplayBytes, out.MaxReplayBytes)
}

func faultOf(f *v1alpha1.Fault) *ir.Fault {
	if f == nil {
		return nil
	}
	out := &ir.Fault{}
	if d := f.Delay; d != nil && d.Duration != nil {
		out.Delay, out.DelayPercent = duration(d.Duration, 0), defaultFaultPercent
		if d.Percent != nil {
			out.DelayPercent, _ = v1alpha1.HundredthsOfPercent(*d.Percent)
		}
	}
	if a := f.Abort; a != nil {
		out.AbortStatus, out.AbortPercent = int(deref(a.Status, defaultAbortStatus)), defaultFaultPercent
		if a.Percent != nil {
			out.AbortPercent, _ = v1alpha1.HundredthsOfPercent(*a.Percent)
		}
	}
	if *out == (ir.Fault{}) {
		return nil
	}
	return out
}

func buffer(b *v1alpha1.Buffer) *ir.Buffer {
	if b == nil || b.RequestBytes == nil && b.ResponseBytes == nil {
		return nil
	}
	return &ir.Buffer{RequestBytes: deref(b.RequestBytes, 0), ResponseBytes: deref(b.ResponseBytes, 0)}
}

func compression(v *v1alpha1.Compression) *ir.Compression {
	if v == nil {
		return nil
	}
	out := defaultCompression()
	if v.Algorithms != nil {
		out.Algorithms = nil
		for _, a := range v.Algorithms {
			out.Algorithms = append(out.Algorithms, string(a))
		}
	}
	out.MinBytes = deref(v.MinBytes, out.MinBytes)
	if v.ContentTypes != nil {
		out.ContentTypes = v.ContentTypes
	}
	out.Level = int(deref(v.Level, int32(out.Level)))
	if d := v.Decompress; d != nil {
		out.DecompressRequests, out.DecompressResponses = deref(d.Requests, false), deref(d.Responses, false)
		out.MaxRatio = int(deref(d.MaxRatio, int32(out.MaxRatio)))
		out.MaxBytes = deref(d.MaxBytes, out.MaxBytes)
	}
	if len(out.Algorithms) == 0 && !out.DecompressRequests && !out.DecompressResponses {
		return nil
	}
	return &out
}

func direct(d *v1alpha1.DirectResponse) *ir.DirectResponse {
	if d == nil {
		return nil
	}
	out := &ir.DirectResponse{Status: int(deref(d.Status, defaultDirectStatus)), Headers: headers(d.Headers)}
	if body := deref(d.Body, ""); body != "" {
		out.Body = []byte(body)
		out.Headers = append(out.Headers, ir.Header{Name: "Content-Type", Value: deref(d.ContentType, defaultDirectType)})
	}
	return out
}

func admission(a *v1alpha1.Admission, scope string) *ir.Admission {
	d := defaultAdmission()
	out := &ir.Admission{
		Scope:          scope,
		MinConcurrency: int(deref(a.MinConcurrency, int32(d.MinConcurrency))),
		MaxConcurrency: int(deref(a.MaxConcurrency, int32(d.MaxConcurrency))),
		Initial:        int(deref(a.InitialConcurrency, int32(d.Initial))),
		TargetLatency:  duration(a.TargetLatency, 0),
		MaxQueue:       int(deref(a.MaxQueue, int32(d.MaxQueue))),
		QueueTimeout:   duration(a.QueueTimeout, d.QueueTimeout),
		PriorityHeader: string(deref(a.PriorityHeader, "")), DefaultPriority: int(deref(a.DefaultPriority, int32(d.DefaultPriority))),
	}
	out.MaxConcurrency = max(out.MaxConcurrency, out.MinConcurrency)
	out.Initial = min(max(out.Initial, out.MinConcurrency), out.MaxConcurrency)
	return out
}

// admissionScope is the target of the most specific policy with admission:
// everything under that target shares one limit.
func admissionScope(s *settings) string {
	for _, b := range s.winners {
		if b.policy.spec.Admission != nil {
			return b.target.String()
		}
	}
	return ""
}

func (c *compiler) session(s *v1alpha1.SessionPersistence, id string) *ir.SessionPersistence {
	out := &ir.SessionPersistence{
		Header:          deref(s.Type, gwv1.CookieBasedSessionPersistence) == gwv1.HeaderBasedSessionPersistence,
		Name:            deref(s.SessionName, defaultSessionName),
		AbsoluteTimeout: duration(s.AbsoluteTimeout, 0),
		IdleTimeout:     duration(s.IdleTimeout, 0),
	}
	if !out.Header {
		out.Path = "/"
		if s.CookieConfig != nil {
			out.Permanent = deref(s.CookieConfig.LifetimeType, gwv1.SessionCookieLifetimeType) == gwv1.PermanentCookieLifetimeType
		}
	}
	if len(c.in.SessionKey) > 0 {
		mac := hmac.New(sha256.New, c.in.SessionKey)
		mac.Write([]byte(id))
		out.Key = mac.Sum(nil)
	}
	return out
}

func headers(list []gwv1.HTTPHeader) []ir.Header {
	var out []ir.Header
	for _, h := range list {
		out = append(out, ir.Header{Name: string(h.Name), Value: h.Value})
	}
	return out
}

// grpcCode is the bit of the status of gRPC that a condition names.
func grpcCode(on v1alpha1.RetryCondition) uint32 {
	switch on {
	case v1alpha1.RetryCancelled:
		return 1 << 1
	case v1alpha1.RetryDeadlineExceeded:
		return 1 << 4
	case v1alpha1.RetryResourceExhausted:
		return 1 << 8
	case v1alpha1.RetryInternal:
		return 1 << 13
	case v1alpha1.RetryUnavailable:
		return 1 << 14
	}
	return 0
}
