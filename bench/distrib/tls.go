package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"
)

// makeCertificates writes a root and certificates for both sides.
func makeCertificates(folder string) error {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return err
	}
	if err := writePEM(folder, "root.pem", "CERTIFICATE", der); err != nil {
		return err
	}
	for name, id := range map[string]string{"control": "spiffe://example.org/gridway/control", "proxy": "spiffe://example.org/ns/shop/sa/caller"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		uri, err := url.Parse(id)
		if err != nil {
			return err
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), NotAfter: root.NotAfter, URIs: []*url.URL{uri}, DNSNames: []string{"control"},
		}, root, key.Public(), rootKey)
		if err != nil {
			return err
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		if err := errors.Join(writePEM(folder, name+".pem", "CERTIFICATE", der), writePEM(folder, name+".key", "PRIVATE KEY", keyDER)); err != nil {
			return err
		}
	}
	return nil
}

func writePEM(folder, name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func load(folder, name string) (tls.Certificate, *x509.CertPool, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key"))
	if err != nil {
		return certificate, nil, err
	}
	root, err := os.ReadFile(filepath.Join(folder, "root.pem"))
	if err != nil {
		return certificate, nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	return certificate, pool, nil
}

func serverCredentials(folder string) (credentials.TransportCredentials, error) {
	certificate, pool, err := load(folder, "control")
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13,
	}), err
}

func clientCredentials(folder string) (credentials.TransportCredentials, error) {
	certificate, pool, err := load(folder, "proxy")
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, RootCAs: pool, ServerName: "control", MinVersion: tls.VersionTLS13,
	}), err
}
