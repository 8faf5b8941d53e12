package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/proxyproto"
)

// authority is a CA that a test makes for itself.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
	pool *x509.CertPool
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), pool: x509.NewCertPool()}
	a.cert, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate and its key, as PEM.
func (a *authority) issue(names ...string) (cert, key string) {
	a.t.Helper()
	return a.issueAs(func(*x509.Certificate) {}, names...)
}

// issueAs lets shape change the certificate before it is signed.
func (a *authority) issueAs(shape func(*x509.Certificate), names ...string) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	shape(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), keyPEM(a.t, k)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func keyPEM(t *testing.T, k *ecdsa.PrivateKey) string {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", b)
}

// pair is issue for crypto/tls.
func (a *authority) pair(names ...string) tls.Certificate {
	a.t.Helper()
	return pairOf(a.t)(a.issue(names...))
}

func pairOf(t *testing.T) func(cert, key string) tls.Certificate {
	return func(cert, key string) tls.Certificate {
		t.Helper()
		p, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func secretDoc(name, cert, key string) string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {name: %s}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`, name, b64(cert), b64(key))
}

func caDoc(name, ca string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata:\n  ca.crt: |\n%s", name, indent(4, ca))
}

// over makes requests to the first listener over TLS.
func (g *gateway) over(c *tls.Config, host string) (*http.Response, string, error) {
	tr := &http.Transport{TLSClientConfig: c, DialTLSContext: nil}
	defer tr.CloseIdleConnections()
	req := g.request("GET", "/", nil)
	req.URL.Scheme, req.Host = "https", host
	c.ServerName = host
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestTLSTerminationBySNI(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "test CA")
	aCert, aKey := ca.issue("a.example")
	bCert, bKey := ca.issue("b.example")
	app := serve(t, forwarded)
	g := serveYAML(t, documents(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: a, port: 8443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}
  - {name: b, port: 8443, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: b}]}}
`, secretDoc("a", aCert, aKey), secretDoc("b", bCert, bKey), routeDoc("app", ""), backendDoc("app", app.addr)))
	for _, name := range []string{"a.example", "b.example"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			resp, body, err := g.over(&tls.Config{RootCAs: ca.pool, MinVersion: version, MaxVersion: version}, name)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if resp.TLS.PeerCertificates[0].DNSNames[0] != name || !strings.Contains(body, "proto=https") {
				t.Errorf("%s: certificate for %v, endpoint saw %s", name, resp.TLS.PeerCertificates[0].DNSNames, body)
			}
		}
	}
	if _, _, err := g.over(&tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "a.example"); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	// One name in the handshake and another in the request.
	tc, err := tls.Dial("tcp", g.addr, &tls.Config{RootCAs: ca.pool, ServerName: "a.example"})
	if err != nil {
		t.Fatal(err)
	}
	c := newWire(t, tc)
	c.send("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
	resp, _ := c.mustRespond("GET")
	want(t, resp, 421, "MisdirectedRequest")
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca, clients, strangers := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "strangers")
	cert, key := ca.issue("a.example")
	app := named(t, "ok")
	g := serveYAML(t, documents(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: a, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}
  tls:
    frontend:
      default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}
`, secretDoc("a", cert, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr)))
	if _, body, err := g.over(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{clients.pair("bob")}}, "a.example"); err != nil || body != "ok" {
		t.Errorf("with a certificate: %q %v", body, err)
	}
	if _, _, err := g.over(&tls.Config{RootCAs: ca.pool}, "a.example"); err == nil {
		t.Error("accepted without a certificate")
	}
	stranger := strangers.pair("eve")
	forced := &tls.Config{RootCAs: ca.pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil }}
	if _, _, err := g.over(forced, "a.example"); err == nil {
		t.Error("accepted a certificate of another CA")
	}
	if n := app.requests.Load(); n != 1 {
		t.Errorf("%d requests reached the endpoint", n)
	}
	eventually(t, "the failed handshakes to be counted", func() bool { return g.metric("gridway_listener_tls_handshake_failures_total") >= 2 })
}

// overTLS runs an HTTPS server.
func overTLS(t *testing.T, c *tls.Config, h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.TLS = c
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestTLSToEndpoints(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "backends"), newAuthority(t, "other")
	handler := func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s from %s", r.TLS.ServerName, name)
	}
	good := overTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("app.internal")}}, handler)
	wrongName := overTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("evil.internal")}}, handler)
	wrongCA := overTLS(t, &tls.Config{Certificates: []tls.Certificate{other.pair("app.internal")}}, handler)
	plain := named(t, "plain").addr
	for name, c := range map[string]struct {
		addr, reason string
		status       int
	}{
		"good": {good, "", 200}, "wrong name": {wrongName, "UpstreamTLSFailure", 502},
		"wrong CA": {wrongCA, "UpstreamTLSFailure", 502}, "plain": {plain, "UpstreamTLSFailure", 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, port, _ := net.SplitHostPort(c.addr)
			g := serveYAML(t, documents(gatewayDoc, caDoc("backends", ca.pem), `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {value: /service}}]
    backendRefs: [{name: app, port: 443}]
  - backendRefs: [{group: gridway.dev, kind: Backend, name: app}]
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-1, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: https, port: `+port+`}]
endpoints: [{addresses: ["`+host+`"]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: app}
spec:
  targetRefs: [{group: "", kind: Service, name: app}]
  validation: {hostname: app.internal, caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  protocol: https
  tls: {serverName: app.internal, caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}]}
  endpoints: [{address: "`+c.addr+`"}]
`))
			for _, path := range []string{"/service", "/backend"} {
				resp, body := g.get(path)
				want(t, resp, c.status, c.reason)
				if c.status == 200 && body != "app.internal from nobody" {
					t.Errorf("%s: %s", path, body)
				}
			}
		})
	}
}

func TestProxyProtocolIn(t *testing.T) {
	t.Parallel()
	app := serve(t, forwarded)
	g := serveYAML(t, edgeWith("client: {proxyProtocol: Required, proxyProtocolFrom: [127.0.0.1]}", "", []string{app.addr}))
	for name, head := range map[string]string{
		"v1": "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\r\n",
		"v2": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x09\x08\x07\x06\x0a\x00\x00\x01\x04\xd2\x00\x50",
	} {
		c := g.dial()
		c.send(head + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, body := c.mustRespond("GET"); !strings.HasPrefix(body, "for=9.8.7.6 ") {
			t.Errorf("%s: endpoint saw %s", name, body)
		}
	}
	for name, head := range map[string]string{"none": "", "bad": "PROXY TCP4 9.8.7.6\r\n"} {
		c := g.dial()
		c.send(head + "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if rest := c.rest(); rest != "" {
			t.Errorf("%s: answered %q", name, rest)
		}
	}
}

func TestProxyProtocolOut(t *testing.T) {
	t.Parallel()
	for version, policy := range map[int]string{1: "proxyProtocol: V1", 2: "proxyProtocol: V2", 3: "proxyProtocol: V2\nhedge: {delay: 1s}"} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			app := startPeer(t, func(c *peerConn) {
				var in []byte
				for {
					b, err := c.r.ReadByte()
					if err != nil {
						return
					}
					in = append(in, b)
					if h, _, err := proxyproto.Parse(in); err == nil {
						if c.head() != "" {
							from := h.Source.String()
							c.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(from), from)
						}
						c.untilClosed()
						return
					}
				}
			})
			g := serveYAML(t, edge(policy, app.addr))
			for range 2 {
				c := g.dial()
				c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if _, body := c.mustRespond("GET"); body != c.LocalAddr().String() {
					t.Errorf("the header names %s, the client is %s", body, c.LocalAddr())
				}
			}
		})
	}
}
