package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
)

// MaxRequest bounds a certificate signing request in bytes.
const MaxRequest = 16 << 10

// Request asks for an SVID.
type Request struct {
	// ID is who it is for, which the caller has made sure of.
	ID identity.ID
	// CSR is in DER (RFC 2986). It names the ID, or nobody.
	CSR []byte
	// Via is how the owner proved who it is, and Peer where it asked from, for people.
	Via, Peer string
}

// RequestError is a signing request that is refused.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return "certificate signing request: " + e.Err.Error() }
func (e *RequestError) Unwrap() error { return e.Err }

// Sign issues an SVID: the leaf, and what is between it and the root.
func (a *Authority) Sign(r Request) ([]*x509.Certificate, error) {
	public, err := CheckRequest(r.CSR, r.ID)
	if err != nil {
		return nil, &RequestError{err}
	}
	return a.issue(r, public)
}

func (a *Authority) issue(r Request, public crypto.PublicKey) ([]*x509.Certificate, error) {
	m, now := a.at.Load(), a.Now()
	if r.ID.TrustDomain() != a.opt.TrustDomain {
		return nil, fmt.Errorf("%s is of another trust domain than %s", r.ID, a.opt.TrustDomain)
	}
	if a.deniedID(m, r.ID.String(), now) {
		return nil, &identity.DeniedError{ID: r.ID.String()}
	}
	by := a.signer(m.rows, now, m.outside)
	if by == nil {
		return nil, ErrNoRoot
	}
	parent, chain := by.root, []*x509.Certificate(nil)
	if m.outside && len(m.chain) > 0 {
		parent, chain = m.chain[0], m.chain
	}
	template, err := leaf(r.ID, now, a.opt.Lifetime)
	if err != nil {
		return nil, err
	}
	if template.NotAfter.After(parent.NotAfter) {
		template.NotAfter = parent.NotAfter
	}
	if template.NotAfter.Before(now.Add(MinLifetime)) {
		return nil, fmt.Errorf("%w: the one there is ends at %s", ErrNoRoot, parent.NotAfter.UTC().Format(time.RFC3339))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by.signer)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.seen.add(&statedb.MeshSVID{Serial: identity.Serial(c.SerialNumber), ID: r.ID.String(), Issued: now, Ends: c.NotAfter, Via: r.Via, Peer: r.Peer})
	return append([]*x509.Certificate{c}, chain...), nil
}

func (a *Authority) deniedID(m *moment, id string, now time.Time) bool {
	return slices.ContainsFunc(m.denied, func(d identity.Denial) bool {
		return d.ID == id && d.Serial == "" && (d.Expires.IsZero() || now.Before(d.Expires))
	})
}

// leaf is what is signed (X509-SVID §4): one URI, no subject, for both ends of TLS.
func leaf(id identity.ID, now time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, URIs: []*url.URL{id.URL()}, NotBefore: now.Add(-min(identity.Backdate, lifetime)), NotAfter: now.Add(lifetime),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, nil
}

// CheckRequest reads a signing request for an identity and returns its key: ECDSA P-256 or
// P-384, Ed25519, or RSA of 2048 to 4096 bits. It must be signed by that key, and may ask
// for no other name.
func CheckRequest(der []byte, id identity.ID) (crypto.PublicKey, error) {
	if len(der) > MaxRequest {
		return nil, fmt.Errorf("has more than %d bytes", MaxRequest)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if err := checkKey(r.PublicKey); err != nil {
		return nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("is not signed by its own key: %w", err)
	}
	if len(r.DNSNames)+len(r.EmailAddresses)+len(r.IPAddresses) > 0 || len(r.URIs) > 1 || len(r.URIs) == 1 && r.URIs[0].String() != id.String() {
		return nil, fmt.Errorf("asks for other names than %s: it may name that alone, or nobody", id)
	}
	return r.PublicKey, nil
}

func checkKey(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 4096 && k.E >= 65537 {
			return nil
		}
	}
	return errors.New("its key must be ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits")
}

// Issue makes a key and an SVID of it, for who needs no request: the control plane itself.
func (a *Authority) Issue(id identity.ID, via string) (*identity.SVID, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	chain, err := a.issue(Request{ID: id, Via: via}, private.Public())
	if err != nil {
		return nil, err
	}
	return identity.NewSVID(chain, private)
}

const (
	// maxAudiences and maxAudience bound what a token is for.
	maxAudiences = 16
	maxAudience  = 1024
)

// SignJWT issues a JWT-SVID for audiences (JWT-SVID §3): ES256, for JWTLifetime.
func (a *Authority) SignJWT(id identity.ID, audiences []string) (token string, ends time.Time, err error) {
	m, now := a.at.Load(), a.Now()
	if len(audiences) == 0 || len(audiences) > maxAudiences || slices.ContainsFunc(audiences, func(s string) bool { return s == "" || len(s) > maxAudience }) {
		return "", ends, fmt.Errorf("a JWT-SVID is for 1 to %d audiences, of 1 to %d bytes each", maxAudiences, maxAudience)
	}
	if id.TrustDomain() != a.opt.TrustDomain {
		return "", ends, fmt.Errorf("%s is of another trust domain than %s", id, a.opt.TrustDomain)
	}
	if a.deniedID(m, id.String(), now) {
		return "", ends, &identity.DeniedError{ID: id.String()}
	}
	by := signing(of(m.rows, purposeJWT), now)
	if by == nil {
		return "", ends, ErrNoRoot
	}
	ends = now.Add(JWTLifetime)
	claims, err := json.Marshal(map[string]any{"sub": id.String(), "aud": audiences, "iat": now.Unix(), "exp": ends.Unix()})
	if err != nil {
		return "", ends, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: by.signer, KeyID: by.kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", ends, err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", ends, err
	}
	token, err = signed.CompactSerialize()
	return token, ends, err
}
