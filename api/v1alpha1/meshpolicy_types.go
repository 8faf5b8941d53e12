package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// MeshNamespace is the namespace whose MeshPolicies without targets are for the whole
// mesh.
const MeshNamespace = "gridway-system"

// MeshPolicy says how proxies of a mesh treat each other and the world outside. It is
// for what targetRefs name or, without any, for all Services of its namespace and their
// workloads; in the namespace `gridway-system`, for the whole mesh.
//
// Each field is taken from the most specific policy that has it: a port's before a
// Service's, before that of its namespace, before that of the mesh. Of several with
// the same target the oldest holds.
//
// A policy that cannot be used, and never could since the start, asks for `mtls: Strict`
// and lets nobody in without an AuthorizationPolicy.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:path=meshpolicies,categories=gridway,shortName=mp
// +kubebuilder:printcolumn:name="mTLS",type=string,JSONPath=`.spec.mtls`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MeshPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec MeshPolicySpec `json:"spec"`
	// Status says for each target whether the policy is in force.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// MeshPolicyList is a list of MeshPolicies.
//
// +kubebuilder:object:root=true
type MeshPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MeshPolicy `json:"items"`
}

// MeshPolicySpec is the desired state of a MeshPolicy.
//
// +kubebuilder:validation:XValidation:message="egress, clusterDomain and callers are not for single Services: leave out targetRefs",rule="!has(self.targetRefs) || size(self.targetRefs) == 0 || (!has(self.egress) && !has(self.clusterDomain) && !has(self.callers))"
// +kubebuilder:validation:XValidation:message="at least one of mtls, authorization, egress, clusterDomain and callers must be given",rule="has(self.mtls) || has(self.authorization) || has(self.egress) || has(self.clusterDomain) || has(self.callers)"
type MeshPolicySpec struct {
	// TargetRefs name Services of the policy's own namespace (sectionName: the name of
	// a port).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="kind must be Service (group \"\")",rule="self.all(t, t.group == '' && t.kind == 'Service')"
	// +kubebuilder:validation:XValidation:message="the same target is named twice",rule="self.all(a, self.exists_one(b, a.group == b.group && a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs,omitempty"`

	// MTLS is `Strict` where workloads take nothing but connections of the mesh, with
	// mutual TLS, and `Permissive` where clients outside of it are let in, too, without
	// its TLS and so without an identity. Without any policy it is Strict. A change holds
	// for new connections, and for the next request on those of HTTP that are open.
	// It is about what comes to sidecars: what other hosts open to the ports of a program
	// comes there with `--intercept`. Who is refused gets 403, or a reset.
	// +optional
	MTLS *MTLSMode `json:"mtls,omitempty"`

	// Authorization is what becomes of requests to a Service that no AuthorizationPolicy
	// with the action Allow reaches: `Allow` lets them through, `Deny` refuses them.
	// Connections that are not HTTP are treated alike. Without any policy it is Allow.
	// +optional
	Authorization *MeshDefault `json:"authorization,omitempty"`

	// Egress is what becomes of what workloads send to places that are no Service:
	// `Allow` passes it on as it is, `Deny` resets connections and answers requests with
	// 502. It is about clients in the policy's namespace or, in `gridway-system`, in all.
	// Without any policy it is Allow.
	// +optional
	Egress *MeshDefault `json:"egress,omitempty"`

	// ClusterDomain ends the full names of Services, as in
	// `reviews.shop.svc.cluster.local`. It counts in `gridway-system` alone, and is
	// `cluster.local` by default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=180
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	ClusterDomain *string `json:"clusterDomain,omitempty"`

	// Callers is how edges tell workloads who sends a request: by a token that the edge
	// signs, in the header `Gridway-Caller`. It counts in `gridway-system` alone.
	// +optional
	Callers *MeshCallers `json:"callers,omitempty"`
}

// MeshCallers is how edges tell workloads who sends a request.
type MeshCallers struct {
	// Sign is `WhenNeeded` to sign tokens if some policy on a Service asks who calls,
	// `Always` to sign them for access logs and applications, too, and `Never`. Callers
	// whom nobody knows get none.
	// +optional
	// +kubebuilder:default=WhenNeeded
	Sign *CallerSigning `json:"sign,omitempty"`

	// Lifetime of a token, from `1s` to `60s`, `30s` by default. Clocks may differ by 10
	// seconds besides. A workload that asks others about a request later than that does
	// not pass on who called.
	// +optional
	// +kubebuilder:validation:XValidation:message="must be from 1s to 60s",rule="duration(self) >= duration('1s') && duration(self) <= duration('60s')"
	Lifetime *gatewayv1.Duration `json:"lifetime,omitempty"`

	// Claims are the names of claims that go with a token besides `iss`, `sub`,
	// `client_id`, `azp`, `scope` and `scp`; `*` alone is all. A token has 8 KiB at most:
	// of a caller of whom there is more to say, nothing is said.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:message="* stands alone",rule="!self.exists(c, c == '*') || size(self) == 1"
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Claims []string `json:"claims,omitempty"`
}

// CallerSigning says when tokens about callers are signed.
//
// +kubebuilder:validation:Enum=WhenNeeded;Always;Never
type CallerSigning string

const (
	// CallerSigningWhenNeeded is if some policy on a Service asks who calls.
	CallerSigningWhenNeeded CallerSigning = "WhenNeeded"
	// CallerSigningAlways is for every caller who is known.
	CallerSigningAlways CallerSigning = "Always"
	// CallerSigningNever is for nobody.
	CallerSigningNever CallerSigning = "Never"
)

// MTLSMode says who is let in.
//
// +kubebuilder:validation:Enum=Strict;Permissive
type MTLSMode string

const (
	// MTLSStrict takes nothing but connections of the mesh.
	MTLSStrict MTLSMode = "Strict"
	// MTLSPermissive takes clients without TLS, too.
	MTLSPermissive MTLSMode = "Permissive"
)

// MeshDefault says what holds where nobody says more.
//
// +kubebuilder:validation:Enum=Allow;Deny
type MeshDefault string

const (
	// MeshAllow lets through.
	MeshAllow MeshDefault = "Allow"
	// MeshDeny refuses.
	MeshDeny MeshDefault = "Deny"
)
