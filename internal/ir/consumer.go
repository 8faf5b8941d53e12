package ir

import (
	"crypto/sha256"
	"time"
)

// Consumer is somebody who calls APIs.
type Consumer struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Groups    []string `json:"groups,omitempty"`
	// GroupList is Groups with commas between them.
	GroupList string `json:"-"`
	Plan      string `json:"plan,omitempty"`
	// Labels are ordered by name.
	Labels      []Label              `json:"labels,omitempty"`
	Credentials []ConsumerCredential `json:"credentials,omitempty"`
}

// Label is a name and a value.
type Label struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String returns "namespace/name".
func (c *Consumer) String() string { return c.Namespace + "/" + c.Name }

// Label returns the value of a label.
func (c *Consumer) Label(name string) (value string, ok bool) {
	for i := range c.Labels {
		if c.Labels[i].Name == name {
			return c.Labels[i].Value, true
		}
	}
	return "", false
}

// InGroup tells whether the consumer is in a group.
func (c *Consumer) InGroup(name string) bool {
	for _, g := range c.Groups {
		if g == name {
			return true
		}
	}
	return false
}

// ConsumerCredential is one of a consumer's credentials. It holds no secret that
// could be used, but for those that signatures are made with: keys are there as
// digests.
type ConsumerCredential struct {
	Name string `json:"name"`
	// NotBefore and NotAfter are zero where there is no bound.
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// KeyDigest is the SHA-256 of an API key.
	KeyDigest []byte `json:"keyDigest,omitempty"`
	// Username and PasswordHash, argon2id's or bcrypt's, are of a password.
	Username     string `json:"username,omitempty"`
	PasswordHash string `json:"passwordHash,omitempty"`
	// CertificateKey is what of a certificate CertificateValue is.
	CertificateKey   CertificateKey `json:"certificateKey,omitempty"`
	CertificateValue string         `json:"certificateValue,omitempty"`
	// KeyID is of a key for signatures. Secret, which is in no dump, is that of
	// hmac-sha256; PublicKey, in DER, is of Algorithm.
	KeyID     string `json:"keyID,omitempty"`
	Secret    []byte `json:"-"`
	PublicKey []byte `json:"publicKey,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	// ClientID is of a client secret, whose SHA-256 is SecretDigest. Scopes are those
	// that it may have, DefaultScopes those that it gets without asking; Audiences are
	// who its tokens may be for, empty for all.
	ClientID      string   `json:"clientID,omitempty"`
	SecretDigest  []byte   `json:"secretDigest,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`
	DefaultScopes []string `json:"defaultScopes,omitempty"`
	Audiences     []string `json:"audiences,omitempty"`
}

// Kind is what the credential is: "apiKey", "basic", "certificate", "hmac",
// "publicKey" or "clientSecret".
func (c *ConsumerCredential) Kind() string {
	switch {
	case c.KeyDigest != nil:
		return "apiKey"
	case c.CertificateKey != "":
		return "certificate"
	case c.PublicKey != nil:
		return "publicKey"
	case c.ClientID != "":
		return "clientSecret"
	case c.KeyID != "":
		return "hmac"
	}
	return "basic"
}

// Digest is what the credential is found by.
func (c *ConsumerCredential) Digest() (digest [sha256.Size]byte, ok bool) {
	switch {
	case len(c.KeyDigest) == sha256.Size:
		return [sha256.Size]byte(c.KeyDigest), true
	case c.CertificateKey != "":
		return CertificateDigest(c.CertificateKey, c.CertificateValue), true
	case c.KeyID != "":
		return KeyIDDigest(c.KeyID), true
	case c.ClientID != "":
		if len(c.SecretDigest) != sha256.Size {
			return digest, false
		}
		return ClientSecretDigest(c.ClientID, [sha256.Size]byte(c.SecretDigest)), true
	case c.Username != "":
		return UsernameDigest([]byte(c.Username)), true
	}
	return digest, false
}

// maxUsername bounds the names that are looked for, in bytes.
const maxUsername = 256

// UsernameDigest is what the password of a name is found by. No key has it: none
// begins with a NUL.
func UsernameDigest(name []byte) [sha256.Size]byte {
	var text [1 + maxUsername]byte
	n := copy(text[1:], name)
	return sha256.Sum256(text[:1+n])
}

// Valid tells whether the credential is accepted at a time.
func (c *ConsumerCredential) Valid(at time.Time) bool {
	return (c.NotBefore.IsZero() || !at.Before(c.NotBefore)) && (c.NotAfter.IsZero() || !at.After(c.NotAfter))
}
