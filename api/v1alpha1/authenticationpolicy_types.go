package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// AuthenticationPolicy says how callers prove who they are before a request goes
// on. It attaches to what targetRefs name. Of the policies that reach a request
// the most specific one holds, as a whole: that of the rule, then of the route,
// of the listener, of the ListenerSet, of the Gateway. Between policies on the
// same target the older one holds, then the one whose name sorts first; the
// status of the others says so.
//
// A policy that cannot be used lets nobody through: its last good version holds
// and, if there was none, requests are answered 503 with reason
// IdentityUnavailable.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=authenticationpolicies,categories=gridway,shortName=authn
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AuthenticationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec AuthenticationPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// AuthenticationPolicyList is a list of AuthenticationPolicies.
//
// +kubebuilder:object:root=true
type AuthenticationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuthenticationPolicy `json:"items"`
}

// AuthenticationPolicySpec is the desired state of an AuthenticationPolicy.
//
// +kubebuilder:validation:XValidation:message="anyOf needs at least one method, unless mode is Anonymous",rule="(has(self.mode) && self.mode == 'Anonymous') || (has(self.anyOf) && size(self.anyOf) > 0)"
// +kubebuilder:validation:XValidation:message="mode Anonymous asks for no credentials: anyOf must be left out",rule="!has(self.mode) || self.mode != 'Anonymous' || !has(self.anyOf) || size(self.anyOf) == 0"
type AuthenticationPolicySpec struct {
	// TargetRefs name what the policy attaches to, in its own namespace: Gateway
	// (sectionName: a listener), ListenerSet (sectionName: a listener), HTTPRoute
	// or GRPCRoute (sectionName: the name of a rule); in a mesh also Service
	// (sectionName: the name of a port), whose workloads' proxies hold it.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Gateway, ListenerSet, HTTPRoute or GRPCRoute (group gateway.networking.k8s.io) or Service (group \"\")",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute']) || (t.group == '' && t.kind == 'Service'))"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Mode says who gets through. `Required`: who gives a credential that one of
	// the methods accepts. `Optional`: also who gives none; a credential that no
	// method accepts is refused all the same. `Anonymous`: everybody, and nobody
	// is asked for a credential; it takes a route out of a policy on its Gateway.
	// +optional
	// +kubebuilder:default=Required
	Mode AuthenticationMode `json:"mode,omitempty"`

	// AnyOf are the methods, in the order in which they are tried: the first that
	// accepts the request's credential holds. A method whose credential the
	// request does not have is passed over.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	AnyOf []AuthenticationMethod `json:"anyOf,omitempty"`

	// Consumers says which Consumers may be the callers.
	// +optional
	Consumers *ConsumerScope `json:"consumers,omitempty"`

	// Realm is shown to clients that are asked for credentials, in
	// WWW-Authenticate (RFC 9110 §11.5). Default: gridway.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:message="must be of visible ASCII characters and spaces, without quotes and backslashes",rule="self.matches('^[ !#-\\\\[\\\\]-~]+$')"
	Realm *string `json:"realm,omitempty"`

	// RequestHeaders tell the endpoint who calls. Headers of these names that the
	// client has sent are removed, also where there is no caller to name.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	RequestHeaders []CallerHeader `json:"requestHeaders,omitempty"`
}

// AuthenticationMode says who gets through.
//
// +kubebuilder:validation:Enum=Required;Optional;Anonymous
type AuthenticationMode string

const (
	// AuthenticationRequired lets through who gives a good credential.
	AuthenticationRequired AuthenticationMode = "Required"
	// AuthenticationOptional lets through who gives no credential, too.
	AuthenticationOptional AuthenticationMode = "Optional"
	// AuthenticationAnonymous asks nobody for a credential.
	AuthenticationAnonymous AuthenticationMode = "Anonymous"
)

// AuthenticationMethod is one way to prove who calls. Exactly one of its fields
// must be given, beside name.
//
// +kubebuilder:validation:XValidation:message="exactly one method must be given: apiKey, basic, jwt, oidc, clientCertificate, oauth2Introspection, hmac or external",rule="(has(self.apiKey) ? 1 : 0) + (has(self.basic) ? 1 : 0) + (has(self.jwt) ? 1 : 0) + (has(self.oidc) ? 1 : 0) + (has(self.clientCertificate) ? 1 : 0) + (has(self.oauth2Introspection) ? 1 : 0) + (has(self.hmac) ? 1 : 0) + (has(self.external) ? 1 : 0) == 1"
type AuthenticationMethod struct {
	// Name tells methods apart in `explain`. Default: the name of the field that
	// is given, for example `apiKey`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name *string `json:"name,omitempty"`

	// APIKey accepts the keys of Consumers.
	// +optional
	APIKey *APIKeyAuthentication `json:"apiKey,omitempty"`

	// Basic accepts the names and passwords of Consumers (RFC 7617).
	// +optional
	Basic *BasicAuthentication `json:"basic,omitempty"`

	// JWT accepts JSON Web Tokens (RFC 7519) of issuers that are trusted.
	// +optional
	JWT *JWTAuthentication `json:"jwt,omitempty"`

	// OIDC has people log in with their browsers at an OpenID provider.
	// +optional
	OIDC *OIDCAuthentication `json:"oidc,omitempty"`

	// ClientCertificate accepts certificates of clients that TLS has verified.
	// +optional
	ClientCertificate *ClientCertificateAuthentication `json:"clientCertificate,omitempty"`

	// OAuth2Introspection accepts tokens that the server which has issued them says are
	// active (RFC 7662).
	// +optional
	OAuth2Introspection *OAuth2IntrospectionAuthentication `json:"oauth2Introspection,omitempty"`

	// HMAC accepts requests that Consumers have signed (RFC 9421), with a secret or a
	// private key.
	// +optional
	HMAC *HMACAuthentication `json:"hmac,omitempty"`

	// External asks a server, by Envoy's ext_authz over gRPC or by HTTP. It has an
	// answer for every request, and so stands last.
	// +optional
	External *ExternalAuthentication `json:"external,omitempty"`
}

// BasicAuthentication accepts names and passwords that Consumers have among their
// credentials, in the header `Authorization`. Use it with TLS: a client sends the
// password with each request.
type BasicAuthentication struct {
	// Forward leaves the credential in the request that endpoints get. Default: false.
	// +optional
	Forward *bool `json:"forward,omitempty"`
}

// APIKeyAuthentication accepts keys of 16 to 1024 bytes that Consumers have
// among their credentials.
type APIKeyAuthentication struct {
	// From are the places where a key may be, in the order in which they are
	// looked at. Default: the header `X-API-Key`.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	From []CredentialSource `json:"from,omitempty"`

	// Forward leaves the key in the request that endpoints get. Default: false.
	// +optional
	Forward *bool `json:"forward,omitempty"`
}

// CredentialSource is a place in a request.
//
// +kubebuilder:validation:XValidation:message="exactly one of header, query and cookie must be given",rule="(has(self.header) ? 1 : 0) + (has(self.query) ? 1 : 0) + (has(self.cookie) ? 1 : 0) == 1"
// +kubebuilder:validation:XValidation:message="prefix goes with header only",rule="!has(self.prefix) || has(self.header)"
type CredentialSource struct {
	// Header is the name of a header.
	// +optional
	Header *gatewayv1.HTTPHeaderName `json:"header,omitempty"`

	// Prefix is what stands before the credential in the header, in any case of
	// letters, for example `ApiKey ` or `Bearer `. A header without it holds no
	// credential. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Prefix *string `json:"prefix,omitempty"`

	// Query is the name of a parameter in the query.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Query *string `json:"query,omitempty"`

	// Cookie is the name of a cookie.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:message="must be the name of a cookie (RFC 6265 §4.1.1)",rule="self.matches('^[!#$%&\\'*+.^_`|~0-9A-Za-z-]+$')"
	Cookie *string `json:"cookie,omitempty"`
}

// ConsumerScope says which Consumers count.
type ConsumerScope struct {
	// From is `Same` for those in the policy's own namespace, `All` for those of
	// every namespace. Default: Same.
	// +optional
	// +kubebuilder:validation:Enum=Same;All
	From *string `json:"from,omitempty"`
}

// CallerHeader is a header with a fact about the caller. Exactly one of value and
// claim must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of value and claim must be given",rule="has(self.value) != has(self.claim)"
type CallerHeader struct {
	// Name of the header.
	// +required
	Name gatewayv1.HTTPHeaderName `json:"name"`

	// Value is what the header says: `Consumer` is the Consumer's name,
	// `ConsumerNamespace` its namespace, `ConsumerGroups` its groups, with commas
	// between them, `Plan` its plan, `Credential` the name of the credential, and
	// `Method` the method that accepted it.
	// +optional
	// +kubebuilder:validation:Enum=Consumer;ConsumerNamespace;ConsumerGroups;Plan;Credential;Method
	Value *string `json:"value,omitempty"`

	// Claim has the header say what a token, or another method that has claims, says
	// of the caller: the name of a claim or, beginning with a slash, a JSON Pointer to
	// one inside another (`/realm_access/roles`). Numbers and booleans are as in
	// JSON, lists have commas between. What a header cannot say is left out: objects,
	// control characters, lists whose values have commas, and more than 4096 bytes.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Claim *string `json:"claim,omitempty"`
}
