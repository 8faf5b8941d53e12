package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificate is the one that all proxies show: ECDSA P-256, for 127.0.0.1.
type Certificate struct {
	CertPEM, KeyPEM            []byte
	CertFile, KeyFile, PemFile string // PemFile has both, as HAProxy wants it
	pool                       *x509.CertPool
	client                     tls.Certificate // which it has signed
}

// Client is the setting of clients that trust it: TLS 1.3 only.
func (c *Certificate) Client() *tls.Config {
	return &tls.Config{RootCAs: c.pool, MinVersion: tls.VersionTLS13, ServerName: "127.0.0.1"}
}

// ClientSubject is the common name in the certificate of clients.
const ClientSubject = "caller"

// Showing is the setting of clients that show a certificate of their own, which this
// one has signed.
func (c *Certificate) Showing() *tls.Config {
	cfg := c.Client()
	cfg.Certificates = []tls.Certificate{c.client}
	return cfg
}

// forClient makes the certificate of clients.
func (c *Certificate) forClient(issuer *x509.Certificate, signer *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: ClientSubject}, NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, &key.PublicKey, signer)
	c.client = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return err
}

// NewCertificate makes one that is valid for a day, with its files in dir.
func NewCertificate(dir string) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		// Whom it has signed may be clients.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &Certificate{
		CertPEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), PemFile: filepath.Join(dir, "both.pem"),
		pool: x509.NewCertPool(),
	}
	c.pool.AppendCertsFromPEM(c.CertPEM)
	if err := c.forClient(t, key); err != nil {
		return nil, err
	}
	for file, text := range map[string][]byte{c.CertFile: c.CertPEM, c.KeyFile: c.KeyPEM, c.PemFile: append(append([]byte{}, c.CertPEM...), c.KeyPEM...)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}
