package ir

import "time"

// Telemetry is what the TelemetryPolicies that reach a rule, a route of streams or a
// section come to. Nil where none does; what is not said in it is as the process was
// started.
type Telemetry struct {
	// Key is a digest of the rest: equal for equal content.
	Key       uint64           `json:"key"`
	Tracing   *Tracing         `json:"tracing,omitempty"`
	AccessLog *AccessLogPolicy `json:"accessLog,omitempty"`
}

// RateOfAll is the rate of samplings that take all: rates are in millionths.
const RateOfAll = 1_000_000

// Tracing says which requests are traced, and how. It is whole: defaults are filled in.
type Tracing struct {
	// IgnoreParent: whether the client's trace is sampled is of no matter.
	IgnoreParent bool `json:"ignoreParent,omitempty"`
	// Rate, in millionths, is for requests that no rule takes.
	Rate  int         `json:"rate"`
	Rules []TraceRule `json:"rules,omitempty"`
	// MaxPerSecond of all that have the same Key; 0 is no bound.
	MaxPerSecond int `json:"maxPerSecond,omitempty"`
	// KeepSlowerThan is zero for none.
	KeepSlowerThan time.Duration `json:"keepSlowerThan,omitempty"`
	KeepErrors     bool          `json:"keepErrors,omitempty"`
	// Accept and Send are formats of propagation, the preferred first. An empty Send
	// sends nothing and leaves the client's headers.
	Accept []TraceFormat `json:"accept,omitempty"`
	Send   []TraceFormat `json:"send,omitempty"`
	Tags   []SpanTag     `json:"tags,omitempty"`
	// Sinks are names of TelemetrySinks that take traces.
	Sinks []string `json:"sinks,omitempty"`
}

// TraceFormat is a set of headers that carry a trace. Accept has no B3Single: B3 is both
// of its forms there.
type TraceFormat string

const (
	TraceW3C      TraceFormat = "W3C"
	TraceB3       TraceFormat = "B3"
	TraceB3Single TraceFormat = "B3Single"
)

// TraceRule gives requests a rate, in millionths. Both conditions hold where both are
// given.
type TraceRule struct {
	Name string `json:"name"`
	// Matches: one of them, if there are any.
	Matches []Match `json:"matches,omitempty"`
	// When is a condition in CEL; empty holds.
	When string `json:"when,omitempty"`
	Rate int    `json:"rate"`
}

// SpanTag is an attribute of spans. One of Value, RequestHeader and Expression is its
// value.
type SpanTag struct {
	Name          string `json:"name"`
	Value         string `json:"value,omitempty"`
	RequestHeader string `json:"requestHeader,omitempty"`
	Expression    string `json:"expression,omitempty"`
}

// AccessLogPolicy says what the access log has of exchanges.
type AccessLogPolicy struct {
	Off bool `json:"off,omitempty"`
	// Fields of a line of JSON, in their order; empty is all there are. With Template
	// they are the parts of a line of text.
	Fields   []LogField `json:"fields,omitempty"`
	Template bool       `json:"template,omitempty"`
	// Sampling: the first with the status counts; what none has is logged.
	Sampling []LogSampling `json:"sampling,omitempty"`
	Query    QueryLogging  `json:"query,omitempty"`
	// HiddenHeaders, in lower case, and HiddenParameters are redacted besides what
	// SecretName knows.
	HiddenHeaders    []string `json:"hiddenHeaders,omitempty"`
	HiddenParameters []string `json:"hiddenParameters,omitempty"`
	// Sinks are names of TelemetrySinks that take logs. OwnSinks says that they take the
	// place of the log that the process was started with; there may be none.
	Sinks    []string `json:"sinks,omitempty"`
	OwnSinks bool     `json:"ownSinks,omitempty"`
}

// LogField is a field of a line. With neither header it is the one of LogFields that is
// called so; in a template Name is then empty for a Text that is written as it is.
type LogField struct {
	Name           string `json:"name,omitempty"`
	Text           string `json:"text,omitempty"`
	RequestHeader  string `json:"requestHeader,omitempty"`  // in lower case
	ResponseHeader string `json:"responseHeader,omitempty"` // in lower case
}

// LogSampling logs a share, in millionths, of exchanges whose status is from Least to Most.
type LogSampling struct {
	Least int `json:"least"`
	Most  int `json:"most"`
	Rate  int `json:"rate"`
}

// QueryLogging says how much of query strings is logged; empty is nothing.
type QueryLogging string

const (
	QueryNames QueryLogging = "Names"
	QueryFull  QueryLogging = "Full"
)

// LogFields are the fields that exchanges and streams have in the access log, in their
// order. A test of the encoder holds them to be the same.
func LogFields() []string {
	return []string{
		"time", "request_id", "method", "scheme", "host", "path", "query", "protocol", "status", "grpc_service", "grpc_method", "grpc_status",
		"flags", "reason", "listener", "route", "rule", "cluster", "endpoint", "attempts", "duration_ms", "upstream_ms",
		"request_bytes", "response_bytes", "request_messages", "response_messages", "close_code", "closed_by",
		"consumer", "credential", "auth_method", "subject", "issuer", "client_id", "policy", "policy_rule", "auth_faults",
		"audited", "would_deny", "fail_open", "client", "peer", "peer_identity", "endpoint_identity", "user_agent", "referer",
		"trace_id", "tls_version", "tls_cipher", "tls_alpn", "tls_server_name", "destination", "revision",
	}
}

// telemetry hides what headers are compared with, and tags that look like credentials.
func (v Veil) telemetry(t *Telemetry) *Telemetry {
	if t == nil || t.Tracing == nil {
		return t
	}
	n, tracing := *t, *t.Tracing
	tracing.Rules = redactEach(tracing.Rules, func(r TraceRule) TraceRule {
		r.Matches = redactEach(r.Matches, v.Match)
		return r
	})
	tracing.Tags = redactEach(tracing.Tags, func(g SpanTag) SpanTag {
		if g.Value != "" && Credential(g.Name, g.Value) {
			g.Value = v(g.Value)
		}
		return g
	})
	n.Tracing = &tracing
	return &n
}
