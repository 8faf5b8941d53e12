package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// crl is a list of what the authority has revoked, in DER.
func (a *authority) crl(from, until time.Time, revoked ...*big.Int) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: from, NextUpdate: until}
	for _, n := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// A certificate that is revoked is refused from then on, on connections that are open
// too; a list that is old or not there closes, unless a policy says otherwise.
func TestRevokedCertificates(t *testing.T) {
	t.Parallel()
	ca, clients, others := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "others")
	server, key := ca.issue("a.example")
	serial := func(c *tls.Certificate) *big.Int {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber
	}
	ada, bob := clients.pair("ada"), clients.pair("bob")
	app := named(t, "ok")
	yaml := func(more, lists string) string {
		return documents(
			gatewayOn(mtlsFrontend, "{name: a, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}"), http3Policy("http3: {}"),
			secretDoc("a", server, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr),
			authenticationDoc("certs", "HTTPRoute", "app", "anyOf: [{clientCertificate: {revocation: {crls: [{configMapRef: {name: revoked}}]"+more+"}}}]"),
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: revoked}\n"+lists)
	}
	inPEM := func(lists ...[]byte) string {
		var b strings.Builder
		b.WriteString("data:\n  ca.crl: |\n")
		for _, der := range lists {
			b.WriteString(indent(4, pemOf("X509 CRL", der)))
		}
		return b.String()
	}
	inDER := func(der []byte) string {
		return "binaryData: {ca.crl: " + base64.StdEncoding.EncodeToString(der) + "}\n"
	}
	now := time.Now()
	hour, ago := now.Add(time.Hour), now.Add(-time.Hour)
	g := serveYAML(t, yaml("", inPEM(clients.crl(ago, hour))))
	transport := func(c tls.Certificate) *http.Transport {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool, ServerName: "a.example", Certificates: []tls.Certificate{c}}, ForceAttemptHTTP2: true}
		t.Cleanup(tr.CloseIdleConnections)
		return tr
	}
	connections := map[string]*http.Transport{"ada": transport(ada), "bob": transport(bob)}
	check := func(name string, status int, reason string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+g.addr+"/"+name, nil)
		req.Host = "a.example"
		resp, err := connections[name].RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := resp.Header.Get("X-Gridway-Reason"); resp.StatusCode != status || got != reason {
			t.Errorf("%s: %d %s, want %d %s: %s", name, resp.StatusCode, got, status, reason, body)
		}
	}
	check("ada", 200, "")
	check("bob", 200, "")
	for _, c := range []struct {
		name, more, lists string
		ada, bob          int
	}{
		{"revoked", "", inPEM(clients.crl(ago, hour, serial(&ada))), 401, 200},
		{"revoked, in DER", "", inDER(clients.crl(ago, hour, serial(&bob))), 200, 401},
		{"beside another authority's", "", inPEM(others.crl(ago, hour, serial(&bob)), clients.crl(ago, hour, serial(&ada))), 401, 200},
		{"another authority's alone", "", inPEM(others.crl(ago, hour)), 503, 503},
		{"another authority's alone, by choice", ", onMissing: Warn", inPEM(others.crl(ago, hour)), 200, 200},
		{"old", "", inPEM(clients.crl(ago, ago.Add(time.Minute), serial(&ada))), 401, 503},
		{"old, by choice", ", onStale: Warn", inPEM(clients.crl(ago, ago.Add(time.Minute), serial(&ada))), 401, 200},
		{"given back", ", scope: Leaf", inPEM(clients.crl(ago, hour)), 200, 200},
	} {
		g.apply(yaml(c.more, c.lists))
		for name, status := range map[string]int{"ada": c.ada, "bob": c.bob} {
			t.Log(c.name)
			check(name, status, map[int]string{200: "", 401: "InvalidCredential", 503: "IdentityUnavailable"}[status])
		}
	}
	g.logged(`"path":"/ada"`, `"status":401`, `"policy":"default/certs"`, "revoked")
	// A list that cannot be read leaves the one before in force.
	g.apply(yaml("", inPEM(clients.crl(ago, hour, serial(&ada)))))
	problems := g.applyAnyway(yaml("", "data: {ca.crl: nonsense}\n"))
	if !strings.Contains(fmt.Sprint(problems), "entry ca.crl: is not a list of revoked certificates") {
		t.Error(problems)
	}
	check("ada", 401, "InvalidCredential")
	check("bob", 200, "")
	g.applyAnyway(strings.Replace(yaml("", "data: {}\n"), "name: revoked}\n", "name: other}\n", 1))
}

// Lists in files are read again when they change.
func TestRevocationInAFile(t *testing.T) {
	t.Parallel()
	ca, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	server, key := ca.issue("a.example")
	ada := clients.pair("ada")
	leaf, err := x509.ParseCertificate(ada.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "ca.crl")
	put := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(list+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(list+".new", list); err != nil {
			t.Fatal(err)
		}
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	put(clients.crl(from, until))
	port := ownPort(t)
	p := start(t, documents(
		gatewayOn(mtlsFrontend, fmt.Sprintf("{name: a, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", port)),
		secretDoc("a", server, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr),
		authenticationDoc("certs", "HTTPRoute", "app", "anyOf: [{clientCertificate: {revocation: {crls: [{configMapRef: {name: revoked}}]}}}]"),
		fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: revoked, annotations: {gridway.dev/files: \"ca.crl=%s\"}}\n", list)))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool, ServerName: "a.example", Certificates: []tls.Certificate{ada}}}
	defer tr.CloseIdleConnections()
	status := func() int {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("https://127.0.0.1:%d/", port), nil)
		req.Host = "a.example"
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err, p.log.String())
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatalf("%d before it is revoked", got)
	}
	put([]byte(pemOf("X509 CRL", clients.crl(from, until, leaf.SerialNumber))))
	eventually(t, "the certificate is refused", func() bool { return status() == 401 })
	put([]byte("nonsense"))
	p.said("ca.crl", "is not a list of revoked certificates")
	if got := status(); got != 401 {
		t.Errorf("%d with a list that cannot be read", got)
	}
	put(clients.crl(from, until))
	eventually(t, "the certificate is good again", func() bool { return status() == 200 })
}
