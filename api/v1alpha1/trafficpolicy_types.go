package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TrafficPolicy says how traffic is handled: timeouts, retries, load
// balancing, limits, and how clients' connections are treated. It attaches to
// what targetRefs name. When several policies reach a request, the most
// specific wins field by field: rule, then route, then Backend or Service,
// then Gateway listener, ListenerSet and Gateway. Between policies on the same
// target the older one wins, then the one whose name sorts first; the loser's
// status says so.
//
// What a route says itself (its own timeouts, retry and sessionPersistence) is
// more specific than any policy.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=trafficpolicies,categories=gridway,shortName=tp
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TrafficPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec TrafficPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// TrafficPolicyList is a list of TrafficPolicies.
//
// +kubebuilder:object:root=true
type TrafficPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TrafficPolicy `json:"items"`
}

// TrafficPolicySpec is the desired state of a TrafficPolicy. A field that is
// left out is inherited from a less specific policy, and in the end has the
// default that its page names.
//
// +kubebuilder:validation:XValidation:message="client can only be set when every target is a Gateway or a ListenerSet",rule="!has(self.client) || self.targetRefs.all(t, t.kind == 'Gateway' || t.kind == 'ListenerSet')"
// +kubebuilder:validation:XValidation:message="directResponse can only be set when every target is an HTTPRoute or a GRPCRoute",rule="!has(self.directResponse) || self.targetRefs.all(t, t.kind == 'HTTPRoute' || t.kind == 'GRPCRoute')"
type TrafficPolicySpec struct {
	// TargetRefs name what the policy attaches to, in its own namespace:
	// Gateway (sectionName: a listener), ListenerSet (sectionName: a listener),
	// HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute (sectionName: the name
	// of a rule), Service (sectionName: a port name) or Backend.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Gateway, ListenerSet, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute (group gateway.networking.k8s.io), Service (group \"\") or Backend (group gridway.dev)",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'UDPRoute']) || (t.group == '' && t.kind == 'Service') || (t.group == 'gridway.dev' && t.kind == 'Backend'))"
	// +kubebuilder:validation:XValidation:message="sectionName cannot be used with a Backend",rule="self.all(t, t.kind != 'Backend' || !has(t.sectionName))"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Timeouts of an exchange.
	// +optional
	Timeouts *Timeouts `json:"timeouts,omitempty"`
	// Retry says when and how a request is tried again.
	// +optional
	Retry *Retry `json:"retry,omitempty"`
	// Hedge sends a further try when the first is slow, and takes the first
	// answer. Only requests that may be retried are hedged.
	// +optional
	Hedge *Hedge `json:"hedge,omitempty"`
	// LoadBalancer says how an endpoint is chosen.
	// +optional
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`
	// ConnectionPool bounds the connections kept to each endpoint.
	// +optional
	ConnectionPool *ConnectionPool `json:"connectionPool,omitempty"`
	// CircuitBreaker refuses work that would overload a backend.
	// +optional
	CircuitBreaker *CircuitBreaker `json:"circuitBreaker,omitempty"`
	// OutlierDetection takes endpoints out of use that fail real requests. Without it there is
	// none, but for Services in a mesh: there an endpoint with 5 connection failures or
	// answers of 502, 503 and 504 in a row is out for 5 seconds, and longer if that goes on.
	// One with consecutive5xx 0 turns that off.
	// +optional
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
	// HealthCheck asks endpoints whether they are well, beside real requests.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`
	// Admission bounds concurrent requests by a limit that adapts to latency.
	// +optional
	Admission *Admission `json:"admission,omitempty"`
	// Fault delays or aborts a share of the requests, to test their callers.
	// +optional
	Fault *Fault `json:"fault,omitempty"`
	// SessionPersistence keeps a client on one endpoint (GEP-1619). It is
	// taken as a whole from the most specific policy that has it.
	// +optional
	SessionPersistence *SessionPersistence `json:"sessionPersistence,omitempty"`
	// Compression of bodies.
	// +optional
	Compression *Compression `json:"compression,omitempty"`
	// Buffer reads a whole body, up to a bound, before it is passed on.
	// +optional
	Buffer *Buffer `json:"buffer,omitempty"`
	// Bridge lets clients that speak gRPC-Web or Connect call endpoints that
	// speak gRPC only.
	// +optional
	Bridge *Bridge `json:"bridge,omitempty"`
	// Transcoding lets clients that speak JSON over HTTP call endpoints that speak
	// gRPC, as the google.api.http annotations of their methods say.
	// +optional
	Transcoding *Transcoding `json:"transcoding,omitempty"`
	// DirectResponse answers without an endpoint. Only for targets that
	// are an HTTPRoute or a GRPCRoute.
	// +optional
	DirectResponse *DirectResponse `json:"directResponse,omitempty"`
	// MaxBodyBytes bounds request bodies, in bytes; a longer one is answered
	// 413. Default: client.limits.bodyBytes.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxBodyBytes *int64 `json:"maxBodyBytes,omitempty"`
	// ProxyProtocol is the version of the PROXY protocol sent to endpoints, so
	// that they learn the client's address. Default: `None`.
	// +optional
	ProxyProtocol *UpstreamProxyProtocol `json:"proxyProtocol,omitempty"`
	// Client is how a Gateway treats its clients' connections. Only for
	// Gateway and ListenerSet targets; listeners that share a port share it.
	// +optional
	Client *Client `json:"client,omitempty"`
}

// UpstreamProxyProtocol is a version of the PROXY protocol.
//
// +kubebuilder:validation:Enum=None;V1;V2
type UpstreamProxyProtocol string

const (
	// UpstreamProxyProtocolNone sends no PROXY protocol header.
	UpstreamProxyProtocolNone UpstreamProxyProtocol = "None"
	// UpstreamProxyProtocolV1 sends the text form.
	UpstreamProxyProtocolV1 UpstreamProxyProtocol = "V1"
	// UpstreamProxyProtocolV2 sends the binary form.
	UpstreamProxyProtocolV2 UpstreamProxyProtocol = "V2"
)
