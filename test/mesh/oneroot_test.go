package mesh

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
)

// Two meshes of one trust domain, whose authorities have one root, need no federation.
// What is not HTTP goes through the edge between them, too.
func TestPeerOfOneRoot(t *testing.T) {
	c := newCompany(t)
	west := newMesh(t, "", append(c.authority("west"), "--trust-domain", "one.example")...)
	east := newMesh(t, "", append(c.authority("east"), "--trust-domain", "one.example")...)
	bytes := strings.ReplaceAll(ratings, "appProtocol: http", "appProtocol: tcp")
	west.write(bytes + strings.ReplaceAll(exports, "east.example", "one.example"))
	east.write(bytes + strings.NewReplacer("west.example", "one.example", "WEST", west.address).Replace(imports))
	p := &pair{east: east, west: west, door: port(t)}
	p.open()
	west.sidecar("ratings", "west")
	up := port(t)
	east.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "west")
	east.sidecar("ratings", "east")
	from(t, up, "east") // it is nearer
}

// company is a root, whose holder makes authorities for meshes.
type company struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCompany(t *testing.T) *company {
	c := &company{t: t, dir: t.TempDir()}
	c.cert, c.key = c.make("root", nil, nil)
	return c
}

// make is an authority under another one; nil is a root.
func (c *company) make(name string, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(72 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert, key
}

// authority are the flags of a control plane.
func (c *company) authority(name string) []string {
	c.t.Helper()
	cert, key := c.make(name, c.cert, c.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(c.dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			c.t.Fatal(err)
		}
		return path
	}
	return []string{
		"--ca-cert", file(name+".pem", "CERTIFICATE", cert.Raw), "--ca-key", file(name+".key", "PRIVATE KEY", der), "--ca-root", file("root.pem", "CERTIFICATE", c.cert.Raw),
	}
}
