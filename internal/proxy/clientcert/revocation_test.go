package clientcert_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/clientcert"
)

var today = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// signer is an authority, or who one has made a certificate for.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *signer) issue(t testing.TB, name string, serial int64, authority bool) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(1, 0, 0),
		IsCA: authority, BasicConstraintsValid: authority, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if authority {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	by := a
	if by == nil {
		by = &signer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{cert, key}
}

// list is what the authority has revoked, at a day, for another ten days.
func (a *signer) list(t testing.TB, day int, serials ...int64) *ir.CRL {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(int64(day + 100)), ThisUpdate: today.AddDate(0, 0, day), NextUpdate: today.AddDate(0, 0, day+10)}
	for _, n := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: today})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &ir.CRL{DER: der}
}

func TestRevocation(t *testing.T) {
	root := (*signer)(nil).issue(t, "root", 1, true)
	middle, other := root.issue(t, "middle", 7, true), (*signer)(nil).issue(t, "middle", 9, true)
	leaf := middle.issue(t, "leaf", 1000, false)
	chain := [][]*x509.Certificate{{leaf.cert, middle.cert, root.cert}}
	clean, quiet := root.list(t, -1), middle.list(t, -1, 999, 1001)
	for _, c := range []struct {
		name   string
		lists  []*ir.CRL
		chains [][]*x509.Certificate
		p      ir.Revocation
		want   clientcert.Standing
	}{
		{"good", []*ir.CRL{clean, quiet}, chain, ir.Revocation{}, clientcert.Good},
		{"revoked", []*ir.CRL{clean, middle.list(t, -1, 1000)}, chain, ir.Revocation{}, clientcert.Revoked},
		{"its issuer is revoked", []*ir.CRL{root.list(t, -1, 7), quiet}, chain, ir.Revocation{}, clientcert.Revoked},
		{"its issuer is revoked, which is not asked for", []*ir.CRL{root.list(t, -1, 7), quiet}, chain, ir.Revocation{LeafOnly: true}, clientcert.Good},
		{"no list of the root", []*ir.CRL{quiet}, chain, ir.Revocation{}, clientcert.Unknown},
		{"no list of the root, by choice", []*ir.CRL{quiet}, chain, ir.Revocation{PassMissing: true}, clientcert.Doubtful},
		{"no list of the root, which is not asked for", []*ir.CRL{quiet}, chain, ir.Revocation{LeafOnly: true}, clientcert.Good},
		{"old", []*ir.CRL{clean, middle.list(t, -11)}, chain, ir.Revocation{}, clientcert.Unknown},
		{"old, by choice", []*ir.CRL{clean, middle.list(t, -11)}, chain, ir.Revocation{PassStale: true}, clientcert.Doubtful},
		{"old and missing, one by choice", []*ir.CRL{middle.list(t, -11)}, chain, ir.Revocation{PassStale: true}, clientcert.Unknown},
		{"on an old list", []*ir.CRL{clean, middle.list(t, -11, 1000)}, chain, ir.Revocation{PassStale: true}, clientcert.Revoked},
		{"the newest counts", []*ir.CRL{clean, middle.list(t, -2, 1000), middle.list(t, -1), middle.list(t, -3, 1000)}, chain, ir.Revocation{}, clientcert.Good},
		{"of another authority of that name", []*ir.CRL{clean, other.list(t, -1, 1000)}, chain, ir.Revocation{}, clientcert.Unknown},
		{"beside another authority of that name", []*ir.CRL{clean, other.list(t, 0, 1000), quiet}, chain, ir.Revocation{}, clientcert.Good},
		{"two chains, one is good", []*ir.CRL{clean, quiet}, [][]*x509.Certificate{{leaf.cert, other.cert}, chain[0]}, ir.Revocation{}, clientcert.Good},
		{"two chains, both revoked", []*ir.CRL{clean, middle.list(t, -1, 1000), other.list(t, -1, 1000)}, [][]*x509.Certificate{{leaf.cert, other.cert}, chain[0]}, ir.Revocation{}, clientcert.Revoked},
		{"no chain", []*ir.CRL{clean, quiet}, nil, ir.Revocation{}, clientcert.Revoked},
		{"trusted itself", []*ir.CRL{clean}, [][]*x509.Certificate{{leaf.cert}}, ir.Revocation{}, clientcert.Good},
		{"imagined without its chain", []*ir.CRL{middle.list(t, -1, 1000)}, [][]*x509.Certificate{{leaf.cert}}, ir.Revocation{}, clientcert.Revoked},
		{"garbage", []*ir.CRL{{DER: []byte("x")}}, chain, ir.Revocation{LeafOnly: true}, clientcert.Unknown},
	} {
		all := clientcert.NewRevocations()
		all.Apply([]*ir.RevocationLists{{Name: "a", CRLs: c.lists}})
		busy := 0
		for range 2 {
			if got := all.Of("a").Check(c.chains, &c.p, today, func() { busy++ }); got != c.want {
				t.Errorf("%s: %d, want %d", c.name, got, c.want)
			}
		}
		if busy > 5 {
			t.Errorf("%s: %d signatures were verified", c.name, busy)
		}
	}
	all := clientcert.NewRevocations()
	all.Apply([]*ir.RevocationLists{{Name: "a", CRLs: []*ir.CRL{clean, quiet}}, {Name: "broken", CRLs: []*ir.CRL{clean, quiet}, Broken: true}})
	p := &ir.Revocation{PassMissing: true, PassStale: true}
	if got := all.Of("broken").Check(chain, p, today, func() {}); got != clientcert.Unknown {
		t.Errorf("broken: %d", got)
	}
	if got := all.Of("none").Check(chain, p, today, func() {}); got != clientcert.Unknown {
		t.Errorf("none: %d", got)
	}
	// Who has a list gets its new content.
	mine := all.Of("a")
	all.Apply([]*ir.RevocationLists{{Name: "a", CRLs: []*ir.CRL{clean, middle.list(t, 0, 1000)}}})
	if got := mine.Check(chain, p, today, func() {}); got != clientcert.Revoked {
		t.Errorf("after a change: %d", got)
	}
}

func BenchmarkRevocation(b *testing.B) {
	root := (*signer)(nil).issue(b, "root", 1, true)
	leaf := root.issue(b, "leaf", 1_000_000, false)
	serials := make([]int64, 100_000)
	for i := range serials {
		serials[i] = int64(i + 1)
	}
	all := clientcert.NewRevocations()
	all.Apply([]*ir.RevocationLists{{Name: "a", CRLs: []*ir.CRL{root.list(b, 0, serials...)}}})
	chain, p := [][]*x509.Certificate{{leaf.cert, root.cert}}, &ir.Revocation{}
	b.ReportAllocs()
	for b.Loop() {
		if all.Of("a").Check(chain, p, today, func() {}) != clientcert.Good {
			b.Fatal("revoked")
		}
	}
}
