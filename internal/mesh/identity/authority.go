package identity

import (
	"encoding/json"
	"time"
)

// AuthorityState is how an authority of SVIDs stands, as it tells those who look after it.
type AuthorityState struct {
	TrustDomain string `json:"trustDomain"`
	// Authorities are what is trusted, the oldest of each purpose first.
	Authorities []AuthorityKey `json:"authorities"`
	// Read is when the state store was read last.
	Read time.Time `json:"read"`
	// Bundle is the trust bundle, in SPIFFE's format: a JWK Set.
	Bundle json.RawMessage `json:"bundle,omitempty"`
}

// AuthorityKey is one root or key.
type AuthorityKey struct {
	// Purpose is x509, jwt, or external.
	Purpose string `json:"purpose"`
	Serial  int64  `json:"serial"`
	// Signs: it is the one that does now.
	Signs bool `json:"signs"`
	// SignsFrom is when it begins to; KeptUntil is until when it is trusted at least; Ends
	// is the end of the certificate.
	SignsFrom time.Time `json:"signsFrom"`
	KeptUntil time.Time `json:"keptUntil,omitzero"`
	Ends      time.Time `json:"ends,omitzero"`
	// Fingerprint is the serial number of the root certificate, or the "kid".
	Fingerprint string `json:"fingerprint"`
}
