package grpc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// The parts of configurations. Each document begins with its separator.

func gateway(listeners ...string) string {
	return `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
` + strings.Join(listeners, "")
}

// listener is one of HTTP, or of HTTPS with the certificate of a Secret.
func listener(name string, port int, secret string) string {
	if secret == "" {
		return fmt.Sprintf("  - {name: %s, port: %d, protocol: HTTP}\n", name, port)
	}
	return fmt.Sprintf("  - {name: %s, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: %s}]}}\n", name, port, secret)
}

// grpcRoute sends every call of the listeners to a Backend.
func grpcRoute(name, backend string, sections ...string) string {
	var parents []string
	for _, s := range sections {
		parents = append(parents, fmt.Sprintf("{name: edge, sectionName: %s}", s))
	}
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: %s}
spec:
  parentRefs: [%s]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: %s}]}]
`, name, strings.Join(parents, ", "), backend)
}

// backend has one endpoint; with a ConfigMap of a CA it speaks TLS.
func backend(name, address, ca string) string {
	spec := fmt.Sprintf("endpoints: [{address: %q}]", address)
	if ca != "" {
		spec += fmt.Sprintf(`, protocol: h2, tls: {serverName: grpc.example.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: %s}]}`, ca)
	}
	return fmt.Sprintf(`---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: %s}
spec: {%s}
`, name, spec)
}

// policy is a TrafficPolicy on a GRPCRoute.
func policy(route, spec string) string {
	return fmt.Sprintf(`---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: %s}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: GRPCRoute, name: %s}]
  %s
`, route, route, spec)
}

// authority is a CA with one certificate, for grpc.example.com.
type authority struct {
	root, chain, key string // PEM
	pair             tls.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"grpc.example.com"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	must(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(err)
	block := func(kind string, der []byte) string {
		var b bytes.Buffer
		must(pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}))
		return b.String()
	}
	a := &authority{root: block("CERTIFICATE", rootDER), chain: block("CERTIFICATE", leafDER), key: block("PRIVATE KEY", keyDER)}
	a.pair, err = tls.X509KeyPair([]byte(a.chain), []byte(a.key))
	must(err)
	return a
}

func (a *authority) server() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{a.pair}} }

func (a *authority) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(a.root))
	return &tls.Config{RootCAs: pool, ServerName: "grpc.example.com", NextProtos: []string{"h2"}}
}

func (a *authority) secret(name string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n%s  tls.key: |\n%s",
		name, indent(a.chain), indent(a.key))
}

func (a *authority) configMap(name string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  ca.crt: |\n%s", name, indent(a.root))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ") + "\n"
}
