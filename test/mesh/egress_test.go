package mesh

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const egress = `apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: closed, namespace: gridway-system}
spec: {egress: DEFAULT}
---
apiVersion: v1
kind: Service
metadata: {name: payments}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: payments}
spec:
  parentRefs: [{group: "", kind: Service, name: payments}]
  rules:
  - filters: [{type: URLRewrite, urlRewrite: {hostname: localhost}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: payments}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: payments}
spec:
  dns: [{name: localhost, port: PORT}]
  protocol: https
  tls: {caCertificateRefs: [{group: "", kind: ConfigMap, name: partner}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: partner}
data:
  ca.crt: |
CA
`

// A program asks a Service over plain HTTP, and its proxy asks the partner outside by
// TLS; whether anything else outside can be reached is the MeshPolicy's.
func TestEgress(t *testing.T) {
	partner, ca := partner(t, "localhost")
	at, err := url.Parse(partner.URL)
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(plain.Close)
	yaml := func(byDefault string) string {
		return strings.NewReplacer("DEFAULT", byDefault, "PORT", at.Port(), "CA", indent(ca)).Replace(egress)
	}
	m := newMesh(t, yaml("Deny"))
	up := port(t)
	m.sidecar("reviews", "front", "--upstream", "payments=:"+up)
	eventually(t, "the partner answers over TLS", func() error {
		a, err := get(up, "/pay")
		if err == nil && (a.Name != "partner" || a.Path != "/pay" || !strings.HasPrefix(a.Host, "localhost")) {
			err = fmt.Errorf("%+v", a)
		}
		return err
	})
	elsewhere := func(name string) string {
		p := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", name, "--control", m.address, "--http-proxy", "--state-dir", m.dir+"/"+name, "--",
			"sh", "-c", "NO_PROXY= no_proxy= curl -s -o /dev/null -w '[%{http_code}]' "+plain.URL+"/; NO_PROXY= no_proxy= curl -s -w '[%{http_code}]' http://payments/by-name")
		p.ended()
		return p.log.String()
	}
	if out := elsewhere("closed"); !strings.Contains(out, "[502]") || !strings.Contains(out, `"path":"/by-name"`) {
		t.Errorf("egress: Deny: %s", out)
	}
	m.write(yaml("Allow"))
	tries := 0
	eventually(t, "egress: Allow", func() error {
		tries++ // the control plane may not have seen the file yet
		if out := elsewhere(fmt.Sprintf("open-%d", tries)); !strings.Contains(out, "[200]") || !strings.Contains(out, `"path":"/by-name"`) {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// partner is a server outside, with a certificate of its own authority.
func partner(t *testing.T, name string) (*httptest.Server, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"name":"partner","path":%q,"host":%q}`, r.URL.Path, r.Host)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
