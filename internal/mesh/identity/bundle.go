package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
)

const (
	// MaxBundle bounds a trust bundle in bytes.
	MaxBundle = 1 << 20
	// maxAuthorities bounds the roots of a trust bundle, and its keys for tokens.
	maxAuthorities = 128
)

// Bundle is what the SVIDs of a trust domain are verified by. It never changes.
type Bundle struct {
	parts BundleParts
	pool  *x509.CertPool
	text  []byte
}

// BundleParts is what a bundle is made of.
type BundleParts struct {
	TrustDomain TrustDomain
	// Roots sign certificates.
	Roots []*x509.Certificate
	// JWTKeys sign tokens, by their "kid".
	JWTKeys map[string]crypto.PublicKey
	// Sequence grows with each change; zero is unknown.
	Sequence uint64
	// RefreshHint is how long others may wait before they ask again, in whole seconds.
	RefreshHint time.Duration
}

// NewBundle makes a bundle, whose parts are not changed any more.
func NewBundle(p BundleParts) (*Bundle, error) {
	b := &Bundle{parts: p, pool: x509.NewCertPool()}
	switch {
	case p.TrustDomain.IsZero():
		return nil, errors.New("a trust bundle needs a trust domain")
	case len(p.Roots) > maxAuthorities || len(p.JWTKeys) > maxAuthorities:
		return nil, fmt.Errorf("the trust bundle of %s has more than %d roots or keys", p.TrustDomain, maxAuthorities)
	}
	doc := document{Keys: []jose.JSONWebKey{}, Sequence: p.Sequence, RefreshHint: int64(p.RefreshHint / time.Second)}
	for _, c := range p.Roots {
		if !c.IsCA || !c.BasicConstraintsValid {
			return nil, fmt.Errorf("the trust bundle of %s has a root that is no authority: %s, serial %s", p.TrustDomain, c.Subject, Serial(c.SerialNumber))
		}
		b.pool.AddCert(c)
		doc.Keys = append(doc.Keys, jose.JSONWebKey{Key: c.PublicKey, Certificates: []*x509.Certificate{c}, Use: "x509-svid"})
	}
	for _, kid := range slices.Sorted(maps.Keys(p.JWTKeys)) {
		doc.Keys = append(doc.Keys, jose.JSONWebKey{Key: p.JWTKeys[kid], KeyID: kid, Use: "jwt-svid"})
	}
	var err error
	if b.text, err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("trust bundle of %s: %w", p.TrustDomain, err)
	}
	return b, nil
}

// document is a bundle as it is written (Trust Domain and Bundle §4).
type document struct {
	Keys        []jose.JSONWebKey `json:"keys"`
	Sequence    uint64            `json:"spiffe_sequence,omitempty"`
	RefreshHint int64             `json:"spiffe_refresh_hint,omitempty"`
}

// ParseBundle reads a bundle in SPIFFE's format, a JWK Set.
func ParseBundle(td TrustDomain, text []byte) (*Bundle, error) {
	if len(text) > MaxBundle {
		return nil, fmt.Errorf("the trust bundle of %s has more than %d bytes", td, MaxBundle)
	}
	read, err := spiffebundle.Parse(td, text)
	if err != nil {
		return nil, fmt.Errorf("trust bundle of %s: %w", td, err)
	}
	p := BundleParts{TrustDomain: td, Roots: read.X509Authorities(), JWTKeys: read.JWTAuthorities()}
	p.Sequence, _ = read.SequenceNumber()
	if hint, ok := read.RefreshHint(); ok && hint > 0 {
		p.RefreshHint = hint
	}
	return NewBundle(p)
}

// TrustDomain is whose it is.
func (b *Bundle) TrustDomain() TrustDomain { return b.parts.TrustDomain }

// Roots are the certificates that sign; nobody may change them.
func (b *Bundle) Roots() []*x509.Certificate { return slices.Clip(b.parts.Roots) }

// Ends is when the last of the roots does, zero without one.
func (b *Bundle) Ends() (at time.Time) {
	for _, c := range b.parts.Roots {
		if c.NotAfter.After(at) {
			at = c.NotAfter
		}
	}
	return at
}

// JWTKeys are the keys of tokens, by "kid".
func (b *Bundle) JWTKeys() map[string]crypto.PublicKey { return maps.Clone(b.parts.JWTKeys) }

// Sequence grows with each change; zero is unknown.
func (b *Bundle) Sequence() uint64 { return b.parts.Sequence }

// RefreshHint is when to ask again; zero is that nobody has said.
func (b *Bundle) RefreshHint() time.Duration { return b.parts.RefreshHint }

// JSON is the bundle in SPIFFE's format: the same bytes for the same parts. Nobody may
// change it.
func (b *Bundle) JSON() []byte { return b.text }

// Equal tells whether two bundles are the same.
func (b *Bundle) Equal(o *Bundle) bool {
	return b.parts.TrustDomain == o.parts.TrustDomain && bytes.Equal(b.text, o.text)
}
