package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// haproxy runs HAProxy with sections of its configuration.
func haproxy(t *testing.T, port int, sections string) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n" + sections + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return background(t, port, "haproxy", "-q", "-db", "-f", conf)
}

// v2 makes a version 2 header by hand.
func v2(command, family byte, addresses string, tlvs ...string) string {
	rest := addresses + strings.Join(tlvs, "")
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const fromNine = "\x09\x08\x07\x06\x0a\x00\x00\x01\x04\xd2\x00\x50" // 9.8.7.6:1234 to 10.0.0.1:80

func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	app := serve(t, forwarded)
	required, optional, secure, distrust, wary := ownPort(t), ownPort(t), ownPort(t), ownPort(t), ownPort(t)
	var gateways, names []string
	for name, c := range map[string]struct {
		port           int
		more, protocol string
	}{
		"required": {required, "proxyProtocol: Required, proxyProtocolFrom: [127.0.0.0/8], timeouts: {handshake: 700ms}", "HTTP"},
		"optional": {optional, "proxyProtocol: Optional, timeouts: {handshake: 700ms}", "HTTP"},
		"secure":   {secure, "proxyProtocol: Required", "HTTPS, tls: {certificateRefs: [{name: a}]}"},
		"distrust": {distrust, "proxyProtocol: Required, proxyProtocolFrom: [10.0.0.0/8]", "HTTP"},
		"wary":     {wary, "proxyProtocol: Optional, proxyProtocolFrom: [10.0.0.0/8]", "HTTP"},
	} {
		gateways = append(gateways, strings.Replace(gatewayOn("", fmt.Sprintf("{name: l, port: %d, protocol: %s}", c.port, c.protocol)), "{name: edge}", "{name: "+name+"}", 1),
			policyDoc(name, "Gateway", name, "client: {"+c.more+"}"))
		names = append(names, "{name: "+name+"}")
	}
	route := strings.Replace(routeDoc("app", ""), "{name: edge}", strings.Join(names, ", "), 1)
	p := start(t, documents(append(gateways, secretDoc("a", cert, key), route, backendDoc("app", app.addr))...))

	const request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
	six := "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x09" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x1f\x90\x01\xbb"
	for _, c := range []struct {
		name, in string
		port     int
		want     string // what the endpoint is told of the client, or the status; empty: closed without a word
	}{
		{"v1", "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\r\n", required, "for=9.8.7.6 "},
		{"v1 IPv6", "PROXY TCP6 2001:db8::9 2001:db8::2 1234 80\r\n", required, "for=2001:db8::9 "},
		{"v1 unknown", "PROXY UNKNOWN\r\n", required, "for=127.0.0.1 "},
		{"v2", v2(0x21, 0x11, fromNine), required, "for=9.8.7.6 "},
		{"v2 IPv6", v2(0x21, 0x21, six), required, "for=2001:db8::9 "},
		{"v2 local", v2(0x20, 0, ""), required, "for=127.0.0.1 "},
		{"v2 with TLVs", v2(0x21, 0x11, fromNine, "\x03\x00\x04abcd", "\x02\x00\x09a.example", "\x20\x00\x05\x01\x00\x00\x00\x00"), required, "for=9.8.7.6 "},
		{"v2 with long TLVs", v2(0x21, 0x11, fromNine, "\x04\x0b\xb8"+strings.Repeat("\x00", 3000)), required, "for=9.8.7.6 "},
		{"none where one is required", "", required, ""},
		{"two", v2(0x21, 0x11, fromNine) + "PROXY TCP4 1.1.1.1 10.0.0.1 1234 80\r\n", required, "400"},
		{"short", "PROXY TCP4 9.8.7.6\r\n", required, ""},
		{"bad address", "PROXY TCP4 9.8.7.666 10.0.0.1 1234 80\r\n", required, ""},
		{"bare LF", "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\n", required, ""},
		{"endless", "PROXY UNKNOWN " + strings.Repeat("x", 5000), required, ""},
		{"v2 too long", v2(0x21, 0x11, fromNine+strings.Repeat("\x00", 60000)), required, ""},
		{"v2 version 3", v2(0x31, 0x11, fromNine), required, ""},
		{"v2 cut", v2(0x21, 0x11, fromNine[:4]), required, ""},
		{"garbage", "\x00\xff\x13garbage", required, ""},
		{"TLS instead", string(clientHello(t)), required, ""},
		{"optional with", "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\r\n", optional, "for=9.8.7.6 "},
		{"optional without", "", optional, "for=127.0.0.1 "},
		{"optional and broken", "PROXY TCP4 9.8.7.6\r\n", optional, ""},
		{"from anybody where it is required", "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\r\n", distrust, ""},
		{"from anybody where it is optional", "PROXY TCP4 9.8.7.6 10.0.0.1 1234 80\r\n", wary, "400"},
		{"v2 from anybody where it is optional", v2(0x21, 0x11, fromNine), wary, "400"},
		{"none where it is optional", "", wary, "for=127.0.0.1 "},
	} {
		before := app.requests.Load()
		w := dialPort(t, c.port)
		io.WriteString(w, c.in+request) // it may be refused before it is all written
		resp, body, err := w.response("GET")
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s: answered %d %q", c.name, resp.StatusCode, body)
		case c.want == "400" && (err != nil || resp.StatusCode != 400):
			t.Errorf("%s: %v %v, want 400", c.name, resp, err)
		case strings.HasPrefix(c.want, "for=") && (err != nil || !strings.HasPrefix(body, c.want)):
			t.Errorf("%s: %v, the endpoint saw %q, want %q", c.name, err, body, c.want)
		case !strings.HasPrefix(c.want, "for=") && app.requests.Load() != before:
			t.Errorf("%s: reached the endpoint", c.name)
		}
		w.Close()
	}
	p.accessed(`"client":"9.8.7.6"`)
	p.said("PROXY header refused", "trusted proxy")

	t.Run("before TLS, byte by byte", func(t *testing.T) {
		raw := dialPort(t, secure)
		raw.Conn.(*net.TCPConn).SetNoDelay(true)
		for _, b := range []byte(v2(0x21, 0x11, fromNine)) {
			raw.Write([]byte{b})
		}
		tc := tls.Client(raw.Conn, &tls.Config{RootCAs: ca.pool, ServerName: "a.example"})
		w := newWire(t, tc)
		w.send(request)
		if _, body := w.mustRespond("GET"); !strings.HasPrefix(body, "for=9.8.7.6 proto=https") {
			t.Errorf("the endpoint saw %q", body)
		}
	})
	t.Run("slow", func(t *testing.T) {
		for name, in := range map[string]string{"nothing": "", "half of v1": "PROXY TCP4 9.8", "half of v2": v2(0x21, 0x11, fromNine)[:20]} {
			begun := time.Now()
			w := dialPort(t, required)
			w.send(in)
			rest := w.rest()
			if took := time.Since(begun); rest != "" || took < 600*time.Millisecond || took > 4*time.Second {
				t.Errorf("%s: %q after %v", name, rest, took)
			}
		}
	})
}

// Real load balancers in front, which say who the client is.
func TestProxyProtocolFromHAProxy(t *testing.T) {
	t.Parallel()
	app := serve(t, forwarded)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr),
		policyDoc("edge", "Gateway", "edge", "client: {proxyProtocol: Required, proxyProtocolFrom: [127.0.0.1]}")))
	for _, how := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"} {
		front := ownPort(t)
		addr := haproxy(t, front, fmt.Sprintf("frontend f\n  bind 127.0.0.1:%d\n  default_backend b\nbackend b\n  source 127.0.0.1\n  server g 127.0.0.1:%d %s", front, port, how))
		w := dialPort(t, front)
		w.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, body := w.mustRespond("GET"); !strings.HasPrefix(body, "for=127.0.0.1 ") {
			t.Errorf("%s: the endpoint saw %q", how, body)
		}
		// An address of its own tells the header from the connection.
		out := run(t, "", "curl", "-sS", "--max-time", "5", "--interface", "127.0.0.7", "http://"+addr+"/")
		if !strings.HasPrefix(out, "for=127.0.0.7 ") {
			t.Errorf("%s: the endpoint saw %q", how, out)
		}
	}
	p.accessed(`"client":"127.0.0.7"`)
}

// Real servers that accept nothing but the PROXY protocol.
func TestProxyProtocolToRealServers(t *testing.T) {
	t.Parallel()
	behindHAProxy, behindNginx := ownPort(t), ownPort(t)
	servers := map[string]string{
		"haproxy": haproxy(t, behindHAProxy, fmt.Sprintf("frontend f\n  bind 127.0.0.1:%d accept-proxy\n  http-request return status 200 content-type text/plain lf-string \"%%[src]:%%[src_port]\"", behindHAProxy)),
		"nginx": nginxWith(t, behindNginx, fmt.Sprintf(`listen 127.0.0.1:%d proxy_protocol; location / { return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }`,
			behindNginx)),
	}
	port := ownPort(t)
	docs := []string{plainOn(port)}
	rules := ""
	for name, addr := range servers {
		for _, version := range []string{"V1", "V2"} {
			id := slug(name + version)
			docs = append(docs, backendDoc(id, addr), policyDoc(id, "Backend", id, "proxyProtocol: "+version))
			rules += fmt.Sprintf("- {matches: [{path: {value: /%s}}], backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]}\n", id)
		}
	}
	start(t, documents(append(docs, ruleDoc(rules))...))
	for name := range servers {
		for _, version := range []string{"v1", "v2"} {
			for range 3 { // a connection never serves two clients
				w := dialPort(t, port)
				for range 2 {
					w.send("GET /" + name + version + " HTTP/1.1\r\nHost: a\r\n\r\n")
					if resp, body := w.mustRespond("GET"); resp.StatusCode != 200 || body != w.LocalAddr().String() {
						t.Errorf("%s %s: %d, it saw %q, the client is %s", name, version, resp.StatusCode, body, w.LocalAddr())
					}
				}
				w.Close()
			}
		}
	}
}
