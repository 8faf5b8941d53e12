package tlsx_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// authority signs the certificates of a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10000 * time.Hour),
		SerialNumber: serial(t),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func serial(t testing.TB) *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

type change func(*x509.Certificate)

func names(dns ...string) change { return func(c *x509.Certificate) { c.DNSNames = dns } }

func uri(s string) change {
	return func(c *x509.Certificate) {
		u, err := url.Parse(s)
		if err != nil {
			panic(err)
		}
		c.URIs = []*url.URL{u}
	}
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

func mustStaple(c *x509.Certificate) {
	c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}}
}

// issue signs an ECDSA certificate, issueRSA an RSA one.
func (a *authority) issue(name string, changes ...change) *ir.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.sign(name, key, changes)
}

func (a *authority) issueRSA(name string, changes ...change) *ir.Certificate {
	key, err := rsaKey()
	if err != nil {
		a.t.Fatal(err)
	}
	return a.sign(name, key, changes)
}

func (a *authority) sign(name string, key crypto.Signer, changes []change) *ir.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: serial(a.t),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10000 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, c := range changes {
		c(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &ir.Certificate{
		Name:  "Secret/default/" + name,
		Chain: append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), a.pem...),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// shake does a handshake over loopback, after which the server sends a byte, so
// that the client gets session tickets and, with TLS 1.3, learns whether its
// certificate was accepted.
func shake(t testing.TB, server, client *tls.Config) (clientState, serverState tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(20 * time.Second)
	_, _ = c.SetDeadline(limit), s.SetDeadline(limit)
	sc := tls.Server(s, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Close()
		if serverErr = sc.Handshake(); serverErr == nil {
			_, serverErr = sc.Write([]byte("x"))
		}
	}()
	cc := tls.Client(c, client)
	if clientErr = cc.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(cc, make([]byte, 1))
	}
	c.Close()
	<-done
	return cc.ConnectionState(), sc.ConnectionState(), clientErr, serverErr
}
