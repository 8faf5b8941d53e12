package identity_test

import (
	"crypto"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

func TestBundles(t *testing.T) {
	a := identitytest.New(t, "ours")
	keys := map[string]crypto.PublicKey{"b": identitytest.Key(t).Public(), "a": identitytest.Key(t).Public()}
	b, err := identity.NewBundle(identity.BundleParts{TrustDomain: a.TrustDomain(), Roots: []*x509.Certificate{a.Root}, JWTKeys: keys, Sequence: 7, RefreshHint: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	reference, err := spiffebundle.Parse(a.TrustDomain(), b.JSON())
	if err != nil || len(reference.X509Authorities()) != 1 || len(reference.JWTAuthorities()) != 2 {
		t.Fatalf("%v: %s", err, b.JSON())
	}
	again, err := identity.ParseBundle(a.TrustDomain(), b.JSON())
	if err != nil || !again.Equal(b) || again.Sequence() != 7 || again.RefreshHint() != time.Minute {
		t.Errorf("%+v, %v", again, err)
	}
	for _, c := range []struct{ text, want string }{
		{"", "unable to parse"},
		{"{}", "no authorities"},
		{`{"keys":[{"use":"x509-svid"}]}`, "trust bundle of ours"},
		{strings.Repeat(" ", identity.MaxBundle+1), "bytes"},
	} {
		if _, err := identity.ParseBundle(a.TrustDomain(), []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: %v", c.text, err)
		}
	}
	leaf := a.Workload("a", "b").Leaf()
	if _, err := identity.NewBundle(identity.BundleParts{TrustDomain: a.TrustDomain(), Roots: []*x509.Certificate{leaf}}); err == nil || !strings.Contains(err.Error(), "no authority") {
		t.Error(err)
	}
}

func FuzzParseBundle(f *testing.F) {
	a := identitytest.New(f, "ours")
	f.Add(a.Bundle().JSON())
	f.Add([]byte(`{"keys":[],"spiffe_sequence":1,"spiffe_refresh_hint":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := identity.ParseBundle(a.TrustDomain(), text)
		if err != nil {
			return
		}
		again, err := identity.ParseBundle(a.TrustDomain(), b.JSON())
		if err != nil || !again.Equal(b) {
			t.Errorf("%s is not read as it was written: %v", b.JSON(), err)
		}
	})
}
