package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// HMACAuthentication accepts requests that Consumers have signed, with a shared secret
// or a private key (HTTP Message Signatures, RFC 9421), in the headers Signature-Input
// and Signature. The Consumer whose credential has the signature's `keyid` is the
// caller; the credential says what the algorithm is. The parameter `created` must be
// there, `expires` counts if it is. A body is compared with Content-Digest (RFC 9530),
// by sha-256 or sha-512, where the signature covers that.
type HMACAuthentication struct {
	// Label of the signature that counts. Default: of those with a right tag the first
	// one whose `keyid` is known; up to 8 are looked at.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="must be a key of RFC 9651 §3.1.2: lower-case letters, digits, and _ - . *",rule="self.matches('^[a-z*][a-z0-9_.*-]*$')"
	Label *string `json:"label,omitempty"`

	// Tag that the signature must have, as its parameter `tag`. Default: any, or none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Tag *string `json:"tag,omitempty"`

	// RequiredComponents are what the signature must cover: names of headers in lower
	// case, and @method, @target-uri, @authority, @scheme, @request-target, @path,
	// @query and @query-param;name="…". Headers may have ;sf or ;bs, which say how they
	// are signed, and ;key="…" for a member of one that is a dictionary (RFC 9421 §2.1).
	// A part is covered with the whole: @path and @query with @request-target or
	// @target-uri, @authority and @scheme with @target-uri, a parameter with the query, a
	// member with its header, and a header in any form of it. @query is needed of requests
	// with a query, content-digest of those with a body, all others of each request.
	// Default: @method, @authority, @path, @query and content-digest.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	RequiredComponents []SignatureComponent `json:"requiredComponents,omitempty"`

	// StructuredFields are headers that signatures may cover with ;sf, and what their
	// values are as a whole (RFC 9651 §3). Those that are registered with a type, such as
	// Priority and Content-Digest, need not be here.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	StructuredFields []StructuredField `json:"structuredFields,omitempty"`

	// MaxAge is how old a signature may be, by `created`: 1s to 1h. Default: 5m.
	// +optional
	MaxAge *gatewayv1.Duration `json:"maxAge,omitempty"`

	// ClockSkew is by how much the client's clock may differ: 0s to 10m. Default: 30s.
	// +optional
	ClockSkew *gatewayv1.Duration `json:"clockSkew,omitempty"`

	// Replay is about requests that somebody sends again.
	// +optional
	Replay *SignatureReplay `json:"replay,omitempty"`

	// Forward leaves Signature-Input and Signature in the request that endpoints get.
	// Default: false.
	// +optional
	Forward *bool `json:"forward,omitempty"`
}

// SignatureReplay is about requests that somebody sends again.
type SignatureReplay struct {
	// Protect refuses a signature that was used before: one with the same `nonce` of the
	// same key or, without a nonce, one over the same components and parameters. Clients
	// that send several requests that are alike within a second need a nonce. Each
	// process remembers what it has seen itself, until it is too old. Default: true.
	// +optional
	Protect *bool `json:"protect,omitempty"`

	// MaxEntries is how many signatures a process remembers for the method, each in some
	// 30 bytes. More than that within maxAge and twice clockSkew are refused with 503.
	// Default: 1000000.
	// +optional
	// +kubebuilder:validation:Minimum=1000
	// +kubebuilder:validation:Maximum=50000000
	MaxEntries *int32 `json:"maxEntries,omitempty"`
}

// StructuredField is a header and the type of its value.
type StructuredField struct {
	// Name of the header, in lower case.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:message="must be the name of a header in lower case",rule="self.matches('^[a-z0-9!#$%&\\'*+.^_`|~-]+$')"
	Name string `json:"name"`

	// Type of the value: Item, List or Dictionary.
	// +required
	Type StructuredFieldType `json:"type"`
}

// StructuredFieldType is a type of RFC 9651 §3.
//
// +kubebuilder:validation:Enum=Item;List;Dictionary
type StructuredFieldType string

// SignatureComponent is a component (RFC 9421 §2) as in @method, x-tenant,
// priority;key="u" or @query-param;name="id".
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:message="must be the name of a header in lower case, with ;sf, ;bs or ;key=\"…\", or @method, @target-uri, @authority, @scheme, @request-target, @path, @query or @query-param;name=\"…\"",rule="self in ['@method', '@target-uri', '@authority', '@scheme', '@request-target', '@path', '@query'] || self.matches('^@query-param; *name=\"[ !#-\\\\[\\\\]-~]+\"$') || self.matches('^[a-z0-9!#$%&\\'*+.^_`|~-]+(; *(sf|bs|key=\"[ !#-\\\\[\\\\]-~]+\"))*$')"
type SignatureComponent string

// HMACCredential is a secret that the consumer shares with the gateway, for
// hmac-sha256.
type HMACCredential struct {
	// KeyID is the `keyid` of signatures that are made with it. Default: the Consumer's
	// name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:message="must be of visible ASCII characters and spaces",rule="self.matches('^[ -~]+$')"
	KeyID *string `json:"keyID,omitempty"`

	// SecretRef names an entry of a Secret in the consumer's namespace: its 16 to 1024
	// bytes as they are, a line break at its end included. Secrets are kept in files
	// alone, also for Consumers of a state store.
	// +required
	SecretRef SecretKeyReference `json:"secretRef"`
}

// PublicKeyCredential is the public key of a key that the consumer signs with.
type PublicKeyCredential struct {
	// KeyID is the `keyid` of signatures that are made with it. Default: the Consumer's
	// name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:message="must be of visible ASCII characters and spaces",rule="self.matches('^[ -~]+$')"
	KeyID *string `json:"keyID,omitempty"`

	// PEM is the key, between BEGIN PUBLIC KEY and END PUBLIC KEY: Ed25519, ECDSA on
	// P-256, or RSA of 2048 to 4096 bits.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	PEM string `json:"pem"`

	// Algorithm that the key is used with. Default: that of the key's kind; of RSA
	// rsa-pss-sha512.
	// +optional
	// +kubebuilder:validation:Enum=ed25519;ecdsa-p256-sha256;rsa-pss-sha512;rsa-v1_5-sha256
	Algorithm *string `json:"algorithm,omitempty"`
}
