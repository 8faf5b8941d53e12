package ir

import "time"

// IntrospectionAuth has a server say what tokens are (RFC 7662).
type IntrospectionAuth struct {
	// Backend is who is asked, for people; Cluster has its endpoints. Without one, or
	// without a secret, nobody gets through, and Problem says why.
	Backend string `json:"backend"`
	Cluster string `json:"cluster,omitempty"`
	Problem string `json:"problem,omitempty"`
	Path    string `json:"path"`

	ClientID     string `json:"clientID"`
	ClientSecret string `json:"clientSecret,omitempty"`
	// Post sends the secret in the body.
	Post bool `json:"post,omitempty"`

	From    []CredentialSource `json:"from"`
	Forward bool               `json:"forward,omitempty"`
	Hint    string             `json:"hint,omitempty"`

	Issuer    string        `json:"issuer,omitempty"`
	Audiences []string      `json:"audiences,omitempty"`
	Required  []JWTRequired `json:"required,omitempty"`
	ClockSkew time.Duration `json:"clockSkew,omitempty"`

	Consumer         []string `json:"consumer,omitempty"`
	ConsumerRequired bool     `json:"consumerRequired,omitempty"`

	Timeout time.Duration `json:"timeout"`
	// TTL and NegativeTTL are how long answers are remembered.
	TTL         time.Duration `json:"ttl,omitempty"`
	NegativeTTL time.Duration `json:"negativeTTL,omitempty"`
}
