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

// secureBackend is a Backend that speaks TLS. more is YAML of its tls.
func secureBackend(name, addr, more string) string {
	return backendDoc(name, addr) + indent(2, fmt.Sprintf(`protocol: https
tls: {caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}], serverName: app.internal%s}`, more))
}

// Handshakes with endpoints that fail: the client gets a 502, the access log
// the reason, the log the cause, and no byte of the request goes out.
func TestTLSFailuresOfEndpoints(t *testing.T) {
	t.Parallel()
	ca, other, clients := newAuthority(t, "backends"), newAuthority(t, "other"), newAuthority(t, "clients")
	answer := func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s from %s", body, name)
	}
	good := ca.pair("app.internal")
	serving := func(c tls.Certificate, shape func(*tls.Config)) string {
		config := &tls.Config{Certificates: []tls.Certificate{c}}
		if shape != nil {
			shape(config)
		}
		return overTLS(t, config, answer)
	}
	demands := func(highest uint16) func(*tls.Config) {
		return func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, clients.pool, highest
		}
	}
	expired := pairOf(t)(ca.issueAs(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "app.internal"))
	ours, oursKey := clients.issue("gridway")
	strange, strangeKey := other.issue("gridway")
	cases := map[string]struct {
		addr, more    string
		status        int
		reason, cause string // cause: a part of the log's line
	}{
		"good":                        {serving(good, nil), "", 200, "", ""},
		"our certificate":             {serving(good, demands(0)), ", clientCertificateRef: {name: ours}", 200, "", ""},
		"wrong name":                  {serving(ca.pair("evil.internal"), nil), "", 502, "UpstreamTLSFailure", "evil.internal"},
		"unknown CA":                  {serving(other.pair("app.internal"), nil), "", 502, "UpstreamTLSFailure", "unknown authority"},
		"expired":                     {serving(expired, nil), "", 502, "UpstreamTLSFailure", "expired"},
		"one of several names":        {serving(ca.pair("x.internal", "app.internal"), nil), "", 200, "", ""},
		"other name wanted":           {serving(good, nil), ", subjectAltNames: [{type: Hostname, hostname: b.internal}]", 502, "UpstreamTLSFailure", "app.internal"},
		"too old":                     {serving(good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "", 502, "UpstreamTLSFailure", "version"},
		"certificate demanded in 1.2": {serving(good, demands(tls.VersionTLS12)), "", 502, "UpstreamTLSFailure", "certificate"},
		"certificate demanded in 1.3": {serving(good, demands(tls.VersionTLS13)), "", 502, "UpstreamTLSFailure", "certificate required"},
		"certificate refused in 1.3":  {serving(good, demands(tls.VersionTLS13)), ", clientCertificateRef: {name: strange}", 502, "UpstreamTLSFailure", "certificate"},
		"speaks no TLS":               {named(t, "plain").addr, "", 502, "UpstreamTLSFailure", "does not look like a TLS handshake"},
		"closes":                      {startPeer(t, func(*peerConn) {}).addr, "", 502, "UpstreamTLSFailure", ""},
		"hangs":                       {startPeer(t, hangs).addr, "", 502, "UpstreamTLSFailure", "timeout"},
	}
	port := ownPort(t)
	docs := []string{
		plainOn(port), caDoc("backends", ca.pem), secretDoc("ours", ours, oursKey), secretDoc("strange", strange, strangeKey),
		policyDoc("edge", "Gateway", "edge", "timeouts: {connect: 2s}\nretry: {attempts: 0}"),
	}
	rules := ""
	for name, c := range cases {
		id := slug(name)
		docs = append(docs, secureBackend(id, c.addr, c.more))
		rules += fmt.Sprintf("- {matches: [{path: {value: /%s}}], backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]}\n", id)
	}
	docs = append(docs, strings.TrimSuffix(ruleDoc(rules), "\n")+"\n")
	p := start(t, documents(docs...))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := "/" + slug(name)
			for _, request := range []string{
				"GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n",
				"POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
			} {
				// An alert that comes behind the handshake may be lost in the reset
				// that follows it; it is not lost each time.
				eventually(t, fmt.Sprintf("an answer %d %s", c.status, c.reason), func() bool {
					w := dialPort(t, port)
					defer w.Close()
					w.send(request)
					resp, body := w.mustRespond("GET")
					if c.status == 200 && !strings.Contains(body, " from ") {
						t.Errorf("%q", body)
					}
					got := resp.Header.Get("X-Gridway-Reason")
					if got != c.reason && !(strings.Contains(name, "1.3") && got == "UpstreamReset") || resp.StatusCode != c.status {
						t.Fatalf("got %d %s, want %d %s", resp.StatusCode, got, c.status, c.reason)
					}
					return got == c.reason
				})
			}
			if c.reason != "" {
				p.accessed(`"path":"`+path+`"`, `"flags":"`+c.reason, fmt.Sprintf(`"endpoint":"%s"`, c.addr))
				p.said(c.addr, c.cause)
			}
		})
	}
}

// slug makes a name of objects of the name of a case.
func slug(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "-", ".", "-").Replace(name))
}
