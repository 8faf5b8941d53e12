// Package identitytest gives tests SVIDs and trust bundles of an authority that is made
// for them. Only tests import it.
package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// Authority signs for one trust domain.
type Authority struct {
	t    testing.TB
	td   identity.TrustDomain
	key  *ecdsa.PrivateKey
	Root *x509.Certificate
	// Chain is between what is signed and Root, where this is an intermediate.
	Chain []*x509.Certificate
	// Now is the clock of what is signed.
	Now func() time.Time
}

// New makes the authority of a trust domain, whose root is valid for ten years around now.
func New(t testing.TB, trustDomain string) *Authority {
	t.Helper()
	td, err := identity.ParseTrustDomain(trustDomain)
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{t: t, td: td, key: Key(t), Now: time.Now}
	template := authority(td)
	a.Root = a.sign(template, a.key.Public(), template, a.key)
	return a
}

func authority(td identity.TrustDomain) *x509.Certificate {
	return &x509.Certificate{
		NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(5, 0, 0), URIs: []*url.URL{td.ID().URL()},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// Key makes one.
func Key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(template *x509.Certificate, key crypto.PublicKey, parent *x509.Certificate, by crypto.Signer) *x509.Certificate {
	a.t.Helper()
	if template.SerialNumber == nil {
		raw := make([]byte, 16)
		_, _ = rand.Read(raw)
		template.SerialNumber = new(big.Int).SetBytes(raw)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// Intermediate is an authority that this one has signed.
func (a *Authority) Intermediate() *Authority {
	a.t.Helper()
	child := &Authority{t: a.t, td: a.td, key: Key(a.t), Root: a.Root, Now: a.Now}
	child.Chain = append([]*x509.Certificate{a.sign(authority(a.td), child.key.Public(), a.signer(), a.key)}, a.Chain...)
	return child
}

func (a *Authority) signer() *x509.Certificate {
	if len(a.Chain) > 0 {
		return a.Chain[0]
	}
	return a.Root
}

// TrustDomain is whose authority it is.
func (a *Authority) TrustDomain() identity.TrustDomain { return a.td }

// Workload makes an SVID of a service, for an hour.
func (a *Authority) Workload(namespace, service string) *identity.SVID {
	a.t.Helper()
	return a.SVID(identity.Workload(a.td, namespace, service), time.Hour)
}

// SVID makes one of an identity, which may be changed before it is signed.
func (a *Authority) SVID(id identity.ID, life time.Duration, change ...func(*x509.Certificate)) *identity.SVID {
	a.t.Helper()
	chain, key := a.Issue(id, life, change...)
	s, err := identity.NewSVID(chain, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// Issue is SVID for certificates that need not be good ones.
func (a *Authority) Issue(id identity.ID, life time.Duration, change ...func(*x509.Certificate)) ([]*x509.Certificate, crypto.Signer) {
	a.t.Helper()
	now := a.Now()
	template := &x509.Certificate{
		NotBefore: now.Add(-min(identity.Backdate, life)), NotAfter: now.Add(life), URIs: []*url.URL{id.URL()},
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(template)
	}
	key := Key(a.t)
	leaf := a.sign(template, key.Public(), a.signer(), a.key)
	return append([]*x509.Certificate{leaf}, a.Chain...), key
}

// Bundle has the root.
func (a *Authority) Bundle() *identity.Bundle {
	a.t.Helper()
	b, err := identity.NewBundle(identity.BundleParts{TrustDomain: a.td, Roots: []*x509.Certificate{a.Root}, Sequence: 1})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// Keyring is that of a service, which trusts this authority and others.
func (a *Authority) Keyring(namespace, service string, others ...*Authority) *identity.Keyring {
	a.t.Helper()
	s := a.Workload(namespace, service)
	bundles := []*identity.Bundle{a.Bundle()}
	for _, o := range others {
		bundles = append(bundles, o.Bundle())
	}
	k := identity.NewKeyring(identity.Options{Now: a.Now})
	k.Apply(identity.Change{Own: s.ID(), Put: []*identity.SVID{s}, Bundles: bundles})
	return k
}
