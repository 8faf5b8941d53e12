package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// toldOfCertificates answers with what the endpoint learns of the client.
func toldOfCertificates(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"X-Consumer", "X-Subject", "X-Spiffe", "X-Forwarded-Client-Cert"} {
		if v := r.Header.Values(name); len(v) > 0 {
			fmt.Fprintf(w, "%s: %s\n", name, strings.Join(v, " | "))
		}
	}
}

// service is a client's certificate with a SPIFFE ID and an organization.
func (a *authority) service(id, organization string, shape ...func(*x509.Certificate)) (cert tls.Certificate, fingerprint string) {
	a.t.Helper()
	u, err := url.Parse(id)
	if err != nil {
		a.t.Fatal(err)
	}
	text, key := a.issueAs(func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "svc", Organization: []string{organization}}
		c.URIs, c.DNSNames = []*url.URL{u}, []string{"svc.shop.example"}
		for _, s := range shape {
			s(c)
		}
	}, "svc")
	block, _ := pem.Decode([]byte(text))
	return pairOf(a.t)(text, key), fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
}

const mtlsFrontend = `tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}}`

// A certificate is who calls, whatever protocol the connection speaks.
func TestClientCertificateMethod(t *testing.T) {
	t.Parallel()
	ca, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	server, key := ca.issue("a.example")
	app := serve(t, toldOfCertificates)
	cart, print := clients.service("spiffe://shop.example/ns/shop/sa/cart", "Shop")
	pay, _ := clients.service("spiffe://shop.example/ns/pay/sa/pay", "Pay")
	other, _ := clients.service("spiffe://other.example/ns/shop/sa/cart", "Shop")
	port := ownPort(t)
	start(t, documents(
		gatewayOn(mtlsFrontend, fmt.Sprintf("{name: a, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", port)),
		secretDoc("a", server, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr),
		http3Policy("http3: {}, xForwardedClientCert: {mode: SanitizeSet, certDetailsToAdd: [Subject, URI, DNS]}"),
		authenticationDoc("certs", "HTTPRoute", "app", `
anyOf:
- clientCertificate:
    allow:
    - {identities: ["spiffe://shop.example/ns/shop/*"]}
    - {organizations: [Pay]}
requestHeaders: [{name: X-Consumer, value: Consumer}, {name: X-Subject, claim: sub}, {name: X-Spiffe, claim: spiffe}]`),
		"apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: cart}\nspec: {credentials: [{name: id, certificate: {uri: \"spiffe://shop.example/ns/shop/sa/cart\"}}]}\n",
	))
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		ask := func(cert *tls.Certificate) (*http.Response, string) {
			t.Helper()
			config := &tls.Config{RootCAs: ca.pool, ServerName: "a.example", Certificates: []tls.Certificate{*cert}}
			var tr http.RoundTripper = &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: proto == "HTTP/2.0", DisableKeepAlives: true}
			if proto == "HTTP/3.0" {
				h3 := &http3.Transport{TLSClientConfig: config}
				defer h3.Close()
				tr = h3
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("https://127.0.0.1:%d/", port), nil)
			req.Host = "a.example"
			req.Header.Set("X-Forwarded-Client-Cert", "Hash="+strings.Repeat("ab", 32)+`;Subject="CN=root"`)
			req.Header.Set("X-Consumer", "root")
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(proto, err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.Proto != proto {
				t.Errorf("spoke %s, not %s", resp.Proto, proto)
			}
			return resp, string(body)
		}
		resp, body := ask(&cart)
		want(t, resp, 200, "")
		if wanted := "X-Consumer: cart\nX-Subject: CN=svc,O=Shop\nX-Spiffe: spiffe://shop.example/ns/shop/sa/cart\n" +
			"X-Forwarded-Client-Cert: Hash=" + print + `;Subject="CN=svc,O=Shop";URI=spiffe://shop.example/ns/shop/sa/cart;DNS=svc.shop.example` + "\n"; body != wanted {
			t.Errorf("%s: the endpoint saw\n%swant\n%s", proto, body, wanted)
		}
		resp, body = ask(&pay)
		want(t, resp, 200, "")
		if strings.Contains(body, "X-Consumer") {
			t.Errorf("%s: the endpoint saw %s", proto, body)
		}
		resp, _ = ask(&other)
		want(t, resp, 401, "InvalidCredential")
	}
}

// What becomes of X-Forwarded-Client-Cert, and whom it is believed of.
func TestForwardedClientCertificates(t *testing.T) {
	t.Parallel()
	app := serve(t, toldOfCertificates)
	const sent = `URI=spiffe://evil/x,Hash=0000000000000000000000000000000000000000000000000000000000000001;Subject="CN=ada,O=Shop"`
	for _, c := range []struct {
		name, client, spec, header string
		status                     int
		reason, body               string
	}{
		{"removed", "{}", "", sent, 200, "", ""},
		{"left", "{xForwardedClientCert: {mode: AlwaysForwardOnly}}", "", sent, 200, "", "X-Forwarded-Client-Cert: " + sent + "\n"},
		{"nobody to tell of", "{xForwardedClientCert: {mode: SanitizeSet}}", "", sent, 200, "", ""},
		{"for clients with certificates", "{xForwardedClientCert: {mode: ForwardOnly}}", "", sent, 200, "", ""},
		{"believed", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", "{fromHeader: true, allow: [{commonNames: [ada]}]}", sent, 200, "", "X-Subject: CN=ada,O=Shop\n"},
		{"none", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", "{fromHeader: true}", "", 401, "Unauthenticated", ""},
		{"malformed", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", "{fromHeader: true}", `Subject="CN=ada`, 401, "InvalidCredential", ""},
		{"somebody else", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", "{fromHeader: true, allow: [{commonNames: [bob]}]}", sent, 401, "InvalidCredential", ""},
		{"not the first element", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", `{fromHeader: true, allow: [{uris: ["spiffe://evil/x"]}]}`, sent, 401, "InvalidCredential", ""},
		{"not asked for", "{forwarded: {trustedProxies: [127.0.0.0/8]}}", "{}", sent, 401, "Unauthenticated", ""},
		{"from anybody", "{}", "{fromHeader: true}", sent, 401, "Unauthenticated", ""},
		{"from another", "{forwarded: {trustedProxies: [10.0.0.0/8]}}", "{fromHeader: true}", sent, 401, "Unauthenticated", ""},
		{"hops name nobody", "{forwarded: {trustedHops: 1}}", "{fromHeader: true}", sent, 401, "Unauthenticated", ""},
	} {
		docs := []string{edgeWith("client: "+c.client, "", []string{app.addr})}
		if c.spec != "" {
			docs = append(docs, authenticationDoc("certs", "HTTPRoute", "app", "anyOf: [{clientCertificate: "+c.spec+"}]\nrequestHeaders: [{name: X-Subject, claim: sub}]"))
		}
		g := serveYAML(t, documents(docs...))
		var edits []edit
		if c.header != "" {
			edits = append(edits, header("X-Forwarded-Client-Cert", c.header))
		}
		resp, body := g.get("/", edits...)
		if resp.StatusCode != c.status || resp.Header.Get("X-Gridway-Reason") != c.reason || c.status == 200 && body != c.body {
			t.Errorf("%s: %d %s %s", c.name, resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), body)
		}
	}
}

// A certificate's time ends while its connection goes on.
func TestCertificateThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	ca, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	server, key := ca.issue("a.example")
	app := named(t, "ok")
	g := serveYAML(t, documents(
		gatewayOn(mtlsFrontend, "{name: a, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}"),
		secretDoc("a", server, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr),
		authenticationDoc("certs", "HTTPRoute", "app", "anyOf: [{clientCertificate: {}}]"),
	))
	end := time.Now().Add(3 * time.Second).Truncate(time.Second)
	short, _ := clients.service("spiffe://shop.example/short", "Shop", func(c *x509.Certificate) { c.NotAfter = end })
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool, ServerName: "a.example", Certificates: []tls.Certificate{short}}}
	defer tr.CloseIdleConnections()
	get := func() *http.Response {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+g.addr+"/", nil)
		req.Host = "a.example"
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	want(t, get(), 200, "")
	eventually(t, "the certificate ends", func() bool { return get().StatusCode == 401 })
	if time.Now().Before(end) {
		t.Error("it has ended too early")
	}
	want(t, get(), 401, "InvalidCredential")
}
