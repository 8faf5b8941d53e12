package ca

import (
	"encoding/json"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// State is how the authority stands.
type State struct {
	TrustDomain string `json:"trustDomain"`
	// Authorities are what is trusted, the oldest of each purpose first.
	Authorities []AuthorityState `json:"authorities"`
	// Read is when the state store was read last.
	Read time.Time `json:"read"`
	// Bundle is the trust bundle, in SPIFFE's format: a JWK Set.
	Bundle json.RawMessage `json:"bundle,omitempty"`
}

// AuthorityState is one root or key.
type AuthorityState struct {
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

// State is how it stands now.
func (a *Authority) State() State {
	m, now := a.at.Load(), a.Now()
	s := State{TrustDomain: a.opt.TrustDomain.Name(), Authorities: []AuthorityState{}, Read: m.read}
	if m.bundle != nil {
		s.Bundle = m.bundle.JSON()
	}
	x509, jwt := a.signer(m.rows, now, m.outside), signing(of(m.rows, purposeJWT), now)
	for i := range m.rows {
		r := &m.rows[i]
		x := AuthorityState{Purpose: r.Purpose, Serial: r.Serial, Signs: r == x509 || r == jwt, SignsFrom: r.SignsFrom, KeptUntil: r.KeptUntil, Fingerprint: r.kid}
		if r.root != nil {
			x.Ends, x.Fingerprint = r.root.NotAfter, identity.Serial(r.root.SerialNumber)
		}
		s.Authorities = append(s.Authorities, x)
	}
	return s
}
