package ca_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// company is an authority outside.
type company struct {
	t    *testing.T
	now  func() time.Time
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (o *company) make(name string, life time.Duration, change ...func(*x509.Certificate)) *company {
	o.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, NotBefore: o.now().Add(-time.Hour), NotAfter: o.now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, f := range change {
		f(template)
	}
	parent, by := template, crypto.Signer(key)
	if o.cert != nil {
		parent, by = o.cert, o.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	return &company{o.t, o.now, c, key}
}

func (o *company) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.cert.Raw}))
}

func (o *company) keyPEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// files writes what an authority outside gives.
func files(t *testing.T, dir, chain, key, root string) *ca.External {
	t.Helper()
	e := &ca.External{ChainFile: filepath.Join(dir, "chain.pem"), KeyFile: filepath.Join(dir, "key.pem"), RootFile: filepath.Join(dir, "root.pem")}
	for path, text := range map[string]string{e.ChainFile: chain, e.KeyFile: key, e.RootFile: root} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// From our own root to an authority outside and back, each proxy trusts each other one at
// any time, though none gets a bundle but when it renews.
func TestMovingOutAndBack(t *testing.T) {
	c, db := newClock(), statetest.Open(t, statetest.SQLite(t))
	o := options(db, c)
	plane := begin(t, o)
	old, new := &proxy{}, &proxy{}
	var seen []string
	live := func(d time.Duration) {
		t.Helper()
		for end := c.now().Add(d); c.now().Before(end); c.add(10 * time.Minute) {
			plane.Look(t.Context())
			for _, p := range []*proxy{old, new} {
				if p.svid == nil || c.now().Sub(p.renewed) > 50*time.Minute || p == new {
					*p = proxy{plane.svid("p"), plane.Bundle(), c.now()}
				}
			}
			if err := trusts(old.bundle, new.svid, c.now()); err != nil {
				t.Fatalf("%v\n%s", err, plane.log)
			}
			if err := trusts(new.bundle, old.svid, c.now()); err != nil {
				t.Fatalf("%v\n%s", err, plane.log)
			}
			if by := new.svid.Leaf().Issuer.CommonName; len(seen) == 0 || seen[len(seen)-1] != by {
				seen = append(seen, by)
			}
		}
	}
	live(2 * time.Hour)
	world := &company{t: t, now: c.now}
	root := world.make("company root", 1000*time.Hour)
	mid := root.make("mesh issuer", 500*time.Hour)
	dir := t.TempDir()
	o.External = files(t, dir, mid.pem(), mid.keyPEM(), root.pem())
	plane = begin(t, o)
	live(8 * time.Hour)
	if n := len(plane.Bundle().Roots()); n != 1 || plane.Bundle().Roots()[0].Subject.CommonName != "company root" {
		t.Errorf("%d roots after moving out\n%s", n, plane.log)
	}
	next := root.make("next issuer", 500*time.Hour) // files are replaced in place
	files(t, dir, next.pem()+root.pem(), next.keyPEM(), root.pem())
	live(time.Hour)
	files(t, dir, "broken", next.keyPEM(), root.pem()) // what is broken changes nothing
	live(time.Hour)
	if !strings.Contains(plane.log.String(), "has no certificate in PEM form") {
		t.Errorf("%s", plane.log)
	}
	files(t, dir, next.pem(), next.keyPEM(), root.pem())
	live(time.Hour)

	without := options(db, c)
	if _, err := ca.Open(t.Context(), without); err == nil || !strings.Contains(err.Error(), "--ca-leave") {
		t.Errorf("leaving at once: %v", err)
	}
	leave := *o.External
	leave.Leave = true
	o.External = &leave
	plane = begin(t, o)
	live(4 * time.Hour)
	plane = begin(t, without)
	live(4 * time.Hour)
	for _, r := range plane.Bundle().Roots() {
		if !strings.HasPrefix(r.Subject.CommonName, "root ") {
			t.Errorf("%s is trusted after moving back\n%s", r.Subject, plane.log)
		}
	}
	want := "root 1 of prod.example.com, mesh issuer, next issuer, root"
	if got := strings.Join(seen, ", "); !strings.HasPrefix(got, want) {
		t.Errorf("signed by %s", got)
	}
}

// What an authority outside cannot sign by is refused when it starts, with the reason.
func TestAuthoritiesOutsideThatAreRefused(t *testing.T) {
	c := newClock()
	world := &company{t: t, now: c.now}
	root := world.make("root", 1000*time.Hour)
	good := root.make("good", 500*time.Hour)
	short := root.make("short", 500*time.Hour, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	for name, x := range map[string]struct {
		by, root *company
		key      *company
		want     string
		more     string // behind it in the chain
	}{
		"path length": {short.make("deep", 400*time.Hour), root, nil, "would not be trusted", short.pem()},
		"no way":      {short.make("deep", 400*time.Hour), root, nil, "signed by none", ""},
		"no signing":  {root.make("leaf", 500*time.Hour, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }), root, nil, "may not sign certificates", ""},
		"ended":       {root.make("ended", -time.Minute), root, nil, "ends at", ""},
		"other key":   {good, root, root, "does not fit", ""},
		"other root":  {good, world.make("other", time.Hour), nil, "signed by none", ""},
		"constraints": {root.make("foreign", 500*time.Hour, func(c *x509.Certificate) {
			c.PermittedURIDomains, c.PermittedDNSDomainsCritical = []string{"other.example.com"}, true
		}), root, nil, "would not be trusted", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if x.key == nil {
				x.key = x.by
			}
			o := options(statetest.Open(t, statetest.SQLite(t)), c)
			o.External = files(t, t.TempDir(), x.by.pem()+x.more, x.key.keyPEM(), x.root.pem())
			if _, err := ca.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v", err)
			}
		})
	}
	o := options(statetest.Open(t, statetest.SQLite(t)), c)
	o.External = files(t, t.TempDir(), good.pem(), good.keyPEM(), root.pem())
	plane := begin(t, o)
	s := plane.svid("a")
	if err := trusts(plane.Bundle(), s, c.now()); err != nil || s.Leaf().Issuer.CommonName != "good" {
		t.Errorf("signed by %s, %v", s.Leaf().Issuer, err)
	}
	if own := plane.Keyring().Own(); own != identity.Control(td) {
		t.Errorf("the control plane is %s", own)
	}
	if err := os.Remove(o.External.KeyFile); err != nil {
		t.Fatal(err)
	}
	plane.Look(t.Context())
	plane.svid("b")
	if _, err := ca.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("%v", err)
	}
}
