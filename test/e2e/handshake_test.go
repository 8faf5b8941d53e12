package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Versions and suites that an HTTPS listener speaks, seen by openssl, which
// unlike Go's client would also speak worse ones.
func TestVersionsAndSuites(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	usual, modern, narrow := ownPort(t), ownPort(t), ownPort(t)
	gateway := func(name string, port int) string {
		return strings.ReplaceAll(httpsOn(port, "a.example", "a"), "{name: edge}", "{name: "+name+"}")
	}
	route := strings.Replace(routeDoc("app", ""), "parentRefs: [{name: edge}]", "parentRefs: [{name: usual}, {name: modern}, {name: narrow}]", 1)
	start(t, documents(gateway("usual", usual), gateway("modern", modern), gateway("narrow", narrow),
		policyDoc("modern", "Gateway", "modern", `client: {tls: {minVersion: "1.3"}}`),
		policyDoc("narrow", "Gateway", "narrow", `client: {tls: {maxVersion: "1.2", cipherSuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}}`),
		secretDoc("a", cert, key), route, backendDoc("app", named(t, "ok").addr)))

	const gcm128, gcm256, chacha = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"
	for _, c := range []struct {
		port int
		args []string
		want string // of openssl's last words; empty: refused
	}{
		{usual, []string{"-tls1_3"}, "New, TLSv1.3"},
		{usual, []string{"-tls1_2"}, "New, TLSv1.2"},
		{usual, []string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, ""},
		{usual, []string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, ""},
		{usual, []string{"-tls1_2", "-cipher", gcm128}, "Cipher is " + gcm128},
		{usual, []string{"-tls1_2", "-cipher", chacha}, "Cipher is " + chacha},
		{usual, []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"}, ""},
		{usual, []string{"-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256:NULL:RC4:3DES:DHE:@SECLEVEL=0"}, ""},
		{modern, []string{"-tls1_3"}, "New, TLSv1.3"},
		{modern, []string{"-tls1_2"}, ""},
		{narrow, []string{"-tls1_3"}, ""},
		{narrow, []string{"-tls1_2"}, "Cipher is " + gcm256},
		{narrow, []string{"-tls1_2", "-cipher", gcm128}, ""},
	} {
		args := append([]string{"s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", c.port), "-servername", "a.example"}, c.args...)
		out, _ := output(t, "", "openssl", args...)
		if c.want == "" {
			c.want = "Cipher is (NONE)"
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: no %q in\n%s", strings.Join(c.args, " "), c.want, out)
		}
	}
}

// The server name chooses listener and certificate: exact before wildcard,
// wildcards for any number of labels, and what is left for the listener without a name.
func TestServerNames(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	port, closed := ownPort(t), ownPort(t)
	var docs, listeners []string
	for name, hostname := range map[string]string{"exact": "a.example", "wild": "*.example", "deep": "*.b.example", "any": ""} {
		cert, key := ca.issueAs(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.example", "*.b.example", "other.test") }, name)
		docs = append(docs, secretDoc(name, cert, key))
		at := ""
		if hostname != "" {
			at = fmt.Sprintf(", hostname: %q", hostname)
		}
		listeners = append(listeners, fmt.Sprintf("{name: %s, port: %d, protocol: HTTPS%s, tls: {certificateRefs: [{name: %s}]}}", name, port, at, name))
	}
	cert, key := ca.issue("only.example")
	docs = append(docs, secretDoc("only", cert, key))
	listeners = append(listeners, fmt.Sprintf("{name: only, port: %d, protocol: HTTPS, hostname: only.example, tls: {certificateRefs: [{name: only}]}}", closed))
	start(t, documents(append(docs, gatewayOn("", listeners...), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr))...))

	for name, want := range map[string]string{
		"a.example": "exact", "A.Example": "exact", "x.example": "wild", "b.example": "wild", "y.x.example": "wild",
		"x.b.example": "deep", "y.x.b.example": "deep", "example": "any", "other.test": "any", "": "any",
	} {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q was answered by %s, want %s", name, got, want)
		}
		c.Close()
	}
	for _, name := range []string{"other.example", ""} {
		_, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", closed), &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a listener of one name, asked for %q: %v", name, err)
		}
	}
}

func TestALPN(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	port := ownPort(t)
	start(t, documents(httpsOn(port, "a.example", "a"), secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr)))
	for _, c := range []struct {
		offer []string
		want  string
		fails bool
	}{
		{nil, "", false},
		{[]string{"http/1.1"}, "http/1.1", false},
		{[]string{"h3", "http/1.1"}, "http/1.1", false},
		{[]string{"imap"}, "", true}, // RFC 7301 §3.2: no_application_protocol
	} {
		state, err := exchangeOver(t, port, &tls.Config{RootCAs: ca.pool, ServerName: "a.example", NextProtos: c.offer})
		if (err != nil) != c.fails || state.NegotiatedProtocol != c.want {
			t.Errorf("offered %v: got %q, %v", c.offer, state.NegotiatedProtocol, err)
		}
	}
}

// Sessions are resumed over reloads, also over one that renews the certificate.
func TestResumptionAcrossReloads(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	port := ownPort(t)
	app := named(t, "ok")
	yaml := func(more string) string {
		return documents(httpsOn(port, "a.example", "a"), secretDoc("a", cert, key), routeDoc("app", more), backendDoc("app", app.addr))
	}
	p := start(t, yaml(""))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{RootCAs: ca.pool, ServerName: "a.example", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		resumed := func(what string, want bool) {
			t.Helper()
			if state, err := exchangeOver(t, port, config); err != nil || state.DidResume != want {
				t.Errorf("TLS %x, %s: resumed %v, %v", version, what, state.DidResume, err)
			}
		}
		resumed("first", false)
		resumed("again", true)
		p.reload(yaml(fmt.Sprintf("timeouts: {request: %ds}", version%100)))
		resumed("after a reload", true)
		cert, key = ca.issue("a.example")
		p.reload(yaml(""))
		resumed("after a renewal", true)
		fresh := &tls.Config{RootCAs: ca.pool, ServerName: "a.example"}
		state, err := exchangeOver(t, port, fresh)
		if err != nil || pemOf("CERTIFICATE", state.PeerCertificates[0].Raw) != cert {
			t.Errorf("a new client does not get the new certificate: %v", err)
		}
	}
}

// Clients that are slow to shake hands are cut off; nobody waits behind them.
func TestSlowHandshakes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	port := ownPort(t)
	p := start(t, documents(httpsOn(port, "a.example", "a"), secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", named(t, "ok").addr),
		policyDoc("edge", "Gateway", "edge", "client: {timeouts: {handshake: 700ms}}")))
	hello := clientHello(t)
	begun := time.Now()
	drip := dialPort(t, port)
	stop := make(chan struct{})
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for i := 0; i < len(hello)-1; i++ {
			if _, err := drip.Write(hello[i : i+1]); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	silent, half := dialPort(t, port), dialPort(t, port)
	half.send(string(hello[:len(hello)/2]))
	whole := dialPort(t, port) // takes the server's answer, and says no more
	whole.send(string(hello))
	if _, err := exchangeOver(t, port, &tls.Config{RootCAs: ca.pool, ServerName: "a.example"}); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	for name, c := range map[string]*wire{"silent": silent, "half": half, "drip": drip, "whole": whole} {
		io.Copy(io.Discard, c.r)
		if took := time.Since(begun); took < 600*time.Millisecond || took > 4*time.Second {
			t.Errorf("%s: cut off after %v", name, took)
		}
	}
	close(stop)
	<-dripped
	eventually(t, "all four are counted", func() bool {
		return p.metric("gridway_listener_tls_handshake_failures_total", `reason="timeout"`) == 4
	})
}

// clientHello is what a client sends first.
func clientHello(t *testing.T) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Client(a, &tls.Config{ServerName: "a.example"}).Handshake()
	buf := make([]byte, 16<<10)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// The wrong protocol on a port is answered in a way that people understand.
func TestWrongProtocol(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	secure, plain := ownPort(t), ownPort(t)
	app := named(t, "ok")
	p := start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}", secure),
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain)),
		secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr),
		policyDoc("client", "Gateway", "edge", "client: {http2: false}")))

	out := run(t, "", "curl", "-sS", "-i", "--max-time", "5", fmt.Sprintf("http://127.0.0.1:%d/", secure))
	if !strings.HasPrefix(out, "HTTP/1.1 400 ") || !strings.Contains(out, "speaks HTTPS") {
		t.Errorf("HTTP on a TLS port: %q", out)
	}
	_, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", plain), &tls.Config{InsecureSkipVerify: true})
	var not tls.RecordHeaderError
	if !errors.As(err, &not) || !strings.Contains(err.Error(), "does not look like a TLS handshake") && !strings.Contains(err.Error(), "server gave HTTP response") {
		t.Errorf("TLS on an HTTP port: %v", err)
	}
	if out, code := output(t, "", "curl", "-sS", "-k", "--max-time", "5", fmt.Sprintf("https://127.0.0.1:%d/", plain)); code == 0 {
		t.Errorf("TLS on an HTTP port: curl is content: %s", out)
	}
	c := dialPort(t, plain)
	c.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if resp, _ := c.mustRespond("PRI"); resp.StatusCode != 505 && resp.StatusCode != 400 {
		t.Errorf("HTTP/2 on a port that does not take it: %d", resp.StatusCode)
	}
	c.rest()
	if n := app.requests.Load(); n != 0 {
		t.Errorf("%d requests reached the endpoint", n)
	}
	if n := p.metric("gridway_listener_tls_handshake_failures_total", `reason="protocol"`); n != 1 {
		t.Errorf("%v failed handshakes", n)
	}
}
