package access

import "time"

// NewKey asks for an API key, or for the secret of a client.
type NewKey struct {
	// Name of the credential; left out it is "key-1", or the next number.
	Name string `json:"name,omitempty"`
	// Prefix is what the key begins with, by which people and scanners know it.
	Prefix string `json:"prefix,omitempty"`
	// NotBefore and NotAfter bound when it is accepted; left out they do not.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Overlap is for a rotation: how many seconds the old key is accepted
	// together with the new one. Left out it is a day; 0 ends it at once.
	Overlap *int64 `json:"overlapSeconds,omitempty"`
	// Client makes it a client secret, for tokens of a TokenIssuer. A rotation takes
	// it from the old one.
	Client *NewClient `json:"client,omitempty"`
}

// NewClient says what a client is to be.
type NewClient struct {
	// ID is the client ID; left out it is NAMESPACE.NAME of the consumer.
	ID string `json:"id,omitempty"`
	// Scopes that the client may have; left out it may have none.
	Scopes []string `json:"scopes,omitempty"`
	// DefaultScopes are those that it gets without asking; left out they are all.
	DefaultScopes []string `json:"defaultScopes,omitempty"`
	// Audiences that its tokens may be for; left out they are all of the issuer's.
	Audiences []string `json:"audiences,omitempty"`
}

// CreatedKey is a key with its text, which is shown this once.
type CreatedKey struct {
	Namespace string    `json:"namespace"`
	Consumer  string    `json:"consumer"`
	Name      string    `json:"name"`
	Key       string    `json:"key"`
	Hash      string    `json:"hash"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Replaces is the key that this one takes over from, or several with commas, until
	// ReplacedUntil.
	Replaces string `json:"replaces,omitempty"`
	// ClientID is set for the secret of a client, with the scopes it may have.
	ClientID      string    `json:"clientID,omitempty"`
	Scopes        []string  `json:"scopes,omitempty"`
	ReplacedUntil time.Time `json:"replacedUntil,omitzero"`
}
