package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// ShieldPolicy refuses requests before anybody is asked who sends them: by the
// client's address, by its User-Agent, by the type of their body, and those that
// another site has a browser send. It bounds JSON, and gives responses the headers that make browsers careful. It
// attaches to what targetRefs name.
//
// Of several policies that reach a request, each section is taken from the most
// specific one that has it: a rule's before a route's, a listener's, a Gateway's.
// Lists of what is refused (`addresses.deny`, `userAgents.deny`) add up instead:
// nobody who is refused by a Gateway's policy gets through by a route's.
//
// A policy that cannot be used, and never could since the start, refuses the
// requests of its targets with 503.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=shieldpolicies,categories=gridway,shortName=shp
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ShieldPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec ShieldPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// ShieldPolicyList is a list of ShieldPolicies.
//
// +kubebuilder:object:root=true
type ShieldPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ShieldPolicy `json:"items"`
}

// ShieldPolicySpec is the desired state of a ShieldPolicy.
//
// +kubebuilder:validation:XValidation:message="at least one of addresses, userAgents, csrf, body and securityHeaders must be given",rule="has(self.addresses) || has(self.userAgents) || has(self.csrf) || has(self.body) || has(self.securityHeaders)"
type ShieldPolicySpec struct {
	// TargetRefs name what the policy attaches to, in its own namespace: Gateway
	// (sectionName: a listener), ListenerSet (sectionName: a listener), HTTPRoute
	// or GRPCRoute (sectionName: the name of a rule); for addresses also TCPRoute,
	// TLSRoute and UDPRoute; in a mesh also Service (sectionName: the name of a port),
	// whose workloads' proxies hold it.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Gateway, ListenerSet, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute (group gateway.networking.k8s.io) or Service (group \"\")",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'UDPRoute']) || (t.group == '' && t.kind == 'Service'))"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Addresses says from which addresses requests may come.
	// +optional
	Addresses *AddressShield `json:"addresses,omitempty"`
	// UserAgents says which programs may send requests, as they name themselves.
	// +optional
	UserAgents *UserAgentShield `json:"userAgents,omitempty"`
	// CSRF refuses requests that change something and that a browser sends for
	// another site.
	// +optional
	CSRF *CSRFShield `json:"csrf,omitempty"`
	// Body says which bodies requests may have.
	// +optional
	Body *BodyShield `json:"body,omitempty"`
	// SecurityHeaders are given to responses.
	// +optional
	SecurityHeaders *SecurityHeaders `json:"securityHeaders,omitempty"`
}

// AddressShield says from which addresses requests may come. The address is the
// client's, as the listener's trusted proxies tell it. Connections to a TCPRoute or
// TLSRoute are closed before anything is sent to an endpoint, and datagrams to a
// UDPRoute are dropped; their address is that of the connection, or the one in a
// PROXY header.
//
// +kubebuilder:validation:XValidation:message="at least one of allow and deny must be given",rule="has(self.allow) || has(self.deny)"
type AddressShield struct {
	// Allow are the addresses that may send requests; others are refused, with 403.
	// An allow list of a more specific policy takes this one's place.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Allow []AddressSource `json:"allow,omitempty"`

	// Deny are the addresses whose requests are refused, with 403, whatever allow
	// says. Those of all policies that reach a request add up.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Deny []AddressSource `json:"deny,omitempty"`
}

// AddressSource is where addresses of a list come from.
//
// +kubebuilder:validation:XValidation:message="exactly one of cidrs and configMapRef must be given",rule="has(self.cidrs) != has(self.configMapRef)"
type AddressSource struct {
	// CIDRs are addresses and networks.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	CIDRs []CIDR `json:"cidrs,omitempty"`
	// ConfigMapRef names a list in a ConfigMap of the policy's namespace, which may
	// take it from a file by the annotation gridway.dev/files. It has an address, a
	// network or a range of addresses in each line, as published lists do, up to
	// 1000000. A list that is not there, or has a line that cannot be read, and
	// none that was good before: requests are refused with 503.
	// +optional
	ConfigMapRef *ListReference `json:"configMapRef,omitempty"`
}

// ListReference names a list in a ConfigMap.
type ListReference struct {
	// Name of the ConfigMap.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
	// Key of the entry that is the list. Default: the only entry.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key *string `json:"key,omitempty"`
}

// UserAgentShield says which programs may send requests, by their header
// User-Agent. Clients can write there what they like: this is against those that
// say who they are. Upper and lower case do not differ.
//
// +kubebuilder:validation:XValidation:message="at least one of allow, deny and missing must be given",rule="has(self.allow) || has(self.deny) || has(self.missing)"
type UserAgentShield struct {
	// Allow are the only ones that may send requests; others are refused, with 403.
	// An allow list of a more specific policy takes this one's place.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Allow []UserAgentSource `json:"allow,omitempty"`
	// Deny are those whose requests are refused, with 403, whatever allow says.
	// Those of all policies that reach a request add up.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Deny []UserAgentSource `json:"deny,omitempty"`
	// Missing says what becomes of requests without User-Agent, or with an empty
	// one: `Allow` or `Deny`. Default: Deny if there is an allow list, Allow
	// otherwise.
	// +optional
	Missing *MissingUserAgent `json:"missing,omitempty"`
}

// MissingUserAgent says what becomes of requests without User-Agent.
//
// +kubebuilder:validation:Enum=Allow;Deny
type MissingUserAgent string

const (
	// MissingUserAgentAllow lets them through.
	MissingUserAgentAllow MissingUserAgent = "Allow"
	// MissingUserAgentDeny refuses them.
	MissingUserAgentDeny MissingUserAgent = "Deny"
)

// UserAgentSource is some texts, and how they are compared with a User-Agent.
//
// +kubebuilder:validation:XValidation:message="exactly one of values and configMapRef must be given",rule="has(self.values) != has(self.configMapRef)"
type UserAgentSource struct {
	// Type of the comparison: `Exact`, `Prefix`, `Substring` or
	// `RegularExpression` (RE2, found anywhere in the value). Default: Substring.
	// +optional
	Type *UserAgentMatchType `json:"type,omitempty"`
	// Values are what is compared.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Values []string `json:"values,omitempty"`
	// ConfigMapRef names a list in a ConfigMap of the policy's namespace: a value in
	// each line, up to 10000; lines that begin with "#" are comments.
	// +optional
	ConfigMapRef *ListReference `json:"configMapRef,omitempty"`
}

// UserAgentMatchType is a way to compare.
//
// +kubebuilder:validation:Enum=Exact;Prefix;Substring;RegularExpression
type UserAgentMatchType string

const (
	// UserAgentExact is the whole value.
	UserAgentExact UserAgentMatchType = "Exact"
	// UserAgentPrefix is its beginning.
	UserAgentPrefix UserAgentMatchType = "Prefix"
	// UserAgentSubstring is anywhere in it.
	UserAgentSubstring UserAgentMatchType = "Substring"
	// UserAgentRegularExpression is an expression.
	UserAgentRegularExpression UserAgentMatchType = "RegularExpression"
)

// CSRFShield refuses, with 403, requests that a browser sends for another site
// (cross-site request forgery), by what browsers say themselves. Requests with
// GET, HEAD and OPTIONS pass, unless they open a WebSocket. Others need
// `Sec-Fetch-Site: same-origin` or `none`, or, from browsers that do not send it,
// an `Origin` whose host is that of the request. Requests with neither header are
// not a browser's and pass.
type CSRFShield struct {
	// Mode `Off` ends what a less specific policy has begun. Default: `On`.
	// +optional
	Mode *ShieldMode `json:"mode,omitempty"`
	// TrustedOrigins are other origins whose pages may send requests, for example
	// `https://app.example.com`, with a port if it is not the usual one;
	// `https://*.example.com` stands for all hosts below. Origins that a CORS filter
	// of the rule names, other than "*", are trusted too.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=8
	// +kubebuilder:validation:items:MaxLength=253
	TrustedOrigins []string `json:"trustedOrigins,omitempty"`
	// ExemptPaths are not looked at, for example those of webhooks and of
	// callbacks that other sites post to.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ExemptPaths []ExemptPath `json:"exemptPaths,omitempty"`
}

// ShieldMode switches a section off.
//
// +kubebuilder:validation:Enum=On;Off
type ShieldMode string

const (
	// ShieldOn has it in force.
	ShieldOn ShieldMode = "On"
	// ShieldOff has it not.
	ShieldOff ShieldMode = "Off"
)

// ExemptPath is a path, as it was normalized.
type ExemptPath struct {
	// Type of the comparison: `Exact` or `PathPrefix`, by whole elements of the
	// path. Default: PathPrefix.
	// +optional
	// +kubebuilder:validation:Enum=Exact;PathPrefix
	Type *gatewayv1.PathMatchType `json:"type,omitempty"`
	// Value is the path.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/`
	Value string `json:"value"`
}

// BodyShield says which bodies requests may have. Requests without a body pass.
//
// +kubebuilder:validation:XValidation:message="at least one of contentTypes and json must be given, unless mode is Off",rule="has(self.contentTypes) || has(self.json) || (has(self.mode) && self.mode == 'Off')"
type BodyShield struct {
	// Mode `Off` ends what a less specific policy has begun. Default: `On`.
	// +optional
	Mode *ShieldMode `json:"mode,omitempty"`
	// ContentTypes are the only media types that bodies may have, without
	// parameters, for example `application/json`, `image/*` or
	// `application/*+json`. Others, and bodies without Content-Type, are refused
	// with 415. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ContentTypes []MediaRange `json:"contentTypes,omitempty"`
	// JSON bounds bodies that are JSON.
	// +optional
	JSON *JSONShield `json:"json,omitempty"`
}

// MediaRange is a media type, or several of them.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=127
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/(\*|(\*\+)?[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)$`
type MediaRange string

// JSONShield bounds bodies that are JSON by their Content-Type: `application/json`,
// `text/json`, those that end with `+json`, and `application/x-ndjson` and
// `application/jsonl`, which have a value in each line. A body that is not JSON
// (RFC 8259), or of which an escape stands for half a character, is refused with
// 400 and reason BadRequest, one over a limit with 400 and reason JSONLimit, one
// that is too long with 413, and one with a Content-Encoding that the rule does
// not undo (`compression.decompress.requests` of a TrafficPolicy) with 415. Bodies
// are looked at as they pass: what the endpoint has by then is cut off, never
// complete. Where `buffer.requestBytes` holds, the endpoint gets nothing of them.
type JSONShield struct {
	// MaxBytes of the body, in bytes, once it is decoded. Default: none but those
	// of TrafficPolicies.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxBytes *int64 `json:"maxBytes,omitempty"`
	// MaxDepth is how many objects and arrays may be inside each other. Default: 64.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxDepth *int32 `json:"maxDepth,omitempty"`
	// MaxMembers of each object. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxMembers *int32 `json:"maxMembers,omitempty"`
	// MaxElements of each array. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxElements *int32 `json:"maxElements,omitempty"`
	// MaxValues in all: objects, arrays, strings, numbers, `true`, `false` and
	// `null`; with a value in each line, of each. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxValues *int32 `json:"maxValues,omitempty"`
	// MaxNameBytes of a member's name, as it is written between the quotes.
	// Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxNameBytes *int32 `json:"maxNameBytes,omitempty"`
	// MaxStringBytes of a string, as it is written between the quotes. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxStringBytes *int32 `json:"maxStringBytes,omitempty"`
	// MaxNumberBytes of a number: some programs take very long for long ones.
	// Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxNumberBytes *int32 `json:"maxNumberBytes,omitempty"`
	// DuplicateNames in an object are refused with `Deny`, as programs differ in
	// which of them they believe; `Allow` lets them pass. With Deny, objects that
	// are open at the same time may have 131072 names. Default: `Deny`.
	// +optional
	DuplicateNames *DuplicateNames `json:"duplicateNames,omitempty"`
}

// DuplicateNames says what becomes of names that an object has twice.
//
// +kubebuilder:validation:Enum=Allow;Deny
type DuplicateNames string

const (
	// DuplicateNamesAllow lets them pass.
	DuplicateNamesAllow DuplicateNames = "Allow"
	// DuplicateNamesDeny refuses the body.
	DuplicateNamesDeny DuplicateNames = "Deny"
)

// SecurityHeaders are headers that responses get, whoever made the response, by
// which browsers know what they must not do. What is not given has the default
// that is named; an empty value leaves the header out.
type SecurityHeaders struct {
	// Mode `Off` ends what a less specific policy has begun. Default: `On`.
	// +optional
	Mode *ShieldMode `json:"mode,omitempty"`
	// WhenPresent says what becomes of a header that the endpoint has sent itself:
	// `Keep` it, or `Replace` it by the policy's. Default: `Keep`.
	// +optional
	WhenPresent *WhenPresent `json:"whenPresent,omitempty"`
	// StrictTransportSecurity is sent to clients that came by TLS only (RFC 6797
	// §7.2). Default: `max-age=31536000`.
	// +optional
	StrictTransportSecurity *HeaderText `json:"strictTransportSecurity,omitempty"`
	// ContentTypeOptions is X-Content-Type-Options. Default: `nosniff`.
	// +optional
	ContentTypeOptions *HeaderText `json:"contentTypeOptions,omitempty"`
	// FrameOptions is X-Frame-Options. Default: `SAMEORIGIN`.
	// +optional
	FrameOptions *HeaderText `json:"frameOptions,omitempty"`
	// ReferrerPolicy is Referrer-Policy. Default: `strict-origin-when-cross-origin`.
	// +optional
	ReferrerPolicy *HeaderText `json:"referrerPolicy,omitempty"`
	// PermissionsPolicy is Permissions-Policy. Default: `camera=(), geolocation=(),
	// microphone=()`.
	// +optional
	PermissionsPolicy *HeaderText `json:"permissionsPolicy,omitempty"`
	// CrossOriginOpenerPolicy is Cross-Origin-Opener-Policy. Default: `same-origin`.
	// +optional
	CrossOriginOpenerPolicy *HeaderText `json:"crossOriginOpenerPolicy,omitempty"`
	// CrossOriginResourcePolicy is Cross-Origin-Resource-Policy. Default:
	// `same-origin`.
	// +optional
	CrossOriginResourcePolicy *HeaderText `json:"crossOriginResourcePolicy,omitempty"`
	// CrossOriginEmbedderPolicy is Cross-Origin-Embedder-Policy. Default: none, it
	// would keep pages from loading what other origins do not offer.
	// +optional
	CrossOriginEmbedderPolicy *HeaderText `json:"crossOriginEmbedderPolicy,omitempty"`
	// ContentSecurityPolicy is Content-Security-Policy, for example `default-src
	// 'self'; frame-ancestors 'self'`. Default: none, it depends on the pages.
	// +optional
	ContentSecurityPolicy *HeaderText `json:"contentSecurityPolicy,omitempty"`
	// ContentSecurityPolicyReportOnly is Content-Security-Policy-Report-Only.
	// Default: none.
	// +optional
	ContentSecurityPolicyReportOnly *HeaderText `json:"contentSecurityPolicyReportOnly,omitempty"`
	// Remove are headers of endpoints that clients do not get, for example
	// `X-Powered-By` and `Server`. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Remove []gatewayv1.HTTPHeaderName `json:"remove,omitempty"`
}

// WhenPresent says what becomes of a header that is there already.
//
// +kubebuilder:validation:Enum=Keep;Replace
type WhenPresent string

const (
	// WhenPresentKeep leaves it.
	WhenPresentKeep WhenPresent = "Keep"
	// WhenPresentReplace takes its place.
	WhenPresentReplace WhenPresent = "Replace"
)

// HeaderText is the value of a header: printable ASCII; empty for no header.
//
// +kubebuilder:validation:MaxLength=4096
// +kubebuilder:validation:Pattern=`^([!-~]([ -~]*[!-~])?)?$`
type HeaderText string
