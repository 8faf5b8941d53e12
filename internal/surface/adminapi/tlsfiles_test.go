package adminapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// selfSigned writes a certificate of a name, which is its own authority, and its key.
func selfSigned(t *testing.T, folder, name string) adminapi.TLSFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := adminapi.TLSFiles{Certificate: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	write(t, f.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return f
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// trusting is the configuration of a client.
func trusting(t *testing.T, f adminapi.TLSFiles) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(f.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool}
}

func status(t *testing.T, address string, c *tls.Config) error {
	t.Helper()
	api, err := client.New(client.Options{Address: "https://" + address, TLS: c, Token: tokenText})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	_, err = api.Status(t.Context())
	return err
}

func TestHTTPS(t *testing.T) {
	files := selfSigned(t, t.TempDir(), "admin.example")
	friend, stranger := selfSigned(t, t.TempDir(), "friend"), selfSigned(t, t.TempDir(), "stranger")
	for _, clients := range []bool{false, true} {
		f := files
		if clients {
			f.ClientCA = friend.Certificate
		}
		opt := newProcess().options()
		opt.Address = "127.0.0.1:0"
		var err error
		if opt.TLS, err = f.Config(slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		opt.ClientCertificates = clients
		if !clients {
			opt.Token = token(t)
		}
		address := run(t, opt)
		c := trusting(t, files)
		if err := status(t, address, c); (err == nil) == clients {
			t.Errorf("without a certificate, which is asked for: %v: %v", clients, err)
		}
		if err := status(t, address, nil); !errors.As(err, new(*tls.CertificateVerificationError)) {
			t.Errorf("who does not trust it: %v", err)
		}
		c.ServerName = "admin.example"
		for _, who := range []adminapi.TLSFiles{friend, stranger} {
			pair, err := tls.LoadX509KeyPair(who.Certificate, who.Key)
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = []tls.Certificate{pair}
			if err := status(t, address, c); (err == nil) != (!clients || who == friend) {
				t.Errorf("with the certificate %s: %v", who.Certificate, err)
			}
		}
	}
}

func run(t *testing.T, opt adminapi.Options) (address string) {
	t.Helper()
	s, err := adminapi.New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func TestBeyondLoopbackTLSIsNeeded(t *testing.T) {
	opt := newProcess().options()
	opt.Address, opt.Token = "0.0.0.0:0", token(t)
	if _, err := adminapi.New(t.Context(), opt); !errors.Is(err, adminapi.ErrTLSNeeded) {
		t.Error(err)
	}
	opt.AllowPlain = true
	s, err := adminapi.New(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Certificates are read again when they have changed, and stay if the new ones are no good.
func TestCertificatesAreReadAgain(t *testing.T) {
	folder := t.TempDir()
	files := selfSigned(t, folder, "one.example")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c, err := files.Config(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		name := func() string {
			time.Sleep(2 * time.Second) // of the bubble's clock
			now, err := c.GetConfigForClient(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(now.Certificates[0].Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.DNSNames[0]
		}
		selfSigned(t, folder, "two.example.org")
		if got := name(); got != "two.example.org" {
			t.Errorf("after a change it is of %s", got)
		}
		write(t, files.Certificate, []byte("nothing"))
		if got := name(); got != "two.example.org" || !strings.Contains(log.String(), "goes on with the certificates from before") {
			t.Errorf("after a change that is no good it is of %s: %s", got, log.String())
		}
		log.Reset()
		if name(); log.Len() > 0 {
			t.Errorf("it is told again: %s", log.String())
		}
	})
}

func TestTLSFilesThatAreNoGood(t *testing.T) {
	good := selfSigned(t, t.TempDir(), "one.example")
	other := selfSigned(t, t.TempDir(), "two.example")
	text := filepath.Join(t.TempDir(), "text")
	write(t, text, []byte("text"))
	for want, f := range map[string]adminapi.TLSFiles{
		"needs a certificate and its key": {Certificate: good.Certificate},
		"no such file":                    {Certificate: good.Certificate, Key: "/nowhere/key.pem"},
		"private key does not match":      {Certificate: good.Certificate, Key: other.Key},
		"has no certificate in PEM":       {Certificate: good.Certificate, Key: good.Key, ClientCA: text},
	} {
		if _, err := f.Config(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
