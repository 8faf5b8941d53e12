package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
)

// rootLife is how many rotations a root is valid for: it outlives a store that is away for
// as long.
const rootLife = 4

// sealedFor is what a key is sealed for: none can be put in the place of another.
func sealedFor(m *statedb.MeshAuthority) string {
	return fmt.Sprintf("%s %s %d", m.TrustDomain, m.Purpose, m.Serial)
}

// generate makes a root, or a key of tokens. Both are ECDSA P-256.
func (a *Authority) generate(purpose string, serial int64, from time.Time) (*statedb.MeshAuthority, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	m := &statedb.MeshAuthority{TrustDomain: a.opt.TrustDomain.Name(), Purpose: purpose, Serial: serial, SignsFrom: from, Lifetime: a.lifetimeOf(purpose)}
	m.KeptUntil = from.Add(lease + m.Lifetime + slack)
	if purpose == purposeJWT {
		public, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			return nil, err
		}
		m.Public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	} else if m.Public, err = selfSigned(a.opt.TrustDomain, private, serial, a.Now(), from.Add(rootLife*a.opt.Rotation)); err != nil {
		return nil, err
	}
	m.Sealed = string(a.seals.Seal(nil, sealedFor(m), der))
	return m, nil
}

// selfSigned makes a root certificate (X509-SVID §3: its SPIFFE ID is the trust domain).
func selfSigned(td identity.TrustDomain, private crypto.Signer, serial int64, now, end time.Time) (string, error) {
	number, err := serialNumber()
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: number, URIs: []*url.URL{td.ID().URL()},
		Subject:   pkix.Name{Organization: []string{"Gridway"}, CommonName: fmt.Sprintf("root %d of %.40s", serial, td.Name())},
		NotBefore: now.Add(-identity.Backdate), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, // nothing between it and SVIDs
		KeyUsage:       x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// serialNumber has 128 random bits, and is positive (RFC 5280 §4.1.2.2).
func serialNumber() (*big.Int, error) {
	raw := make([]byte, 17)
	if _, err := rand.Read(raw[1:]); err != nil {
		return nil, err
	}
	n := new(big.Int).SetBytes(raw)
	if n.Sign() == 0 {
		return nil, errors.New("no random numbers")
	}
	return n, nil
}

// open reads rows, with the keys that our secrets open.
func (a *Authority) open(list []statedb.MeshAuthority) ([]row, error) {
	rows := make([]row, len(list))
	for i := range list {
		r := &rows[i]
		r.MeshAuthority = list[i]
		var public crypto.PublicKey
		var err error
		if r.Purpose == purposeJWT {
			public, r.kid, err = parsePublic(r.Public)
		} else if r.root, err = parseCertificate(r.Public); err == nil {
			public = r.root.PublicKey
		}
		if err != nil {
			return nil, fmt.Errorf("authority %s %d in the state store: %w", r.Purpose, r.Serial, err)
		}
		switch {
		case r.Purpose != purposeExternal:
			r.signer = a.unseal(r, public)
		case a.external.root != nil && a.external.root.Equal(r.root):
			r.signer = a.external.signer
		}
	}
	return rows, nil
}

// unseal opens the key of a row, or nil. One that is not that of what is public is nobody's.
func (a *Authority) unseal(r *row, public crypto.PublicKey) crypto.Signer {
	if k, ok := a.opened[r.Public]; ok {
		return k.signer
	}
	der, ok := a.seals.Open(sealedFor(&r.MeshAuthority), []byte(r.Sealed))
	if !ok {
		return nil
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil
	}
	signer, ok := private.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(public) {
		return nil
	}
	a.opened[r.Public] = key{signer: signer}
	return signer
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("is no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// parsePublic reads the key of tokens, whose name is its SHA-256.
func parsePublic(text string) (public crypto.PublicKey, kid string, err error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, "", errors.New("is no public key")
	}
	if public, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(block.Bytes)
	return public, base64.RawURLEncoding.EncodeToString(sum[:16]), nil
}
