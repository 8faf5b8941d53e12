package compile_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// issued is a certificate with its key, as PEM.
type issued struct {
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	text, pem string // the certificate and the key
}

// issue makes a certificate that an issuer signs; nil signs itself.
func issue(t *testing.T, name string, by *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, block("CERTIFICATE", raw), block("PRIVATE KEY", der)}
}

func block(kind string, bytes []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
}

const secretGateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: https, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: www}]}}]
`

// compileSecret compiles a listener whose certificate is in a Secret.
func compileSecret(t *testing.T, data map[string]string) *compile.Output {
	t.Helper()
	objects, err := parse("gateway.yaml", []byte(secretGateway))
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{Data: map[string][]byte{}}
	for k, v := range data {
		secret.Data[k] = []byte(v)
	}
	key := store.Key{Kind: "Secret", Namespace: "default", Name: "www"}
	return compile.Compile(compile.Input{Set: store.NewSet(append(objects, &store.Object{Key: key, Version: "v1", Value: secret})), Now: now}, nil)
}

func TestCertificatesOfSecrets(t *testing.T) {
	root := issue(t, "root", nil)
	middle := issue(t, "middle", root)
	www := issue(t, "www.example.com", middle)
	other := issue(t, "other.example.com", nil)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct {
		name, chain, key string
		want             string // of the problem of the Secret; empty if there is none
	}{
		{"chain", www.text + middle.text, www.pem, ""},
		{"with the root", www.text + middle.text + root.text, www.pem, ""},
		{"text around blocks", "Bag\n  a: b\n" + www.text + "and\n" + middle.text, "Bag\n" + www.pem, ""},
		{"lines end in CR LF", strings.ReplaceAll(www.text, "\n", "\r\n"), strings.ReplaceAll(www.pem, "\n", "\r\n"), ""},
		{"parameters before the key", www.text, block("EC PARAMETERS", []byte{6}) + www.pem, ""},

		{"the leaf is not first", middle.text + www.text, www.pem, "tls.key is the key of certificate 2 of tls.crt, www.example.com, and not of the first"},
		{"no issuer", www.text + other.text, www.pem, "certificate 2 of tls.crt, other.example.com, did not sign certificate 1, www.example.com"},
		{"wrong order", www.text + root.text + middle.text, www.pem, "certificate 2 of tls.crt, root, did not sign certificate 1"},
		{"twice", www.text + www.text, www.pem, "certificate 2 of tls.crt, www.example.com, did not sign certificate 1"},
		{"cut", www.text + middle.text[:200], www.pem, "what follows certificate 1 of tls.crt is not whole"},
		{"cut from the first", www.text[:200], www.pem, "tls.crt holds a certificate that is not whole"},
		{"garbage in a block", block("CERTIFICATE", []byte("no")), www.pem, "tls.crt holds a certificate that cannot be read, number 1"},
		{"another key", www.text, other.pem, "tls.key is not the key of the certificate in tls.crt, www.example.com"},
		{"encoded twice", encode(www.text), www.pem, "tls.crt holds base64 of a certificate instead of the certificate; write base64 under data, and PEM as it is under stringData"},
		{"key encoded twice", www.text, encode(www.pem), "tls.key holds base64 of a private key instead of the key"},
		{"swapped", www.pem, www.text, "tls.crt holds a private key and no certificate"},
		{"certificate for a key", www.text, www.text, "tls.key holds a certificate and no private key"},
		{"no PEM", "certificate", www.pem, "tls.crt holds no PEM certificate"},
		{"no PEM key", www.text, "key", "tls.key holds no PEM private key"},
		{"passphrase", www.text, block("ENCRYPTED PRIVATE KEY", []byte("x")), "tls.key is protected by a passphrase; write it without one: openssl pkey -in tls.key"},
		{"garbage in the key", www.text, block("PRIVATE KEY", []byte("x")), "tls.key cannot be used: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := compileSecret(t, map[string]string{"tls.crt": c.chain, "tls.key": c.key})
			got := ""
			for _, p := range out.Problems {
				if p.Object.Kind == "Secret" {
					got += p.Message + "; " + p.Remedy + "\n"
				}
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
	out := compileSecret(t, map[string]string{"tls.cert": www.text, "tls.key": www.pem})
	if p := out.Problems[0]; p.Remedy != `there is "tls.cert": rename it` {
		t.Errorf("a misspelled name is not told: %v", out.Problems)
	}
}

// Certificates are public, and go into dumps: a key that stands beside them
// must not.
func TestKeysBesideCertificatesStayInside(t *testing.T) {
	www := issue(t, "www.example.com", nil)
	for _, text := range []string{www.text + www.pem, www.pem + www.text} {
		out := compileSecret(t, map[string]string{"tls.crt": text, "tls.key": www.pem})
		cert := out.Config.Listeners[0].Sections[0].TLS.Certificates[0]
		if string(cert.Chain) != www.text {
			t.Errorf("the chain holds more than certificates: %d bytes, want %d", len(cert.Chain), len(www.text))
		}
	}
}
