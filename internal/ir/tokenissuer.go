package ir

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// TokenIssuer gives access tokens to machine clients. It is no part of routes, so that
// its keys change without them: rules have its name.
type TokenIssuer struct {
	// Name is "namespace/name".
	Name string `json:"name"`
	// Issuer is the claim "iss", Path its path without a slash at the end: what it
	// serves lies below it.
	Issuer    string   `json:"issuer"`
	Path      string   `json:"path,omitempty"`
	Audiences []string `json:"audiences"`
	Scopes    []string `json:"scopes,omitempty"`
	// Namespace, and EveryNamespace, say which Consumers are clients.
	Namespace      string        `json:"namespace"`
	EveryNamespace bool          `json:"everyNamespace,omitempty"`
	Lifetime       time.Duration `json:"lifetime"`
	Algorithm      string        `json:"algorithm"`
	Claims         []TokenClaim  `json:"claims,omitempty"`
	// Keys are private, in PEM: the first signs. Without any there are no tokens.
	Keys [][]byte `json:"keys,omitempty"`
}

// TokenClaim is a claim that is made of a Consumer.
type TokenClaim struct {
	Name string     `json:"name"`
	From CallerPart `json:"from"`
	// Label is the name of a label.
	Label string `json:"label,omitempty"`
}

// CallerPart is something that a Consumer has.
type CallerPart string

const (
	PartName      CallerPart = "Name"
	PartNamespace CallerPart = "Namespace"
	PartGroups    CallerPart = "Groups"
	PartPlan      CallerPart = "Plan"
	PartLabel     CallerPart = "Label"
)

// Paths of a TokenIssuer below its own.
const (
	TokenPath    = "/oauth2/token"
	TokenKeys    = "/oauth2/jwks"
	TokenAbout   = "/.well-known/oauth-authorization-server"
	maxTokenPath = 3
)

// Paths are those that a TokenIssuer serves: of tokens, of keys and of its metadata,
// where the well-known part comes first (RFC 8414 §3.1).
func (t *TokenIssuer) Paths() [maxTokenPath]string {
	return [...]string{t.Path + TokenPath, t.Path + TokenKeys, TokenAbout + t.Path}
}

// MaxClientID bounds client IDs, in bytes.
const MaxClientID = 255

// ClientDigest is what the Consumer of a client ID is found by. No other credential
// has it: see KeyIDDigest.
func ClientDigest(id string) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("\x00client:"), id[:min(len(id), MaxClientID+1)]...))
}

// ClientSecretDigest is what a client ID with a secret is found by, given the SHA-256
// of that.
func ClientSecretDigest(id string, secret [sha256.Size]byte) [sha256.Size]byte {
	text := make([]byte, 0, 16+MaxClientID+1+sha256.Size)
	text = append(text, "\x00secret:"...)
	id = id[:min(len(id), MaxClientID+1)]
	text = binary.BigEndian.AppendUint16(text, uint16(len(id)))
	text = append(text, id...)
	return sha256.Sum256(append(text, secret[:]...))
}
