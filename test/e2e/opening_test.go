package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dawdler writes a byte at a time at first, some of them late, and the rest in
// small pieces.
type dawdler struct {
	net.Conn
	late  []int // before these bytes it waits
	pause time.Duration
	sent  int
}

func (d *dawdler) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if slices.Contains(d.late, d.sent) {
			<-time.After(d.pause)
		}
		size := 1
		if d.sent >= 32 {
			size = min(97, len(b)-n)
		}
		m, err := d.Conn.Write(b[n : n+size])
		n += m
		d.sent += m
		if err != nil {
			return n, err
		}
	}
	return len(b), nil
}

func dialTCP(t *testing.T, port int) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(6 * patience))
	if err := c.(*net.TCPConn).SetNoDelay(true); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// Clients whose first bytes come one at a time, and later than the bound of the
// detection, are still told apart on a port that they share with TCP.
func TestSlowClientsOfASharedPort(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("web.test")
	port := ownPort(t)
	const bound = 150 * time.Millisecond
	start(t, documents(
		gatewayOn("", on("web", "HTTP", port), on("tcp", "TCP", port), on("tls", "HTTPS, hostname: web.test, tls: {certificateRefs: [{name: web}]}", port)),
		policyDoc("detect", "Gateway", "edge", fmt.Sprintf("client: {protocolDetection: {timeout: %s}}", bound)), secretDoc("web", cert, key),
		routeDoc("app", ""), backendDoc("app", named(t, "web").addr),
		streamRoute("TCPRoute", "tcp", "", "tcp"), backendDoc("tcp", greeter(t, "tcp")),
	))
	ask := "GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n"
	answered := func(what string, c net.Conn) {
		t.Helper()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, %v", what, resp, err)
		}
	}
	for _, late := range [][]int{{2}, {3, 4}, {4, 20}} {
		what := fmt.Sprint("late at ", late)
		c := dialTCP(t, port)
		io.WriteString(&dawdler{Conn: c, late: late, pause: 2 * bound}, ask)
		answered("HTTP/1, "+what, c)

		secure := tls.Client(&dawdler{Conn: dialTCP(t, port), late: late, pause: 2 * bound}, &tls.Config{ServerName: "web.test", RootCAs: ca.pool})
		io.WriteString(secure, ask)
		answered("TLS, "+what, secure)

		c = dialTCP(t, port)
		io.WriteString(&dawdler{Conn: c, late: late, pause: 2 * bound}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil || head[3] != 4 {
			t.Errorf("HTTP/2, %s: %x, %v", what, head, err)
		}
	}
	for _, text := range []string{"", "G", "HELLO"} { // these wait for the server
		c := newWire(t, dialTCP(t, port))
		c.send(text)
		if got := c.line(); got != "220 tcp" {
			t.Errorf("%q was answered with %q", text, got)
		}
	}
}

// echKeys are what a server of Encrypted Client Hello has, and what its clients
// find in DNS (RFC 9849 §4).
func echKeys(t *testing.T, public string) (key tls.EncryptedClientHelloKey, list []byte) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	vector := func(b []byte) []byte { return append([]byte{byte(len(b) >> 8), byte(len(b))}, b...) }
	body := slices.Concat([]byte{7, 0, 0x20}, vector(private.PublicKey().Bytes()), vector([]byte{0, 1, 0, 1}), // X25519, HKDF-SHA256, AES-128-GCM
		[]byte{0, byte(len(public))}, []byte(public), []byte{0, 0})
	config := append([]byte{0xfe, 0x0d}, vector(body)...)
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes()}, vector(config)
}

// ClientHellos as large as they get, in many segments, are routed by their names
// and reach the server as they were: the handshake would fail otherwise.
func TestLargeHellosAreRouted(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	key, list := echKeys(t, "public.test")
	server := func(name string) string {
		config := &tls.Config{
			Certificates:     []tls.Certificate{ca.pair(name, "public.test", "secret.test")},
			CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
		}
		return serveTCP(t, func(raw *net.TCPConn) {
			c := tls.Server(raw, config)
			if c.Handshake() == nil {
				state := c.ConnectionState()
				fmt.Fprintf(c, "%s %s %v\n", name, state.ServerName, state.ECHAccepted)
			}
		})
	}
	route := func(name string) string {
		return strings.Replace(streamRoute("TLSRoute", name, "hostnames: ["+name+".test]\n", name), "sectionName: "+name, "sectionName: tls", 1)
	}
	port := ownPort(t)
	start(t, documents(
		gatewayOn("", on("tls", "TLS, tls: {mode: Passthrough}", port)),
		route("one"), backendDoc("one", server("one.test")),
		route("public"), backendDoc("public", server("public.test")),
	))
	protocols := func(bytes int) (all []string) { // of ALPN, which nobody speaks
		for bytes > 0 {
			n := min(bytes, 250)
			all = append(all, strings.Repeat("a", n))
			bytes -= n + 1
		}
		return all
	}
	for _, c := range []struct {
		what   string
		config *tls.Config
		want   string
		least  int
	}{
		{"post-quantum", &tls.Config{ServerName: "one.test"}, "one.test one.test false", 1200},
		{"many protocols", &tls.Config{ServerName: "one.test", NextProtos: protocols(14400)}, "one.test one.test false", 15800},
		{"ECH", &tls.Config{ServerName: "secret.test", EncryptedClientHelloConfigList: list}, "public.test secret.test true", 1500},
	} {
		config := c.config
		config.RootCAs, config.MinVersion, config.CurvePreferences = ca.pool, tls.VersionTLS13, []tls.CurveID{tls.X25519MLKEM768}
		d := &dawdler{Conn: dialTCP(t, port)}
		conn := tls.Client(d, config)
		if err := conn.Handshake(); err != nil {
			t.Errorf("%s: %v after %d bytes", c.what, err, d.sent)
			continue
		}
		if d.sent < c.least {
			t.Errorf("%s: the hello had %d bytes at most", c.what, d.sent)
		}
		b, err := io.ReadAll(conn)
		if err != nil || string(bytes.TrimSpace(b)) != c.want {
			t.Errorf("%s: got %q, %v", c.what, b, err)
		}
	}
}
