package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// RateLimitPolicy bounds what callers may do: how many requests in a time, how
// many at once, how many bytes in a second, how much in a month. It attaches to
// what targetRefs name. All limits of all policies that reach a request hold; a
// request that one of them refuses is charged to none. A refused request is
// answered 429, a call of gRPC with RESOURCE_EXHAUSTED.
//
// Each limit counts by itself, for everything that its policy is attached to
// taken together: what should be counted apart belongs into its key. Counters are
// those of one proxy, unless the limit is global; they outlive changes of the
// configuration, and end with the process.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=ratelimitpolicies,categories=gridway,shortName=rlp
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RateLimitPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec RateLimitPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// RateLimitPolicyList is a list of RateLimitPolicies.
//
// +kubebuilder:object:root=true
type RateLimitPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RateLimitPolicy `json:"items"`
}

// RateLimitPolicySpec is the desired state of a RateLimitPolicy.
type RateLimitPolicySpec struct {
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

	// Limits are what may not be exceeded. Their order does not matter.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Limits []RateLimit `json:"limits"`

	// ResponseHeaders says which responses tell the client what it has left, in
	// the headers RateLimit and RateLimit-Policy
	// (draft-ietf-httpapi-ratelimit-headers-11). `Always`: all that a limit has
	// counted. `OnLimited`: those of refused requests. `Never`: none. A refused
	// request gets Retry-After in any case. Default: `Always`.
	// +optional
	ResponseHeaders *RateLimitHeaders `json:"responseHeaders,omitempty"`
}

// RateLimitCallers are callers, as an AuthenticationPolicy finds them: those that
// have one of the plans, are in one of the groups, or are one of the consumers, and
// with unknown those whom nobody knows.
//
// +kubebuilder:validation:XValidation:message="at least one of plans, groups, consumers and unknown must be given",rule="has(self.plans) || has(self.groups) || has(self.consumers) || has(self.unknown)"
type RateLimitCallers struct {
	// Plans of Consumers.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
	Plans []string `json:"plans,omitempty"`

	// Groups of Consumers.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Groups []ConsumerGroup `json:"groups,omitempty"`

	// Consumers by name, those of other namespaces as `namespace/name`.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	Consumers []string `json:"consumers,omitempty"`

	// Unknown are callers of whom no credential was accepted.
	// +optional
	// +kubebuilder:validation:Enum=true
	Unknown *bool `json:"unknown,omitempty"`
}

// RateLimitHeaders says which responses have the headers.
//
// +kubebuilder:validation:Enum=Always;OnLimited;Never
type RateLimitHeaders string

const (
	// RateLimitHeadersAlways is every response that a limit has counted.
	RateLimitHeadersAlways RateLimitHeaders = "Always"
	// RateLimitHeadersOnLimited is those of refused requests.
	RateLimitHeadersOnLimited RateLimitHeaders = "OnLimited"
	// RateLimitHeadersNever is none.
	RateLimitHeadersNever RateLimitHeaders = "Never"
)

// RateLimit is one limit. Exactly one of rate, quota, concurrency and bandwidth
// must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of rate, quota, concurrency and bandwidth must be given",rule="(has(self.rate) ? 1 : 0) + (has(self.quota) ? 1 : 0) + (has(self.concurrency) ? 1 : 0) + (has(self.bandwidth) ? 1 : 0) == 1"
// +kubebuilder:validation:XValidation:message="burst goes with rate only",rule="!has(self.burst) || has(self.rate)"
// +kubebuilder:validation:XValidation:message="cost goes with rate and quota only",rule="!has(self.cost) || has(self.rate) || has(self.quota)"
// +kubebuilder:validation:XValidation:message="global goes with rate, quota and concurrency only",rule="!has(self.global) || !has(self.bandwidth)"
type RateLimit struct {
	// Name is unique in the policy. It stands in the headers RateLimit and
	// RateLimit-Policy, in the access log and in metrics. A limit with another
	// name is another limit, which begins to count anew.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Key is what requests are counted by: those with equal keys share a counter.
	// Several parts together make one key. Without a key all requests share one
	// counter.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Key []RateLimitKey `json:"key,omitempty"`

	// Matches are the requests that the limit is for: those that one of the
	// matches holds for. Without any, all requests of the policy's targets.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Matches []gatewayv1.HTTPRouteMatch `json:"matches,omitempty"`

	// Callers are whom the limit is for. Default: everybody.
	// +optional
	Callers *RateLimitCallers `json:"callers,omitempty"`

	// When is an expression of CEL that is true of the requests that the limit is
	// for, as in `request.size > 1000000`, beside matches and callers. A request
	// for which it cannot be evaluated, because a claim is not there, for example,
	// does not escape the limit. It must cost 100000 units at most in the worst case.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When *string `json:"when,omitempty"`

	// Rate is so much in a time, for example `100/s`, `5/10s`, `6000/m` or `10/h`:
	// a number from 1 to 1000000000, a slash, and a time that may have a number
	// from 1 to 9999, with unit `s`, `m`, `h` or `d`. It may be 1000000 a second at
	// most. What was used comes back evenly, not at the end of the time.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,9}/([1-9][0-9]{0,3})?[smhd]$`
	Rate *string `json:"rate,omitempty"`

	// Burst is how much may come at once after a pause, 1 to 1000000000. In any
	// stretch of time no more than burst, and what rate gives in that time, get
	// through. Default: the number of rate.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000
	Burst *int64 `json:"burst,omitempty"`

	// Quota is so much in a window of the calendar.
	// +optional
	Quota *RateLimitQuota `json:"quota,omitempty"`

	// Concurrency is how many requests may be in progress at once, 1 to 1000000.
	// A request is in progress until the last byte of its response was sent,
	// WebSockets and streams until they end. With global, those in progress in all
	// proxies that name the store count.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Concurrency *int32 `json:"concurrency,omitempty"`

	// Bandwidth is how many bytes of bodies may pass in a second. It refuses
	// nothing: bodies pass more slowly.
	// +optional
	Bandwidth *RateLimitBandwidth `json:"bandwidth,omitempty"`

	// Cost is what a request counts for. Default: 1.
	// +optional
	Cost *RateLimitCost `json:"cost,omitempty"`

	// OnMissingKey says what happens to a request that lacks a part of the key: no
	// consumer is known, it does not have the header or the claim, or an expression
	// cannot be evaluated. `Share`: all such
	// requests share one counter. `Skip`: the limit is not for them. `Deny`: they
	// are refused, with 403. Default: `Share`.
	// +optional
	OnMissingKey *MissingKey `json:"onMissingKey,omitempty"`

	// DryRun counts and measures what the limit would refuse, and refuses nothing.
	// The headers of responses do not name the limit. Not for a bandwidth, which
	// refuses nothing. Default: false.
	// +optional
	DryRun *bool `json:"dryRun,omitempty"`

	// Global has all proxies that name the same store count the limit together.
	// Default: each proxy counts by itself.
	// +optional
	Global *RateLimitGlobal `json:"global,omitempty"`

	// MaxKeys is for how many keys there is room in a proxy, 1 to 10000000; each takes 20
	// bytes at the most. Keys whose counters say no more than that nothing was
	// used give their room to others. If there is none, the keys that find no room
	// share up to 64 counters, and the others keep theirs. Default: 1000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	MaxKeys *int32 `json:"maxKeys,omitempty"`
}

// RateLimitKey is a part of a key.
//
// +kubebuilder:validation:XValidation:message="claim must be given with type Claim, and with no other",rule="(self.type == 'Claim') == has(self.claim)"
// +kubebuilder:validation:XValidation:message="expression must be given with type Expression, and with no other",rule="(self.type == 'Expression') == has(self.expression)"
// +kubebuilder:validation:XValidation:message="name must be given with type Header, and with no other",rule="(self.type == 'Header') == has(self.name)"
// +kubebuilder:validation:XValidation:message="ipv4PrefixLength and ipv6PrefixLength go with type ClientIP only",rule="self.type == 'ClientIP' || (!has(self.ipv4PrefixLength) && !has(self.ipv6PrefixLength))"
type RateLimitKey struct {
	// Type of the part. `Consumer`: the caller, as an AuthenticationPolicy has
	// found it. `Plan`: the caller's plan. `Credential`: the caller's credential,
	// of which a Consumer may have several. `ClientIP`: the client's address, as
	// the listener's trusted proxies tell it. `Header`: a header of the request,
	// all values of it. `Claim`: what somebody whom the configuration trusts says
	// of the caller, an issuer of tokens for example. `Host`, `Path`, `Method`: of
	// the request as the client sent it. `Route`: the route. `Expression`: what an
	// expression comes to.
	// +required
	Type RateLimitKeyType `json:"type"`

	// Name of the header.
	// +optional
	Name *gatewayv1.HTTPHeaderName `json:"name,omitempty"`

	// Claim is the name of one at the top, as in `sub`, or a JSON Pointer (RFC 6901)
	// to one inside another, as in `/tenant/id`. A string, number or boolean counts,
	// or a list of them; an object does not.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Claim *string `json:"claim,omitempty"`

	// Expression of CEL that comes to a string, as in
	// `caller.known ? caller.consumer : client.address`. Where it cannot be evaluated
	// the part is missing. It must cost 100000 units at most in the worst case.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression *string `json:"expression,omitempty"`

	// IPv4PrefixLength is how many bits of an IPv4 address count, 1 to 32.
	// Default: 32.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	IPv4PrefixLength *int32 `json:"ipv4PrefixLength,omitempty"`

	// IPv6PrefixLength is how many bits of an IPv6 address count, 1 to 128. A
	// client usually has all addresses of a /64. Default: 64.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	IPv6PrefixLength *int32 `json:"ipv6PrefixLength,omitempty"`
}

// RateLimitKeyType says what a part of a key is.
//
// +kubebuilder:validation:Enum=Consumer;Plan;Credential;ClientIP;Header;Claim;Host;Path;Method;Route;Expression
type RateLimitKeyType string

const (
	// KeyConsumer is the caller.
	KeyConsumer RateLimitKeyType = "Consumer"
	// KeyPlan is the caller's plan.
	KeyPlan RateLimitKeyType = "Plan"
	// KeyCredential is the caller's credential.
	KeyCredential RateLimitKeyType = "Credential"
	// KeyClientIP is the client's address.
	KeyClientIP RateLimitKeyType = "ClientIP"
	// KeyHeader is a header.
	KeyHeader RateLimitKeyType = "Header"
	// KeyClaim is a claim.
	KeyClaim RateLimitKeyType = "Claim"
	// KeyHost is the host, without a port.
	KeyHost RateLimitKeyType = "Host"
	// KeyPath is the path.
	KeyPath RateLimitKeyType = "Path"
	// KeyMethod is the method.
	KeyMethod RateLimitKeyType = "Method"
	// KeyRoute is the route.
	KeyRoute RateLimitKeyType = "Route"
	// KeyExpression is what an expression comes to.
	KeyExpression RateLimitKeyType = "Expression"
)

// RateLimitQuota is so much in a window of the calendar.
type RateLimitQuota struct {
	// Amount that may be used in a window, 1 to 100000000000.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000000000
	Amount int64 `json:"amount"`

	// Window of the calendar: `Hour`, `Day`, `Week` (from Monday on) or `Month`.
	// What was used is forgotten when the next one begins.
	// +required
	Window QuotaWindow `json:"window"`

	// TimeZone in whose calendar windows begin, by its name in the IANA database,
	// for example `Europe/Berlin`. Days on which clocks are put forward or back
	// are shorter or longer. Default: `UTC`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone *string `json:"timeZone,omitempty"`
}

// QuotaWindow is a window of the calendar.
//
// +kubebuilder:validation:Enum=Hour;Day;Week;Month
type QuotaWindow string

const (
	// QuotaHour begins with each hour.
	QuotaHour QuotaWindow = "Hour"
	// QuotaDay begins at midnight.
	QuotaDay QuotaWindow = "Day"
	// QuotaWeek begins on Monday at midnight.
	QuotaWeek QuotaWindow = "Week"
	// QuotaMonth begins on the first of a month at midnight.
	QuotaMonth QuotaWindow = "Month"
)

// RateLimitBandwidth is how many bytes may pass in a second. Up to a second's
// worth passes at once after a pause.
//
// +kubebuilder:validation:XValidation:message="at least one of request and response must be given",rule="has(self.request) || has(self.response)"
type RateLimitBandwidth struct {
	// Request bounds the bodies of requests, for example `500KB/s` or `10MiB/s`: a
	// number, a unit (`B`, `KB`, `MB`, `GB` by 1000, `KiB`, `MiB`, `GiB` by 1024),
	// and `/s`. From `1KB/s` to `100GB/s`.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,11}([KMG]i?)?B/s$`
	Request *string `json:"request,omitempty"`

	// Response bounds the bodies of responses.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,11}([KMG]i?)?B/s$`
	Response *string `json:"response,omitempty"`
}

// RateLimitCost is what a request counts for.
type RateLimitCost struct {
	// Request is what a request is charged when it comes, 0 to 1000000000; with 0
	// it gets through as long as anything is left. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	Request *int64 `json:"request,omitempty"`

	// Expression of CEL that comes to what a request is charged when it comes, in
	// the place of request, as in `request.method == "GET" ? 1 : 5`. Less than 0 is
	// 0, and more than 1000000000 is that. A request that costs more than the limit
	// ever has is refused. Where the expression cannot be evaluated, request is
	// charged. It must cost 100000 units at most in the worst case.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression *string `json:"expression,omitempty"`

	// FromResponseHeader names a header, or a trailer, in which the endpoint says
	// what the request has cost: a whole number from 0 to 1000000000000. The
	// difference to what was charged before is charged then, or given back. What
	// goes beyond the limit is owed and keeps later requests waiting, of a rate
	// for a day at the most. A response without it leaves the charge as it is.
	// +optional
	FromResponseHeader *gatewayv1.HTTPHeaderName `json:"fromResponseHeader,omitempty"`
}

// RateLimitGlobal is where a limit is counted by several proxies together.
type RateLimitGlobal struct {
	// StoreRef names a RateLimitStore in the policy's namespace.
	// +required
	StoreRef RateLimitStoreReference `json:"storeRef"`

	// Timeout is how long a request may wait for the store's answer, `1ms` to
	// `10s`. Limits of a request that are asked together wait as long as the
	// shortest of theirs. Default: `100ms`.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// OnError says what happens while the store does not answer. `Local`: this
	// proxy counts the limit by itself, going on from what the store has said last.
	// `Allow`: the limit lets requests pass. `Deny`: they are refused, with 503.
	// What this proxy has leased of a stateStore is spent before. Default: `Deny`
	// with a stateStore, of which never more than the limit is spent then, and
	// `Local` with others.
	// +optional
	OnError *RateLimitOnError `json:"onError,omitempty"`
}

// RateLimitStoreReference names a RateLimitStore in the same namespace.
type RateLimitStoreReference struct {
	// Name of the RateLimitStore.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
}

// RateLimitOnError says what happens while a store does not answer.
//
// +kubebuilder:validation:Enum=Local;Allow;Deny
type RateLimitOnError string

const (
	// OnErrorLocal counts in this proxy alone.
	OnErrorLocal RateLimitOnError = "Local"
	// OnErrorAllow lets requests pass.
	OnErrorAllow RateLimitOnError = "Allow"
	// OnErrorDeny refuses them.
	OnErrorDeny RateLimitOnError = "Deny"
)

// MissingKey says what happens to requests that lack a part of a key.
//
// +kubebuilder:validation:Enum=Share;Skip;Deny
type MissingKey string

const (
	// MissingKeyShare has them share a counter.
	MissingKeyShare MissingKey = "Share"
	// MissingKeySkip leaves them alone.
	MissingKeySkip MissingKey = "Skip"
	// MissingKeyDeny refuses them.
	MissingKeyDeny MissingKey = "Deny"
)
