package v1alpha1

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// JWTAuthentication accepts JSON Web Tokens (RFC 7519) that one of the issuers has
// signed with a private key. Tokens with a shared secret (HS256 and the like), with
// none, encrypted and nested ones are refused.
type JWTAuthentication struct {
	// Issuers whose tokens are accepted. The token's claim `iss` says which it is of.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Issuers []JWTIssuer `json:"issuers"`

	// From are the places where a token may be, in the order in which they are
	// looked at. Default: the header `Authorization` after `Bearer `.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	From []CredentialSource `json:"from,omitempty"`

	// Forward leaves the token in the request that endpoints get. Default: false.
	// +optional
	Forward *bool `json:"forward,omitempty"`
}

// JWTIssuer is somebody whose tokens are accepted, and what they must be like. Either
// issuer and keys, or tokenIssuerRef must be given.
//
// +kubebuilder:validation:XValidation:message="either issuer and keys, or tokenIssuerRef must be given",rule="has(self.tokenIssuerRef) ? !has(self.issuer) && !has(self.keys) : has(self.issuer) && has(self.keys)"
// +kubebuilder:validation:XValidation:message="tokens of a TokenIssuer always name their Consumer by client_id, are at+jwt and expire: consumer, types, algorithms and expiration do not go with tokenIssuerRef",rule="!has(self.tokenIssuerRef) || !(has(self.consumer) || has(self.types) || has(self.algorithms) || has(self.expiration))"
type JWTIssuer struct {
	// Issuer is the claim `iss`, to the letter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer,omitempty"`

	// Keys are the public keys of the issuer.
	// +optional
	Keys *JWTKeys `json:"keys,omitempty"`

	// TokenIssuerRef names a TokenIssuer in the policy's namespace, in the place of
	// issuer and keys. Its tokens are verified without asking anybody, and their caller
	// is the Consumer whose client ID they name: once that has no such credential, its
	// tokens are refused.
	// +optional
	TokenIssuerRef *TokenIssuerReference `json:"tokenIssuerRef,omitempty"`

	// Audiences are who the token must be for: its claim `aud` is one of them, or
	// has one of them. Name them, or a token that was made for somebody else is
	// accepted too. Default: `aud` is not looked at; with tokenIssuerRef, all audiences
	// of the TokenIssuer.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Audiences []string `json:"audiences,omitempty"`

	// Algorithms of signatures that are accepted. Default: all. A key is used for
	// those of its own kind alone, in any case.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Algorithms []JWTAlgorithm `json:"algorithms,omitempty"`

	// Types of tokens that are accepted, by the header's `typ`, in any case of
	// letters, for example `at+jwt` for access tokens (RFC 9068); tokens without
	// `typ` are refused then. Default: `JWT`, `at+jwt` and tokens without it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Types []string `json:"types,omitempty"`

	// ClockSkew is how much the issuer's clock may differ when `exp`, `nbf` and
	// `iat` are compared, 0s to 10m. Default: 1m.
	// +optional
	ClockSkew *gatewayv1.Duration `json:"clockSkew,omitempty"`

	// Expiration is `Required` for tokens with the claim `exp` only, `Optional` for
	// such that never expire, too. Default: Required.
	// +optional
	// +kubebuilder:validation:Enum=Required;Optional
	Expiration *string `json:"expiration,omitempty"`

	// RequiredClaims must all be in the token.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	RequiredClaims []JWTRequiredClaim `json:"requiredClaims,omitempty"`

	// Consumer finds the Consumer that calls.
	// +optional
	Consumer *JWTConsumer `json:"consumer,omitempty"`
}

// TokenIssuerReference names a TokenIssuer.
type TokenIssuerReference struct {
	// Name of the TokenIssuer.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
}

// JWTAlgorithm is the name of an algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
//
// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
type JWTAlgorithm string

// JWTKeys says where public keys come from, as a JWK Set (RFC 7517 §5). Exactly one
// of inline, ref, url and discovery must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of inline, ref, url and discovery must be given",rule="(has(self.inline) ? 1 : 0) + (has(self.ref) ? 1 : 0) + (has(self.url) ? 1 : 0) + (has(self.discovery) ? 1 : 0) == 1"
// +kubebuilder:validation:XValidation:message="caCertificateRefs, allowHTTP and refresh go with url and discovery only",rule="has(self.url) || has(self.discovery) || !(has(self.caCertificateRefs) || has(self.allowHTTP) || has(self.refresh))"
type JWTKeys struct {
	// Inline is the JWK Set itself.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=65536
	Inline *string `json:"inline,omitempty"`

	// Ref names an entry of a ConfigMap or Secret in the policy's namespace with the
	// JWK Set.
	// +optional
	Ref *JWTKeysRef `json:"ref,omitempty"`

	// URL is where the JWK Set is fetched.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL *string `json:"url,omitempty"`

	// Discovery has the issuer say where its JWK Set is (OpenID Connect Discovery
	// 1.0), by the document at `/.well-known/openid-configuration` below its name.
	// +optional
	Discovery *JWTDiscovery `json:"discovery,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in the policy's namespace with CA
	// certificates under `ca.crt`, which verify the server in the place of the
	// system's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// AllowHTTP lets keys be fetched by http from another machine, where anybody on
	// the way can put his own keys in the place of the issuer's. Default: false.
	// +optional
	AllowHTTP *bool `json:"allowHTTP,omitempty"`

	// Refresh is how long keys are used before they are fetched again, 10s to 24h;
	// less if the server's Cache-Control says less, though not below 10s. Keys are
	// kept if the server cannot be reached. Default: 10m.
	// +optional
	Refresh *gatewayv1.Duration `json:"refresh,omitempty"`
}

// JWTKeysRef names an entry of an object.
type JWTKeysRef struct {
	// Kind of the object. Default: ConfigMap.
	// +optional
	// +kubebuilder:validation:Enum=ConfigMap;Secret
	Kind *string `json:"kind,omitempty"`

	// Name of the object.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Key is the entry. Default: jwks.json.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key *string `json:"key,omitempty"`
}

// JWTDiscovery says where the issuer describes itself.
type JWTDiscovery struct {
	// URL of the document. Default: `/.well-known/openid-configuration` below the
	// issuer, which is a URL then.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL *string `json:"url,omitempty"`
}

// JWTRequiredClaim is a claim that a token must have.
type JWTRequiredClaim struct {
	// Claim is its name or, beginning with a slash, a JSON Pointer to one inside
	// another, for example `/realm_access/roles`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Claim string `json:"claim"`

	// Values: the claim is one of them or, if it is a list, has one of them; of
	// `scope`, which is a text, each word counts. Default: any value but null.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Values []string `json:"values,omitempty"`
}

// JWTConsumer finds a Consumer by a token.
type JWTConsumer struct {
	// Claim has the Consumer's name; with `consumers: {from: All}` also
	// `NAMESPACE/NAME`. It is a name or a JSON Pointer, as in requiredClaims.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Claim string `json:"claim"`

	// Required refuses tokens that name no Consumer. Default: false.
	// +optional
	Required *bool `json:"required,omitempty"`
}
