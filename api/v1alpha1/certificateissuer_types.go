package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// CertificateIssuer obtains certificates for listeners from a certificate
// authority by ACME (RFC 8555), and renews them. A listener names it in the
// place of a Secret:
// `certificateRefs: [{group: gridway.dev, kind: CertificateIssuer, name: NAME}]`.
// The certificate is for the listener's hostname, or for those of `hostnames`
// that belong to the listener.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=gridway,shortName=ci
// +kubebuilder:printcolumn:name="Directory",type=string,JSONPath=`.spec.acme.directory`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type CertificateIssuer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec CertificateIssuerSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status CertificateIssuerStatus `json:"status,omitempty"`
}

// CertificateIssuerList is a list of CertificateIssuers.
//
// +kubebuilder:object:root=true
type CertificateIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CertificateIssuer `json:"items"`
}

// CertificateIssuerSpec is the desired state of a CertificateIssuer.
type CertificateIssuerSpec struct {
	// ACME is the certificate authority and how it is asked.
	// +required
	ACME ACMEIssuer `json:"acme"`

	// Hostnames are the names in the certificate of a listener that has no
	// hostname, all of them in one certificate; and, where the listener's
	// hostname is a wildcard, those of them that it covers. A listener with a
	// hostname of its own gets a certificate for that one. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Hostnames []ACMEHostname `json:"hostnames,omitempty"`

	// KeyType is the kind of the certificate's private key, which is made anew
	// with each renewal.
	// +optional
	// +kubebuilder:default="ECDSA-P256"
	KeyType CertificateKeyType `json:"keyType,omitempty"`
}

// ACMEHostname is a DNS name that a certificate is asked for.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:message="a certificate for a wildcard name needs the DNS-01 challenge, which Gridway does not do: list the names one by one",rule="!self.startsWith('*')"
// +kubebuilder:validation:XValidation:message="must be a DNS name in lower case",rule="self.startsWith('*') || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')"
type ACMEHostname string

// CertificateKeyType is a kind of private key.
//
// +kubebuilder:validation:Enum=ECDSA-P256;ECDSA-P384;RSA-2048;RSA-3072;RSA-4096
type CertificateKeyType string

const (
	KeyECDSA256 CertificateKeyType = "ECDSA-P256"
	KeyECDSA384 CertificateKeyType = "ECDSA-P384"
	KeyRSA2048  CertificateKeyType = "RSA-2048"
	KeyRSA3072  CertificateKeyType = "RSA-3072"
	KeyRSA4096  CertificateKeyType = "RSA-4096"
)

// ACMEChallenge is a way to prove to the authority that a name leads here.
//
// +kubebuilder:validation:Enum=HTTP-01;TLS-ALPN-01
type ACMEChallenge string

const (
	// HTTP01 is RFC 8555 §8.3: the authority fetches a file on port 80.
	HTTP01 ACMEChallenge = "HTTP-01"
	// TLSALPN01 is RFC 8737: the authority does a TLS handshake on port 443.
	TLSALPN01 ACMEChallenge = "TLS-ALPN-01"
)

// ACMEIssuer is a certificate authority that speaks ACME, and an account there.
//
// +kubebuilder:validation:XValidation:message="read the authority's terms of service, and set termsOfServiceAgreed to true to accept them",rule="self.termsOfServiceAgreed"
type ACMEIssuer struct {
	// Directory is the URL of the authority's directory. That of Let's Encrypt
	// for tests is https://acme-staging-v02.api.letsencrypt.org/directory.
	// +optional
	// +kubebuilder:default="https://acme-v02.api.letsencrypt.org/directory"
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:message="must be a URL that begins with https:// (RFC 8555 §6.1)",rule="self.matches('^https://[^/ ]+')"
	Directory string `json:"directory,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in this namespace whose key
	// `ca.crt` holds the certificates that the directory's own certificate is
	// verified with. Default: the system's.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// TermsOfServiceAgreed says that you have read the authority's terms of
	// service and accept them. Nothing is asked of it otherwise.
	// +required
	TermsOfServiceAgreed bool `json:"termsOfServiceAgreed"`

	// Contact are e-mail addresses that the authority may write to. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=set
	Contact []ACMEContact `json:"contact,omitempty"`

	// ExternalAccountBinding ties the account to one that you have with the
	// authority already. Some ask for it. Default: none.
	// +optional
	ExternalAccountBinding *ExternalAccountBinding `json:"externalAccountBinding,omitempty"`

	// Challenges are the ways to prove that names lead here, the first
	// preferred: a try that fails is followed by one with the next. Default:
	// `HTTP-01`, then `TLS-ALPN-01`, without HTTP-01 where no listener speaks
	// HTTP.
	// +optional
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	Challenges []ACMEChallenge `json:"challenges,omitempty"`

	// Profile is the name of one of the kinds of certificates that the
	// authority offers, for example `shortlived`. Default: the authority's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Profile *string `json:"profile,omitempty"`
}

// ACMEContact is an e-mail address.
//
// +kubebuilder:validation:MaxLength=254
// +kubebuilder:validation:XValidation:message="must be an e-mail address such as ops@example.com",rule="self.matches('^[^@ :,?]+@[^@ :,?]+$')"
type ACMEContact string

// ExternalAccountBinding is what the authority gave for binding an account
// (RFC 8555 §7.3.4).
type ExternalAccountBinding struct {
	// KeyID names the key to the authority.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	KeyID string `json:"keyID"`

	// KeySecretRef is where the key is: as the authority shows it, in base64url.
	// +required
	KeySecretRef SecretKeyReference `json:"keySecretRef"`
}

// SecretKeyReference names an entry of a Secret in the same namespace.
type SecretKeyReference struct {
	// Name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key of the entry.
	// +optional
	// +kubebuilder:default=key
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// CertificateIssuerStatus is what Gridway found out about a CertificateIssuer.
type CertificateIssuerStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it
	// names exists), `Ready` (every certificate that listeners ask of it is
	// there and valid).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
