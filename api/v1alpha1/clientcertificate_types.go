package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// ClientCertificateAuthentication accepts certificates of clients that TLS has
// verified: the Gateway says by which authorities, in
// spec.tls.frontend.default.validation or perPort. A certificate is refused when its
// time is over, though the connection may be older. A listener with mode
// AllowInsecureFallback verifies no certificate, and none is accepted there.
//
// The certificate's claims are sub (the subject as RFC 4514 writes it or, where it is
// empty, the first URI or DNS name), iss, cn, o, ou, dns, uri, email, ip, spiffe,
// fingerprint (SHA-256, hexadecimal), serial, nbf and exp.
type ClientCertificateAuthentication struct {
	// Allow are rules of which one must hold. Default: every certificate that was
	// verified is accepted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Allow []CertificateRule `json:"allow,omitempty"`

	// FromHeader accepts also what a proxy in front of this one says of its client in
	// the header X-Forwarded-Client-Cert, if the proxy's address is among
	// client.forwarded.trustedProxies of the TrafficPolicy in force for the listener.
	// The last element of the header counts, and goes before the proxy's own
	// certificate. A header from anybody else is nobody's. Default: false.
	// +optional
	FromHeader *bool `json:"fromHeader,omitempty"`

	// Revocation refuses certificates that their authorities have revoked.
	// +optional
	Revocation *CertificateRevocation `json:"revocation,omitempty"`

	// Consumer says which Consumer calls. One that has the certificate among its
	// credentials is the caller in any case.
	// +optional
	Consumer *CertificateConsumer `json:"consumer,omitempty"`
}

// CertificateRevocation refuses revoked certificates, by lists that their authorities
// have signed (CRL, RFC 5280 §5). Each request is checked, also on connections that are
// older than a list. What a header tells of certificates is not.
type CertificateRevocation struct {
	// CRLs are the lists. A list counts for certificates whose issuer, in the chain by
	// which TLS has verified them, has signed it; of several the newest.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	CRLs []CRLSource `json:"crls"`

	// Scope says which certificates of a chain must not be revoked, each by a list of its
	// issuer: Chain is all below the root, Leaf the client's own. Default: Chain.
	// +optional
	Scope *RevocationScope `json:"scope,omitempty"`

	// OnStale says what holds where a list is older than its next update. Refuse: nobody
	// gets through, with 503. Warn: the list goes on to be used. Default: Refuse.
	// +optional
	OnStale *RevocationDoubt `json:"onStale,omitempty"`

	// OnMissing says what holds where no list is signed by an issuer. Refuse: nobody gets
	// through, with 503. Warn: as though nothing were revoked. Default: Refuse.
	// +optional
	OnMissing *RevocationDoubt `json:"onMissing,omitempty"`
}

// CRLSource is where lists are.
type CRLSource struct {
	// ConfigMapRef names a ConfigMap of the policy's namespace, which may take lists from
	// files by the annotation gridway.dev/files: 1 to 64 lists of up to 16 MiB, in PEM or
	// DER. If one cannot be read, those before it stay in force.
	// +required
	ConfigMapRef CRLReference `json:"configMapRef"`
}

// CRLReference names lists in a ConfigMap.
type CRLReference struct {
	// Name of the ConfigMap.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
	// Key of the entry with the lists. Default: all entries.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key *string `json:"key,omitempty"`
}

// RevocationScope is which certificates of a chain must not be revoked.
//
// +kubebuilder:validation:Enum=Chain;Leaf
type RevocationScope string

// Scopes of revocation.
const (
	RevocationChain RevocationScope = "Chain"
	RevocationLeaf  RevocationScope = "Leaf"
)

// RevocationDoubt is what holds where nobody knows whether a certificate is revoked.
//
// +kubebuilder:validation:Enum=Refuse;Warn
type RevocationDoubt string

// What holds in doubt.
const (
	RevocationRefuse RevocationDoubt = "Refuse"
	RevocationWarn   RevocationDoubt = "Warn"
)

// CertificateConsumer says which Consumer a certificate is of.
type CertificateConsumer struct {
	// Claim, such as cn, has the name of the Consumer where no Consumer has the
	// certificate among its credentials; "namespace/name" where Consumers of every
	// namespace count. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Claim *string `json:"claim,omitempty"`

	// Required refuses certificates of which no Consumer is found. Default: false.
	// +optional
	Required *bool `json:"required,omitempty"`
}

// CertificateRule holds for a certificate that has, of each list that is given, at
// least one. Values are compared as they are, in the case of letters, but for DNS
// names and domains of email addresses.
//
// +kubebuilder:validation:MinProperties=1
type CertificateRule struct {
	// CommonNames are CNs of the subject.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	CommonNames []string `json:"commonNames,omitempty"`

	// Organizations are Os of the subject.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Organizations []string `json:"organizations,omitempty"`

	// OrganizationalUnits are OUs of the subject.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	OrganizationalUnits []string `json:"organizationalUnits,omitempty"`

	// Subjects are whole subjects, as RFC 4514 writes them, the most specific part
	// first: "CN=ada,OU=Payments,O=Shop".
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Subjects []string `json:"subjects,omitempty"`

	// DNSNames are alternative names; "*.example.com" is every name below that one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	DNSNames []string `json:"dnsNames,omitempty"`

	// URIs are alternative names; one that ends in "/*" is everything below that
	// segment of its path.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	URIs []string `json:"uris,omitempty"`

	// Emails are alternative names; "*@example.com" is every address there.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=320
	Emails []string `json:"emails,omitempty"`

	// IPs are addresses and networks in which an alternative name is.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	IPs []CIDR `json:"ips,omitempty"`

	// Identities are SPIFFE IDs, which a certificate has as its only URI:
	// spiffe://example.org/ns/shop/sa/cart, spiffe://example.org/ns/shop/* for what is
	// below a segment, spiffe://example.org/* for a trust domain, and * for any.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Identities []string `json:"identities,omitempty"`

	// Fingerprints are SHA-256 digests of certificates: sha256: and 64 hexadecimal
	// digits.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Fingerprints []CertificateFingerprint `json:"fingerprints,omitempty"`

	// Issuers are digests of certificates of authorities, one of which must be among
	// those that the certificate was verified by. What X-Forwarded-Client-Cert says
	// has no issuer that could be verified.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Issuers []CertificateFingerprint `json:"issuers,omitempty"`
}

// CertificateFingerprint is the SHA-256 of a certificate in DER, as
// "openssl x509 -fingerprint -sha256" prints it without the colons.
//
// +kubebuilder:validation:MaxLength=71
// +kubebuilder:validation:XValidation:message="must be sha256: and 64 hexadecimal digits",rule="self.matches('^sha256:[0-9a-fA-F]{64}$')"
type CertificateFingerprint string

// CertificateCredential is a client certificate, or whatever certificate has a name.
// Exactly one of its fields must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of fingerprint, subject, uri, dnsName and email must be given",rule="(has(self.fingerprint) ? 1 : 0) + (has(self.subject) ? 1 : 0) + (has(self.uri) ? 1 : 0) + (has(self.dnsName) ? 1 : 0) + (has(self.email) ? 1 : 0) == 1"
type CertificateCredential struct {
	// Fingerprint is the one certificate of this SHA-256.
	// +optional
	Fingerprint *CertificateFingerprint `json:"fingerprint,omitempty"`

	// Subject is the whole subject, as RFC 4514 writes it: "CN=ada,O=Shop".
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=1024
	Subject *string `json:"subject,omitempty"`

	// URI is an alternative name, for example a SPIFFE ID.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=2048
	URI *string `json:"uri,omitempty"`

	// DNSName is an alternative name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DNSName *string `json:"dnsName,omitempty"`

	// Email is an alternative name.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=320
	Email *string `json:"email,omitempty"`
}

// XForwardedClientCert says what becomes of the header X-Forwarded-Client-Cert, in
// the form that Envoy has given it.
type XForwardedClientCert struct {
	// Mode: `Sanitize` removes the header; `ForwardOnly` leaves that of clients with a
	// certificate that was verified, `AlwaysForwardOnly` that of every client;
	// `AppendForward` adds an element about the client's certificate to what it has
	// sent, and `SanitizeSet` puts it in its place, for clients with a certificate
	// that was verified. Where there is none, all but AlwaysForwardOnly remove the
	// header. Default: Sanitize.
	// +optional
	Mode *XForwardedClientCertMode `json:"mode,omitempty"`

	// CertDetailsToAdd are what AppendForward and SanitizeSet tell beside By (the URI
	// of the listener's certificate, if it has one certificate alone, with a URI) and
	// Hash: `Subject`, `Cert` (PEM, percent-encoded), `Chain`, `DNS` and `URI`.
	// Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	CertDetailsToAdd []XForwardedClientCertDetail `json:"certDetailsToAdd,omitempty"`
}

// XForwardedClientCertMode says what becomes of X-Forwarded-Client-Cert.
//
// +kubebuilder:validation:Enum=Sanitize;ForwardOnly;AppendForward;SanitizeSet;AlwaysForwardOnly
type XForwardedClientCertMode string

const (
	// XFCCSanitize removes the header.
	XFCCSanitize XForwardedClientCertMode = "Sanitize"
	// XFCCForwardOnly leaves that of clients with a verified certificate.
	XFCCForwardOnly XForwardedClientCertMode = "ForwardOnly"
	// XFCCAppendForward adds to it.
	XFCCAppendForward XForwardedClientCertMode = "AppendForward"
	// XFCCSanitizeSet replaces it.
	XFCCSanitizeSet XForwardedClientCertMode = "SanitizeSet"
	// XFCCAlwaysForwardOnly leaves that of every client.
	XFCCAlwaysForwardOnly XForwardedClientCertMode = "AlwaysForwardOnly"
)

// XForwardedClientCertDetail is something about a certificate.
//
// +kubebuilder:validation:Enum=Subject;Cert;Chain;DNS;URI
type XForwardedClientCertDetail string
