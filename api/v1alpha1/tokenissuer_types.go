package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TokenIssuer is an authorization server for machine clients: it gives Consumers
// access tokens for their client IDs and secrets (RFC 6749 §4.4), as JSON Web Tokens
// (RFC 9068), and publishes the keys that these are verified with. An HTTPRoute rule
// without backendRefs serves it, by the filter
// `{type: ExtensionRef, extensionRef: {group: gridway.dev, kind: TokenIssuer, name: NAME}}`.
// AuthenticationPolicies of the namespace accept its tokens by `tokenIssuerRef`.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=tokenissuers,categories=gridway,shortName=ti
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenIssuer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec TokenIssuerSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status TokenIssuerStatus `json:"status,omitempty"`
}

// TokenIssuerList is a list of TokenIssuers.
//
// +kubebuilder:object:root=true
type TokenIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenIssuer `json:"items"`
}

// TokenIssuerSpec is the desired state of a TokenIssuer.
type TokenIssuerSpec struct {
	// Issuer is the URL that tokens are issued under, their claim `iss`: https, or http
	// for this machine alone; without query and fragment, and without a slash at the
	// end. Below it are `/oauth2/token` (POST) and `/oauth2/jwks` (GET); the metadata of
	// RFC 8414 are at `/.well-known/oauth-authorization-server`, followed by the issuer's
	// path if it has one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:message="must be an https URL, or http for localhost, without query, fragment and a slash at the end",rule="self.matches('^https?://[^/?#]+(/[^?#]*[^/?#])?$')"
	Issuer string `json:"issuer"`

	// Audiences are what tokens may be for, their claim `aud`. A client chooses with the
	// parameter `resource` (RFC 8707) or `audience`, each of which it may give more than
	// once; without either the token is for the first.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Audiences []string `json:"audiences"`

	// Scopes are all that there are. Which of them a client may have is said by its
	// credential. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	Scopes []TokenScope `json:"scopes,omitempty"`

	// Consumers says which Consumers are clients.
	// +optional
	Consumers *ConsumerScope `json:"consumers,omitempty"`

	// AccessTokens says what tokens are like.
	// +optional
	AccessTokens *AccessTokens `json:"accessTokens,omitempty"`

	// SigningKeys are the private keys that tokens are signed with.
	// +required
	SigningKeys TokenSigningKeys `json:"signingKeys"`
}

// TokenScope is the name of a scope (RFC 6749 §3.3).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:message="must be of visible ASCII characters other than quotation marks and backslashes",rule="self.matches('^[!#-\\\\[\\\\]-~]+$')"
type TokenScope string

// AccessTokens says what tokens are like.
type AccessTokens struct {
	// Lifetime of a token, 1m to 24h. A token that was issued cannot be taken back
	// by who verifies it with the published keys, so keep this short; a gateway that
	// knows the Consumers refuses the tokens of one that has gone. Default: 5m.
	// +optional
	Lifetime *gatewayv1.Duration `json:"lifetime,omitempty"`

	// Algorithm of signatures. Default: ES256.
	// +optional
	// +kubebuilder:validation:Enum=ES256;EdDSA;RS256;PS256
	Algorithm *string `json:"algorithm,omitempty"`

	// Claims that tokens have of the Consumer, beside `iss`, `sub`, `aud`, `exp`, `iat`,
	// `jti`, `client_id` and `scope`. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Claims []TokenClaim `json:"claims,omitempty"`
}

// TokenClaim is a claim of tokens. A Consumer that does not have what it is made of
// gets tokens without it.
//
// +kubebuilder:validation:XValidation:message="label goes with from: Label, and must be given there",rule="(self.from == 'Label') == has(self.label)"
type TokenClaim struct {
	// Name of the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:message="is a claim that every token has, or that has another meaning (RFC 7519, RFC 9068, RFC 8693)",rule="!(self in ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'scope', 'cnf', 'act', 'may_act', 'azp', 'auth_time', 'acr', 'amr', 'nonce'])"
	Name string `json:"name"`

	// From is what the claim has: `Name`, `Namespace` and `Plan` of the Consumer are
	// text, `Groups` are a list, and `Label` is the value of one of its labels.
	// +required
	// +kubebuilder:validation:Enum=Name;Namespace;Groups;Plan;Label
	From string `json:"from"`

	// Label is the name of the label.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Label *string `json:"label,omitempty"`
}

// TokenSigningKeys are the private keys that tokens are signed with.
//
// +kubebuilder:validation:XValidation:message="exactly one of secretRefs and stateStore must be given",rule="has(self.secretRefs) != has(self.stateStore)"
type TokenSigningKeys struct {
	// SecretRefs name entries of Secrets in this namespace with private keys in PEM
	// (PKCS#8, SEC 1 or PKCS#1): of ES256 a key on P-256, of EdDSA an Ed25519 one, of
	// RS256 and PS256 an RSA key of 2048 to 4096 bits. The first signs, the public sides of
	// all are published. To change the key, add the new one as the second, make it the
	// first when all who verify have fetched the keys anew (ten minutes after), and
	// take the old one out when the last token that it signed has expired.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	SecretRefs []SecretKeyReference `json:"secretRefs,omitempty"`

	// StateStore has Gridway make the keys, change them in time, and keep them in the
	// state store, where all gateways that share it find them.
	// +optional
	StateStore *StoredSigningKeys `json:"stateStore,omitempty"`
}

// StoredSigningKeys are private keys that Gridway makes itself.
type StoredSigningKeys struct {
	// KeyRefs name entries of Secrets in this namespace, each of 32 to 1024 bytes, by
	// which private keys are encrypted in the state store (AES-256-GCM). The first
	// encrypts, all decrypt. To change it, put the new one first, and take the old one
	// out when no key that it has encrypted is left: after twice rotateEvery.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	KeyRefs []SecretKeyReference `json:"keyRefs"`

	// RotateEvery is how long a key signs, 1h to 8760h. The next one is published 20
	// minutes before it signs, the old one until its last token has expired. Default:
	// 720h.
	// +optional
	RotateEvery *gatewayv1.Duration `json:"rotateEvery,omitempty"`
}

// ClientSecretCredential is a client ID and a secret, with which a client gets tokens
// of a TokenIssuer. Several credentials of a Consumer may have the same client ID, so
// that one secret can take over from another; those of different Consumers may not,
// in no namespace.
//
// +kubebuilder:validation:XValidation:message="exactly one of hash and secretRef must be given",rule="has(self.hash) != has(self.secretRef)"
// +kubebuilder:validation:XValidation:message="defaultScopes must be among scopes",rule="!has(self.defaultScopes) || (has(self.scopes) && self.defaultScopes.all(s, s in self.scopes))"
type ClientSecretCredential struct {
	// ClientID is what the client calls itself. Default: `NAMESPACE.NAME` of the
	// Consumer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="must be of visible ASCII characters and spaces (RFC 6749 appendix A.1)",rule="self.matches('^[ -~]+$')"
	ClientID *string `json:"clientID,omitempty"`

	// Hash of the secret: `sha256:` and the SHA-256 of its bytes in hexadecimal, as
	// `gridway key create` and `gridway key hash` print it. The secret must be random:
	// who reads the hash of one that people thought up can find it.
	// +optional
	// +kubebuilder:validation:XValidation:message="must be sha256: and 64 hexadecimal digits; `gridway key hash` makes it",rule="self.matches('^sha256:[0-9a-fA-F]{64}$')"
	// +kubebuilder:validation:MaxLength=71
	Hash *string `json:"hash,omitempty"`

	// SecretRef names an entry of a Secret in the consumer's namespace with the secret
	// itself, of 16 to 1024 bytes. White space at its end does not count.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// Scopes that the client may have. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	Scopes []TokenScope `json:"scopes,omitempty"`

	// DefaultScopes are those that it gets if it asks for none. Default: all of scopes.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	DefaultScopes []TokenScope `json:"defaultScopes,omitempty"`

	// Audiences that the client's tokens may be for, of those of the TokenIssuer.
	// Without asking it gets them for the first of the issuer's that is among
	// them. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Audiences []string `json:"audiences,omitempty"`
}

// TokenIssuerStatus is what Gridway found out about a TokenIssuer.
type TokenIssuerStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it names
	// exists).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
