package v1alpha1

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ExternalAuthentication asks a server about each request: who sends it, and
// whether it may go on. It needs no credential of a certain kind, so that it has
// an answer for every request; among several methods it stands last. Who it lets
// through is known, by what `consumer` and, for gRPC, the answer's
// dynamic_metadata say. Where it refuses, its answer is the client's.
//
// A server that cannot be asked, that fails (a status of gRPC other than OK, a
// status of HTTP of 500 or more), or whose answer cannot be understood lets nobody
// through: requests are answered 503 with reason IdentityUnavailable, unless
// failOpen says otherwise.
//
// +kubebuilder:validation:XValidation:message="exactly one of grpc and http must be given",rule="has(self.grpc) != has(self.http)"
type ExternalAuthentication struct {
	// BackendRef is the server: a Service with a port, or a Backend of group
	// gridway.dev. One in another namespace needs a ReferenceGrant there from kind
	// AuthenticationPolicy. Balancing, TLS, health checks and circuit breakers are
	// those of the policies on it. If it cannot be resolved, requests are answered
	// 503, failOpen or not.
	// +required
	BackendRef gatewayv1.BackendObjectReference `json:"backendRef"`

	// GRPC: the server has the service envoy.service.auth.v3.Authorization, as
	// Open Policy Agent and others have. It is asked over HTTP/2.
	// +optional
	GRPC *ExternalGRPC `json:"grpc,omitempty"`

	// HTTP: the server answers requests that are like the client's, without their
	// bodies unless body says otherwise. A status of 200 to 299 lets the request through; any other below 500 is
	// the answer that the client gets.
	// +optional
	HTTP *ExternalHTTP `json:"http,omitempty"`

	// Timeout bounds the question with its answer, 1ms to 1m. Default: 1s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// FailOpen lets requests through, from nobody who is known, while the server
	// cannot be asked or fails. Default: false.
	// +optional
	FailOpen *bool `json:"failOpen,omitempty"`

	// RequestHeaders are those of the request that the server is sent; `*` is all of
	// them. Default: all for gRPC, Authorization for http, which is sent in any case.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	RequestHeaders []gatewayv1.HTTPHeaderName `json:"requestHeaders,omitempty"`

	// UpstreamHeaders are those of the server's answer that endpoints get in the
	// request; `*` is all of them, for grpc only. Headers of these names that the client
	// has sent are removed. Default: none for http; all that the answer names for grpc, where those
	// that the client has sent stay unless the answer removes or replaces them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	UpstreamHeaders []gatewayv1.HTTPHeaderName `json:"upstreamHeaders,omitempty"`

	// Body sends the server the request's body, too, which is held until it answers.
	// Not for requests whose client waits for an answer before it ends its body, as
	// streams of gRPC do. Default: no body is sent.
	// +optional
	Body *ExternalBody `json:"body,omitempty"`

	// Cache remembers answers that have let requests through. Default: none is.
	// +optional
	Cache *ExternalCache `json:"cache,omitempty"`

	// Consumer finds the Consumer that calls, by what an answer over gRPC says in
	// dynamic_metadata.
	// +optional
	Consumer *JWTConsumer `json:"consumer,omitempty"`
}

// ExternalGRPC is how a server is asked by envoy.service.auth.v3.
type ExternalGRPC struct {
	// Context is sent as context_extensions with each question.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:message="names have up to 128 bytes, values up to 1024",rule="self.all(k, size(k) <= 128 && size(self[k]) <= 1024)"
	Context map[string]string `json:"context,omitempty"`
}

// ExternalHTTP is how a server is asked by HTTP. The question has the request's
// host, path and query, and says what it is about in X-Forwarded-Method, -Proto,
// -Host, -Uri and -For, too.
type ExternalHTTP struct {
	// Path stands before the request's path in the question, for example `/verify`.
	// Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:message="must begin with a slash and be of characters of a path (RFC 3986 §3.3)",rule="self.matches('^/[-A-Za-z0-9/._~!$&\\'()*+,;=:@%]*$')"
	Path *string `json:"path,omitempty"`

	// Method of the question: `Original` is the request's own. Default: Original.
	// +optional
	// +kubebuilder:validation:Enum=Original;GET
	Method *string `json:"method,omitempty"`

	// DeniedHeaders are those of the server's answer that the client gets when it is
	// refused, beside Content-Type, WWW-Authenticate and Location, which it gets in
	// any case; `*` is all of them. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	DeniedHeaders []gatewayv1.HTTPHeaderName `json:"deniedHeaders,omitempty"`

	// AllowedHeaders are those of the server's answer that the client gets with the
	// response when it is let through, for example Set-Cookie. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	AllowedHeaders []gatewayv1.HTTPHeaderName `json:"allowedHeaders,omitempty"`
}

// ExternalCache remembers, in 16 MiB of memory at most, answers that have let
// requests through: those that have an equal key go on for as long without a
// question. Of several such at the same time one asks, and the others wait.
// Refusals are not remembered, nor are answers that have something for the client's
// response, such as cookies, or, by HTTP, the Cache-Control no-store or private.
type ExternalCache struct {
	// Key is what requests have in common for which an answer holds: everything in
	// them that the server looks at. What is not in the key does not matter, whoever
	// sends the request.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Key []ExternalCacheKey `json:"key"`

	// TTL is how long an answer holds, 1s to 1h. Default: 10s.
	// +optional
	TTL *gatewayv1.Duration `json:"ttl,omitempty"`
}

// ExternalCacheKey is a part of a key.
//
// +kubebuilder:validation:XValidation:message="name goes with type Header, which needs it",rule="has(self.name) == (self.type == 'Header')"
type ExternalCacheKey struct {
	// Type of the part. `Header`: a header, all values of it. `Method`, `Host`,
	// `Path` and `Query` of the request. `ClientIP`: the client's address, as the
	// listener's trusted proxies tell it.
	// +required
	// +kubebuilder:validation:Enum=Header;Method;Host;Path;Query;ClientIP
	Type string `json:"type"`

	// Name of the header.
	// +optional
	Name *gatewayv1.HTTPHeaderName `json:"name,omitempty"`
}

// ExternalBody is how much of a request's body a server is sent.
type ExternalBody struct {
	// MaxBytes that are held and sent, 1 to 1048576. Default: 8192.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1048576
	MaxBytes *int32 `json:"maxBytes,omitempty"`

	// AllowPartial sends the beginning of a body that is longer. Otherwise such a
	// request is answered 413 with reason BodyTooLarge. Default: false.
	// +optional
	AllowPartial *bool `json:"allowPartial,omitempty"`
}
