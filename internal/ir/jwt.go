package ir

import "time"

// KeySet is the public keys of somebody who signs tokens. It is no part of routes,
// so that it can change without them: they have its name.
type KeySet struct {
	// Name is what methods name it by: "namespace/policy/method/issuer".
	Name string `json:"name"`
	// Inline is a JWK Set; Source says where it was read, for people. Without Inline
	// and without URL there are no keys.
	Inline []byte `json:"inline,omitempty"`
	Source string `json:"source,omitempty"`
	// URL is where the JWK Set is fetched or, with Discovery, a document that names
	// that place, for Issuer.
	URL       string `json:"url,omitempty"`
	Discovery bool   `json:"discovery,omitempty"`
	Issuer    string `json:"issuer,omitempty"`
	// CA verifies the server; empty is the system's roots.
	CA []byte `json:"ca,omitempty"`
	// Plain lets it be fetched by http from others than this machine.
	Plain bool `json:"plain,omitempty"`
	// Refresh is how long keys are used before they are fetched again.
	Refresh time.Duration `json:"refresh,omitempty"`
}

// JWTAuth accepts JSON Web Tokens.
type JWTAuth struct {
	Issuers []JWTIssuer        `json:"issuers"`
	From    []CredentialSource `json:"from"`
	Forward bool               `json:"forward,omitempty"`
}

// JWTIssuer is somebody whose tokens are accepted.
type JWTIssuer struct {
	Issuer string `json:"issuer"`
	KeySet string `json:"keySet"`
	// Audiences: the token is for one of them; empty is for anybody.
	Audiences []string `json:"audiences,omitempty"`
	// Algorithms by their names; empty is all there are.
	Algorithms []string `json:"algorithms,omitempty"`
	// Types of tokens as they are compared; "" is a token without one.
	Types     []string      `json:"types"`
	ClockSkew time.Duration `json:"clockSkew"`
	// Unlimited lets tokens through that never expire.
	Unlimited bool `json:"unlimited,omitempty"`
	// Required are claims that the token must have.
	Required []JWTRequired `json:"required,omitempty"`
	// Consumer is the claim with the name of a Consumer; ConsumerRequired refuses
	// tokens that name none.
	Consumer         []string `json:"consumer,omitempty"`
	ConsumerRequired bool     `json:"consumerRequired,omitempty"`
	// Client: the token is of the Consumer that has its client_id, or of nobody.
	Client bool `json:"client,omitempty"`
}

// JWTRequired is a claim that must be there, with one of Values if there are any.
type JWTRequired struct {
	Claim  []string `json:"claim"`
	Values []string `json:"values,omitempty"`
}
