package ocspstaple

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// FuzzCheck: what a responder says is taken only if it is the issuer's word on this
// certificate, and holds now.
func FuzzCheck(f *testing.F) {
	now := time.Now()
	// The same in each of the processes that take part in fuzzing.
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	certificate := func(serial int64, ca bool, parent *x509.Certificate) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IsCA: ca, BasicConstraintsValid: ca,
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			f.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			f.Fatal(err)
		}
		return cert
	}
	issuer := certificate(1, true, nil)
	leaf := certificate(2, false, issuer)
	for _, r := range []ocsp.Response{
		{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
		{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now},
		{Status: ocsp.Good, SerialNumber: issuer.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
		{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now.Add(-2 * time.Hour), NextUpdate: now.Add(-time.Hour)},
		{Status: ocsp.Good, SerialNumber: leaf.SerialNumber, ThisUpdate: now.Add(time.Hour), NextUpdate: now.Add(2 * time.Hour)},
		{Status: ocsp.Revoked, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour), RevokedAt: now},
		{Status: ocsp.Unknown, SerialNumber: leaf.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
	} {
		der, err := ocsp.CreateResponse(issuer, issuer, r, key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := check(der, leaf, issuer)
		if err != nil {
			return
		}
		parsed, err := ocsp.ParseResponse(der, issuer)
		if err != nil || parsed.Status != ocsp.Good || parsed.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
			t.Fatalf("%x is taken: %+v, %v", der, parsed, err)
		}
		if !bytes.Equal(r.der, der) || !r.nextUpdate.After(time.Now()) || r.thisUpdate.After(time.Now().Add(clockSkew)) {
			t.Fatalf("%x holds from %v to %v", der, r.thisUpdate, r.nextUpdate)
		}
	})
}
