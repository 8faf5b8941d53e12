package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// AuthorizationPolicy says which requests may go on, once it is known who calls, and
// which connections that are not HTTP may be opened.
// It attaches to what targetRefs name. All policies that reach a request count,
// wherever they are attached, and their order never matters: a request is refused
// if a rule of a Deny policy matches it; where at least one Allow policy reaches
// it, a rule of one of them must match; all else may go on. A refused request is
// answered 403 with reason AccessDenied, a call of gRPC with PERMISSION_DENIED.
// Where a credential could change that and the request has none, the answer is
// 401 with reason Unauthenticated, or UNAUTHENTICATED.
//
// A connection of TCP or TLS is decided on when it is opened and again whenever a
// policy that reaches it changes; one that is refused is reset. What its rules ask for
// and only a request has (methods, paths, hosts, headers, who is authenticated, and CEL
// about these) is not known of a connection: such a rule of an Allow policy never
// matches one, and one of a Deny or Audit policy matches by the rest of what it asks.
// UDP is not reached.
//
// A policy that cannot be used lets nothing through: its last good version holds
// and, if there was none, requests are answered 503 with reason
// AuthorizationUnavailable, and connections are reset.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=authorizationpolicies,categories=gridway,shortName=authz
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="DryRun",type=boolean,JSONPath=`.spec.dryRun`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AuthorizationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec AuthorizationPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// AuthorizationPolicyList is a list of AuthorizationPolicies.
//
// +kubebuilder:object:root=true
type AuthorizationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuthorizationPolicy `json:"items"`
}

// AuthorizationPolicySpec is the desired state of an AuthorizationPolicy.
//
// +kubebuilder:validation:XValidation:message="a policy that is not Allow needs at least one rule",rule="self.action == 'Allow' || (has(self.rules) && size(self.rules) > 0)"
type AuthorizationPolicySpec struct {
	// TargetRefs name what the policy attaches to, in its own namespace: Gateway
	// (sectionName: a listener), ListenerSet (sectionName: a listener), HTTPRoute,
	// GRPCRoute, TCPRoute or TLSRoute (sectionName: the name of a rule); in a mesh also
	// Service (sectionName: the name of a port), whose workloads' proxies hold it.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Gateway, ListenerSet, HTTPRoute, GRPCRoute, TCPRoute or TLSRoute (group gateway.networking.k8s.io) or Service (group \"\")",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'ListenerSet', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute']) || (t.group == '' && t.kind == 'Service'))"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Action is what happens to requests that a rule matches. `Allow`: they may go
	// on, and requests that no rule of any Allow policy matches are refused.
	// `Deny`: they are refused, whatever else allows them. `Audit`: they are
	// recorded in the access log and in metrics, and nothing else happens.
	// +required
	Action AuthorizationAction `json:"action"`

	// DryRun has the policy decide without effect: what it would have refused is
	// recorded in the access log and in metrics.
	// +optional
	DryRun *bool `json:"dryRun,omitempty"`

	// Rules say what the policy is about; one that matches is enough. An Allow
	// policy without rules lets nothing through.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4096
	Rules []AuthorizationRule `json:"rules,omitempty"`
}

// AuthorizationAction is what happens to requests that a rule matches.
//
// +kubebuilder:validation:Enum=Allow;Deny;Audit
type AuthorizationAction string

const (
	// AuthorizationAllow lets them go on.
	AuthorizationAllow AuthorizationAction = "Allow"
	// AuthorizationDeny refuses them.
	AuthorizationDeny AuthorizationAction = "Deny"
	// AuthorizationAudit records them.
	AuthorizationAudit AuthorizationAction = "Audit"
)

// AuthorizationRule matches a request for which everything that it asks for
// holds. A rule with nothing but a name matches every request.
type AuthorizationRule struct {
	// Name is unique in the policy, and stands in the access log and in `explain`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	AuthorizationConditions `json:",inline"`

	// Not is what must not hold: none of its lists, each by itself. Where there
	// is nobody known, and no claim, nothing that is asked of them here holds.
	// +optional
	Not *AuthorizationConditions `json:"not,omitempty"`

	// CEL is an expression that must be true, for what the other fields cannot say,
	// as in `caller.claims.tenant == request.headers["x-tenant"]`. Where it cannot be
	// evaluated, because a claim is not there, for example, a rule of an Allow
	// policy does not match, and one of another policy does. It must cost 100000
	// units at most in the worst case.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	CEL *string `json:"cel,omitempty"`
}

// AuthorizationConditions are facts about a request. A list that is left out asks
// for nothing.
type AuthorizationConditions struct {
	// Consumers are names of Consumers, one of which must call: `NAME` for one of
	// the policy's own namespace, `NAMESPACE/NAME`, or `*` for any.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^(\*|([-a-z0-9]+/)?[-.a-z0-9]+)$`
	Consumers []string `json:"consumers,omitempty"`

	// Groups of Consumers, one of which the Consumer must be in.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Groups []string `json:"groups,omitempty"`

	// Plans, one of which the Consumer must have.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Plans []string `json:"plans,omitempty"`

	// Labels that the Consumer must have, all of them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Labels []LabelCondition `json:"labels,omitempty"`

	// AuthenticationMethods are names of methods of the AuthenticationPolicy, one
	// of which must have accepted the credential, for example `apiKey`; `*` is any.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	AuthenticationMethods []string `json:"authenticationMethods,omitempty"`

	// Scopes that the caller must have been given, all of them; below `not`, of
	// which it may have none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Scopes []string `json:"scopes,omitempty"`

	// Claims about the caller, which must all hold; below `not`, of which none may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Claims []ClaimCondition `json:"claims,omitempty"`

	// Identities are service identities, one of which the client's certificate
	// must prove: a SPIFFE ID, as in `spiffe://example.org/ns/shop/sa/cart`, one
	// that ends in `/*` for all below it, or `*` for any. The certificate is that
	// of the connection, verified by the listener.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=2048
	Identities []string `json:"identities,omitempty"`

	// Namespaces, one of which the client's service identity must be in, which its
	// certificate must prove: `shop` is that of `spiffe://example.org/ns/shop/sa/cart`.
	// Identities count that are of the trust domain of the Service's own workloads. The
	// policy's targets must be Services.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`

	// ClientIPs are addresses and networks, as in `192.0.2.7` and `2001:db8::/32`,
	// in one of which the client's address must be. It is the address of the
	// connection or, behind trusted proxies, that which they tell.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=64
	ClientIPs []string `json:"clientIPs,omitempty"`

	// Ports, one of which the client must have asked for: the Service's in a mesh, the
	// listener's at a Gateway.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`

	// ServerNames, one of which the client must have named in its TLS handshake (SNI, RFC
	// 6066): `db.example`, or `*.example` for all below it. Between proxies of a mesh the
	// handshake is theirs, and no name in it is the client's: none holds there.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	ServerNames []gatewayv1.Hostname `json:"serverNames,omitempty"`

	// Methods of HTTP, one of which the request must have.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Methods []string `json:"methods,omitempty"`

	// Paths, one of which the request must have. They are compared in normal form,
	// as those of routes are, before anything rewrites them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Paths []gatewayv1.HTTPPathMatch `json:"paths,omitempty"`

	// GRPCMethods are services and methods of gRPC, one of which the request must
	// call, also by a bridge or by transcoding. Exact ones only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	GRPCMethods []GRPCMethodCondition `json:"grpcMethods,omitempty"`

	// Hosts, one of which the request must be for, without the port:
	// `shop.example`, or `*.shop.example` for all below it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Hosts []gatewayv1.Hostname `json:"hosts,omitempty"`

	// Headers of the request, which must all hold; below `not`, of which none may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Headers []HeaderCondition `json:"headers,omitempty"`

	// Times, one of which the request must come in.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Times []TimeCondition `json:"times,omitempty"`
}

// ValueComparison says how a value is compared.
//
// +kubebuilder:validation:Enum=Exact;Prefix;Suffix;RegularExpression;Present
type ValueComparison string

const (
	// CompareExact is for values that are equal.
	CompareExact ValueComparison = "Exact"
	// ComparePrefix is for values that begin with one given.
	ComparePrefix ValueComparison = "Prefix"
	// CompareSuffix is for values that end with one given.
	CompareSuffix ValueComparison = "Suffix"
	// CompareRegex is for values that an expression matches as a whole.
	CompareRegex ValueComparison = "RegularExpression"
	// ComparePresent is for any value.
	ComparePresent ValueComparison = "Present"
)

// LabelCondition is about a label of the Consumer.
type LabelCondition struct {
	// Name of the label.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Name string `json:"name"`
	// Values, one of which it must have. Without any it must be there.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	Values []string `json:"values,omitempty"`
}

// ClaimCondition is about a claim. One that is a list holds if one of its
// elements does; numbers and booleans are compared as JSON writes them.
//
// +kubebuilder:validation:XValidation:message="values go with every type but Present, which has none",rule="(has(self.type) && self.type == 'Present') != (has(self.values) && size(self.values) > 0)"
type ClaimCondition struct {
	// Claim is the name of one at the top, as in `sub`, or a JSON Pointer (RFC
	// 6901) to one inside another, as in `/realm_access/roles`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Claim string `json:"claim"`
	// Type says how the claim is compared. Default: `Exact`.
	// +optional
	Type *ValueComparison `json:"type,omitempty"`
	// Values, one of which it must match.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=1024
	Values []string `json:"values,omitempty"`
}

// HeaderCondition is about a header of the request. One that comes several times
// holds if one of its values does.
//
// +kubebuilder:validation:XValidation:message="values go with every type but Present, which has none",rule="(has(self.type) && self.type == 'Present') != (has(self.values) && size(self.values) > 0)"
type HeaderCondition struct {
	// Name of the header, in any case of letters.
	// +required
	Name gatewayv1.HTTPHeaderName `json:"name"`
	// Type says how the header is compared. Default: `Exact`.
	// +optional
	Type *ValueComparison `json:"type,omitempty"`
	// Values, one of which it must match.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=4096
	Values []string `json:"values,omitempty"`
}

// GRPCMethodCondition is a method of gRPC, or all methods of a service, or
// methods of a name in all services.
//
// +kubebuilder:validation:XValidation:message="service or method must be given",rule="has(self.service) || has(self.method)"
type GRPCMethodCondition struct {
	// Service is the full name, as in `shop.v1.Catalog`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`
	Service *string `json:"service,omitempty"`
	// Method is the name, as in `GetItem`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z_0-9]*$`
	Method *string `json:"method,omitempty"`
}

// TimeCondition is a stretch of time, by the clock of the proxy when the request
// came. Everything that is given must hold.
//
// +kubebuilder:validation:XValidation:message="something must be given",rule="has(self.days) || has(self.from) || has(self.until) || has(self.notBefore) || has(self.notAfter)"
// +kubebuilder:validation:XValidation:message="from and until go together",rule="has(self.from) == has(self.until)"
type TimeCondition struct {
	// Days of the week. Without any, all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Days []Weekday `json:"days,omitempty"`
	// From is the time of day at which it begins, as in `08:00`. Where until is
	// not later, it goes over midnight, and days are those on which it begins.
	// +optional
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	From *string `json:"from,omitempty"`
	// Until is the time of day at which it is over, as in `18:00` or `24:00`.
	// +optional
	// +kubebuilder:validation:Pattern=`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
	Until *string `json:"until,omitempty"`
	// TimeZone of days, from and until, by its name in the IANA database, as in
	// `Europe/Berlin`. Default: UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone *string `json:"timeZone,omitempty"`
	// NotBefore is when it begins at the earliest.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`
	// NotAfter is when it is over at the latest.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}

// Weekday is a day of the week.
//
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type Weekday string
