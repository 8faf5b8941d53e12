package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// What is issued is as the standards say, and go-spiffe takes it.
func TestWhatIsIssued(t *testing.T) {
	plane := begin(t, ca.Options{DB: statetest.Open(t, statetest.SQLite(t)), TrustDomain: td, Secrets: secret("s")})
	s := plane.svid("reviews")
	reference, err := spiffebundle.Parse(td, plane.Bundle().JSON())
	if err != nil {
		t.Fatal(err)
	}
	chain, _ := x509.ParseCertificates(s.Chain())
	if id, _, err := x509svid.Verify(chain, reference); err != nil || id.String() != "spiffe://prod.example.com/ns/shop/sa/reviews" {
		t.Errorf("%s, %v", id, err)
	}
	leaf := s.Leaf()
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life != time.Hour+identity.Backdate {
		t.Errorf("valid for %s", life)
	}
	if len(leaf.SerialNumber.Bytes()) < 14 || len(leaf.DNSNames) > 0 || leaf.Subject.String() != "" || leaf.IsCA || !leaf.BasicConstraintsValid {
		t.Errorf("%+v", leaf)
	}
	token, ends, err := plane.SignJWT(s.ID(), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := jwtsvid.ParseAndValidate(token, reference, []string{"b"})
	if err != nil || got.ID != s.ID() || !got.Expiry.Equal(ends.Truncate(time.Second)) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, audiences := range [][]string{nil, {""}, {strings.Repeat("a", 1025)}, make([]string, 17)} {
		if _, _, err := plane.SignJWT(s.ID(), audiences); err == nil || !strings.Contains(err.Error(), "audiences") {
			t.Errorf("%v", err)
		}
	}
	foreign, _ := identity.Parse("spiffe://other/ns/a/sa/b")
	csr, _, _ := identity.NewRequest(foreign)
	if _, err := plane.Sign(ca.Request{ID: foreign, CSR: csr}); err == nil || !strings.Contains(err.Error(), "another trust domain") {
		t.Error(err)
	}
	state := plane.State()
	if len(state.Authorities) != 2 || !state.Authorities[0].Signs || !state.Authorities[1].Signs {
		t.Errorf("%+v", state)
	}
}

func TestRequests(t *testing.T) {
	id := identity.Workload(td, "shop", "reviews")
	parse := func(text string) *url.URL { u, _ := url.Parse(text); return u }
	p256 := func() crypto.Signer { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k }
	key := func(f func() (crypto.Signer, error)) crypto.Signer {
		k, err := f()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	own := []*url.URL{id.URL()}
	for name, c := range map[string]struct {
		key  crypto.Signer
		csr  x509.CertificateRequest
		want string
	}{
		"good":     {p256(), x509.CertificateRequest{URIs: own}, ""},
		"nobody":   {p256(), x509.CertificateRequest{}, ""},
		"ed25519":  {key(func() (crypto.Signer, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err }), x509.CertificateRequest{URIs: own}, ""},
		"rsa":      {key(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }), x509.CertificateRequest{URIs: own}, ""},
		"small":    {key(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 1024) }), x509.CertificateRequest{URIs: own}, "its key must be"},
		"p521":     {key(func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }), x509.CertificateRequest{URIs: own}, "its key must be"},
		"other":    {p256(), x509.CertificateRequest{URIs: []*url.URL{parse("spiffe://prod.example.com/ns/shop/sa/cart")}}, "other names"},
		"two":      {p256(), x509.CertificateRequest{URIs: append(own, own...)}, "other names"},
		"dns":      {p256(), x509.CertificateRequest{URIs: own, DNSNames: []string{"a"}}, "other names"},
		"address":  {p256(), x509.CertificateRequest{URIs: own, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, "other names"},
		"mailbox":  {p256(), x509.CertificateRequest{URIs: own, EmailAddresses: []string{"a@b"}}, "other names"},
		"too long": {p256(), x509.CertificateRequest{URIs: own, DNSNames: []string{strings.Repeat("a", ca.MaxRequest)}}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.CreateCertificateRequest(rand.Reader, &c.csr, c.key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ca.CheckRequest(der, id)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v", err)
			}
			if c.want != "" {
				return
			}
			der[len(der)-1] ^= 1
			if _, err := ca.CheckRequest(der, id); err == nil {
				t.Error("a signature that is wrong")
			}
		})
	}
}

func FuzzCheckRequest(f *testing.F) {
	id := identity.Workload(td, "shop", "reviews")
	csr, _, err := identity.NewRequest(id)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Fuzz(func(t *testing.T, der []byte) {
		if public, err := ca.CheckRequest(der, id); err == nil && public == nil {
			t.Error("no key")
		}
	})
}

func TestSecretFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.key")
	first, err := ca.ReadOrMakeSecret(path)
	if err != nil || len(first) != 1 {
		t.Fatalf("%v", err)
	}
	if again, err := ca.ReadOrMakeSecret(path); err != nil || string(again[0]) != string(first[0]) {
		t.Errorf("%v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for text, want := range map[string]string{"": "has none", "# x\nshort\n": ":2: has 5 bytes", strings.Repeat(strings.Repeat("a", 32)+"\n", 9): "more than 8"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ca.ReadSecrets(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v", err)
		}
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.ReadSecrets(path); err == nil || !strings.Contains(err.Error(), "read by everybody") {
		t.Error(err)
	}
	if _, err := ca.ReadSecrets(path + "x"); err == nil {
		t.Error("a file that is not there")
	}
}
