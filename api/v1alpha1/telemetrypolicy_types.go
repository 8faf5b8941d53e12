package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TelemetryPolicy says what is recorded of traffic, and where that goes: which requests
// are traced, what the access log has of them, and which TelemetrySinks get it. It is for
// what targetRefs name or, without any, for the routes, Gateways and Services of its
// namespace; in the namespace `gridway-system`, for all.
//
// Each field is taken from the most specific policy that has it: that of a rule, then of
// its route, of the listener, ListenerSet and Gateway, then the one without targets in
// the namespace of the route, and at last the one in `gridway-system`. For requests that
// no route takes it begins with the listener. Workloads of a Service follow the policies
// on its port, on the Service, in its namespace, and in `gridway-system`. Of several with
// the same target the oldest holds.
//
// What no policy says is as the process was started: `--access-log` and its kin.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=telemetrypolicies,categories=gridway,shortName=telp
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TelemetryPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec TelemetryPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// TelemetryPolicyList is a list of TelemetryPolicies.
//
// +kubebuilder:object:root=true
type TelemetryPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TelemetryPolicy `json:"items"`
}

// TelemetryPolicySpec is the desired state of a TelemetryPolicy.
//
// +kubebuilder:validation:XValidation:message="at least one of tracing, accessLog and metrics must be given",rule="has(self.tracing) || has(self.accessLog) || has(self.metrics)"
// +kubebuilder:validation:XValidation:message="metrics are those of whole processes: leave out targetRefs",rule="!has(self.metrics) || !has(self.targetRefs) || size(self.targetRefs) == 0"
type TelemetryPolicySpec struct {
	// TargetRefs name what the policy attaches to, in its own namespace: Gateway
	// (sectionName: a listener), ListenerSet (sectionName: a listener), HTTPRoute,
	// GRPCRoute, TCPRoute, TLSRoute or UDPRoute (sectionName: the name of a rule); in a
	// mesh also Service (sectionName: the name of a port), whose workloads' proxies
	// follow it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Gateway, ListenerSet, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute (group gateway.networking.k8s.io) or Service (group \"\")",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'UDPRoute']) || (t.group == '' && t.kind == 'Service'))"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs,omitempty"`

	// Tracing is about requests; connections and datagrams are not traced.
	// +optional
	Tracing *TracingPolicy `json:"tracing,omitempty"`

	// AccessLog is about requests, connections and sessions of UDP.
	// +optional
	AccessLog *AccessLogPolicy `json:"accessLog,omitempty"`

	// Metrics is about the metrics of the proxies of the namespace: of those that serve
	// its Gateways, and of those of its workloads; in `gridway-system`, of all.
	// +optional
	Metrics *MetricsPolicy `json:"metrics,omitempty"`
}

// SinkReference names a TelemetrySink in the policy's namespace.
type SinkReference struct {
	// Name of the TelemetrySink.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
}

// TracingPolicy says which requests are traced, and how.
type TracingPolicy struct {
	// Sampling says which requests are traced. Each of its fields is taken by itself.
	// +optional
	Sampling *TraceSampling `json:"sampling,omitempty"`

	// Propagation says by which headers the trace goes on from proxy to proxy.
	// +optional
	Propagation *TracePropagation `json:"propagation,omitempty"`

	// Tags are attributes that spans get besides their own. They are taken as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Tags []SpanTag `json:"tags,omitempty"`

	// SinkRefs name the TelemetrySinks that get spans. An empty list is none. Default:
	// none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	SinkRefs []SinkReference `json:"sinkRefs,omitempty"`
}

// TraceSampling says which requests are traced.
//
// +kubebuilder:validation:XValidation:fieldPath=".rate",message="must be a whole number from 0 to 100, or a percentage with up to four decimals such as 0.05%",rule="!has(self.rate) || (type(self.rate) == int ? (self.rate >= 0 && self.rate <= 100) : self.rate.matches('^(100([.]0{1,4})?|[0-9]{1,2}([.][0-9]{1,4})?)%$'))"
type TraceSampling struct {
	// FollowParent traces a request if, and only if, the headers of its trace say that it
	// is traced; the rates are for those that come without. Where clients are not
	// trusted with that, set it to false. Default: true.
	// +optional
	FollowParent *bool `json:"followParent,omitempty"`

	// Rate is how many of the requests are traced: a whole number of percent, or with up
	// to four decimals and a percent sign, as in `0.05%`. Default: 1.
	// +optional
	Rate *intstr.IntOrString `json:"rate,omitempty"`

	// Rules give some requests other rates. The first whose conditions all hold counts.
	// They are taken as a whole.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Rules []TraceRule `json:"rules,omitempty"`

	// MaxPerSecond bounds the requests of this policy that a proxy traces in a second, 1
	// to 1000000, those that FollowParent traces included. Default: no bound.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxPerSecond *int32 `json:"maxPerSecond,omitempty"`

	// KeepSlowerThan has requests that took longer traced, too, `1ms` to `1h`. What
	// other proxies have of them may be gone: they decided for themselves. Default: none.
	// +optional
	KeepSlowerThan *gatewayv1.Duration `json:"keepSlowerThan,omitempty"`

	// KeepErrors has requests traced that were answered with a status from 500, or, of
	// gRPC, with a status that means a failure of the server. Default: true.
	// +optional
	KeepErrors *bool `json:"keepErrors,omitempty"`
}

// TraceRule gives requests a rate.
//
// +kubebuilder:validation:XValidation:message="at least one of matches and when must be given",rule="has(self.matches) || has(self.when)"
// +kubebuilder:validation:XValidation:fieldPath=".rate",message="must be a whole number from 0 to 100, or a percentage with up to four decimals such as 0.05%",rule="!has(self.rate) || (type(self.rate) == int ? (self.rate >= 0 && self.rate <= 100) : self.rate.matches('^(100([.]0{1,4})?|[0-9]{1,2}([.][0-9]{1,4})?)%$'))"
type TraceRule struct {
	// Name of the rule, unique in the policy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Matches are requests as routes match them; one of several must match.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Matches []gatewayv1.HTTPRouteMatch `json:"matches,omitempty"`

	// When is a condition in CEL, with the names of docs/guides/cel.md. Who
	// calls (`caller.…`) is not known yet where it is decided.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	When *string `json:"when,omitempty"`

	// Rate is how many of these requests are traced, like the rate for all.
	// +required
	Rate intstr.IntOrString `json:"rate"`
}

// TraceFormat is a set of headers that carry a trace.
//
// +kubebuilder:validation:Enum=W3C;B3;B3Single
type TraceFormat string

const (
	// TraceW3C is traceparent and tracestate (W3C Trace Context).
	TraceW3C TraceFormat = "W3C"
	// TraceB3 is X-B3-TraceId and its kin, those of Zipkin.
	TraceB3 TraceFormat = "B3"
	// TraceB3Single is the same in the one header b3.
	TraceB3Single TraceFormat = "B3Single"
)

// TracePropagation says by which headers a trace goes on.
type TracePropagation struct {
	// Accept are the headers by which a request may belong to a trace already, the
	// preferred first: `W3C`, or `B3`, which is both forms of B3. Default: `W3C`.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:message="B3 is both of its forms: leave out B3Single",rule="!self.exists(f, f == 'B3Single')"
	Accept []TraceFormat `json:"accept,omitempty"`

	// Send are the headers that endpoints get: `W3C`, `B3` or `B3Single`. An empty list
	// is none, and leaves what clients sent as it is. Default: `W3C`.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Send []TraceFormat `json:"send,omitempty"`
}

// SpanTag is an attribute of spans. One whose header the request does not have is left out.
//
// +kubebuilder:validation:XValidation:message="exactly one of value, requestHeader and expression must be given",rule="(has(self.value) ? 1 : 0) + (has(self.requestHeader) ? 1 : 0) + (has(self.expression) ? 1 : 0) == 1"
type SpanTag struct {
	// Name of the attribute.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_.-]*$`
	Name string `json:"name"`

	// Value as it is.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Value *string `json:"value,omitempty"`

	// RequestHeader has the value, of which 256 bytes are kept. Those of credentials
	// cannot be named.
	// +optional
	RequestHeader *gatewayv1.HTTPHeaderName `json:"requestHeader,omitempty"`

	// Expression gives the value, in CEL, with the names of
	// docs/guides/cel.md.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression *string `json:"expression,omitempty"`
}

// MetricsPolicy says where metrics go besides to who asks for them.
type MetricsPolicy struct {
	// SinkRefs name the TelemetrySinks that get metrics.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	SinkRefs []SinkReference `json:"sinkRefs"`
}
