package acme

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// issuerYAML is an issuer with more fields under acme, and others under spec.
func (a *authority) issuerYAML(acme, spec string) string {
	return a.caYAML() + fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: CertificateIssuer
metadata: {name: pebble}
spec:
  acme:
    directory: %s
    caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]
    termsOfServiceAgreed: true
    contact: [ops@shop.test]
%s
%s
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all}
spec:
  parentRefs: [{name: edge}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301}}]}]
---
`, a.directory(), acme, spec)
}

// gatewayYAML is a Gateway with these listeners, and more under spec.
func gatewayYAML(spec string, listeners ...string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec:\n  gatewayClassName: gridway\n" +
		"  addresses: [{value: 127.0.0.1}]\n" + spec + "  listeners:\n  - " + strings.Join(listeners, "\n  - ") + "\n---\n"
}

func plainListener(port int) string {
	return fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", port)
}

func secureListener(port int, hostname string) string {
	if hostname != "" {
		hostname = ", hostname: " + hostname
	}
	return fmt.Sprintf("{name: https, port: %d, protocol: HTTPS%s, tls: {certificateRefs: [{group: gridway.dev, kind: CertificateIssuer, name: pebble}]}}", port, hostname)
}

// shop is the usual configuration: HTTP, HTTPS for shop.test, and a route that
// leads everything to HTTPS.
func (a *authority) shop(plain, secure int) string {
	return a.issuerYAML("", "") + gatewayYAML("", plainListener(plain), secureListener(secure, "shop.test"))
}

func TestHTTP01(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1})
	state := filepath.Join(t.TempDir(), "state")
	g := start(t, a.shop(plain, secure), state)
	cert := a.issued(secure, "shop.test")
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve.Params().BitSize != 256 {
		t.Errorf("a key of type %T", cert.PublicKey)
	}
	st := g.reaches("Issued")
	if st.Secret != "Secret/default/pebble:shop.test" || !st.Valid || !st.NotAfter.Equal(cert.NotAfter) || !st.NextTry.Before(cert.NotAfter) || st.Error != "" {
		t.Errorf("%+v", st)
	}
	if v := g.Metric("gridway_certificate_not_after_timestamp_seconds", `certificate="default/pebble:shop.test"`); v != float64(cert.NotAfter.Unix()) {
		t.Errorf("expires at %v in metrics", v)
	}
	if v := g.Metric("gridway_certificate_tries_total", `result="issued"`); v != 1 {
		t.Errorf("%v were issued", v)
	}

	// What nobody has asked for belongs to the routes.
	noFollow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := noFollow.Get("http://" + local(plain) + "/.well-known/acme-challenge/abcdefghijklmnopqrstuvwxyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 301 {
		t.Errorf("another's challenge is answered %d", resp.StatusCode)
	}

	told := g.Output.String() + g.Get("/v1/config") + g.Get("/v1/objects?values=true") + g.Get("/v1/status") + g.Get("/metrics")
	for _, line := range secrets(t, state) {
		if strings.Contains(told, line) {
			t.Errorf("the log or the admin API tells a line of a key: %s", line)
		}
	}
	if !strings.Contains(g.Get("/v1/status"), `"type":"Ready","status":"True"`) {
		t.Error("the issuer is not ready")
	}
}

// With nothing but a listener that asks clients for certificates.
func TestTLSALPN01(t *testing.T) {
	t.Parallel()
	_, secure := ports(t)
	a := newAuthority(t, settings{httpPort: 1, tlsPort: secure})
	clients := "  tls: {frontend: {default: {validation: {caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}]}}}}\n"
	g := start(t, a.issuerYAML("", "")+gatewayYAML(clients, secureListener(secure, "shop.test")), t.TempDir())
	g.reaches("Issued")
	var shown *x509.Certificate
	var err error
	if !harness.Soon(func() bool { // issued, and then put in service
		_, err = a.handshake(secure, "shop.test", func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12 // the refusal comes within the handshake
			c.VerifyConnection = func(s tls.ConnectionState) error {
				shown = s.PeerCertificates[0]
				return nil
			}
		})
		return shown != nil
	}) || err == nil || shown.VerifyHostname("shop.test") != nil {
		t.Errorf("a client without a certificate: %v, shown %v", err, shown)
	}
	// A stranger who speaks the authority's protocol learns nothing.
	_, err = a.handshake(secure, "shop.test", func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} })
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a challenge that is not pending: %v", err)
	}
}

// With nothing but a listener of streams, which agrees on a protocol of its own.
func TestTLSALPN01OfStreams(t *testing.T) {
	t.Parallel()
	_, secure := ports(t)
	a := newAuthority(t, settings{httpPort: 1, tlsPort: secure})
	policy := `apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: dot}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]
  client: {tls: {alpn: [dot]}}
`
	g := start(t, a.issuerYAML("", "")+gatewayYAML("", strings.Replace(secureListener(secure, "shop.test"), "protocol: HTTPS", "protocol: TLS", 1))+policy, t.TempDir())
	g.reaches("Issued")
	var err error
	agreed := ""
	if !harness.Soon(func() bool { // issued, and then put in service
		_, err = a.handshake(secure, "shop.test", func(c *tls.Config) {
			c.NextProtos = []string{"dot"}
			c.VerifyConnection = func(s tls.ConnectionState) error {
				agreed = s.NegotiatedProtocol
				return nil
			}
		})
		return err == nil
	}) || agreed != "dot" {
		t.Errorf("agreed on %q, %v", agreed, err)
	}
}

func TestSeveralNames(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: secure})
	yaml := a.issuerYAML("    challenges: [TLS-ALPN-01]", "  hostnames: [www.shop.test, shop.test, api.shop.test]\n  keyType: RSA-2048") +
		gatewayYAML("", plainListener(plain), secureListener(secure, ""))
	start(t, yaml, t.TempDir())
	cert := a.issued(secure, "api.shop.test")
	if want := []string{"api.shop.test", "shop.test", "www.shop.test"}; !slices.Equal(slices.Sorted(slices.Values(cert.DNSNames)), want) {
		t.Errorf("for %v", cert.DNSNames)
	}
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		t.Errorf("a key of type %T", cert.PublicKey)
	}
	if n := a.requests(newOrder); n != 1 {
		t.Errorf("%d orders", n)
	}
}

func TestExternalAccountBinding(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1, binding: key})
	bound := a.issuerYAML("    externalAccountBinding: {keyID: kid, keySecretRef: {name: eab}}", "") +
		"apiVersion: v1\nkind: Secret\nmetadata: {name: eab}\nstringData: {key: " + key + "}\n---\n" +
		gatewayYAML("", plainListener(plain), secureListener(secure, "shop.test"))
	g := start(t, a.shop(plain, secure), t.TempDir())
	if st := g.reaches("Failing"); !strings.Contains(st.Error, "externalAccountBinding") {
		t.Errorf("without a binding: %s", st.Error)
	}
	g.Write(bound) // which is tried at once, whatever pause was due
	a.issued(secure, "shop.test")
	if told := g.Output.String() + g.Get("/v1/config") + g.Get("/v1/objects?values=true"); strings.Contains(told, key) {
		t.Error("the log or the admin API tells the key of the binding")
	}
}

// Of two edges with one folder one asks, whichever of them the authority's
// connections come to, and both serve what it gets.
func TestTwoEdges(t *testing.T) {
	t.Parallel()
	// The edge that began first asks, and the authority looks at the other one.
	for _, challenge := range []string{"HTTP-01", "TLS-ALPN-01"} {
		t.Run(challenge, func(t *testing.T) { twoEdges(t, challenge) })
	}
}

func twoEdges(t *testing.T, challenge string) {
	t.Parallel()
	plain, secure := ports(t)
	plain2, secure2 := ports(t)
	a := newAuthority(t, settings{httpPort: plain2, tlsPort: secure2})
	state := t.TempDir()
	both := make(chan struct{})
	a.intercept(func(http.ResponseWriter, *http.Request) bool {
		<-both // both are up before anything is asked
		return false
	})
	issuer := a.issuerYAML("    challenges: ["+challenge+"]", "")
	one := start(t, issuer+gatewayYAML("", plainListener(plain), secureListener(secure, "shop.test")), state)
	two := start(t, issuer+gatewayYAML("", plainListener(plain2), secureListener(secure2, "shop.test")), state)
	close(both)
	first, second := a.issued(secure, "shop.test"), a.issued(secure2, "shop.test")
	if !first.Equal(second) {
		t.Error("the edges serve different certificates")
	}
	if n := a.requests(newOrder); n != 1 {
		t.Errorf("%d orders", n)
	}
	if n := a.requests(newAccount); n != 1 {
		t.Errorf("%d accounts", n)
	}
	one.Stop()
	two.Stop()
	left, _ := filepath.Glob(filepath.Join(state, "acme", "challenges", "*"))
	if len(left) > 0 {
		t.Errorf("answers were left: %v", left)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1})
	state := t.TempDir()
	g := start(t, a.shop(plain, secure), state)
	cert := a.issued(secure, "shop.test")
	g.Stop()
	a.down() // nothing is needed of it
	g = start(t, a.shop(plain, secure), state)
	again, err := a.handshake(secure, "shop.test")
	if err != nil || !again.Equal(cert) {
		t.Errorf("after the restart: %v", err)
	}
	if !strings.Contains(g.Get("/v1/status"), `"number":1,`) {
		t.Error("the stored certificate took a revision of its own")
	}
	if n := a.requests(newOrder); n != 1 {
		t.Errorf("%d orders", n)
	}
	resp, err := http.Get("http://" + local(plain) + "/.well-known/acme-challenge/../../etc/passwd")
	if err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	info, err := os.Stat(filepath.Join(state, "acme"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}
