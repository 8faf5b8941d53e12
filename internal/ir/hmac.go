package ir

import (
	"crypto/sha256"
	"time"
)

// HMACAuth accepts requests that a Consumer has signed (RFC 9421).
type HMACAuth struct {
	// Label and Tag choose the signature; empty is any.
	Label string `json:"label,omitempty"`
	Tag   string `json:"tag,omitempty"`
	// Required are components that it must cover, as in `@method`, `priority;key="u"`. Two of them count where they are
	// something: @query where there is a query, content-digest where there is a body.
	Required []string `json:"required"`
	// Structured are types of structured fields that are not registered.
	Structured []StructuredField `json:"structured,omitempty"`
	MaxAge     time.Duration     `json:"maxAge"`
	ClockSkew  time.Duration     `json:"clockSkew"`
	// Remembered is how many signatures are remembered, so that none is used twice;
	// zero lets them be.
	Remembered int  `json:"remembered,omitempty"`
	Forward    bool `json:"forward,omitempty"`
}

// Types of structured fields (RFC 9651 §3).
const (
	StructureItem       = "Item"
	StructureList       = "List"
	StructureDictionary = "Dictionary"
)

// StructuredField is a header and what its value is as a whole.
type StructuredField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// KeyIDDigest is what a key for signatures is found by. No key of an API has it, since
// none begins with a NUL, no user, whose name would have a colon, and no certificate.
func KeyIDDigest(id string) [sha256.Size]byte {
	return sha256.Sum256([]byte("\x00keyid:" + id))
}
