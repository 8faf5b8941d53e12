package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// httpsClient asks one port over TLS, on a new connection each time.
type httpsClient struct {
	t     *testing.T
	roots *x509.CertPool
	name  string
}

// get presents a certificate, whatever the server says it would accept.
func (h httpsClient) get(port int, cert *tls.Certificate) (*http.Response, string, error) {
	h.t.Helper()
	config := &tls.Config{RootCAs: h.roots, ServerName: h.name}
	if cert != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	tr := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(h.t.Context(), "GET", fmt.Sprintf("https://127.0.0.1:%d/", port), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Host = h.name
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// Who may come in, by mode of validation and by what the client shows.
func TestClientCertificatesByPort(t *testing.T) {
	t.Parallel()
	ca, clients, partners, strangers := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "partners"), newAuthority(t, "strangers")
	cert, key := ca.issue("a.example")
	shown := map[string]*tls.Certificate{"none": nil}
	add := func(name string, c tls.Certificate) { shown[name] = &c }
	add("client", clients.pair("bob"))
	add("partner", partners.pair("pat"))
	add("stranger", strangers.pair("eve"))
	add("expired", pairOf(t)(clients.issueAs(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "old")))
	add("not yet valid", pairOf(t)(clients.issueAs(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Minute) }, "new")))
	add("a server's", pairOf(t)(clients.issueAs(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "srv")))

	app := serve(t, forwarded)
	strict, lax, other, open := ownPort(t), ownPort(t), ownPort(t), ownPort(t)
	listener := func(name string, port int) string {
		return fmt.Sprintf("{name: %s, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", name, port)
	}
	p := start(t, documents(gatewayOn(fmt.Sprintf(`tls:
  frontend:
    default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}
    perPort:
    - {port: %d, tls: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}
    - {port: %d, tls: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: partners}, {group: "", kind: ConfigMap, name: clients}]}}}
    - {port: %d, tls: {}}`, lax, other, open),
		listener("strict", strict), listener("lax", lax), listener("other", other), listener("open", open)),
		secretDoc("a", cert, key), caDoc("clients", clients.pem), caDoc("partners", partners.pem),
		routeDoc("app", ""), backendDoc("app", app.addr)))

	from := httpsClient{t, ca.pool, "a.example"}
	for port, admitted := range map[int][]string{
		strict: {"client"},
		other:  {"client", "partner"},
		lax:    {"client", "partner", "stranger", "expired", "not yet valid", "a server's", "none"},
		open:   {"client", "partner", "stranger", "expired", "not yet valid", "a server's", "none"},
	} {
		for name, c := range shown {
			before := app.requests.Load()
			resp, body, err := from.get(port, c)
			in := err == nil && resp.StatusCode == 200
			if wantIn := strings.Contains(strings.Join(admitted, ","), name); in != wantIn {
				t.Errorf("port %d, %s: let in %v, want %v (%v %q)", port, name, in, wantIn, err, body)
			}
			if !in && app.requests.Load() != before {
				t.Errorf("port %d, %s: reached the endpoint", port, name)
			}
		}
	}
	if n := p.metric("gridway_listener_tls_handshake_failures_total", `reason="certificate"`); n < 11 {
		t.Errorf("%v handshakes failed for a certificate", n)
	}
	refused := p.metric("gridway_listener_tls_handshake_failures_total", `reason="certificate"`)
	if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", open), &tls.Config{RootCAs: clients.pool, ServerName: "a.example"}); err == nil {
		t.Error("a certificate of the wrong CA is believed")
	}
	eventually(t, "a client that refuses our certificate is counted", func() bool {
		return p.metric("gridway_listener_tls_handshake_failures_total", `reason="certificate"`) == refused+1
	})
	if !strings.Contains(p.admin("/v1/status"), "InsecureFrontendValidationMode") {
		t.Error("the Gateway's status does not say that validation may be insecure")
	}
}

// Trust that is taken away ends with the next connection, tickets or not.
func TestClientCertificatesAfterACAChange(t *testing.T) {
	t.Parallel()
	ca, before, after := newAuthority(t, "servers"), newAuthority(t, "before"), newAuthority(t, "after")
	cert, key := ca.issue("a.example")
	port := ownPort(t)
	app := named(t, "ok")
	yaml := func(clients *authority) string {
		return documents(gatewayOn(`tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}}`,
			fmt.Sprintf("{name: a, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", port)),
			secretDoc("a", cert, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr))
	}
	p := start(t, yaml(before))
	bob := before.pair("bob")
	config := &tls.Config{
		RootCAs: ca.pool, ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(4),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &bob, nil },
	}
	for i := range 2 {
		state, err := exchangeOver(t, port, config)
		if err != nil || state.DidResume != (i > 0) {
			t.Fatalf("connection %d: resumed %v, %v", i, state.DidResume, err)
		}
	}
	tc, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), config)
	if err != nil {
		t.Fatal(err)
	}
	open := newWire(t, tc)
	const request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	open.send(request)
	if resp, _ := open.mustRespond("GET"); resp.StatusCode != 200 || resp.Close {
		t.Fatalf("%d, close %v", resp.StatusCode, resp.Close)
	}
	p.reload(yaml(after))
	open.send(request)
	if resp, _ := open.mustRespond("GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("a connection that came in by the old CA goes on: %d, close %v", resp.StatusCode, resp.Close)
	}
	if _, err := exchangeOver(t, port, config); err == nil {
		t.Error("a client of the CA that was removed is let in")
	}
	if n := app.requests.Load(); n != 4 {
		t.Errorf("%d requests reached the endpoint", n)
	}
}

// exchangeOver makes one request on a new connection.
func exchangeOver(t *testing.T, port int, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	tc, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer tc.Close()
	c := newWire(t, tc)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+config.ServerName+"\r\n\r\n"); err != nil {
		return tc.ConnectionState(), err
	}
	resp, body, err := c.response("GET")
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return tc.ConnectionState(), err
}
