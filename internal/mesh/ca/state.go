package ca

import "github.com/gridway/gridway/internal/mesh/identity"

// State is how it stands now.
func (a *Authority) State() identity.AuthorityState {
	m, now := a.at.Load(), a.Now()
	s := identity.AuthorityState{TrustDomain: a.opt.TrustDomain.Name(), Authorities: []identity.AuthorityKey{}, Read: m.read}
	if m.bundle != nil {
		s.Bundle = m.bundle.JSON()
	}
	x509, jwt := a.signer(m.rows, now, m.outside), signing(of(m.rows, purposeJWT), now)
	for i := range m.rows {
		r := &m.rows[i]
		x := identity.AuthorityKey{Purpose: r.Purpose, Serial: r.Serial, Signs: r == x509 || r == jwt, SignsFrom: r.SignsFrom, KeptUntil: r.KeptUntil, Fingerprint: r.kid}
		if r.root != nil {
			x.Ends, x.Fingerprint = r.root.NotAfter, identity.Serial(r.root.SerialNumber)
		}
		s.Authorities = append(s.Authorities, x)
	}
	return s
}
