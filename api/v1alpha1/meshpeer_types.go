package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MeshPeer is another mesh, with a control plane of its own: what it may use of ours,
// and what we use of it. Each side has a MeshPeer of the other, and nothing crosses
// that is not in both: what one exports, the other imports.
//
// What is imported becomes workloads of a Service here, behind the addresses of the
// other mesh's east-west edges (`gridway edge --east-west :15443`). Connections go through
// those without their TLS being ended: both ends verify each other's SPIFFE IDs. The
// trust domains must trust each other (`--federate` of `gridway control`), or be one, with
// one root.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=meshpeers,scope=Cluster,categories=gridway,shortName=mpeer
// +kubebuilder:printcolumn:name="Trust domain",type=string,JSONPath=`.spec.trustDomain`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MeshPeer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec MeshPeerSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status MeshPeerStatus `json:"status,omitempty"`
}

// MeshPeerList is a list of MeshPeers.
//
// +kubebuilder:object:root=true
type MeshPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MeshPeer `json:"items"`
}

// MeshPeerSpec is the desired state of a MeshPeer.
//
// +kubebuilder:validation:XValidation:message="import needs addresses: those of the other mesh's control planes",rule="!has(self.import) || size(self.import) == 0 || (has(self.addresses) && size(self.addresses) > 0)"
// +kubebuilder:validation:XValidation:message="at least one of export and import must be given",rule="(has(self.export) && size(self.export) > 0) || (has(self.import) && size(self.import) > 0)"
type MeshPeerSpec struct {
	// TrustDomain of the other mesh, as in `west.example`: its control planes are
	// `spiffe://TRUST-DOMAIN/gridway/control`, and prove it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[a-z0-9._-]+$`
	TrustDomain string `json:"trustDomain"`

	// Addresses of its control planes, as `HOST:PORT`, for example
	// `control.west.internal:15010`. They are tried in this order; one is enough.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=260
	Addresses []string `json:"addresses,omitempty"`

	// Export says which of our Services the other mesh may use. Without it, none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Export []MeshExport `json:"export,omitempty"`

	// Import says which of its Services we use, and as what. Without it, none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Import []MeshImport `json:"import,omitempty"`
}

// MeshExport is some Services of a namespace.
type MeshExport struct {
	// Namespace of the Services.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`

	// Services by name. Default: all of the namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Services []string `json:"services,omitempty"`
}

// MeshImport is some Services of a namespace of another mesh, and what they are here.
// One that has the name of a Service here is part of it: its workloads are behind ours,
// or beside them, as priority says.
type MeshImport struct {
	// Namespace of the Services in the other mesh.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`

	// Services by name. Default: all that the other mesh exports of the namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Services []string `json:"services,omitempty"`

	// IntoNamespace is the namespace here. Default: that of the same name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	IntoNamespace *string `json:"intoNamespace,omitempty"`

	// Suffix is put behind the names of the Services, as in `-west`, so that they are
	// Services of their own here, which routes may give weights. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[-a-z0-9.]*[a-z0-9]$`
	Suffix *string `json:"suffix,omitempty"`

	// Priority of the workloads there, 0 to 127. Those here have 0: with 0 requests are
	// shared among all, by weight; with more they go there as those here fail, in
	// proportion, and back. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	Priority *int32 `json:"priority,omitempty"`
}

// MeshPeerStatus is what Gridway found out about a MeshPeer.
type MeshPeerStatus struct {
	// Conditions: `Accepted` (the object is valid). Whether the other mesh can be
	// reached is told by `gridway status`.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
