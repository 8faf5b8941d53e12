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
// +kubebuilder:validation:XValidation:message="egress and clusterDomain are not for single Services: leave out targetRefs",rule="!has(self.targetRefs) || size(self.targetRefs) == 0 || (!has(self.egress) && !has(self.clusterDomain))"
// +kubebuilder:validation:XValidation:message="at least one of mtls, authorization, egress and clusterDomain must be given",rule="has(self.mtls) || has(self.authorization) || has(self.egress) || has(self.clusterDomain)"
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
}

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
