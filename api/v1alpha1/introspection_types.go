package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// OAuth2IntrospectionAuthentication asks the server that has issued a token what it
// is (RFC 7662), for tokens that nobody else can read. What the server says of an
// active token are its claims; `exp`, `nbf` and `iat` are looked at for each request.
// Answers are remembered. A server that cannot be asked, or that answers with anything
// but 200 and an object of JSON with `active`, lets nobody through: requests are
// answered 503 with reason IdentityUnavailable, but for tokens that are remembered.
// Answers as signed JWTs (RFC 9701) are not asked for.
type OAuth2IntrospectionAuthentication struct {
	// BackendRef is the server: a Service with a port, or a Backend of group
	// gridway.dev. One in another namespace needs a ReferenceGrant there from kind
	// AuthenticationPolicy. TLS, balancing, health checks and circuit breakers are
	// those of the policies on it: use TLS, since tokens and the secret go there.
	// +required
	BackendRef gatewayv1.BackendObjectReference `json:"backendRef"`

	// Path of the introspection endpoint, for example /oauth/introspect.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:message="must begin with a slash and be of characters of a path (RFC 3986 §3.3)",rule="self.matches('^/[-A-Za-z0-9/._~!$&\\'()*+,;=:@%]*$')"
	Path string `json:"path"`

	// Client is how the gateway proves to the server who asks (RFC 6749 §2.3.1).
	// +required
	Client OAuth2Client `json:"client"`

	// From are the places where a token may be, in the order in which they are looked
	// at. Default: the header Authorization, after `Bearer `.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	From []CredentialSource `json:"from,omitempty"`

	// Forward leaves the token in the request that endpoints get. Default: false.
	// +optional
	Forward *bool `json:"forward,omitempty"`

	// TokenTypeHint is sent along (RFC 7662 §2.1). Default: access_token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._:/-]+$`
	TokenTypeHint *string `json:"tokenTypeHint,omitempty"`

	// Issuer: the answer must have it as `iss`. Default: any, or none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer *string `json:"issuer,omitempty"`

	// Audiences: the answer must have one of them in `aud`. Default: any, or none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Audiences []string `json:"audiences,omitempty"`

	// RequiredClaims are what the answer must have, for example a word of scope.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	RequiredClaims []JWTRequiredClaim `json:"requiredClaims,omitempty"`

	// Consumer finds the Consumer that calls, for example by client_id.
	// +optional
	Consumer *JWTConsumer `json:"consumer,omitempty"`

	// ClockSkew is how much the server's clock may be off, up to 10m. Default: 1m.
	// +optional
	ClockSkew *gatewayv1.Duration `json:"clockSkew,omitempty"`

	// Timeout bounds a question with its answer, 1ms to 1m. Default: 2s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// Cache says how long answers are remembered.
	// +optional
	Cache *IntrospectionCache `json:"cache,omitempty"`
}

// OAuth2Client is a client that an authorization server knows.
type OAuth2Client struct {
	// ID of the client.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id"`

	// SecretRef names an entry of a Secret in the policy's namespace with the client's
	// secret. White space at its end does not count.
	// +required
	SecretRef SecretKeyReference `json:"secretRef"`

	// Method: `Basic` sends both in the header Authorization, `Post` in the body.
	// Default: Basic.
	// +optional
	// +kubebuilder:validation:Enum=Basic;Post
	Method *string `json:"method,omitempty"`
}

// IntrospectionCache says how long answers are remembered. A token that is revoked
// is accepted for so long.
type IntrospectionCache struct {
	// TTL is how long an active token is remembered, at most until its `exp`; up to 1h,
	// and 0s asks for each request. Default: 30s.
	// +optional
	TTL *gatewayv1.Duration `json:"ttl,omitempty"`

	// NegativeTTL is how long one that is not active is, up to 1m. Default: 5s.
	// +optional
	NegativeTTL *gatewayv1.Duration `json:"negativeTTL,omitempty"`
}
