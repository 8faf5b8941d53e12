package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Consumer is somebody who calls APIs: a partner, an application, a team. Its
// credentials are what AuthenticationPolicies accept; its groups, plan and labels
// are what other policies go by. There may be 100,000 of them; a change of one
// reaches proxies by itself, and touches no route.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=gridway
// +kubebuilder:printcolumn:name="Plan",type=string,JSONPath=`.spec.plan`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Consumer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec ConsumerSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status ConsumerStatus `json:"status,omitempty"`
}

// ConsumerList is a list of Consumers.
//
// +kubebuilder:object:root=true
type ConsumerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Consumer `json:"items"`
}

// ConsumerSpec is the desired state of a Consumer.
type ConsumerSpec struct {
	// Groups that the consumer is in. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Groups []ConsumerGroup `json:"groups,omitempty"`

	// Plan that the consumer has. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
	Plan *string `json:"plan,omitempty"`

	// Credentials that the consumer may use. Several of a kind may be valid at the
	// same time, so that one can take over from another.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Credentials []ConsumerCredential `json:"credentials,omitempty"`
}

// ConsumerGroup is the name of a group.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
type ConsumerGroup string

// ConsumerCredential is one of a consumer's credentials. Exactly one of its kinds
// must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one kind of credential must be given: apiKey, basic, certificate, hmac, publicKey or clientSecret",rule="(has(self.apiKey) ? 1 : 0) + (has(self.basic) ? 1 : 0) + (has(self.certificate) ? 1 : 0) + (has(self.hmac) ? 1 : 0) + (has(self.publicKey) ? 1 : 0) + (has(self.clientSecret) ? 1 : 0) == 1"
type ConsumerCredential struct {
	// Name tells the credential from the consumer's others, in access logs too.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
	Name string `json:"name"`

	// NotBefore is when the credential begins to be accepted. Default: at once.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// NotAfter is when the credential is accepted for the last time. Default: it
	// has no end.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// APIKey is a key.
	// +optional
	APIKey *APIKeyCredential `json:"apiKey,omitempty"`

	// Basic is a name and a password.
	// +optional
	Basic *BasicCredential `json:"basic,omitempty"`

	// Certificate is a client certificate.
	// +optional
	Certificate *CertificateCredential `json:"certificate,omitempty"`

	// HMAC is a secret that requests are signed with.
	// +optional
	HMAC *HMACCredential `json:"hmac,omitempty"`

	// PublicKey is that of a private key that requests are signed with.
	// +optional
	PublicKey *PublicKeyCredential `json:"publicKey,omitempty"`

	// ClientSecret is a client ID and a secret, which a TokenIssuer gives tokens for.
	// +optional
	ClientSecret *ClientSecretCredential `json:"clientSecret,omitempty"`
}

// BasicCredential is a name and the hash of a password.
//
// +kubebuilder:validation:XValidation:message="exactly one of hash and secretRef must be given",rule="has(self.hash) != has(self.secretRef)"
type BasicCredential struct {
	// Username that the client gives. Default: the Consumer's name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="must have no colon (RFC 7617 §2)",rule="!self.contains(':')"
	Username *string `json:"username,omitempty"`

	// Hash of the password, by argon2id (`$argon2id$v=19$…`, with m up to 262144,
	// t up to 16, p up to 16) or bcrypt (`$2b$…`, with a cost up to 14), as
	// `gridway key hash --password` prints it.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Hash *string `json:"hash,omitempty"`

	// SecretRef names an entry of a Secret in the consumer's namespace that holds
	// such a hash.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}

// APIKeyCredential is a key, which is never kept as it is.
//
// +kubebuilder:validation:XValidation:message="exactly one of hash and secretRef must be given",rule="has(self.hash) != has(self.secretRef)"
type APIKeyCredential struct {
	// Hash of the key: `sha256:` and the SHA-256 of its bytes in hexadecimal, as
	// `gridway key create` and `gridway key hash` print it. Who reads the hash of
	// a random key cannot use it; a key that people thought up can be found by it.
	// +optional
	// +kubebuilder:validation:XValidation:message="must be sha256: and 64 hexadecimal digits; `gridway key hash` makes it",rule="self.matches('^sha256:[0-9a-fA-F]{64}$')"
	// +kubebuilder:validation:MaxLength=71
	Hash *string `json:"hash,omitempty"`

	// SecretRef names an entry of a Secret in the consumer's namespace with the
	// key itself, of 16 to 1024 bytes. White space at its end does not count.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
}

// ConsumerStatus is what Gridway found out about a Consumer.
type ConsumerStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it names
	// exists).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
