package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// offer opens a TLS connection that offers protocols, and says which was agreed on.
func (g *gateway) offer(name string, protocols ...string) (c *tls.Conn, agreed string, err error) {
	g.t.Helper()
	raw, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(4 * patience))
	c = tls.Client(raw, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols})
	err = c.Handshake()
	return c, c.ConnectionState().NegotiatedProtocol, err
}

// TestALPNOfStreams: what a TLS listener agrees on, beside HTTPS, TLS that is passed
// through and plain TCP on one port.
func TestALPNOfStreams(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("db.example", "mute.example", "web.example")
	passed := overTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("pass.example")}}, status(200))
	config := func(alpn string) string {
		return documents(
			gatewayOn("",
				"{name: web, port: 8443, protocol: HTTPS, hostname: web.example, tls: {certificateRefs: [{name: c}]}}",
				"{name: db, port: 8443, protocol: TLS, hostname: db.example, tls: {certificateRefs: [{name: c}]}}",
				"{name: mute, port: 8443, protocol: TLS, hostname: mute.example, tls: {certificateRefs: [{name: c}]}}",
				"{name: pass, port: 8443, protocol: TLS, hostname: pass.example, tls: {mode: Passthrough}}",
				"{name: plain, port: 8443, protocol: TCP}"),
			secretDoc("c", cert, key),
			policyDoc("detect", "Gateway", "edge", "client: {protocolDetection: {timeout: 30s}}"),
			strings.Replace(policyDoc("db", "Gateway", "edge", "client: {tls: {alpn: "+alpn+"}}"), "name: edge}", "name: edge, sectionName: db}", 1),
			routeDoc("app", ""), backendDoc("app", named(t, "web").addr),
			streamRoute("TCPRoute", "db", "", "greeter"), streamRoute("TCPRoute", "mute", "", "greeter"),
			streamRoute("TLSRoute", "pass", "hostnames: [pass.example]", "passed"), streamRoute("TCPRoute", "plain", "", "greeter"),
			backendDoc("greeter", greeter(t, "db")), backendDoc("passed", passed),
		)
	}
	g := serveYAML(t, config("[postgresql, h2]"))
	const refused = "no application protocol"
	check := func(cases map[string]string) {
		t.Helper()
		for offer, want := range cases {
			name, list, _ := strings.Cut(offer, " ")
			c, agreed, err := g.offer(name, strings.Fields(list)...)
			switch {
			case want == refused:
				if err == nil || !strings.Contains(err.Error(), refused) {
					t.Errorf("%q: %q, %v", offer, agreed, err)
				}
				continue
			case err != nil || agreed != want:
				t.Errorf("%q: %q, %v", offer, agreed, err)
				continue
			}
			if name == "db.example" || name == "mute.example" {
				if line, err := bufio.NewReader(c).ReadString('\n'); line != "220 db\r\n" {
					t.Errorf("%q: %q, %v", offer, line, err)
				}
			}
			c.Close()
		}
	}
	check(map[string]string{
		"db.example":                       "", // RFC 7301 leaves that to the server
		"db.example postgresql":            "postgresql",
		"db.example mqtt h2 postgresql":    "postgresql", // in the gateway's order
		"db.example h2 http/1.1":           "h2",
		"db.example mqtt":                  refused,
		"db.example http/1.1":              refused, // which is not h2
		"db.example POSTGRESQL postgresq":  refused,
		"mute.example mqtt":                "", // agrees on nothing, and refuses nothing
		"web.example h2 http/1.1":          "h2",
		"web.example http/1.1":             "http/1.1",
		"web.example postgresql":           refused,
		"pass.example http/1.1 postgresql": "http/1.1",
	})
	if n := g.metric("gridway_listener_tls_handshake_failures_total", `reason="protocol"`); n != 4 {
		t.Errorf("%v failures were counted", n)
	}
	g.logged(`"tls_server_name":"db.example"`, `"tls_alpn":"postgresql"`)
	g.apply(config("[mqtt]"))
	check(map[string]string{"db.example postgresql": refused, "db.example mqtt": "mqtt", "web.example h2": "h2"})
}

// TestALPNOfEndpoints: what streams offer to endpoints that want a protocol to be
// named.
func TestALPNOfEndpoints(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "backends")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.pair("app.internal")}, NextProtos: []string{"postgresql"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if s := c.(*tls.Conn); s.HandshakeContext(t.Context()) == nil {
					fmt.Fprintf(c, "agreed on %q\n", s.ConnectionState().NegotiatedProtocol)
				}
			}()
		}
	}()
	for more, want := range map[string]string{
		"":                           `agreed on ""` + "\n",
		", alpn: [postgresql]":       `agreed on "postgresql"` + "\n",
		", alpn: [mqtt, postgresql]": `agreed on "postgresql"` + "\n",
		", alpn: [mqtt]":             "",
	} {
		g := serveYAML(t, documents(gatewayOn("", "{name: db, port: 8443, protocol: TCP}"), caDoc("backends", ca.pem),
			streamRoute("TCPRoute", "db", "", "db"), secureBackend("db", ln.Addr().String(), more)))
		line, err := bufio.NewReader(g.dial()).ReadString('\n')
		if line != want || (want == "") != (err != nil) {
			t.Errorf("%q: %q, %v", more, line, err)
		}
		if want == "" {
			g.logged(`"flags":"UpstreamTLSFailure`)
		}
	}
}

// A client of PostgreSQL 17 with sslnegotiation=direct begins with TLS, insists on
// ALPN, and then says what it says without TLS.
func TestDirectTLSOfPostgreSQL(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "postgres")
	cert, key := ca.issue("db.example")
	g := serveYAML(t, documents(
		gatewayOn("", "{name: db, port: 5432, protocol: TLS, hostname: db.example, tls: {certificateRefs: [{name: c}]}}"),
		secretDoc("c", cert, key), policyDoc("edge", "Gateway", "edge", "client: {tls: {alpn: [postgresql]}}"),
		streamRoute("TCPRoute", "db", "", "db"), backendDoc("db", postgres(t, ca)),
	))
	c, agreed, err := g.offer("db.example", "postgresql")
	if err != nil || agreed != "postgresql" {
		t.Fatalf("%q, %v", agreed, err)
	}
	words := "user\x00postgres\x00database\x00postgres\x00\x00"
	startup := append([]byte{0, 0, 0, byte(8 + len(words)), 0, 3, 0, 0}, words...)
	if _, err := c.Write(startup); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 9)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "R\x00\x00\x00\x08\x00\x00\x00\x00" {
		t.Errorf("the server answers %q, not AuthenticationOk: %v", answer, err)
	}
}
